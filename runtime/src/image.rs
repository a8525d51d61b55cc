//! What isolates start from: a snapshot made by a build script, and the extensions it was made of.

use deno_core::Extension;

/// A snapshot, and the extensions it was made of.
///
/// [`Image::stock`] is Isopod's own. An embedder's own is made by `isopod::extend::build_snapshot` in its build script, from a list
/// that may leave out some of [`isopod_ext::extensions`] and add others; [`image!`](crate::image) has it in the program.
#[derive(Clone, Copy)]
pub struct Image {
    pub(crate) snapshot: &'static [u8],
    pub(crate) residual_js: &'static [(&'static str, &'static str)],
    pub(crate) residual_esm: &'static [(&'static str, &'static str)],
    pub(crate) extensions: fn() -> Vec<Extension>,
}

impl Image {
    /// What [`image!`](crate::image) calls.
    #[doc(hidden)]
    pub const fn new(
        snapshot: &'static [u8],
        residual_js: &'static [(&'static str, &'static str)],
        residual_esm: &'static [(&'static str, &'static str)],
        extensions: fn() -> Vec<Extension>,
    ) -> Self {
        Self {
            snapshot,
            residual_js,
            residual_esm,
            extensions,
        }
    }

    /// The web platform and Isopod's own APIs.
    pub fn stock() -> Self {
        crate::image!(isopod_ext::extensions)
    }
}

impl Default for Image {
    fn default() -> Self {
        Self::stock()
    }
}

/// The [`Image`] that this crate's build script made with `isopod::extend::build_snapshot`. Its argument is the function that
/// lists the extensions: the one given there.
#[macro_export]
macro_rules! image {
    ($extensions:expr) => {{
        mod isopod_image {
            include!(concat!(env!("OUT_DIR"), "/isopod_image.rs"));
        }
        $crate::Image::new(
            isopod_image::SNAPSHOT,
            isopod_image::RESIDUAL_JS,
            isopod_image::RESIDUAL_ESM,
            $extensions,
        )
    }};
}

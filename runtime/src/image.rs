//! Images: a snapshot created by a build script, and the extensions in it.

use deno_core::Extension;

/// A snapshot, and the extensions in it.
///
/// [`Image::stock`] is Isopod's own. Embedders create custom ones with `isopod::extend::build_snapshot` in a build
/// script, from a list that may omit some of [`isopod_ext::extensions`] and add others, and include them with
/// [`image!`](crate::image).
#[derive(Clone, Copy)]
pub struct Image {
    pub(crate) snapshot: &'static [u8],
    pub(crate) residual_js: &'static [(&'static str, &'static str)],
    pub(crate) residual_esm: &'static [(&'static str, &'static str)],
    pub(crate) extensions: fn() -> Vec<Extension>,
}

impl Image {
    /// Called by [`image!`](crate::image).
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

    /// This image with Node.js modules; `None` if there is none. Only the stock image has a counterpart with them.
    pub(crate) fn with_node(self) -> Option<Self> {
        let is_stock = std::ptr::eq(self.snapshot, Self::stock().snapshot);
        is_stock.then(Self::stock_with_node).flatten()
    }

    #[cfg(feature = "node")]
    fn stock_with_node() -> Option<Self> {
        mod isopod_image {
            include!(concat!(env!("OUT_DIR"), "/isopod_node_image.rs"));
        }
        let extensions = || {
            let mut all = isopod_ext::extensions();
            all.extend(isopod_node::extensions());
            all
        };
        Some(Self::new(
            isopod_image::SNAPSHOT,
            isopod_image::RESIDUAL_JS,
            isopod_image::RESIDUAL_ESM,
            extensions,
        ))
    }

    #[cfg(not(feature = "node"))]
    const fn stock_with_node() -> Option<Self> {
        None
    }
}

impl Default for Image {
    fn default() -> Self {
        Self::stock()
    }
}

/// The [`Image`] created by this crate's build script with `isopod::extend::build_snapshot`. The argument is the
/// function that was passed there.
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

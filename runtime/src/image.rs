//! Images: a snapshot created by a build script, and the extensions in it.

use deno_core::Extension;

/// The part of Node.js that a script uses. It decides which snapshot its workers start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NodeUse {
    /// Nothing.
    None,
    /// The globals, or modules that have the same in them.
    Globals,
    /// Other modules.
    Modules,
}

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

    /// This image with Node.js modules; `None` if there is none. Only the stock image has counterparts with them.
    pub(crate) fn with_node(self, used: NodeUse) -> Option<Self> {
        let is_stock = std::ptr::eq(self.snapshot, Self::stock().snapshot);
        is_stock.then(|| Self::stock_with_node(used)).flatten()
    }

    #[cfg(feature = "node")]
    fn stock_with_node(used: NodeUse) -> Option<Self> {
        mod globals {
            include!(concat!(env!("OUT_DIR"), "/isopod_node_image.rs"));
        }
        mod modules {
            include!(concat!(env!("OUT_DIR"), "/isopod_node_modules_image.rs"));
        }
        // They differ only in what is evaluated.
        let extensions = || {
            let mut all = isopod_ext::extensions();
            all.extend(isopod_node::extensions(isopod_node::Evaluated::Globals));
            all
        };
        match used {
            NodeUse::None => None,
            NodeUse::Globals => Some(Self::new(
                globals::SNAPSHOT,
                globals::RESIDUAL_JS,
                globals::RESIDUAL_ESM,
                extensions,
            )),
            NodeUse::Modules => Some(Self::new(
                modules::SNAPSHOT,
                modules::RESIDUAL_JS,
                modules::RESIDUAL_ESM,
                extensions,
            )),
        }
    }

    #[cfg(not(feature = "node"))]
    const fn stock_with_node(_used: NodeUse) -> Option<Self> {
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

#[cfg(all(test, feature = "node"))]
mod tests {
    use super::{Image, NodeUse};

    /// The first script that a worker loads costs more than its own time.
    #[test]
    fn a_worker_that_uses_globals_of_node_finds_their_scripts_in_its_snapshot() {
        let loads = |used, name: &str| {
            let image = Image::stock().with_node(used).expect("the stock image has it");
            image.residual_js.iter().any(|(residual, _)| *residual == name)
        };
        for name in [
            "ext:deno_node/buffer.ts",
            "ext:deno_node/internal/buffer.mjs",
            "ext:isopod_node/process.js",
            "ext:isopod_node/start.js",
            "ext:isopod_node/timers.js",
        ] {
            assert!(!loads(NodeUse::Globals, name), "{name}");
            assert!(!loads(NodeUse::Modules, name), "{name}");
        }
        for name in ["ext:deno_node/internal/errors.ts", "ext:deno_node/_events.mjs"] {
            assert!(loads(NodeUse::Globals, name), "{name}");
            assert!(!loads(NodeUse::Modules, name), "{name}");
        }
    }
}

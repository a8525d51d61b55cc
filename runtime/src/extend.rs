//! What an embedder adds to workers, and takes away from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deno_core::url::Url;
use deno_core::{Extension, OpState};
use isopod_ext::bindings::NewWorker;

use crate::Image;

/// Modules that are in the snapshot, and so need not be loaded.
pub(crate) const BUILTIN: [&str; 4] = ["isopod:fs", "isopod:process", "isopod:workers", "cloudflare:workers"];

/// Adds ops, JavaScript, bindings and modules to the workers of a pool, and takes names away from them.
///
/// ```
/// # mod isopod { pub use isopod_runtime::deno_core; pub mod extend { pub use isopod_runtime::{Extend, NewWorker}; } }
/// use isopod::deno_core::{self, OpState, op2};
/// use isopod::extend::{Extend, NewWorker};
///
/// struct Prices(u32);
///
/// #[op2(fast)]
/// fn op_shop_price(state: &mut OpState, #[string] what: &str) -> u32 {
///     state.borrow::<Prices>().0 * what.len() as u32
/// }
///
/// deno_core::extension!(shop, ops = [op_shop_price], lazy_loaded_js = ["ext:shop/shop.js" = {
///     source = "(function () {
///         const { op_shop_price } = __bootstrap.core.ops;
///         return { make: (name, options) => ({ price: (what) => op_shop_price(what) + options.fee }) };
///     })();"
/// }]);
///
/// struct Shop;
///
/// impl Extend for Shop {
///     fn extensions(&self) -> Vec<deno_core::Extension> {
///         vec![shop::init()]
///     }
///
///     fn prepare(&self, _worker: &NewWorker<'_>, state: &mut OpState) {
///         state.put(Prices(3));
///     }
/// }
/// ```
///
/// The JavaScript of these extensions is evaluated when a worker starts. Where that takes too long, make it part of a
/// snapshot: list them in an [`Image`](crate::Image) of your own instead of here.
///
/// A binding made by them is a [`Custom`](crate::bindings::Custom), or a [`Binding`](crate::bindings::Binding) of one's own.
/// Op bodies are called by V8: one that panics ends the process.
pub trait Extend: Send + Sync + 'static {
    /// Extensions after those of the image. Called for each worker; must always list the same.
    fn extensions(&self) -> Vec<Extension> {
        Vec::new()
    }

    /// Places what the ops need in the state of a new worker, before any JavaScript of its script runs.
    fn prepare(&self, worker: &NewWorker<'_>, state: &mut OpState) {
        let (_, _) = (worker, state);
    }

    /// Modules that scripts import by a name with a scheme of its own, such as `shop:prices`: the name and the source of
    /// each. Called once.
    fn modules(&self) -> Vec<(String, Arc<str>)> {
        Vec::new()
    }

    /// Names taken away from `globalThis` before a script runs.
    fn removed_globals(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A conflict between extensions.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtendError {
    /// Two extensions have the same name.
    #[error("there are two extensions {0:?}; list it once, in the image or in one `Extend`")]
    DuplicateExtension(&'static str),
    /// Two modules have the same name.
    #[error("there are two modules {0:?}; give one of them another name")]
    DuplicateModule(String),
    /// A module's name is not a URL in its normal form.
    #[error("{0:?} cannot name a module; use a name with a scheme of your own, such as `shop:prices`")]
    ModuleName(String),
}

/// The template of all workers of a host: an [`Image`] and the additions to it.
#[derive(Clone, Default)]
pub struct WorkerTemplate {
    image: Image,
    extends: Arc<[Arc<dyn Extend>]>,
    modules: Arc<BTreeMap<String, Arc<str>>>,
}

impl WorkerTemplate {
    /// Puts an image and what is added to it together. What is listed first comes first: its extensions, its
    /// [`Extend::prepare`].
    ///
    /// # Errors
    /// Two extensions or two modules of the same name, or a module whose name is not a URL in its normal form.
    pub fn new(image: Image, extends: Vec<Arc<dyn Extend>>) -> Result<Self, ExtendError> {
        let mut names = BTreeSet::new();
        let added = extends.iter().flat_map(|extend| extend.extensions());
        for extension in (image.extensions)().into_iter().chain(added) {
            if !names.insert(extension.name) {
                return Err(ExtendError::DuplicateExtension(extension.name));
            }
        }
        let mut modules = BTreeMap::new();
        for (name, source) in extends.iter().flat_map(|extend| extend.modules()) {
            // Modules are looked up by their URL.
            if !Url::parse(&name).is_ok_and(|url| url.as_str() == name) {
                return Err(ExtendError::ModuleName(name));
            }
            if BUILTIN.contains(&name.as_str()) || modules.insert(name.clone(), source).is_some() {
                return Err(ExtendError::DuplicateModule(name));
            }
        }
        Ok(Self {
            image,
            extends: extends.into(),
            modules: Arc::new(modules),
        })
    }

    pub(crate) const fn image(&self) -> Image {
        self.image
    }

    pub(crate) fn extends(&self) -> impl Iterator<Item = &dyn Extend> {
        self.extends.iter().map(|extend| &**extend)
    }

    pub(crate) fn module(&self, specifier: &str) -> Option<&Arc<str>> {
        self.modules.get(specifier)
    }
}

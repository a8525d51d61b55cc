//! An embedder's additions to workers, and removals from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deno_core::url::Url;
use deno_core::{Extension, OpState};
use isopod_ext::bindings::NewWorker;

use crate::Image;
use crate::modules::BUILTIN;

/// Adds ops, JavaScript, bindings and modules to the workers of a pool, and removes globals from them.
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
/// The JavaScript of these extensions is evaluated whenever a worker starts. If that takes too long, include the
/// extensions in a custom [`Image`](crate::Image) instead.
///
/// To create bindings from them, use [`Custom`](crate::bindings::Custom) or implement
/// [`Binding`](crate::bindings::Binding). Op bodies are called by V8: a panic in one aborts the process.
pub trait Extend: Send + Sync + 'static {
    /// Extensions in addition to those of the image. Called for each worker, and must always return the same list.
    fn extensions(&self) -> Vec<Extension> {
        Vec::new()
    }

    /// Adds the state that the ops need to a new worker, before any of its script's JavaScript runs.
    fn prepare(&self, worker: &NewWorker<'_>, state: &mut OpState) {
        let (_, _) = (worker, state);
    }

    /// Modules that scripts import under a custom scheme, such as `shop:prices`: names and sources. Called once.
    fn modules(&self) -> Vec<(String, Arc<str>)> {
        Vec::new()
    }

    /// Properties to delete from `globalThis` before a script runs.
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

/// The template of a host's workers: an [`Image`] and additions to it.
#[derive(Clone, Default)]
pub struct WorkerTemplate {
    image: Image,
    extends: Arc<[Arc<dyn Extend>]>,
    modules: Arc<BTreeMap<String, Arc<str>>>,
}

impl WorkerTemplate {
    /// Combines an image and additions. Their extensions and their [`Extend::prepare`] are applied in this order.
    ///
    /// # Errors
    /// Duplicate extensions or modules, or a module whose name is not a normalized URL.
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
            // Modules are looked up by URL.
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

//! What an embedder adds to workers, and takes away from them.

use std::sync::Arc;

use deno_core::{Extension, OpState};

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
/// A binding made by them is [`Binding::Custom`](crate::Binding::Custom). Op bodies are called by V8: one that panics ends
/// the process.
pub trait Extend: Send + Sync + 'static {
    /// Extensions after those of the image. Called for each worker; must always list the same.
    fn extensions(&self) -> Vec<Extension> {
        Vec::new()
    }

    /// Places what the ops need in the state of a new worker, before any JavaScript of its script runs.
    fn prepare(&self, worker: &NewWorker<'_>, state: &mut OpState) {
        let (_, _) = (worker, state);
    }

    /// The source of a module that scripts import by a name with a scheme of its own, such as `shop:prices`. `None`: there
    /// is no such module here, and it is looked for as any other.
    fn module(&self, specifier: &str) -> Option<Arc<str>> {
        let _ = specifier;
        None
    }

    /// Names taken away from `globalThis` before a script runs.
    fn removed_globals(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A worker that is being made.
#[derive(Debug)]
#[non_exhaustive]
pub struct NewWorker<'a> {
    /// The name of its script.
    pub script: &'a str,
    /// Its number in its host.
    pub number: u64,
}

/// What all workers of a host are made of.
#[derive(Clone, Default)]
pub struct Fabric {
    /// What isolates start from.
    pub image: crate::Image,
    /// What is added to them.
    pub extend: Option<Arc<dyn Extend>>,
}

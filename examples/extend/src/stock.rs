//! An extension: two ops, and the script that creates a binding from them. Used by the program and its build script.

use std::collections::BTreeMap;

use deno_core::{Extension, OpState, op2};

/// The state of the ops, one per worker.
#[derive(Default)]
pub(crate) struct Shelves(pub(crate) BTreeMap<String, u32>);

/// An error of the ops. Each variant names its JavaScript class.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub(crate) enum StockError {
    #[class(range)]
    #[error("only {0} of {1:?} are there")]
    TooFew(u32, String),
}

#[op2(fast)]
fn op_stock_count(state: &mut OpState, #[string] item: &str) -> u32 {
    state.borrow::<Shelves>().0.get(item).copied().unwrap_or(0)
}

#[op2(fast)]
fn op_stock_take(state: &mut OpState, #[string] item: &str, count: u32) -> Result<u32, StockError> {
    let shelves = state.borrow_mut::<Shelves>();
    let there = shelves.0.entry(item.to_owned()).or_default();
    *there = there
        .checked_sub(count)
        .ok_or_else(|| StockError::TooFew(*there, item.to_owned()))?;
    Ok(*there)
}

deno_core::extension!(
    stock,
    ops = [op_stock_count, op_stock_take],
    lazy_loaded_js = [dir "src", "stock.js"],
);

/// The extensions in the snapshot: all of Isopod's except SQL, and `stock`.
pub(crate) fn extensions() -> Vec<Extension> {
    let mut extensions = isopod::extend::extensions();
    extensions.retain(|extension| extension.name != "isopod_sql");
    extensions.push(stock::init());
    extensions
}

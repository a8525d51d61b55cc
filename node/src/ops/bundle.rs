//! The modules of the worker, which `node:fs` shows in `/bundle`.

use std::rc::Rc;
use std::sync::Arc;

use deno_core::{OpState, op2};

/// The modules of a worker as files. The runtime places an `Rc<dyn Bundle>` in the worker's `OpState`.
pub trait Bundle {
    /// The names of the files: paths with `/`, relative to the folder of the main module.
    fn names(&self) -> Vec<String>;

    /// The content of a file as it was before it was compiled; `None` if there is no such file.
    fn content(&self, name: &str) -> Option<Arc<[u8]>>;
}

fn content(state: &OpState, name: &str) -> Option<Arc<[u8]>> {
    state.try_borrow::<Rc<dyn Bundle>>()?.content(name)
}

#[op2]
#[serde]
pub(super) fn op_isopod_bundle_names(state: &OpState) -> Vec<String> {
    let bundle = state.try_borrow::<Rc<dyn Bundle>>();
    bundle.map(|bundle| bundle.names()).unwrap_or_default()
}

/// The size of a file in bytes; 0 if there is none.
#[op2(fast)]
#[number]
pub(super) fn op_isopod_bundle_size(state: &OpState, #[string] name: &str) -> usize {
    content(state, name).map_or(0, |content| content.len())
}

/// Copies a file from a position on, and returns the number of bytes that were copied.
#[op2(fast)]
#[number]
pub(super) fn op_isopod_bundle_read(
    state: &OpState,
    #[string] name: &str,
    #[buffer] into: &mut [u8],
    #[number] position: usize,
) -> usize {
    let Some(content) = content(state, name) else { return 0 };
    let rest = content.get(position..).unwrap_or_default();
    let count = rest.len().min(into.len());
    into[..count].copy_from_slice(&rest[..count]);
    count
}

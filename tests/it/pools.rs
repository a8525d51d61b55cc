//! The pools of the tests that run here, and over an engine that passes events in written form (`tests/written`).

use isopod::{Cells, Isolation, Pool, PoolBuilder};

pub(crate) use crate::bus::pool_of;
use crate::program::program;

/// A pool of these tests.
pub(crate) type TestPool = Pool;

/// Whether bytes are handed over, and not copied.
pub(crate) const IN_PLACE: bool = true;

/// Returns true if `ISOPOD_ISOLATION` asks for workers in processes of their own.
pub(crate) fn in_cells() -> bool {
    std::env::var_os("ISOPOD_ISOLATION").is_some_and(|isolation| isolation == "process")
}

/// A pool whose workers run where `ISOPOD_ISOLATION` says: in threads, or each in a process of its own.
pub(crate) fn builder() -> PoolBuilder {
    match in_cells() {
        true => Pool::builder()
            .isolation(Isolation::Process)
            .cells(Cells::program(program())),
        false => Pool::builder(),
    }
}

pub(crate) fn one_thread() -> PoolBuilder {
    builder().threads(1)
}

pub(crate) fn build(builder: PoolBuilder) -> TestPool {
    builder.build().expect("a pool")
}

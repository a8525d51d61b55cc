//! The pools of the tests that run here, and over an engine that passes events in written form (`tests/written`).

use isopod::{Cells, Isolation, Pool, PoolBuilder};

pub(crate) use crate::bus::pool_of;
use crate::program::program;

/// A pool of these tests.
pub(crate) type TestPool = Pool;

/// Whether bytes are handed over, and not copied.
pub(crate) const IN_PLACE: bool = true;

/// A pool whose workers run where `ISOPOD_ISOLATION` says: in threads, or each in a process of its own.
pub(crate) fn builder() -> PoolBuilder {
    match std::env::var_os("ISOPOD_ISOLATION") {
        Some(isolation) if isolation == "process" => Pool::builder()
            .isolation(Isolation::Process)
            .cells(Cells::program(program())),
        _ => Pool::builder(),
    }
}

pub(crate) fn one_thread() -> PoolBuilder {
    builder().threads(1)
}

pub(crate) fn build(builder: PoolBuilder) -> TestPool {
    builder.build().expect("a pool")
}

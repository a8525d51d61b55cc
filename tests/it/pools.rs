//! The pools of the tests that run here, and over an engine that passes events in written form (`tests/written`).

use isopod::{Pool, PoolBuilder};

pub(crate) use crate::bus::pool_of;

/// A pool of these tests.
pub(crate) type TestPool = Pool;

/// Whether bytes are handed over, and not copied.
pub(crate) const IN_PLACE: bool = true;

pub(crate) fn one_thread() -> PoolBuilder {
    Pool::builder().threads(1)
}

pub(crate) fn build(builder: PoolBuilder) -> TestPool {
    builder.build().expect("a pool")
}

//! Tests of the embedded pool, over an engine that passes every event and every answer through its written form.

mod engine;
mod fetches;
mod shared;
mod wires;

#[path = "../it/email.rs"]
mod email;
#[path = "../it/tasks.rs"]
mod tasks;
#[path = "../it/triggers.rs"]
mod triggers;
#[path = "../it/values.rs"]
mod values;

/// The pools of the tests that run here and over the engine of Isopod's own.
mod pools {

    use isopod::{Pool, PoolBuilder};

    use crate::engine::WrittenEngine;

    /// Whether bytes are handed over, and not copied.
    pub(crate) const IN_PLACE: bool = false;

    /// A pool of these tests.
    pub(crate) type TestPool = Pool<WrittenEngine>;

    pub(crate) fn one_thread() -> PoolBuilder {
        Pool::builder().threads(1)
    }

    pub(crate) fn build(builder: PoolBuilder) -> TestPool {
        builder.build_with(WrittenEngine).expect("a pool")
    }

    pub(crate) use crate::shared::pool_of;
}

mod process {
    pub(crate) use crate::shared::until;
}

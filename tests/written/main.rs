//! Tests of the embedded pool, over an engine that passes every event and every answer through its written form.

mod engine;
mod fetches;
mod wires;

#[path = "../it/email.rs"]
mod email;
#[path = "../it/tasks.rs"]
mod tasks;
#[path = "../it/triggers.rs"]
mod triggers;
#[path = "../it/values.rs"]
mod values;

use std::time::{Duration, Instant};

/// The pools of the tests that run here and over the engine of Isopod's own.
mod pools {
    use std::sync::Arc;

    use isopod::{Binding, Options, Pool, PoolBuilder, Script};

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

    pub(crate) fn pool_of(source: &str, bindings: Vec<(&str, Arc<dyn Binding>)>) -> TestPool {
        let pool = build(one_thread());
        let script = bindings
            .into_iter()
            .fold(Script::builder("s").source(source), |script, (name, binding)| {
                script.binding(name, binding)
            });
        pool.deploy("s", script.build().expect("a script"), &Options::default())
            .expect("deployed");
        pool
    }
}

mod process {
    use super::*;

    /// Waits for a condition.
    pub(crate) fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(value) = ready() {
                return value;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{what}: not within 20 s");
            // tidy:allow(sleep): between two looks at a condition that nothing tells of
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

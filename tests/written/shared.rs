//! Functions for tests over other engines than Isopod's own: a pool with one script, and waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use isopod::{Binding, Options, Script};

use crate::pools::{TestPool, build, one_thread};

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

//! Tests of the embedded pool, with every worker in a process of its own: the built program, started as a cell.

#[path = "../written/fetches.rs"]
mod fetches;
mod life;
#[path = "../it/tasks.rs"]
mod tasks;
#[path = "../it/triggers.rs"]
mod triggers;
#[path = "../it/values.rs"]
mod values;

use std::time::{Duration, Instant};

/// The pools of the tests that run here and over the engine of Isopod's own.
mod pools {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use isopod::{Binding, Cells, Isolation, Options, Pool, PoolBuilder, Script};

    /// Whether bytes are handed over, and not copied.
    pub(crate) const IN_PLACE: bool = false;

    /// A pool of these tests.
    pub(crate) type TestPool = Pool;

    fn program() -> PathBuf {
        let beside = || {
            let test = std::env::current_exe().expect("this test's own path");
            let folder = test.parent().and_then(Path::parent);
            folder.expect("target/PROFILE/deps").join("isopod")
        };
        let program = std::env::var_os("ISOPOD_BIN").map_or_else(beside, PathBuf::from);
        assert!(
            program.is_file(),
            "{} is not there: `cargo xtask test` builds it, then runs the tests",
            program.display()
        );
        program
    }

    pub(crate) fn cells() -> Cells {
        Cells::program(program())
    }

    pub(crate) fn one_thread() -> PoolBuilder {
        Pool::builder().threads(1).isolation(Isolation::Process).cells(cells())
    }

    pub(crate) fn build(builder: PoolBuilder) -> TestPool {
        builder.build().expect("a pool")
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

//! Tests of the embedded pool, with every worker in a process of its own: the built program, started as a cell.

#[path = "../written/fetches.rs"]
mod fetches;
mod life;
#[path = "../written/shared.rs"]
mod shared;
#[path = "../it/tasks.rs"]
mod tasks;
#[path = "../it/triggers.rs"]
mod triggers;
#[path = "../it/values.rs"]
mod values;

/// The pools of the tests that run here and over the engine of Isopod's own.
mod pools {
    use std::path::{Path, PathBuf};

    use isopod::{Cells, Isolation, Pool, PoolBuilder};

    /// True if bytes are shared and not copied.
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

    pub(crate) use crate::shared::pool_of;
}

mod process {
    pub(crate) use crate::shared::until;
}

//! Settings of a pool's cells.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The argument that makes a program run as a cell.
pub(super) const ARGUMENT: &str = "isopod-cell";

/// The argument, after the process id of the parent, that makes a cell confine itself.
pub(super) const SANDBOX: &str = "sandbox";

/// The program and the settings of a pool's cells, for workers with
/// [`Isolation::Process`](https://docs.rs/isopod/latest/isopod/enum.Isolation.html).
///
/// ```no_run
/// # mod isopod { pub use isopod_pool::js::{Cells, Pool, run_cell_if_asked}; pub use isopod_runtime::Isolation; }
/// use isopod::{Cells, Isolation, Pool};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Comes first: if this process was started as a cell, it runs as one and never returns.
/// isopod::run_cell_if_asked();
/// let pool = Pool::builder().cells(Cells::this_program()).isolation(Isolation::Process).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Cells {
    pub(super) program: PathBuf,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) spares: usize,
    pub(super) silence_max: Duration,
    pub(super) sandbox_required: bool,
    pub(super) transit_bytes_max: usize,
}

impl Cells {
    /// Starts this program again for each cell. Its `main` must call [`run_cell_if_asked`](super::run_cell_if_asked) before
    /// anything else.
    #[must_use]
    pub fn this_program() -> Self {
        // The running program, even if its file was replaced meanwhile.
        let program = match cfg!(target_os = "linux") {
            true => PathBuf::from("/proc/self/exe"),
            false => std::env::current_exe().unwrap_or_default(),
        };
        Self::program(program)
    }

    /// Starts another program for each cell. It must be of the same version of Isopod, and its `main` must call
    /// [`run_cell_if_asked`](super::run_cell_if_asked).
    #[must_use]
    pub fn program(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            environment: Vec::new(),
            spares: 1,
            silence_max: Duration::from_secs(5),
            sandbox_required: false,
            transit_bytes_max: 64 << 20,
        }
    }

    /// Adds a variable to the environment of the cells, which is empty otherwise. Default: none.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the number of started processes that are kept ready for the next workers, once there has been a cell. Default: 1.
    #[must_use]
    pub const fn spares(mut self, processes: usize) -> Self {
        self.spares = processes;
        self
    }

    /// Refuses workers with [`Isolation::Sandbox`](https://docs.rs/isopod/latest/isopod/enum.Isolation.html) if the system lacks
    /// one of the mechanisms that confine them, instead of using only the available ones. Default: false.
    ///
    /// [`Pool::sandbox`](super::super::Pool::sandbox) returns the available mechanisms.
    #[must_use]
    pub const fn sandbox_required(mut self, required: bool) -> Self {
        self.sandbox_required = required;
        self
    }

    /// Sets how many bytes of the values in transit between a cell and this process are held in the memory of this process at a
    /// time: of the cell's questions, and of the answers to them, each. Further values wait until others have arrived. A value that is
    /// larger is the only one. Default: 64 MiB; at least 1 MiB.
    #[must_use]
    pub const fn transit_bytes_max(mut self, bytes: usize) -> Self {
        self.transit_bytes_max = bytes;
        self
    }

    /// Sets the time without a sign of life after which a cell is killed. Default: 5 s; at least 100 ms.
    #[must_use]
    pub const fn silence_max(mut self, time: Duration) -> Self {
        self.silence_max = time;
        self
    }
}

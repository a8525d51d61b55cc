//! The settings of a soak.

use std::path::PathBuf;
use std::time::Duration;

use crate::plan::Mix;

/// The options of a soak.
pub(crate) struct Options {
    pub(crate) length: Duration,
    pub(crate) seed: u64,
    pub(crate) mix: Mix,
    /// Half of the workers have processes of their own.
    pub(crate) cells: bool,
    pub(crate) program: PathBuf,
}

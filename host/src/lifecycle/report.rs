//! Report of a host.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::stop::Cause;
use crate::context::InstanceId;
use crate::module::Phase;

/// Report of a host's run, module by module.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The identity of the run.
    pub instance: InstanceId,
    /// Cause of the stop.
    pub cause: Cause,
    /// The modules in their order.
    pub modules: Vec<ModuleReport>,
    /// Duration of the shutdown.
    pub stopped_in: Duration,
}

/// Report of a module.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModuleReport {
    /// The module's name.
    pub name: Arc<str>,
    /// The phases that it entered, in the order in which they ended. Contains [`Phase::Run`] if it had tasks.
    pub phases: Vec<PhaseReport>,
}

/// Report of a phase of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhaseReport {
    /// The phase.
    pub phase: Phase,
    /// Its end.
    pub end: End,
    /// Its duration.
    pub took: Duration,
}

/// End of a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It succeeded.
    Finished,
    /// It failed with this error or panic.
    Failed(String),
    /// It exceeded its time limit.
    Cut,
}

impl Report {
    /// Returns true if every phase that began also finished.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let mut phases = self.modules.iter().flat_map(|module| &module.phases);
        phases.all(|phase| phase.end == End::Finished)
    }

    /// Returns the end of a module's phase, if it began.
    #[must_use]
    pub fn end(&self, module: &str, phase: Phase) -> Option<&End> {
        let module = self.modules.iter().find(|report| &*report.name == module)?;
        module.end(phase)
    }
}

impl ModuleReport {
    /// Returns the end of a phase, if it began.
    #[must_use]
    pub fn end(&self, phase: Phase) -> Option<&End> {
        self.phases
            .iter()
            .find(|report| report.phase == phase)
            .map(|report| &report.end)
    }

    pub(crate) fn finished(&self, phase: Phase) -> bool {
        self.end(phase) == Some(&End::Finished)
    }
}

/// Shows a line with the cause of the stop, and one for each module.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped in {:.1?}: {}", self.stopped_in, self.cause)?;
        for module in &self.modules {
            write!(f, "\n{}:", module.name)?;
            for PhaseReport { phase, end, took } in &module.phases {
                match end {
                    End::Finished => write!(f, " {phase} {took:.1?}")?,
                    End::Failed(why) => write!(f, " {phase} failed ({why})")?,
                    End::Cut => write!(f, " {phase} cut after {took:.1?}")?,
                }
            }
        }
        Ok(())
    }
}

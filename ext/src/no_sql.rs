//! In place of the SQL binding in a build without it: its settings, so that a script that asks for it can be refused.

#[path = "sql/config.rs"]
mod config;
#[path = "sql/meter.rs"]
#[allow(dead_code, reason = "the databases that count are not there")]
mod meter;

pub use self::config::{SqlBindings, SqlConfig};
pub(crate) use self::meter::CpuMeter;

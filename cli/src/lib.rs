//! The `isopod` command: arguments, environment and files become a configuration, and that becomes a running process.
//!
//! Nothing below this crate reads an environment variable or decides about an exit code.

mod check;
pub mod cli;
pub mod config;
mod inspector;
mod logging;
mod manual;
mod run;
mod scripts;
mod serve;

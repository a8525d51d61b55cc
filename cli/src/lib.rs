//! The `isopod` command: turns arguments, environment and files into a configuration, and that into a running process.
//!
//! No other crate reads environment variables or sets exit codes.

mod check;
mod choice;
pub mod cli;
pub mod config;
mod cron;
mod d1;
mod init;
mod inspector;
mod kv;
mod logging;
mod manual;
mod output;
mod project;
mod queue;
mod r2;
mod run;
mod scripts;
mod serve;
mod types;

//! In place of the SQL binding in a build without it: its settings, so that a script that asks for it can be refused.

#[path = "sql/config.rs"]
mod config;

pub use self::config::SqlConfig;

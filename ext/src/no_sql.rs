//! Replaces the SQL binding in builds without it: its settings, so that a script with the binding can be rejected.

#[path = "sql/config.rs"]
mod config;

pub use self::config::SqlConfig;

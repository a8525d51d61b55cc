//! Hosts, their modules, supervision and events as programs see them.

mod channel;
mod common;
#[cfg(feature = "sql")]
mod database;
mod declare;
mod embed;
mod lifecycle;
mod pool;
mod process;
mod signals;

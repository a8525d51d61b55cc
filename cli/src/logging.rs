//! Where `tracing` goes: standard error, coloured on a terminal, or JSON lines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat, LogLevel};

/// Installs the subscriber of the process. `RUST_LOG`-like directives are not read: the configuration says it all.
pub(crate) fn install(log: &Log) {
    let level = match log.level {
        LogLevel::Off => "off",
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let access = if log.access { level } else { "off" };
    // What the host says of its modules is said in fewer words on the terminal; it is for who looks closely.
    let modules = match log.level {
        LogLevel::Debug | LogLevel::Trace => level,
        _ => "off",
    };
    let filter = EnvFilter::new(format!(
        "warn,isopod={level},isopod::access={access},isopod_host::lifecycle={modules}"
    ));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second subscriber can only be another test's in the same process.
    drop(match log.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Pretty => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    });
}

//! `tracing` subscriber: standard error, colored on a terminal, or JSON lines.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFormat, LogLevel};

/// A server's background writer.
static BESIDE: OnceLock<NonBlocking> = OnceLock::new();

/// Installs the process's subscriber. `RUST_LOG` directives are not read: everything is in the configuration.
pub(crate) fn install(log: &Log) {
    subscribe(log, std::io::stderr);
}

/// Installs a subscriber that writes on a background thread, so that a slow reader of standard error does not delay
/// requests. When the guard is dropped, it waits briefly until everything is written.
pub(crate) fn install_beside(log: &Log) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(log.lines_waiting_max)
        .thread_name("isopod-log")
        .finish(std::io::stderr());
    subscribe(log, BESIDE.get_or_init(|| writer).clone());
    guard
}

/// Prints a message for the user in the order of the log.
pub(crate) fn tell(text: impl Display) {
    match BESIDE.get() {
        // Written at once. If the buffer is full, the message is dropped and counted.
        Some(lines) => drop(lines.clone().write_all(format!("{text}\n").as_bytes())),
        None => eprintln!("{text}"),
    }
}

/// Returns the number of lines dropped because the buffer was full.
pub(crate) fn lines_dropped() -> usize {
    BESIDE.get().map_or(0, |lines| lines.error_counter().dropped_lines())
}

fn subscribe(log: &Log, writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) {
    let level = match log.level {
        LogLevel::Off => "off",
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let access = if log.access { level } else { "off" };
    // The host's lines about its modules are debug output: on the terminal, other lines summarize them.
    let modules = match log.level {
        LogLevel::Debug | LogLevel::Trace => level,
        _ => "off",
    };
    let filter = EnvFilter::new(format!(
        "warn,isopod={level},isopod::access={access},isopod_host::lifecycle={modules}"
    ));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // Fails only if another test of the same process has installed a subscriber.
    drop(match log.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Pretty => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    });
}

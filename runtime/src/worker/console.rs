//! The destination of a script's log.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;

use isopod_ext::handlers::{Events, Report};
use isopod_ext::process::{self, Exit};
use isopod_ext::web::{LogLevel, LogSink};

use crate::{Console, Script};

/// Maximum length of a log line; longer ones are cut, because a script can log a gigabyte in one call.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Creates the sink for a worker's `console`.
pub(super) fn sink(script: &Arc<Script>, worker: u64, events: &Rc<RefCell<Events>>, exit: &Rc<Exit>) -> LogSink {
    match script.console {
        Console::Terminal { .. } => {
            let exit = exit.clone();
            Rc::new(move |level, text, _| {
                // A command whose output is no longer read (`isopod run x.js | head -1`) has nothing left to do.
                if let Err(error) = print(level, text)
                    && error.kind() == ErrorKind::BrokenPipe
                    && matches!(level, LogLevel::Debug | LogLevel::Info)
                {
                    exit.for_broken_pipe();
                }
            })
        }
        Console::Tracing => {
            let (name, events) = (script.name.clone(), events.clone());
            Rc::new(move |level, text, event| {
                let events = events.borrow();
                let request = event.and_then(|key| events.request_id(key)).unwrap_or_default();
                let caller = event.and_then(|key| events.caller(key)).map(|caller| &*caller.worker);
                trace(level, &name, worker, request, caller, cut(text.trim_end()));
            })
        }
    }
}

fn print(level: LogLevel, text: &str) -> std::io::Result<()> {
    match level {
        LogLevel::Debug | LogLevel::Info => process::write_all(std::io::stdout().lock(), text.as_bytes()),
        LogLevel::Warn | LogLevel::Error => process::write_all(std::io::stderr().lock(), text.as_bytes()),
    }
}

/// Logs a line of a worker's `console` that was written in another process.
pub fn console_line(level: tracing::Level, script: &str, worker: u64, request: &str, caller: Option<&str>, text: &str) {
    let level = match level {
        tracing::Level::ERROR => LogLevel::Error,
        tracing::Level::WARN => LogLevel::Warn,
        tracing::Level::INFO => LogLevel::Info,
        _ => LogLevel::Debug,
    };
    trace(level, script, worker, request, caller, cut(text));
}

/// `caller` is the worker that made the request, if it came through a service binding.
fn trace(level: LogLevel, script: &str, worker: u64, request: &str, caller: Option<&str>, text: &str) {
    match level {
        LogLevel::Debug => tracing::debug!(target: "isopod::console", script, worker, request, caller, "{text}"),
        LogLevel::Info => tracing::info!(target: "isopod::console", script, worker, request, caller, "{text}"),
        LogLevel::Warn => tracing::warn!(target: "isopod::console", script, worker, request, caller, "{text}"),
        LogLevel::Error => tracing::error!(target: "isopod::console", script, worker, request, caller, "{text}"),
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LINE_BYTES_MAX)]
}

/// Reports an error that belongs to no event, once.
pub(super) fn tell(script: &Script, worker: u64, report: &Report) {
    let what = if report.rejection {
        "Uncaught (in promise)"
    } else {
        "Uncaught"
    };
    let text = report.fault.detail.as_deref().unwrap_or(&report.fault.message);
    match script.console {
        // There is no way left to report an error.
        Console::Terminal { .. } => drop(print(LogLevel::Error, &format!("{what} {text}\n"))),
        Console::Tracing => trace(
            LogLevel::Error,
            &script.name,
            worker,
            "",
            None,
            cut(&format!("{what} {text}")),
        ),
    }
}

/// Reports how many log lines of an event were dropped.
pub(super) fn tell_log_dropped(script: &Script, worker: u64, dropped: u64) {
    let text = format!("dropped {dropped} log lines of an event that has ended");
    trace(LogLevel::Warn, &script.name, worker, "", None, &text);
}

/// Reports how many reports were dropped.
pub(super) fn tell_dropped(script: &Script, worker: u64, dropped: u64) {
    let text = format!("{dropped} more uncaught errors in the same turn are not shown");
    match script.console {
        Console::Terminal { .. } => drop(print(LogLevel::Error, &format!("{text}\n"))),
        Console::Tracing => trace(LogLevel::Error, &script.name, worker, "", None, &text),
    }
}

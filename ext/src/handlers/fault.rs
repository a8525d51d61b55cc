//! How an event, or a worker, failed.

use std::fmt;
use std::time::Duration;

use deno_core::error::JsError;

/// The ways in which an event can fail inside a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The script threw, rejected, or broke the rules of its handler.
    Exception,
    /// The CPU limit was reached.
    ExceededCpu,
    /// The wall-clock limit was reached.
    ExceededWall,
    /// The memory limit was reached.
    ExceededMemory,
    /// The caller left, or a drain was cut short.
    Canceled,
    /// It was refused because there was too much to do.
    LoadShed,
    /// The script could not be started.
    BootFailed,
    /// The worker was lost while it held the event.
    WorkerLost,
}

/// A failure as the caller of an event gets it.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Which of the ways.
    pub kind: FaultKind,
    /// One sentence: what happened.
    pub message: String,
    /// For development: the stack mapped to the source, with a code frame where there is one.
    pub detail: Option<String>,
    /// The JavaScript class of the error (`TypeError`), where one was thrown.
    pub class: Option<String>,
    /// How long to wait before trying again, where that helps.
    pub retry_after: Option<Duration>,
    /// The script asked, by `ctx.passThroughOnException()`, that its exceptions do not reach the client.
    pub pass_through: bool,
}

impl Fault {
    /// A fault of a kind, said in one sentence.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: None, class: None, retry_after: None, pass_through: false }
    }

    /// The fault that a JavaScript error is.
    pub fn from_js(kind: FaultKind, error: &JsError) -> Self {
        let message = match (&error.name, &error.message) {
            (Some(name), Some(message)) if !message.is_empty() => format!("{name}: {message}"),
            (Some(name), _) => name.clone(),
            _ => error.exception_message.trim_start_matches("Uncaught ").to_owned(),
        };
        Self { detail: Some(describe(error, 0)), class: error.name.clone(), ..Self::new(kind, message) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// Causes followed at most this deep: an error may be its own cause.
const CAUSES_MAX: usize = 8;

fn describe(error: &JsError, depth: usize) -> String {
    let mut text = match &error.stack {
        Some(stack) if !stack.is_empty() => stack.clone(),
        _ => error.exception_message.clone(),
    };
    if let (Some(line), Some(frame)) = (&error.source_line, error.frames.first())
        && depth == 0
        && let (Some(file), Some(number), Some(column)) = (&frame.file_name, frame.line_number, frame.column_number)
        && line.len() <= 200
    {
        let caret = " ".repeat(usize::try_from(column.max(1) - 1).unwrap_or(0).min(line.len()));
        text.push_str(&format!("\n  --> {file}:{number}:{column}\n{number:>5} | {line}\n      | {caret}^"));
    }
    if depth < CAUSES_MAX
        && let Some(cause) = &error.cause
    {
        text.push_str("\nCaused by: ");
        text.push_str(&describe(cause, depth + 1));
    }
    text
}

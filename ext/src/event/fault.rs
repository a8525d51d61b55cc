//! The failure of an event or a worker.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use deno_core::error::JsError;
pub use isopod_outcome::FaultKind;

use super::thrown::{CAUSES_MAX, Thrown, cut};

/// A failure, as the caller of an event receives it.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The kind of failure.
    pub kind: FaultKind,
    /// One sentence that describes the failure.
    pub message: String,
    /// For development: the stack with original positions, and a code frame if there is one.
    pub detail: Option<String>,
    /// The error, if one was thrown.
    pub thrown: Option<Arc<Thrown>>,
    /// The time after which a retry may succeed.
    pub retry_after: Option<Duration>,
    /// True if the script called `ctx.passThroughOnException()`, so that its exceptions do not reach the client.
    pub pass_through: bool,
}

impl Fault {
    /// Creates a fault with a message of one sentence.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            detail: None,
            thrown: None,
            retry_after: None,
            pass_through: false,
        }
    }

    /// Converts a JavaScript error. `frames` shows the code at its position, if available.
    pub fn from_js(kind: FaultKind, error: &JsError, frames: Option<&CodeFrames>) -> Self {
        let message = match (&error.name, &error.message) {
            (Some(name), Some(message)) if !message.is_empty() => format!("{}: {}", cut(name), cut(message)),
            (Some(name), _) => cut(name).to_owned(),
            _ => cut(error.exception_message.trim_start_matches("Uncaught ")).to_owned(),
        };
        Self {
            detail: Some(describe(error, frames, 0)),
            thrown: Some(Arc::new(Thrown::new(error))),
            ..Self::new(kind, message)
        }
    }
}

/// The presentation of a script's errors. The runtime puts it into a worker's state.
#[derive(Clone)]
pub struct CodeFrames {
    /// Returns the code around a position in a script: file, line and column (both from 1).
    pub draw: Draw,
    /// True if the script formats its errors itself, including causes: that of a command does.
    pub inspected: bool,
}

/// See [`CodeFrames::draw`].
pub type Draw = Rc<dyn Fn(&str, u32, u32) -> Option<String>>;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.thrown.as_deref().map(|thrown| thrown as _)
    }
}

/// Maximum number of errors shown of an `AggregateError`.
const ERRORS_MAX: usize = 8;

fn describe(error: &JsError, frames: Option<&CodeFrames>, depth: usize) -> String {
    let inspected = frames.is_some_and(|frames| frames.inspected);
    let stack = error.stack.as_deref().filter(|stack| !stack.is_empty() && !inspected);
    let whole = stack.unwrap_or_else(|| error.exception_message.trim_start_matches("Uncaught "));
    let mut text = without_internal(cut(whole));
    let own = error.frames.iter().find_map(|frame| {
        let file = frame.file_name.as_deref().filter(|file| !file.starts_with("ext:"))?;
        let line = u32::try_from(frame.line_number?).ok()?;
        Some((file, line, u32::try_from(frame.column_number?).ok()?))
    });
    if let Some((file, line, column)) = own {
        // The stack of a syntax error has no lines: the position is all there is.
        if !text.contains("\n    at ") {
            text.push_str(&format!("\n    at {file}:{line}:{column}"));
        }
        if let Some(frame) = frames
            .filter(|_| depth == 0)
            .and_then(|frames| (frames.draw)(file, line, column))
        {
            text.push_str(&format!("\n\n{}\n", frame.trim_end()));
        }
    }
    if depth >= CAUSES_MAX || inspected {
        return text;
    }
    let errors = error.aggregated.as_deref().unwrap_or_default();
    for (index, one) in errors.iter().enumerate().take(ERRORS_MAX) {
        let one = describe(one, frames, depth + 1);
        text.push_str(&format!("\nError {} of {}: {one}", index + 1, errors.len()));
    }
    if let Some(cause) = &error.cause {
        text.push_str("\nCaused by: ");
        text.push_str(&describe(cause, frames, depth + 1));
    }
    text
}

/// The text of an error without the frames of the runtime's code, which are not helpful to the script's author. What `console`
/// writes behind the last frame (a brace before properties of the error, a comma) moves to the last line that stays.
fn without_internal(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        if is_internal(line) {
            kept.push_str(after_position(line));
            continue;
        }
        if !kept.is_empty() {
            kept.push('\n');
        }
        kept.push_str(line);
    }
    kept
}

/// The text after the position in a line of a stack.
fn after_position(line: &str) -> &str {
    let end = line.rfind(|byte: char| byte.is_ascii_digit() || byte == ')');
    end.map_or("", |end| &line[end + 1..])
}

/// Returns true if a line of a stack refers to the runtime's code.
fn is_internal(line: &str) -> bool {
    line.trim_start()
        .strip_prefix("at ")
        .is_some_and(|at| at.starts_with("ext:") || at.contains("(ext:"))
}

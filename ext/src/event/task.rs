//! Progress and partial results of tasks.

use serde_json::Value;

use super::Data;

/// Maximum length of a partial result's name in bytes.
pub const RESULT_NAME_BYTES_MAX: usize = 255;

/// An item that a running task reports.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TaskItem {
    /// Progress: `ctx.progress(value)`.
    Progress(Value),
    /// A partial result: `ctx.emit(name, data)`.
    Result {
        /// Its name, at most [`RESULT_NAME_BYTES_MAX`] bytes.
        name: String,
        /// Its content.
        data: Data,
    },
}

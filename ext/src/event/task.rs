//! The progress and the partial results of tasks.

use serde_json::Value;

use super::Data;

/// The longest name of a partial result, in bytes.
pub const RESULT_NAME_BYTES_MAX: usize = 255;

/// What a task tells of while it runs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TaskItem {
    /// How far it is: `ctx.progress(value)`.
    Progress(Value),
    /// A partial result: `ctx.emit(name, data)`.
    Result {
        /// Its name, of at most [`RESULT_NAME_BYTES_MAX`] bytes.
        name: String,
        /// What it is.
        data: Data,
    },
}

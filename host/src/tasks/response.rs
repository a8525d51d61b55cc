//! Responses of a task.

use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use isopod_pool::Failure;
use serde_json::Value;

use crate::bus::{AnnounceError, Payload, ResultRef};
use crate::supervise::BoxError;

/// A response of a task. The last one is always [`TaskResponse::End`].
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskResponse<R> {
    /// Progress.
    Progress(Value),
    /// A result of it.
    Result {
        /// Its name.
        name: Arc<str>,
        /// Its data.
        data: Arc<Payload>,
        /// The reference to it in the store, which was announced under `results.<name>`, where the name is that of the script or
        /// module; or the reason why it was not stored.
        announced: Result<ResultRef, AnnounceError>,
    },
    /// The module's process was lost, and the task is retried: it may repeat earlier reports. Tasks of scripts have no such
    /// response.
    Retried {
        /// The number of earlier attempts.
        attempt: u32,
    },
    /// The final response: the value that the handler returned, or the failure of the task.
    End(Result<R, Failure>),
}

impl<R> TaskResponse<R> {
    /// Returns true if it is the last one.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::End(_))
    }
}

/// Runs a task to its end. A result that cannot be announced ends it with an error, because its consumer would never get it.
pub(crate) async fn run_to_end<R>(mut task: impl Stream<Item = TaskResponse<R>> + Unpin) -> Result<(), BoxError> {
    while let Some(response) = task.next().await {
        match response {
            TaskResponse::Progress(_)
            | TaskResponse::Retried { .. }
            | TaskResponse::Result { announced: Ok(_), .. } => {}
            TaskResponse::Result {
                announced: Err(error), ..
            } => return Err(error.into()),
            TaskResponse::End(result) => return result.map(drop).map_err(Into::into),
        }
    }
    Ok(())
}

/// Destination of a task's results.
pub(crate) type Announce = Box<dyn Fn(Arc<str>, Arc<Payload>) -> Result<ResultRef, AnnounceError> + Send>;

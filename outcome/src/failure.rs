//! The error that the caller of an event gets.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Outcome;

/// The failure of an event, for its caller.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The outcome.
    pub outcome: Outcome,
    /// One line, safe to show to any client.
    pub message: String,
    /// Text for development only: a stack trace or code excerpt.
    pub detail: Option<String>,
    /// Time to wait before retrying, if a retry can help.
    pub retry_after: Option<Duration>,
    /// True if `load_shed` is due to the script's exhausted share instead of the whole pool.
    pub own_share: bool,
    /// The cause, such as the error that a script threw.
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.outcome, self.message)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Compares all fields except the source.
impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        let told = |failure: &Self| (failure.outcome, failure.retry_after);
        told(self) == told(other) && self.message == other.message && self.detail == other.detail
    }
}

impl Eq for Failure {}

impl Failure {
    /// Creates a failure with a message only.
    pub fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        Self {
            outcome,
            message: message.into(),
            detail: None,
            retry_after: None,
            own_share: false,
            source: None,
        }
    }

    /// Adds text for development.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Sets the time to wait before retrying.
    #[must_use]
    pub const fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }
}

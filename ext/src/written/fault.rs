//! Faults in written form, and the ends of streams that are cut off.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bounded::bounded;
use crate::event::{BodyError, CAUSES_MAX, Fault, FaultKind, Thrown, cut};

/// A [`Fault`] in written form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenFault {
    kind: FaultKind,
    message: String,
    detail: Option<String>,
    /// The error and its causes, each of which caused the one before it. A list, so that reading it needs no recursion.
    #[serde(deserialize_with = "bounded")]
    thrown: Vec<WrittenThrown>,
    retry_after: Option<Duration>,
    pass_through: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct WrittenThrown {
    class: String,
    message: String,
    stack: Option<String>,
    missing: bool,
}

impl From<&Fault> for WrittenFault {
    fn from(fault: &Fault) -> Self {
        let mut thrown = Vec::new();
        let mut next = fault.thrown.as_deref();
        while let Some(error) = next.filter(|_| thrown.len() <= CAUSES_MAX) {
            thrown.push(WrittenThrown {
                class: error.class.clone(),
                message: error.message.clone(),
                stack: error.stack.clone(),
                missing: error.missing,
            });
            next = error.cause.as_deref();
        }
        Self {
            kind: fault.kind,
            message: fault.message.clone(),
            detail: fault.detail.clone(),
            thrown,
            retry_after: fault.retry_after,
            pass_through: fault.pass_through,
        }
    }
}

impl From<WrittenFault> for Fault {
    fn from(written: WrittenFault) -> Self {
        let causes = written.thrown.into_iter().take(CAUSES_MAX + 1).rev();
        let thrown = causes.fold(None, |cause, error| {
            Some(Box::new(Thrown {
                class: short(error.class),
                message: short(error.message),
                stack: error.stack.map(short),
                cause,
                missing: error.missing,
            }))
        });
        Self {
            detail: written.detail.map(short),
            thrown: thrown.map(|thrown| Arc::new(*thrown)),
            retry_after: written.retry_after,
            pass_through: written.pass_through,
            ..Self::new(written.kind, short(written.message))
        }
    }
}

/// Cuts a text to the length that is kept of a script's error.
fn short(mut text: String) -> String {
    text.truncate(cut(&text).len());
    text
}

/// The reason why a stream ends before its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WrittenCut {
    /// Its event failed.
    Fault(WrittenFault),
    /// Any other error.
    Other(String),
}

impl From<BodyError> for WrittenCut {
    fn from(error: BodyError) -> Self {
        match error.into_inner().downcast::<Fault>() {
            Ok(fault) => Self::Fault((&*fault).into()),
            Err(error) => Self::Other(error.to_string()),
        }
    }
}

impl From<WrittenCut> for BodyError {
    fn from(cut: WrittenCut) -> Self {
        match cut {
            WrittenCut::Fault(fault) => Self::new(Fault::from(fault)),
            WrittenCut::Other(text) => Self::new(text),
        }
    }
}

//! A function or an object of another worker.

use std::future::pending;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Either, Shared, select};
use isopod_outcome::Failure;

use super::RpcMessage;
use crate::native::{Callback, CallbackError};
use crate::values::Arguments;

/// A handle that calls a function or an object of another worker. Clones share one target, which is notified when the last one is
/// dropped.
#[derive(Clone)]
pub(crate) struct Stub {
    leads_to: LeadsTo,
    /// `None`: it belongs to the worker that holds it, or to a caller, with which the call ends.
    pub(super) owner: Option<Owner>,
}

#[derive(Clone)]
enum LeadsTo {
    Here(Callback),
    Away(Arc<dyn Away>),
}

/// A function or an object of a worker in another process.
pub(crate) trait Away: Send + Sync {
    /// Begins a call.
    fn begin(&self, message: RpcMessage) -> StubFuture;
}

/// The future of a call.
pub(crate) type StubFuture = BoxFuture<'static, Result<RpcMessage, StubError>>;

/// The reason why a stub's call failed.
pub(crate) enum StubError {
    /// Its function failed, or cannot be called.
    Callback(CallbackError),
    /// Its worker was lost.
    Failed(Failure),
}

impl Stub {
    /// A stub of a function that a worker of this process lent.
    pub(crate) const fn here(callback: Callback) -> Self {
        Self {
            leads_to: LeadsTo::Here(callback),
            owner: None,
        }
    }

    /// A stub of a function in another process.
    pub(crate) fn away(away: impl Away + 'static) -> Self {
        Self {
            leads_to: LeadsTo::Away(Arc::new(away)),
            owner: None,
        }
    }

    /// Makes a call at once, so that calls begin in the order in which they are made. Stubs in its result inherit the owner.
    pub(crate) fn begin(&self, message: RpcMessage) -> StubFuture {
        let running = match &self.leads_to {
            LeadsTo::Here(callback) => {
                let running = callback.begin::<RpcMessage>(Arguments::whole(Box::new(message)));
                running.map(|result| result.map_err(StubError::Callback)).boxed()
            }
            LeadsTo::Away(away) => away.begin(message),
        };
        let owner = self.owner.clone();
        Box::pin(async move {
            let lost = async {
                match &owner {
                    Some(owner) => owner.lost().await,
                    None => pending().await,
                }
            };
            match select(running, Box::pin(lost)).await {
                Either::Left((Ok(message), _)) => Ok(match &owner {
                    Some(owner) => message.owned(owner),
                    None => message,
                }),
                Either::Left((Err(error), _)) => Err(error),
                Either::Right((failure, _)) => Err(StubError::Failed(failure)),
            }
        })
    }
}

/// Reports the loss of the worker that stubs belong to.
#[derive(Clone)]
pub(super) struct Owner(Shared<BoxFuture<'static, Failure>>);

impl Owner {
    pub(super) fn new(lost: BoxFuture<'static, Failure>) -> Self {
        Self(lost.shared())
    }

    /// Resolves if the worker is lost.
    fn lost(&self) -> impl Future<Output = Failure> + use<> {
        self.0.clone()
    }
}

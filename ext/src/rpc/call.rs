//! The event of a call.

use super::message::RpcMessage;
use crate::event::Caller;
use crate::handlers::{HandlerInput, Input};
use crate::values::Arguments;

/// A call of a method of a worker, or the reading of a property: an event of the called worker.
///
/// Made by a service binding, and answered by a [`Fetcher`](crate::fetcher::Fetcher).
#[derive(Debug)]
pub struct RpcCall {
    message: RpcMessage,
    caller: Option<Caller>,
}

impl RpcCall {
    pub(crate) const fn new(message: RpcMessage) -> Self {
        Self { message, caller: None }
    }

    /// Sets the worker that makes the call, which the pool keeps for logs.
    #[must_use]
    pub fn by(mut self, caller: Caller) -> Self {
        self.caller = Some(caller);
        self
    }
}

impl HandlerInput for RpcCall {
    const HANDLER: &'static str = "rpc";
    const SCRIPT: Option<&'static str> = Some("ext:isopod_rpc/receive.js");

    fn into_input(self) -> Input {
        let mut input = Input::from_arguments(Arguments::whole(Box::new(self.message)));
        input.origin.depth = self.caller.as_ref().map_or(0, |caller| caller.depth);
        input.caller = self.caller.map(Box::new);
        input
    }
}

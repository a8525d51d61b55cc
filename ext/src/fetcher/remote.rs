//! Service bindings of workers in processes of their own: requests and calls are written, and answered in the pool's process.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::channel::oneshot;
use isopod_outcome::{Failure, Outcome};

use super::{FetchFuture, Fetcher, FetcherBinding, RpcFuture};
use crate::bindings::{Asks, Parcel, ParcelFuture};
use crate::event::{Body, Caller, Data, Fault, RequestInfo};
use crate::handlers::{Event, EventKind, HandlerInput as _};
use crate::rpc::{RpcCall, RpcMessage};
use crate::unwind;
use crate::values::{ValueError, answer};
use crate::written::{Exported, Frame, export, failure_of, fault_of, import};

/// A fetcher in another process.
struct RemoteFetcher {
    asks: Asks,
    addressed: Arc<Address>,
}

/// Adds to a question which of the binding's fetchers it is for.
type Address = dyn Fn(Parcel) -> Result<Parcel, String> + Send + Sync;

impl RemoteFetcher {
    fn new(asks: Asks) -> Self {
        Self {
            asks,
            addressed: Arc::new(Ok),
        }
    }
}

/// The binding of a service in another process.
pub(crate) fn binding(asks: Asks) -> FetcherBinding {
    FetcherBinding::new(RemoteFetcher::new(asks))
}

/// A fetcher in another process.
pub(crate) fn fetcher(asks: Asks) -> Arc<dyn Fetcher> {
    Arc::new(RemoteFetcher::new(asks))
}

/// One of the fetchers of a binding in another process.
#[cfg(feature = "sql")]
pub(crate) fn object(
    asks: Asks,
    addressed: impl Fn(Parcel) -> Result<Parcel, String> + Send + Sync + 'static,
) -> Arc<dyn Fetcher> {
    let addressed = Arc::new(addressed);
    Arc::new(RemoteFetcher { asks, addressed })
}

fn lost(error: String) -> Failure {
    Failure::new(Outcome::WorkerLost, error)
}

impl Fetcher for RemoteFetcher {
    fn fetch(&self, mut request: http::Request<Body>, caller: Caller) -> FetchFuture {
        request.extensions_mut().insert(caller);
        let (reply, response) = oneshot::channel();
        let kind = EventKind::Fetch {
            request: Box::new(request),
            info: RequestInfo::default(),
            reply,
        };
        let exported = export(Event { entrypoint: None, kind });
        Box::pin(self.answered(exported, response))
    }

    fn call(&self, call: RpcCall, caller: Caller) -> RpcFuture {
        let (reply, result) = answer::<RpcMessage>();
        let kind = EventKind::handler(call.by(caller), reply);
        let exported = export(Event { entrypoint: None, kind });
        Box::pin(self.answered(exported, result))
    }
}

/// The largest message of an answer: it was checked where it was made.
const MESSAGE_BYTES_MAX: usize = usize::MAX;

impl RemoteFetcher {
    /// Has an event answered in the pool's process.
    fn answered<T: Send>(
        &self,
        exported: Result<Exported, ValueError>,
        waits: oneshot::Receiver<Result<T, Fault>>,
    ) -> impl Future<Output = Result<T, Failure>> + Send + use<T> {
        answered(self.asks.clone(), Arc::clone(&self.addressed), exported, waits)
    }
}

async fn answered<T>(
    asks: Asks,
    addressed: Arc<Address>,
    exported: Result<Exported, ValueError>,
    waits: oneshot::Receiver<Result<T, Fault>>,
) -> Result<T, Failure> {
    let exported = exported.map_err(|error| lost(error.to_string()))?;
    let bytes = Frame::Event(exported.event).encode();
    let asked = Parcel {
        bytes: bytes
            .map_err(|error| Failure::new(Outcome::Exception, error.to_string()))?
            .into(),
        bodies: exported.bodies,
        stubs: exported.stubs,
        ..Parcel::default()
    };
    let Parcel {
        bytes,
        bodies,
        stubs,
        socket,
        ..
    } = asks.ask(addressed(asked).map_err(lost)?).await.map_err(lost)?;
    let mut bodies: Vec<_> = bodies.into_iter().map(Some).collect();
    let mut stubs: Vec<_> = stubs.into_iter().map(Some).collect();
    match Frame::decode(&bytes) {
        // The caller receives the error of an invalid answer.
        Ok(Frame::Answer(answer)) => drop(exported.recipient.answer(
            answer,
            |number| bodies.get_mut(number as usize)?.take(),
            |number| stubs.get_mut(number as usize)?.take(),
            socket,
            MESSAGE_BYTES_MAX,
        )),
        _ => return Err(lost("the pool's answer is invalid".to_owned())),
    }
    match waits.await {
        Ok(answer) => answer.map_err(failure_of),
        Err(oneshot::Canceled) => Err(lost("the request was not answered".to_owned())),
    }
}

/// The answer of a fetcher, which may be one of the embedder's, and panic.
async fn whole<T>(answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let answer = AssertUnwindSafe(answer).catch_unwind().await;
    answer.unwrap_or_else(|panic| {
        let message = format!("internal error: the fetcher panicked: {}", unwind::message(&*panic));
        Err(Failure::new(Outcome::Exception, message))
    })
}

/// Answers a request or a call of a worker in another process. Without `props`, it chooses them. The message of a call may have
/// `bytes_max` bytes.
pub(crate) fn serve(
    fetcher: Arc<dyn Fetcher>,
    worker: &str,
    props: Option<Data>,
    asked: Parcel,
    bytes_max: usize,
) -> ParcelFuture {
    let worker: Arc<str> = worker.into();
    Box::pin(async move {
        let Parcel {
            bytes,
            bodies,
            stubs,
            held,
            ..
        } = asked.pass_on()?;
        let mut bodies: Vec<_> = bodies.into_iter().map(Some).collect();
        let mut stubs: Vec<_> = stubs.into_iter().map(Some).collect();
        let Ok(Frame::Event(event)) = Frame::decode(&bytes) else {
            return Err("a service accepts requests and calls only".to_owned());
        };
        drop(bytes);
        let stream = |number: u32| bodies.get_mut(number as usize)?.take();
        let stub = |number: u32| stubs.get_mut(number as usize)?.take();
        let (event, owed) = import(event, stream, |_| None, stub, bytes_max).map_err(|error| error.to_string())?;
        // The name of the worker is this side's, as are the properties if it knows them.
        let caller_of = |named: Option<Caller>| -> Result<Caller, String> {
            let named = named.ok_or("a request names its caller")?;
            let props = props.unwrap_or_else(|| named.props.clone());
            Ok(Caller { worker, props, ..named })
        };
        match event.kind {
            EventKind::Fetch { mut request, reply, .. } => {
                let caller = caller_of(request.extensions_mut().remove::<Caller>())?;
                let response = whole(async { fetcher.fetch(*request, caller).await }).await;
                // It is awaited below.
                drop(reply.send(response.map_err(fault_of)));
            }
            EventKind::Handler {
                handler, input, reply, ..
            } if handler == RpcCall::HANDLER => {
                let caller = caller_of(input.caller.map(|caller| *caller))?;
                let message = input.arguments.into_whole().ok().and_then(|mut whole| {
                    let message = whole.as_any()?.downcast_mut::<RpcMessage>();
                    message.map(std::mem::take)
                });
                let mut message = message.ok_or("a call has a message")?;
                // Until the worker has read it.
                message.held = held;
                match whole(async { fetcher.call(RpcCall::new(message), caller).await }).await {
                    Ok(message) => drop(reply.give_any(Box::new(message))),
                    Err(failure) => reply.fail(fault_of(failure)),
                }
            }
            EventKind::Call { .. } | EventKind::Handler { .. } => {
                return Err("a service accepts requests and calls only".to_owned());
            }
        }
        let answered = owed.answer().await.ok_or("the request was not answered")?;
        let bytes = Frame::Answer(answered.answer)
            .encode()
            .map_err(|error| error.to_string())?;
        Ok(Parcel {
            bytes: bytes.into(),
            bodies: answered.bodies,
            stubs: answered.stubs,
            socket: answered.socket,
            ..Parcel::default()
        })
    })
}

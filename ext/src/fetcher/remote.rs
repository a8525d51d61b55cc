//! Service bindings of workers in processes of their own: requests are encoded, and answered in the pool's process.

use std::sync::Arc;

use futures::channel::oneshot;
use isopod_outcome::{Failure, Outcome};

use super::{FetchFuture, Fetcher, FetcherBinding, RpcFuture};
use crate::bindings::{Asks, Parcel, ParcelFuture};
use crate::event::{Body, Caller, Data, Fault, FaultKind, RequestInfo, Thrown};
use crate::handlers::{Event, EventKind};
use crate::rpc::RpcCall;
use crate::written::{Frame, export, import};

/// A fetcher in another process.
struct RemoteFetcher(Asks);

/// The binding of a service in another process.
pub(crate) fn binding(asks: Asks) -> FetcherBinding {
    FetcherBinding::new(RemoteFetcher(asks))
}

/// A fetcher in another process.
pub(crate) fn fetcher(asks: Asks) -> Arc<dyn Fetcher> {
    Arc::new(RemoteFetcher(asks))
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
        let asks = self.0.clone();
        Box::pin(async move {
            let lost = |error: String| Failure::new(Outcome::WorkerLost, error);
            let exported = exported.map_err(|error| lost(error.to_string()))?;
            let bytes = Frame::Event(exported.event).encode();
            let asked = Parcel {
                bytes: bytes
                    .map_err(|error| Failure::new(Outcome::Exception, error.to_string()))?
                    .into(),
                bodies: exported.bodies,
            };
            let Parcel { bytes, bodies } = asks.ask(asked).await.map_err(lost)?;
            let mut bodies: Vec<_> = bodies.into_iter().map(Some).collect();
            match Frame::decode(&bytes) {
                // The caller is told about an invalid answer.
                Ok(Frame::Answer(answer)) => drop(exported.recipient.answer(
                    answer,
                    |number| bodies.get_mut(number as usize)?.take(),
                    None,
                    0,
                )),
                _ => return Err(lost("the pool's answer is no answer".to_owned())),
            }
            match response.await {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(fault)) => Err(failure(fault)),
                Err(oneshot::Canceled) => Err(lost("the request was not answered".to_owned())),
            }
        })
    }

    fn call(&self, call: RpcCall, caller: Caller) -> RpcFuture {
        let (_, _) = (call, caller);
        let message = "a worker in a process of its own cannot call methods of services: use fetch(), or set `isolation` to \
                       \"thread\"";
        Box::pin(std::future::ready(Err(Failure::new(Outcome::Exception, message))))
    }
}

/// Answers a request of a worker in another process. Without `props`, it chooses them.
pub(crate) fn serve(fetcher: Arc<dyn Fetcher>, worker: &str, props: Option<Data>, asked: Parcel) -> ParcelFuture {
    let worker: Arc<str> = worker.into();
    Box::pin(async move {
        let mut bodies: Vec<_> = asked.bodies.into_iter().map(Some).collect();
        let Ok(Frame::Event(event)) = Frame::decode(&asked.bytes) else {
            return Err("a service is asked by requests".to_owned());
        };
        let stream = |number: u32| bodies.get_mut(number as usize)?.take();
        let (event, owed) = import(event, stream, |_| None, 0).map_err(|error| error.to_string())?;
        let EventKind::Fetch { mut request, reply, .. } = event.kind else {
            return Err("a service is asked by requests".to_owned());
        };
        let said = request.extensions_mut().remove::<Caller>();
        let said = said.ok_or("a request names its caller")?;
        // Values that are known here are not taken from the other process.
        let mut caller = Caller { worker, ..said };
        if let Some(props) = props {
            caller.props = props;
        }
        let response = fetcher.fetch(*request, caller).await;
        // The task is awaited below.
        drop(reply.send(response.map_err(fault)));
        let answered = owed.answer().await.ok_or("the request was not answered")?;
        if answered.socket.is_some() {
            return Err("a worker in a process of its own cannot open WebSockets to services".to_owned());
        }
        let bytes = Frame::Answer(answered.answer)
            .encode()
            .map_err(|error| error.to_string())?;
        Ok(Parcel {
            bytes: bytes.into(),
            bodies: answered.bodies,
        })
    })
}

fn failure(fault: Fault) -> Failure {
    let mut failure = Failure::new(fault.kind.into(), fault.message);
    failure.detail = fault.detail;
    failure.retry_after = fault.retry_after;
    failure.source = fault.thrown.map(|thrown| thrown as _);
    failure
}

fn fault(failure: Failure) -> Fault {
    let mut fault = Fault::new(FaultKind::from(failure.outcome), failure.message);
    fault.detail = failure.detail;
    fault.retry_after = failure.retry_after;
    let thrown = failure
        .source
        .as_deref()
        .and_then(|source| source.downcast_ref::<Thrown>());
    fault.thrown = thrown.cloned().map(Arc::new);
    fault
}

//! Requests and calls to a Durable Object.

use std::future::poll_fn;
use std::sync::Arc;

use futures::FutureExt;
use isopod_runtime::fetcher::{FetchFuture, Fetcher, RpcFuture};
use isopod_runtime::handlers::{Body, Caller, EventKind, RequestInfo};
use isopod_runtime::objects::{ObjectClass, ObjectId};
use isopod_runtime::rpc::{RpcCall, RpcMessage};
use isopod_runtime::values::answer;

use super::super::answer::wait;
use super::super::engine::ScriptEngine;
use super::super::request;
use super::super::worker_fetcher::{Held, log};
use super::Objects;
use super::elsewhere::Elsewhere;
use super::live::Found;
use crate::{Failure, Meta};

/// Answers the requests and calls of a stub.
pub(super) struct ObjectFetcher<E: ScriptEngine> {
    objects: Objects<E>,
    class: Arc<ObjectClass>,
    id: ObjectId,
    /// An object of another process is an error.
    only_here: bool,
}

impl<E: ScriptEngine> ObjectFetcher<E> {
    pub(super) const fn new(objects: Objects<E>, class: Arc<ObjectClass>, id: ObjectId) -> Self {
        Self {
            objects,
            class,
            id,
            only_here: false,
        }
    }

    /// For calls that another process has passed on, which go no further.
    pub(super) const fn only_here(mut self) -> Self {
        self.only_here = true;
        self
    }
}

impl<E: ScriptEngine> Fetcher for ObjectFetcher<E> {
    fn fetch(&self, mut request: http::Request<Body>, caller: Caller) -> FetchFuture {
        let meta = Meta::default().deadline(caller.deadline).depth(caller.depth);
        request.extensions_mut().insert(caller.clone());
        let (objects, class, id) = (self.objects.clone(), Arc::clone(&self.class), self.id.clone());
        let only_here = self.only_here;
        Box::pin(async move {
            let response = async {
                let live = match objects.0.find(&class, &id, only_here).await? {
                    Found::Here(live) => live,
                    Found::There(peer) => {
                        let object = Elsewhere::object(&objects, peer, &class, &id, &caller.worker);
                        return object.fetch(request, caller.clone()).await;
                    }
                };
                live.session.ready().await;
                let name = format!("{}#{}", class.script, live.key.1);
                let asked = request::begin(&name, request, RequestInfo::default(), meta, |_, event, meta| {
                    let dispatched = live.session.dispatch(event, meta);
                    dispatched.map_err(|rejected| rejected.reason.into())
                });
                let session = live.session.clone();
                let closes = async move { session.closing().await.reason }.boxed();
                let response = asked?.response(Some(closes)).await;
                response.map_err(|failure| live.explain(failure))
            };
            response
                .await
                .inspect_err(|failure| log(failure, &class.script, &caller))
        })
    }

    fn call(&self, call: RpcCall, caller: Caller) -> RpcFuture {
        let meta = Meta::default().deadline(caller.deadline).depth(caller.depth);
        let (objects, class, id) = (self.objects.clone(), Arc::clone(&self.class), self.id.clone());
        let only_here = self.only_here;
        Box::pin(async move {
            let result = async {
                let live = match objects.0.find(&class, &id, only_here).await? {
                    Found::Here(live) => live,
                    Found::There(peer) => {
                        let object = Elsewhere::object(&objects, peer, &class, &id, &caller.worker);
                        return object.call(call, caller.clone()).await;
                    }
                };
                live.session.ready().await;
                let (reply, answer) = answer::<RpcMessage>();
                let event = live.event(EventKind::handler(call.by(caller.clone()), reply));
                let dispatched = live.session.dispatch(event, meta);
                let ticket = dispatched.map_err(|rejected| Failure::from(rejected.reason))?;
                let answered = wait(answer, ticket).await;
                let (message, ticket) = answered.map_err(|failure| live.explain(failure))?;
                if !message.has_parts() {
                    ticket.detach();
                    return Ok(message);
                }
                let held = Held::new(ticket);
                Ok(message.owned_by(poll_fn(move |cx| held.poll_lost(cx)).boxed()))
            };
            result.await.inspect_err(|failure| log(failure, &class.script, &caller))
        })
    }
}

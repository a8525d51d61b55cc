//! Requests and calls to a Durable Object of another process.

use std::sync::Arc;
use std::time::Instant;

use isopod_runtime::bindings::Binding as _;
use isopod_runtime::fetcher::Fetcher;
use isopod_runtime::objects::{ObjectClass, ObjectId, ObjectNamespace};
use isopod_runtime::remote::{Parcel, ParcelFuture, Remote, Target};
use isopod_runtime::written::FRAME_BYTES_MAX;

use super::super::cell::peer::Peer;
use super::super::engine::ScriptEngine;
use super::Objects;
use super::live::{Found, LOOK, PATIENCE};

/// An object that was found in another process. That process may end before a call comes to it, and refuses the call then: the
/// object is looked for again.
pub(super) struct Elsewhere<E: ScriptEngine> {
    objects: Objects<E>,
    peer: Peer,
    class: Arc<ObjectClass>,
    id: ObjectId,
}

impl<E: ScriptEngine> Elsewhere<E> {
    /// The object as this worker calls it.
    pub(super) fn object(
        objects: &Objects<E>,
        peer: Peer,
        class: &Arc<ObjectClass>,
        id: &ObjectId,
        worker: &str,
    ) -> Arc<dyn Fetcher> {
        let remote: Arc<dyn Remote> = Arc::new(Self {
            objects: objects.clone(),
            peer,
            class: Arc::clone(class),
            id: id.clone(),
        });
        isopod_runtime::remote::object_of(class, id.clone(), worker, &remote)
    }
}

impl<E: ScriptEngine> Remote for Elsewhere<E> {
    fn ask(&self, target: Target, mut parcel: Parcel) -> ParcelFuture {
        let (objects, mut peer) = (self.objects.clone(), self.peer.clone());
        let (class, id) = (Arc::clone(&self.class), self.id.clone());
        Box::pin(async move {
            let begun = Instant::now();
            loop {
                match peer.ask(target.clone(), parcel).await {
                    Ok(answer) => return answer,
                    Err(_) if begun.elapsed() >= PATIENCE => {
                        return Err("the processes that have the Durable Object are ending; try again".to_owned());
                    }
                    Err(refused) => parcel = refused,
                }
                if let Some(peers) = objects.0.peers.get() {
                    peers.pause(LOOK).await;
                }
                let found = objects.0.find(&class, &id, false).await;
                match (found.map_err(|failure| failure.message)?, &target) {
                    (Found::There(next), _) => peer = next,
                    (Found::Here(_), Target::Binding(worker)) => {
                        let namespace = ObjectNamespace::new((*class).clone(), objects);
                        return namespace.serve(worker, parcel, FRAME_BYTES_MAX).await;
                    }
                    (Found::Here(_), _) => return Err("this process has no such target".to_owned()),
                }
            }
        })
    }

    fn ask_now(&self, _target: Target, _parcel: Parcel) -> Result<Parcel, String> {
        Err("another process does not answer at once".to_owned())
    }
}

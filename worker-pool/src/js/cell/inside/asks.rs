//! Questions of a cell's worker to its pool's process: to bindings, and to functions that events brought.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use h2::client::SendRequest;
use isopod_runtime::remote::{Parcel, ParcelFuture, Remote, Target};
use serde_bytes::ByteBuf;
use tokio::runtime::Handle;

use crate::js::cell::bodies::{Offers, lengths, pull_all};
use crate::js::cell::wire::{ASK, Asked, BODIES_MAX, Broken, Messages, Told, say};

/// The time for which the worker's thread waits for an answer that comes at once.
const NOW: Duration = Duration::from_secs(1);

/// The time for files of modules: disks may be slow, and the network is one.
const READ: Duration = Duration::from_secs(30);

/// The connection to the pool's process.
pub(super) struct Asks {
    up: SendRequest<Bytes>,
    offers: Offers,
    handle: Handle,
    number: AtomicU64,
}

impl Asks {
    pub(super) const fn new(up: SendRequest<Bytes>, offers: Offers, handle: Handle) -> Self {
        Self {
            up,
            offers,
            handle,
            number: AtomicU64::new(ASK),
        }
    }
}

impl Remote for Asks {
    fn ask(&self, target: Target, parcel: Parcel) -> ParcelFuture {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (up, offers, handle) = (self.up.clone(), self.offers.clone(), self.handle.clone());
        Box::pin(async move {
            let answer = ask(&up, offers, &handle, number, target, parcel).await;
            answer.map_err(|Broken(error)| format!("the pool's process does not answer: {error}"))?
        })
    }

    fn ask_now(&self, target: Target, parcel: Parcel) -> Result<Parcel, String> {
        let limit = match target {
            Target::Modules => READ,
            _ => NOW,
        };
        let (to, answer) = sync_channel(1);
        let asking = self.ask(target, parcel);
        self.handle.spawn(async move { drop(to.send(asking.await)) });
        let answer = answer.recv_timeout(limit);
        answer.unwrap_or_else(|_| Err(format!("the pool's process did not answer within {limit:?}")))
    }
}

/// Drops the bodies of a question that were not asked for.
struct Withdraws(Offers, u64);

impl Drop for Withdraws {
    fn drop(&mut self) {
        self.0.withdraw(self.1);
    }
}

async fn ask(
    up: &SendRequest<Bytes>,
    offers: Offers,
    handle: &Handle,
    number: u64,
    target: Target,
    parcel: Parcel,
) -> Result<Result<Parcel, String>, Broken> {
    let bodies = lengths(&parcel.bodies);
    if bodies.len() > BODIES_MAX {
        return Ok(Err(format!("more than {BODIES_MAX} streams are too many for a call")));
    }
    offers.add(number, parcel.bodies);
    let _withdraws = Withdraws(offers, number);
    let request = http::Request::post(format!("http://cell/ask/{number}")).body(());
    let request = request.map_err(|error| Broken(error.to_string()))?;
    let (response, mut to) = up.clone().send_request(request, false)?;
    let asked = Asked {
        target,
        bytes: ByteBuf::from(Vec::from(parcel.bytes)),
        bodies,
    };
    say(&mut to, &asked)?;
    let mut said = Messages::new(response.await?.into_body());
    let told = said.next::<Told>().await?;
    let told = told.ok_or_else(|| Broken("there is no answer".to_owned()))?;
    let (bodies, closed): (Vec<_>, Vec<_>) = pull_all(up, number, told.bodies).unzip();
    // Then what is left of the answer may be dropped: not before its bodies have been read.
    handle.spawn(async move {
        join_all(closed).await;
        drop(to.send_data(Bytes::new(), true));
    });
    Ok(told.answer.map(|bytes| Parcel {
        bytes: bytes.into_vec().into(),
        bodies,
    }))
}

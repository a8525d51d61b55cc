//! Calls of a cell's worker to the pool's process: to bindings, and to functions that came with events.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use isopod_runtime::remote::{Parcel, ParcelFuture, Remote, Target};
use tokio_util::task::AbortOnDropHandle;

use crate::js::cell::line::Line;

/// Time limit for a response that needs no I/O, for which the worker's thread blocks.
const NOW: Duration = Duration::from_secs(1);

/// Time limit for reading a file of a module, which may be on a slow disk or the network.
const READ: Duration = Duration::from_secs(30);

/// The connection to the pool's process.
pub(super) struct Asks(pub(super) Line);

impl Remote for Asks {
    fn ask(&self, target: Target, parcel: Parcel) -> ParcelFuture {
        // On the thread of the connection: answers arrive while the worker's thread computes or waits for one of them, so that the
        // pool's process has room for further ones.
        let asking = AbortOnDropHandle::new(self.0.handle().spawn(self.0.ask(target, parcel)));
        Box::pin(async move {
            let answer = asking.await;
            answer.unwrap_or_else(|_| Err("the connection to the pool's process has ended".to_owned()))
        })
    }

    fn ask_now(&self, target: Target, parcel: Parcel) -> Result<Parcel, String> {
        let limit = match target {
            Target::Modules => READ,
            _ => NOW,
        };
        let (to, answer) = sync_channel(1);
        let asking = self.0.ask(target, parcel);
        self.0.handle().spawn(async move { drop(to.send(asking.await)) });
        let answer = answer.recv_timeout(limit);
        answer.unwrap_or_else(|_| Err(format!("the pool's process did not answer within {limit:?}")))
    }
}

//! Questions of a cell's worker to its pool's process: to bindings, and to functions that events brought.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use isopod_runtime::remote::{Parcel, ParcelFuture, Remote, Target};

use crate::js::cell::line::Line;

/// The time for which the worker's thread waits for an answer that comes at once.
const NOW: Duration = Duration::from_secs(1);

/// The time for files of modules: disks may be slow, and the network is one.
const READ: Duration = Duration::from_secs(30);

/// The connection to the pool's process.
pub(super) struct Asks(pub(super) Line);

impl Remote for Asks {
    fn ask(&self, target: Target, parcel: Parcel) -> ParcelFuture {
        self.0.ask(target, parcel)
    }

    fn ask_now(&self, target: Target, parcel: Parcel) -> Result<Parcel, String> {
        let limit = match target {
            Target::Modules => READ,
            _ => NOW,
        };
        let (to, answer) = sync_channel(1);
        let asking = self.ask(target, parcel);
        self.0.handle().spawn(async move { drop(to.send(asking.await)) });
        let answer = answer.recv_timeout(limit);
        answer.unwrap_or_else(|_| Err(format!("the pool's process did not answer within {limit:?}")))
    }
}

//! Wake-up calls between the processes that use a queue, by unstored messages.
//!
//! A call may be lost, so consumers also poll.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::runtime::Handle;

use super::jetstream::Connection;
use crate::storage::now_ms;
use crate::storage::wake::{GATHER, Wake};

/// Pause before subscribing again after an error.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// Maximum number of due times that are kept for a queue. Consumers find further messages by polling.
const TIMES_MAX: usize = 10_000;

/// The calls of all queues that the process uses.
pub(super) struct Signals {
    /// Identifies the calls of this process.
    process: String,
    queues: Mutex<HashMap<String, Arc<Signal>>>,
    listens: AtomicBool,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            process: format!("{:016x}", fastrand::u64(..)),
            queues: Mutex::default(),
            listens: AtomicBool::new(false),
        }
    }
}

impl Signals {
    pub(super) fn of(&self, queue: &str) -> Arc<Signal> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let signal = queues.entry(queue.to_owned()).or_insert_with(|| {
            Arc::new(Signal {
                queue: queue.to_owned(),
                wake: Wake::default(),
                times: Mutex::default(),
            })
        });
        signal.clone()
    }

    /// Wakes the consumers of a queue after a call of another process.
    fn receive(&self, queue: &str, call: &str) {
        let (process, due) = call.split_once(' ').unwrap_or((call, ""));
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signal) = queues.get(queue).filter(|_| process != self.process) {
            signal.ring(due.parse().ok());
        }
    }

    fn ring_all(&self) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.values().for_each(|signal| signal.ring(None));
    }
}

/// The calls of a queue.
pub(crate) struct Signal {
    queue: String,
    wake: Wake,
    /// The known times at which messages are due, in milliseconds since the Unix epoch.
    times: Mutex<BTreeSet<u64>>,
}

impl Signal {
    /// Records a change: messages are due now or at a time.
    pub(super) fn ring(&self, due_ms: Option<u64>) {
        if let Some(due_ms) = due_ms {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            if times.len() < TIMES_MAX {
                times.insert(due_ms);
            }
        }
        self.wake.ring();
    }

    /// Resolves with the number of changes once it differs from `seen`.
    pub(crate) async fn changed(&self, seen: u64) -> u64 {
        self.wake.changed(seen).await
    }

    /// Removes due times that have passed. Returns whether there were any.
    pub(crate) fn takes_due(&self) -> bool {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let later = times.split_off(&(now_ms() + 1));
        !std::mem::replace(&mut *times, later).is_empty()
    }

    /// Returns the next time at which messages are due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.range(now_ms() + 1..).next().copied()
    }
}

/// Notifies other processes.
pub(super) fn tell(
    runtime: &Handle,
    connection: Arc<Connection>,
    prefix: &str,
    signals: &Signals,
    signal: &Arc<Signal>,
    due_ms: Option<u64>,
) {
    // Calls with a time are sent individually; the others are merged.
    if due_ms.is_none() && !signal.wake.begins_call() {
        return;
    }
    let subject = format!("{prefix}.wake.{}", signal.queue);
    let (process, signal) = (signals.process.clone(), signal.clone());
    runtime.spawn(async move {
        let call = match due_ms {
            Some(due_ms) => format!("{process} {due_ms}"),
            None => {
                tokio::time::sleep(GATHER).await;
                signal.wake.calls();
                process
            }
        };
        let told = async {
            let jetstream = connection.jetstream("NATS").await?;
            jetstream.tell(subject, call.into()).await
        };
        if let Err(error) = told.await {
            tracing::debug!(target: "isopod::storage", ?error, "other processes were not told of messages");
        }
    });
}

/// Starts listening for the calls of other processes, once.
pub(super) fn listen(runtime: &Handle, connection: Arc<Connection>, prefix: &str, signals: &Arc<Signals>) {
    if signals.listens.swap(true, Ordering::AcqRel) {
        return;
    }
    let (signals, prefix) = (signals.clone(), format!("{prefix}.wake."));
    runtime.spawn(async move {
        loop {
            if let Err(error) = hear(&connection, &prefix, &signals).await {
                tracing::debug!(target: "isopod::storage", ?error, "other processes are not heard");
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    });
}

async fn hear(connection: &Connection, prefix: &str, signals: &Signals) -> Result<(), super::Failed> {
    let client = connection.jetstream("NATS").await?.client();
    let calls = client.subscribe(format!("{prefix}*")).await;
    let mut calls = calls.map_err(|error| super::Failed::Lost(error.to_string()))?;
    // The subscription is active once the server has answered.
    let flushed = client.flush().await;
    flushed.map_err(|error| super::Failed::Lost(error.to_string()))?;
    loop {
        // Earlier calls may be lost.
        signals.ring_all();
        loop {
            tokio::select! {
                () = connection.lost() => break,
                call = calls.next() => {
                    let Some(call) = call else { return Ok(()) };
                    let queue = call.subject.strip_prefix(prefix);
                    if let (Some(queue), Ok(call)) = (queue, std::str::from_utf8(&call.payload)) {
                        signals.receive(queue, call);
                    }
                }
            }
        }
    }
}

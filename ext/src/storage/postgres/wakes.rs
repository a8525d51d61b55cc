//! Wake-up calls between the processes that use a queue, by LISTEN and NOTIFY.
//!
//! A call may be lost, for example when the server restarts, so consumers also poll. Calls within a few milliseconds are merged.
//! The server commits transactions that notify one after another, so messages are committed in transactions without NOTIFY.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// The channel of all queues.
const CHANNEL: &str = "isopod_queue";
/// Time in which several calls for a queue become one.
const GATHER: Duration = Duration::from_millis(2);
/// Time after an error until it listens again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// The calls of all queues that the process uses.
#[derive(Debug)]
pub(super) struct Wakes {
    /// Identifies the calls of this process.
    process: String,
    queues: Mutex<HashMap<String, Arc<Wake>>>,
    listens: AtomicBool,
}

impl Default for Wakes {
    fn default() -> Self {
        Self {
            process: format!("{:016x}", fastrand::u64(..)),
            queues: Mutex::default(),
            listens: AtomicBool::new(false),
        }
    }
}

impl Wakes {
    pub(super) fn of(&self, queue: &str) -> Arc<Wake> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let wake = queues.entry(queue.to_owned()).or_insert_with(|| {
            Arc::new(Wake {
                queue: queue.to_owned(),
                changes: watch::Sender::new(0),
                is_told: AtomicBool::new(false),
            })
        });
        wake.clone()
    }

    /// Wakes the consumers of a queue after a call of another process.
    fn heard(&self, payload: &str) {
        let Some((process, queue)) = payload.split_once(':') else {
            return;
        };
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wake) = queues.get(queue).filter(|_| process != self.process) {
            wake.ring();
        }
    }

    fn ring_all(&self) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.values().for_each(|wake| wake.ring());
    }
}

/// The calls of a queue.
#[derive(Debug)]
pub(crate) struct Wake {
    queue: String,
    /// Counts the changes after which a message may be due.
    changes: watch::Sender<u64>,
    /// True while a call to other processes is scheduled.
    is_told: AtomicBool,
}

impl Wake {
    /// Counts a change.
    pub(super) fn ring(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Resolves with the number of changes once it differs from `seen`.
    pub(crate) async fn changed(&self, seen: u64) -> u64 {
        let mut changes = self.changes.subscribe();
        let changed = changes.wait_for(|count| *count != seen).await;
        // The sender is in `self`.
        changed.map_or(seen, |count| *count)
    }
}

/// Notifies other processes.
pub(super) fn tell(runtime: &Handle, pool: &PgPool, wakes: &Arc<Wakes>, wake: &Arc<Wake>) {
    if wake.is_told.swap(true, Ordering::AcqRel) {
        return;
    }
    let (pool, wakes, wake) = (pool.clone(), wakes.clone(), wake.clone());
    runtime.spawn(async move {
        tokio::time::sleep(GATHER).await;
        wake.is_told.store(false, Ordering::Release);
        let payload = format!("{}:{}", wakes.process, wake.queue);
        let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload);
        if let Err(error) = notify.execute(&pool).await {
            tracing::debug!(target: "isopod::storage", %error, "cannot notify other processes of messages");
        }
    });
}

/// Listens for the calls of other processes. Does so once.
pub(super) fn listen(runtime: &Handle, connect: PgConnectOptions, wakes: &Arc<Wakes>) {
    if wakes.listens.swap(true, Ordering::AcqRel) {
        return;
    }
    let wakes = wakes.clone();
    runtime.spawn(async move {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None);
        let pool = pool.connect_lazy_with(connect.application_name("isopod"));
        loop {
            if let Err(error) = hear(&pool, &wakes).await {
                tracing::debug!(target: "isopod::storage", %error, "cannot listen for other processes");
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    });
}

async fn hear(pool: &PgPool, wakes: &Wakes) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // Calls that came before are lost.
        wakes.ring_all();
        while let Some(call) = listener.try_recv().await? {
            wakes.heard(call.payload());
        }
    }
}

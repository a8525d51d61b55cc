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

use crate::storage::wake::{GATHER, Wake};

/// The channel of all queues.
const CHANNEL: &str = "isopod_queue";
/// Pause before listening again after an error.
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
        queues.entry(queue.to_owned()).or_default().clone()
    }

    /// Wakes the consumers of a queue after a call of another process.
    fn receive(&self, payload: &str) {
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

/// Notifies other processes.
pub(super) fn tell(runtime: &Handle, pool: &PgPool, wakes: &Arc<Wakes>, queue: &Arc<str>, wake: &Arc<Wake>) {
    if !wake.begins_call() {
        return;
    }
    let (pool, wakes, queue, wake) = (pool.clone(), wakes.clone(), queue.clone(), wake.clone());
    runtime.spawn(async move {
        tokio::time::sleep(GATHER).await;
        wake.calls();
        let payload = format!("{}:{queue}", wakes.process);
        let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload);
        if let Err(error) = notify.execute(&pool).await {
            tracing::debug!(target: "isopod::storage", %error, "cannot notify other processes of messages");
        }
    });
}

/// Starts listening for the calls of other processes, once.
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
        // Earlier calls may be lost.
        wakes.ring_all();
        while let Some(call) = listener.try_recv().await? {
            wakes.receive(call.payload());
        }
    }
}

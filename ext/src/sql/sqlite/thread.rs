//! The thread of a connection.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, PoisonError, Weak};
use std::thread::Builder;
use std::time::Duration;

use super::connection::{Connection, Place};
use super::local::stack_bytes;
use super::near::Opened;
use super::stop::Stop;
use super::{Handed, Idle, Job, Shared, execute};
use crate::sql::call::SqlError;
use crate::sql::value::ResultSet;
use crate::unwind;

thread_local! {
    /// The call that runs on this thread, for SQLite's busy handler, which is a plain function.
    static RUNNING: RefCell<Option<Arc<Stop>>> = const { RefCell::new(None) };
}

/// Starts a connection's thread with its first call.
pub(super) fn start(shared: &Arc<Shared>, thread: u64, job: Job) -> Result<(), SqlError> {
    let (jobs, received) = sync_channel(1);
    let stack = stack_bytes(&shared.config);
    let shared = Arc::downgrade(shared);
    Builder::new()
        .name(format!("isopod-sql-{thread}"))
        .stack_size(stack)
        .spawn(move || serve(&shared, thread, &received, Handed { job, jobs }))
        .map(drop)
        .map_err(|error| SqlError::Connection(format!("cannot start its thread: {error}")))
}

fn serve(shared: &Weak<Shared>, thread: u64, received: &Receiver<Handed>, first: Handed) {
    let Some((config, place)) = shared
        .upgrade()
        .map(|shared| (shared.config.clone(), shared.place.clone()))
    else {
        return;
    };
    let idle_timeout = match place {
        Place::Memory => Duration::MAX,
        Place::File { .. } | Place::Own(_) => config.idle_timeout,
    };
    let mut connection = None;
    let mut next = Some(first);
    while let Some(Handed { job, jobs }) = next.take() {
        let Job {
            call,
            stop,
            reply,
            permit,
            near,
        } = job;
        RUNNING.set(Some(stop.clone()));
        let run = || -> Result<Vec<ResultSet>, SqlError> {
            let connection = match &mut connection {
                Some(connection) => connection,
                none => none.insert(Connection::open(&place, &config, busy)?),
            };
            execute::run(connection, call, &stop)
        };
        let result = catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|payload| Err(SqlError::Connection(unwind::message(&*payload))));
        RUNNING.set(None);
        // Idle before the result is received, so that the next call finds this connection and opens no other.
        let stays = connection.as_mut().is_some_and(Connection::clean) && offer(shared, Idle { thread, jobs });
        drop(permit);
        drop(reply.send(result));
        if !stays {
            return;
        }
        if let Some(near) = near
            && let Some(opened) = Opened::new(&place, &config)
        {
            near.lock().unwrap_or_else(PoisonError::into_inner).replace(opened);
        }
        next = wait(shared, thread, received, idle_timeout);
    }
}

/// Puts the connection on the idle list, unless the pool is gone.
fn offer(shared: &Weak<Shared>, idle: Idle) -> bool {
    shared.upgrade().map(|shared| shared.idle().push(idle)).is_some()
}

/// Waits for the next call, until the pool is dropped or the idle timeout.
fn wait(shared: &Weak<Shared>, thread: u64, received: &Receiver<Handed>, idle_timeout: Duration) -> Option<Handed> {
    loop {
        match received.recv_timeout(idle_timeout) {
            Ok(handed) => return Some(handed),
            Err(RecvTimeoutError::Disconnected) => return None,
            // Unless a call is on its way.
            Err(RecvTimeoutError::Timeout) => {
                if shared.upgrade()?.retire(thread) {
                    return None;
                }
            }
        }
    }
}

/// Waits for another connection's lock: up to five seconds, and within the call's time limit.
fn busy(tries: i32) -> bool {
    const STEP: Duration = Duration::from_millis(2);
    const STEPS_MAX: i32 = 2500;
    let stops = RUNNING.with_borrow(|stop| stop.as_ref().is_some_and(|stop| stop.reason().is_some()));
    if stops || tries >= STEPS_MAX {
        return false;
    }
    std::thread::sleep(STEP);
    true
}

//! A worker thread: it outlives its workers, hosts one at a time and sleeps in its mailbox between them.

mod event_loop;
mod host;
mod linger;
mod pulse;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::engine::Engine;
use crate::machine::OsThread;
use crate::observe::RetireReason;
use crate::shared::Shared;
use crate::state::{Assignment, Departure, Spawn};
use crate::sync::{channel, clock};
use crate::time::after;

/// Runs one worker thread to its end.
pub(crate) fn run<E: Engine>(shared: &Arc<Shared<E>>, spawn: &Spawn<E>) {
    let mut up = false;
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let thread = shared
            .engine
            .start_thread(&spawn.name)
            .map_err(|error| error.to_string())?;
        up = true;
        let os = OsThread::current();
        shared.with(|state, _| state.thread_started(spawn.thread, os));
        let mut next = None;
        loop {
            let Some(assignment) = next.take().or_else(|| wait(shared, spawn)) else {
                return Ok(());
            };
            next = serve(shared, &thread, spawn.thread, &assignment);
        }
    }));
    let message = match lived {
        Ok(Ok(())) => return shared.with(|state, fx| state.thread_ended(spawn.thread, fx)),
        Ok(Err(message)) => message,
        Err(panic) => panic_message(panic.as_ref()),
    };
    lose(shared, spawn.thread, &spawn.name, &message, up);
}

/// Sleeps until the next assignment. `None`: the thread must end.
fn wait<E: Engine>(shared: &Shared<E>, spawn: &Spawn<E>) -> Option<Assignment<E>> {
    let idle_until = after(clock::now(), shared.settings.thread_idle_timeout);
    match spawn.mailbox.recv_deadline(idle_until) {
        Ok(assignment) => Some(assignment),
        Err(channel::RecvTimeoutError::Disconnected) => None,
        // Blocks until it is woken.
        Err(channel::RecvTimeoutError::Timeout) => {
            if shared.with(|state, _| state.is_surplus(spawn.thread)) {
                return None;
            }
            spawn.mailbox.recv().ok()
        }
    }
}

/// Hosts one worker to its end. Returns the next assignment.
fn serve<E: Engine>(
    shared: &Arc<Shared<E>>,
    thread: &E::Thread,
    index: usize,
    assignment: &Assignment<E>,
) -> Option<Assignment<E>> {
    let hosted = catch_unwind(AssertUnwindSafe(|| host::host(shared, thread, index, assignment)));
    let departure = match &hosted {
        Ok(departure) => departure.clone(),
        Err(_) => Departure::Retired(RetireReason::Lost),
    };
    match hosted {
        // In one critical section, so that the thread is not vacant in between.
        Ok(_) => shared.with(|state, fx| {
            state.depart(index, departure, clock::now(), fx);
            state.after_departure(index, clock::now(), fx)
        }),
        Err(panic) => {
            shared.with(|state, fx| {
                state.dismiss(index);
                state.depart(index, departure, clock::now(), fx);
            });
            std::panic::resume_unwind(panic)
        }
    }
}

/// Handles a thread that the operating system refused to start.
pub(crate) fn could_not_spawn<E: Engine>(shared: &Shared<E>, index: usize, name: &str, message: &str) {
    lose(shared, index, name, message, false);
}

/// Handles a thread that ends unexpectedly. Its pending assignment is returned.
fn lose<E: Engine>(shared: &Shared<E>, index: usize, name: &str, message: &str, could_start: bool) {
    tracing::error!(thread = name, message, "lost a worker thread");
    shared.with(|state, fx| {
        state.thread_lost(index, message, could_start, clock::now(), fx);
        state.depart(index, Departure::BootAborted, clock::now(), fx);
    });
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panicked".to_owned())
}

//! The supervisor thread, which spawns, joins and replaces worker threads, expires waiting events, and completes the
//! shutdown. It sleeps until it is woken or a check is due.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::shared::Shared;
use crate::state::{Spawn, Todo};
use crate::sync::{channel, clock};
use crate::thread;

/// Minimum interval between checks, so that many deadlines do not cause as many checks.
const PAUSE_MIN: Duration = Duration::from_millis(2);

pub(crate) fn run<E: Engine>(shared: &Arc<Shared<E>>, wake: &channel::Receiver<()>) {
    loop {
        let Todo {
            join,
            spawn,
            reports,
            next,
            done,
        } = shared.with(|state, fx| state.supervise(clock::now(), fx));
        for handle in join {
            // A panic was caught and reported on its thread.
            let _ = handle.join();
        }
        for spawn in spawn {
            spawn_thread(shared, spawn);
        }
        for (to, report) in reports {
            let _ = to.try_send(report);
        }
        if done {
            return;
        }
        let woken = match next {
            Some(at) => wake.recv_deadline(at.max(clock::now() + PAUSE_MIN)).err(),
            None => wake.recv().err().map(|_| channel::RecvTimeoutError::Disconnected),
        };
        if matches!(woken, Some(channel::RecvTimeoutError::Disconnected)) {
            return;
        }
    }
}

fn spawn_thread<E: Engine>(shared: &Arc<Shared<E>>, spawn: Spawn<E>) {
    let (index, name) = (spawn.thread, spawn.name.clone());
    let body = {
        let shared = Arc::clone(shared);
        Box::new(move || thread::run(&shared, &spawn))
    };
    let spawned = catch_unwind(AssertUnwindSafe(|| shared.engine.spawn_thread(name.clone(), body)));
    match spawned.unwrap_or_else(|_| Err(std::io::Error::other("the engine panicked"))) {
        Ok(handle) => shared.with(|state, fx| {
            state.threads[index].handle = Some(handle);
            // The shutdown may have ended already.
            fx.wake_supervisor();
        }),
        Err(error) => thread::could_not_spawn(shared, index, &name, &error.to_string()),
    }
}

//! Sessions: events that reach the same worker, and a worker that stays for them.

mod displacement;
mod loss;
mod notice;
mod pin;
mod placement;
mod room;
mod shutdown;
mod standing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use isopod_pool::fake::{Call, Does, FakeScript};
use isopod_pool::{Meta, Options, Outcome, Policy, Recycle, RejectReason, RetireReason, SessionLimits};

use crate::common::{
    LONG, Pool, Sent, assert_settled, builder, call, deploy, hold, one_at_a_time, pool, retired, until,
};

type Session = isopod_pool::Session<Call>;

const SHORT: Duration = Duration::from_millis(20);

fn limits(limits: SessionLimits) -> Options {
    Options::default().sessions(limits)
}

fn with_grace(grace: Duration) -> Options {
    limits(SessionLimits::default().grace(grace))
}

fn try_send(session: &Session, does: Does) -> Result<Sent, RejectReason> {
    let (call, reply) = Call::new(does);
    let ticket = session
        .dispatch(call, Meta::default())
        .map_err(|rejected| rejected.reason)?;
    Ok(Sent { ticket, reply })
}

fn send(session: &Session, does: Does) -> Sent {
    try_send(session, does).expect("an event that is accepted")
}

fn worker(session: &Session) -> u64 {
    send(session, Does::WorkerId).answer().expect("an answer")
}

fn open(pool: &Pool, name: &str) -> Session {
    pool.open_session(name).expect("room for a session")
}

/// Opens a session and gives it a worker.
fn placed(pool: &Pool, name: &str) -> Session {
    let session = open(pool, name);
    worker(&session);
    session
}

/// Dispatches a standing event and waits for its answer.
fn stand(session: &Session) -> (flume::Sender<()>, Sent) {
    let (release, until) = flume::bounded(1);
    (release, send(session, Does::Stand(until)))
}

fn closing(session: &Session) -> RetireReason {
    pollster::block_on(session.closing()).reason
}

fn sessions(pool: &Pool, name: &str) -> usize {
    pool.stats().scripts[name].sessions
}

#[track_caller]
fn assert_gone(session: &Session, reason: RetireReason) {
    until(|| session.is_gone());
    assert_eq!(closing(session), reason);
    let name = session.script().to_owned();
    let refused = try_send(session, Does::Echo(1)).map(|_| ());
    assert_eq!(refused, Err(RejectReason::SessionGone { name, reason }));
}

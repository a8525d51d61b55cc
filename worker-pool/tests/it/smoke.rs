//! The main paths of the pool on the fake engine.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use isopod_pool::fake::{Boot, Call, Does, FakeEngine, FakeScript};
use isopod_pool::{Meta, Options, Outcome, Policy, Pool, RejectReason};

const LONG: Duration = Duration::from_secs(5);

fn pool(script: FakeScript, options: &Options) -> (Pool<FakeEngine>, Arc<FakeScript>) {
    let pool = Pool::builder(FakeEngine::new())
        .threads(1)
        .wall_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let script = Arc::new(script);
    pool.deploy("s", Arc::clone(&script), options).unwrap();
    (pool, script)
}

fn call(pool: &Pool<FakeEngine>, does: Does) -> Result<u64, Outcome> {
    let (call, reply) = Call::new(does);
    let ticket = pool.dispatch("s", call, Meta::default()).unwrap();
    let answer = reply.recv_timeout(LONG).expect("an answer");
    ticket.detach();
    answer.map_err(|failure| failure.outcome)
}

#[test]
fn a_warm_worker_answers_many_events_and_a_shutdown_joins_every_thread() {
    let (pool, script) = pool(FakeScript::new(), &Options::default());
    (0..1000).for_each(|n| assert_eq!(call(&pool, Does::Echo(n)), Ok(n)));
    assert_eq!(script.boots(), 1);
    let report = pool.shutdown_blocking(LONG);
    assert_eq!((report.threads_joined, report.threads_stuck, script.alive()), (1, 0, 0));
    assert_eq!(pool.stats().outcomes["ok"], 1000);
}

#[test]
fn per_request_uses_a_fresh_worker_per_event() {
    let (pool, script) = pool(FakeScript::new(), &Options::default().policy(Policy::PerRequest));
    (0..20).for_each(|n| assert_eq!(call(&pool, Does::Echo(n)), Ok(n)));
    assert_eq!(script.boots(), 20);
}

#[test]
fn a_panic_loses_the_running_events_of_its_thread() {
    let (pool, _) = pool(FakeScript::new(), &Options::default());
    assert_eq!(call(&pool, Does::Panic), Err(Outcome::WorkerLost));
    assert_eq!(call(&pool, Does::Echo(1)), Ok(1));
    assert_eq!(pool.stats().threads.respawned, 1);
}

#[test]
fn an_event_past_its_wall_deadline_is_ended() {
    let (pool, _) = pool(FakeScript::new(), &Options::default());
    assert_eq!(call(&pool, Does::Never), Err(Outcome::ExceededWall));
    assert_eq!(
        call(&pool, Does::Condemn(Outcome::ExceededMemory)),
        Err(Outcome::ExceededMemory)
    );
    assert_eq!(call(&pool, Does::Echo(1)), Ok(1));
}

#[test]
fn three_failed_boots_open_the_breaker_and_a_new_version_closes_it() {
    let (pool, _) = pool(FakeScript::new().boot(Boot::Fails("no")), &Options::default());
    (0..3).for_each(|_| assert_eq!(call(&pool, Does::Echo(1)), Err(Outcome::BootFailed)));
    let refused = pool.dispatch("s", Call::echo(1).0, Meta::default()).unwrap_err();
    assert!(matches!(refused.reason, RejectReason::BootBroken { .. }), "{refused:?}");
    pool.deploy("s", Arc::new(FakeScript::new()), &Options::default())
        .unwrap();
    block_on(pool.warm("s")).unwrap();
    assert_eq!(call(&pool, Does::Echo(2)), Ok(2));
}

#[test]
fn a_full_queue_returns_the_work_and_a_dropped_ticket_frees_the_slot() {
    let options = Options::default().concurrency(1).queue_len_max(1).wall_timeout(LONG);
    let (pool, _) = pool(FakeScript::new(), &options);
    block_on(pool.warm("s")).unwrap();
    let (never, canceled) = Call::new(Does::Never);
    let running = pool.dispatch("s", never, Meta::default()).unwrap();
    let (queued, reply) = Call::echo(3);
    let waiting = pool.dispatch("s", queued, Meta::default()).unwrap();
    let refused = pool.dispatch("s", Call::echo(4).0, Meta::default()).unwrap_err();
    assert!(matches!(refused.reason, RejectReason::QueueFull { .. }), "{refused:?}");
    drop(running);
    assert_eq!(
        canceled.recv_timeout(LONG).unwrap().unwrap_err().outcome,
        Outcome::Canceled
    );
    assert_eq!(reply.recv_timeout(LONG).unwrap(), Ok(3));
    waiting.detach();
}

//! Events of a real pool on the bus.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use isopod_host::bus::{Bus, Delivery, SubscribeOptions, Subscription, SystemEvent};
use isopod_pool::fake::{Boot, FakeEngine, FakeScript};
use isopod_pool::{BreakerOptions, Options, Pool};

fn next(subscription: &mut Subscription) -> SystemEvent {
    match subscription.recv_timeout(Duration::from_secs(30)) {
        Some(Delivery::Message(message)) => SystemEvent::of(&message).expect("an event of the system"),
        other => panic!("a message, not {other:?}"),
    }
}

#[test]
fn the_life_of_a_pools_workers_is_on_the_bus() {
    let bus = Bus::new();
    let mut events = bus
        .subscribe("isopod.>", SubscribeOptions::default())
        .expect("a subscription");
    let pool = Pool::builder(FakeEngine::new())
        .threads(1)
        .on(bus.observer())
        .build()
        .expect("a pool");
    pool.deploy("hello", Arc::new(FakeScript::new()), &Options::default())
        .expect("deployed");
    block_on(pool.warm("hello")).expect("boots");
    let script: Arc<str> = "hello".into();
    let SystemEvent::WorkerStarted { worker, version, .. } = next(&mut events) else {
        panic!("a worker starts first")
    };
    assert_eq!(version, 1);
    let ready = SystemEvent::WorkerReady {
        worker,
        script: Arc::clone(&script),
    };
    assert_eq!(next(&mut events), ready);
    let _ = pool.shutdown_blocking(Duration::from_secs(10));
    assert_eq!(next(&mut events), SystemEvent::Draining);
    let reason = "shutdown".into();
    assert_eq!(next(&mut events), SystemEvent::WorkerStopped { worker, script, reason });
}

#[test]
fn failed_boots_are_reported_and_open_the_breaker() {
    let bus = Bus::new();
    let mut failed = bus
        .subscribe("isopod.worker.boot_failed", SubscribeOptions::default())
        .expect("a subscription");
    let breaker = BreakerOptions::default()
        .failures(1)
        .backoff_min(Duration::from_secs(600))
        .backoff_max(Duration::from_secs(600));
    let pool = Pool::builder(FakeEngine::new())
        .threads(1)
        .breaker(breaker)
        .on(bus.observer())
        .build()
        .expect("a pool");
    pool.deploy(
        "broken",
        Arc::new(FakeScript::new().boot(Boot::Fails("no main"))),
        &Options::default(),
    )
    .expect("deployed");
    block_on(pool.warm("broken")).expect_err("it cannot boot");
    assert!(matches!(next(&mut failed), SystemEvent::BootFailed { error, .. } if error.contains("no main")));
    let refused = block_on(pool.warm("broken")).expect_err("the breaker is open");
    assert!(
        refused.retry_after.is_some_and(|wait| wait > Duration::from_secs(500)),
        "{refused:?}"
    );
    assert!(failed.is_empty(), "nothing was booted");
}

//! Scripts that cannot boot: their events fail, and the breaker limits the attempts.

use std::time::Duration;

use crate::common::{call, deploy, hold, pool, send, try_send, until};
use isopod_pool::fake::{Boot, Does, FakeScript};
use isopod_pool::{Meta, Options, Outcome, RejectReason};

#[test]
fn a_failed_boot_fails_all_waiting_events() {
    let pool = pool(1);
    let script = deploy(
        &pool,
        "s",
        FakeScript::new().boot(Boot::FailsTimes(1)),
        &Options::default(),
    );
    // Occupies the only thread until all three wait.
    deploy(&pool, "other", FakeScript::new(), &Options::default().concurrency(1));
    let (open, held) = hold(&pool, "other");
    until(|| pool.stats().threads.busy == 1);
    let waited: Vec<_> = (0..3).map(|n| send(&pool, "s", Does::Echo(n))).collect();
    drop(open);
    assert_eq!(held.answer(), Ok(0));
    waited
        .into_iter()
        .for_each(|sent| assert_eq!(sent.answer(), Err(Outcome::BootFailed)));
    assert_eq!((call(&pool, "s", Does::Echo(4)), script.boots()), (Ok(4), 2));
}

// row 43
#[test]
fn an_open_breaker_admits_one_probe_and_closes_on_success() {
    let pool = pool(2);
    let script = deploy(
        &pool,
        "s",
        FakeScript::new().boot(Boot::FailsTimes(3)),
        &Options::default(),
    );
    (0..3).for_each(|n| assert_eq!(call(&pool, "s", Does::Echo(n)), Err(Outcome::BootFailed)));
    let refused = try_send(&pool, "s", Does::Echo(3), Meta::default())
        .err()
        .expect("refused");
    assert!(
        matches!(&refused, RejectReason::BootBroken { failure, .. } if failure.message == "not yet"),
        "{refused:?}"
    );
    assert_eq!(refused.outcome(), Outcome::BootFailed);
    let wait = refused.retry_after().expect("when to try again");
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
    assert_eq!(script.boots(), 3);
    // tidy:allow(sleep): the pool's retry-after hint.
    std::thread::sleep(wait);
    assert_eq!((call(&pool, "s", Does::Echo(4)), script.boots()), (Ok(4), 4));
    assert_eq!(call(&pool, "s", Does::Echo(5)), Ok(5));
}

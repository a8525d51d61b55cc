//! Deploying, replacing and undeploying scripts, which drops no event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::common::{LONG, assert_settled, builder, call, deploy, hold, one_at_a_time, pool, retired, send, until};
use futures::executor::block_on;
use isopod_pool::fake::{Boot, Call, Does, FakeScript};
use isopod_pool::{Failure, Meta, Options, Outcome, RejectReason};

#[test]
fn deploying_under_load_drops_nothing_and_no_old_version_gets_a_new_event() {
    let pool = pool(2);
    let options = Options::default().queue_len_max(10_000);
    deploy(&pool, "s", FakeScript::new().version(0), &options);
    let (deployed, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (pool, deployed, stop) = (pool.clone(), Arc::clone(&deployed), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut calls = 0;
                while !stop.load(Ordering::SeqCst) {
                    let oldest = deployed.load(Ordering::SeqCst);
                    let version = call(&pool, "s", Does::Version).expect("no event is dropped");
                    assert!(
                        version >= oldest,
                        "version {version} answered after {oldest} had been deployed"
                    );
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    let scripts: Vec<_> = (1..=30)
        .map(|version| {
            let script = deploy(&pool, "s", FakeScript::new().version(version), &options);
            deployed.store(version, Ordering::SeqCst);
            assert_eq!(call(&pool, "s", Does::Version), Ok(version));
            script
        })
        .collect();
    stop.store(true, Ordering::SeqCst);
    let calls: u64 = callers
        .into_iter()
        .map(|caller| caller.join().expect("a caller that saw no failure"))
        .sum();
    assert!(calls > 0);
    until(|| scripts[..29].iter().all(|script| script.alive() == 0));
    until(|| pool.stats().open == 0);
    assert_settled(&pool);
}

#[test]
fn a_replaced_worker_finishes_its_events() {
    let pool = pool(2);
    let old = deploy(&pool, "s", FakeScript::new().version(1), &Options::default());
    let (open, held) = hold(&pool, "s");
    until(|| old.alive() == 1);
    deploy(&pool, "s", FakeScript::new().version(2), &Options::default());
    assert_eq!(call(&pool, "s", Does::Version), Ok(2));
    assert_eq!(old.alive(), 1);
    drop(open);
    assert_eq!(held.answer(), Ok(0));
    until(|| old.alive() == 0 && retired(&pool, "s", "replaced") == 1);
}

#[test]
fn a_new_version_takes_over_the_events_of_a_boot() {
    let pool = pool(1);
    let old = deploy(&pool, "s", FakeScript::new().boot(Boot::Hangs), &Options::default());
    let sent = send(&pool, "s", Does::Version);
    until(|| old.boots() == 1);
    deploy(&pool, "s", FakeScript::new().version(2), &Options::default());
    assert_eq!(sent.answer(), Ok(2));
}

#[test]
fn an_undeployed_script_finishes_its_events() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new(), &one_at_a_time());
    let (open, held) = hold(&pool, "s");
    let queued = send(&pool, "s", Does::Echo(2));
    assert!(pool.undeploy("s"));
    assert!(!pool.undeploy("s"));
    let refused = pool.dispatch("s", Call::echo(1).0, Meta::default()).unwrap_err();
    assert!(
        matches!(refused.reason, RejectReason::UnknownScript { .. }),
        "{refused:?}"
    );
    drop(open);
    assert_eq!((held.answer(), queued.answer()), (Ok(0), Ok(2)));
    until(|| script.alive() == 0 && pool.stats().scripts.is_empty());
}

#[test]
fn an_unknown_name_is_not_retryable() {
    let pool = pool(1);
    let refused = pool.dispatch("nobody", Call::echo(1).0, Meta::default()).unwrap_err();
    let warmed = block_on(pool.warm("nobody")).unwrap_err();
    for failure in [Failure::from(refused.reason), warmed] {
        assert_eq!((failure.outcome, failure.retry_after), (Outcome::NotDeployed, None));
        assert!(
            !failure.outcome.is_retryable() && failure.message.contains("\"nobody\""),
            "{failure}"
        );
    }
    pool.deploy_native("s", &Options::default()).expect("a running pool");
    let unsuited = pool.dispatch("s", Call::echo(1).0, Meta::default()).unwrap_err();
    assert_eq!(unsuited.reason.outcome(), Outcome::NotDeployed);
    assert_eq!(pool.stats().outcomes["not_deployed"], 0);
}

#[test]
fn warming_returns_the_boot_failure() {
    let pool = pool(1);
    deploy(
        &pool,
        "s",
        FakeScript::new().boot(Boot::Fails("line 3: unexpected token")),
        &Options::default(),
    );
    let failure = block_on(pool.warm("s")).unwrap_err();
    assert_eq!(
        (failure.outcome, failure.message.as_str()),
        (Outcome::BootFailed, "line 3: unexpected token")
    );
    assert!(block_on(pool.warm("nothing")).is_err());
}

#[test]
fn warming_ends_with_its_script_or_pool() {
    let pool = builder(1).build().expect("threads");
    let ends = [
        (
            "undeployed",
            Box::new(|pool: &crate::common::Pool| assert!(pool.undeploy("s"))) as Box<dyn Fn(&crate::common::Pool)>,
        ),
        (
            "closed",
            Box::new(|pool: &crate::common::Pool| drop(pool.shutdown_blocking(LONG))),
        ),
    ];
    for (how, end) in ends {
        let script = deploy(&pool, "s", FakeScript::new().boot(Boot::Hangs), &Options::default());
        let warming = {
            let pool = pool.clone();
            std::thread::spawn(move || block_on(pool.warm("s")))
        };
        until(|| script.boots() == 1);
        end(&pool);
        let failure = warming.join().expect("no panic").expect_err(how);
        assert_eq!(failure.outcome, Outcome::Canceled, "{how}");
    }
}

//! Events for observers of a pool, and their order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{builder, call, deploy};
use futures::executor::block_on;
use isopod_pool::fake::{Does, FakeScript};
use isopod_pool::{Options, Policy, PoolEvent};

/// The reported stages of each worker's life.
type Lives = Arc<Mutex<HashMap<u64, Vec<&'static str>>>>;

#[test]
fn observers_get_the_life_of_each_worker_in_order() {
    let lives = Lives::default();
    let heard = Arc::clone(&lives);
    let pool = builder(4)
        .on(move |event| {
            let (worker, stage) = match event {
                PoolEvent::WorkerStarted { worker, .. } => (worker, "started"),
                PoolEvent::WorkerReady { worker, .. } => (worker, "ready"),
                PoolEvent::WorkerRetired { worker, .. } => (worker, "retired"),
                _ => return,
            };
            // A slow observer, which other threads overtake if they can.
            std::thread::yield_now();
            heard.lock().unwrap().entry(worker.get()).or_default().push(stage);
        })
        .build()
        .expect("threads");
    let fresh = Options::default().policy(Policy::PerRequest);
    let names = ["a", "b", "c", "d"];
    for name in names {
        deploy(&pool, name, FakeScript::new(), &fresh);
    }
    std::thread::scope(|scope| {
        for name in names {
            let pool = &pool;
            scope.spawn(move || (0..200).for_each(|n| assert_eq!(call(pool, name, Does::Echo(n)), Ok(n))));
        }
    });
    let _ = block_on(pool.shutdown(Duration::from_secs(10)));
    drop(pool);
    let lives = lives.lock().unwrap();
    assert!(lives.len() >= 800, "{} workers", lives.len());
    for (worker, stages) in &*lives {
        assert!(
            ["started", "ready", "retired"].starts_with(stages),
            "worker {worker}: {stages:?}"
        );
    }
}

#[test]
fn scarce_threads_are_reported_once() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let pool = builder(2)
        .on(move |event| {
            if let PoolEvent::ThreadsScarce { scripts, threads, .. } = event {
                heard.lock().unwrap().push((*scripts, *threads));
            }
        })
        .build()
        .expect("threads");
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        deploy(&pool, name, FakeScript::new(), &Options::default());
    }
    for n in 0..60 {
        names
            .iter()
            .for_each(|name| assert_eq!(call(&pool, name, Does::Echo(n)), Ok(n)));
    }
    assert_eq!(*told.lock().unwrap(), [(5, 2)]);
    let displaced = pool
        .stats()
        .scripts
        .values()
        .map(|script| script.retired["displaced"])
        .sum::<u64>();
    assert!(displaced >= 100, "{displaced}");
}

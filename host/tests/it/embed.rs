//! Hosts inside other programs, with any executor or none.

use std::thread;

use isopod_host::{Cause, Host, Shutdown};
use tokio::runtime::Builder;

use crate::common::{Log, Probe};

fn host(log: &Log) -> Host {
    Host::builder().module(Probe::new("a", log)).build().unwrap()
}

async fn start_and_stop() {
    let log = Log::default();
    let running = host(&log).start().await.unwrap();
    assert_eq!(log.tasks(), 1);
    assert!(running.stop().await.unwrap().is_clean());
    assert_eq!((log.tasks(), log.calls().len()), (0, 8));
}

#[test]
fn a_host_runs_inside_any_executor_and_none() {
    futures::executor::block_on(start_and_stop());
    Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(start_and_stop());
    Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap()
        .block_on(start_and_stop());
    thread::spawn(|| host(&Log::default()).start_blocking().unwrap().stop_blocking().unwrap())
        .join()
        .unwrap();
}

#[test]
fn the_blocking_calls_work_inside_a_runtime() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let report = runtime.block_on(async { host(&Log::default()).start_blocking().unwrap().stop_blocking().unwrap() });
    assert_eq!(report.cause, Cause::Requested);
}

#[test]
fn dropping_a_running_host_inside_async_code_returns_and_stops_it() {
    let log = Log::default();
    let hub = Builder::new_current_thread().build().unwrap().block_on(async {
        let running = host(&log).start().await.unwrap();
        running.hub().clone()
    });
    let closed = || log.lines().last().is_some_and(|line| line == "close a");
    while !closed() {
        thread::yield_now();
    }
    drop(hub);
    assert_eq!(log.tasks(), 0);
}

#[test]
fn a_host_that_is_stopped_before_it_runs_says_so() {
    let log = Log::default();
    let token = isopod_host::CancellationToken::new();
    let stopping = Log::stopping_at(0, token.clone());
    let ended = Host::builder()
        .module(Probe::new("a", &stopping).does(isopod_host::Phase::Build, crate::common::Does::StopHost))
        .shutdown(Shutdown::token(token))
        .build()
        .unwrap()
        .start_blocking();
    let text = ended.unwrap_err().to_string();
    assert!(text.starts_with("the host was stopped before it was ready"), "{text}");
    assert!(log.calls().is_empty());
}

//! A pool as a module, on the engine without V8.

use std::time::Duration;

use isopod_host::{BoxError, Context, End, Host, HostBuilder, Module, Phase, PhaseResult, PoolModule, async_trait};
use isopod_pool::fake::{Boot, Call, Does, FakeEngine, FakeScript};
use isopod_pool::{Meta, Options, Pool};

type FakePool = Pool<FakeEngine>;

fn host(script: FakeScript) -> HostBuilder {
    let module = PoolModule::new("pool", || Pool::builder(FakeEngine::new()).threads(1).build());
    Host::builder().module(module.script("echo", script, Options::default()))
}

/// Asks the pool while it starts: its scripts are ready then.
struct Asks;

#[async_trait]
impl Module for Asks {
    fn name(&self) -> &str {
        "asks"
    }

    fn depends_on(&self) -> Vec<String> {
        vec!["pool".into()]
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        let pool = ctx.hub().get::<FakePool>()?;
        let (call, reply) = Call::echo(5);
        pool.dispatch("echo", call, Meta::default())
            .map_err(|rejected| BoxError::from(rejected.reason.to_string()))?
            .detach();
        assert_eq!(reply.recv_async().await?.ok(), Some(5));
        Ok(())
    }
}

#[test]
fn a_pool_serves_the_modules_that_depend_on_it_and_finishes_what_it_has_accepted() {
    let running = host(FakeScript::new())
        .module(Asks)
        .build()
        .unwrap()
        .start_blocking()
        .unwrap();
    let pool = running.hub().get::<FakePool>().unwrap();
    let (send, wait) = flume::bounded(1);
    let (call, reply) = Call::new(Does::Wait(wait));
    pool.dispatch("echo", call, Meta::default()).unwrap().detach();
    running.handle().stop();
    // The drain has begun when nothing is accepted any more.
    let mut accepted = Vec::new();
    while let Ok(ticket) = pool.dispatch("echo", Call::echo(1).0, Meta::default()) {
        accepted.push(ticket);
    }
    send.send(()).unwrap();
    assert_eq!(reply.recv().unwrap(), Ok(0));
    drop(accepted);
    let report = running.wait_blocking().unwrap();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn a_script_that_cannot_start_stops_the_host() {
    let script = FakeScript::new().boot(Boot::Fails("line 3 is wrong"));
    let error = host(script).build().unwrap().start_blocking().unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("module `pool`") && text.contains("`echo` cannot start"),
        "{text}"
    );
    assert!(text.contains("line 3 is wrong"), "{text}");
    assert_eq!(
        error.report().unwrap().end("pool", Phase::Close),
        Some(&End::Finished),
        "its threads are joined"
    );
}

#[test]
fn events_that_do_not_end_are_cut_and_reported() {
    let host = host(FakeScript::new())
        .limit(Phase::Drain, Duration::from_millis(500))
        .build()
        .unwrap();
    let running = host.start_blocking().unwrap();
    let pool = running.hub().get::<FakePool>().unwrap();
    let (call, reply) = Call::new(Does::Never);
    pool.dispatch("echo", call, Meta::default()).unwrap().detach();
    let error = running.stop_blocking().unwrap_err().to_string();
    assert!(error.contains("1 events did not end in time"), "{error}");
    assert!(reply.recv().unwrap().is_err());
}

#[test]
fn an_owner_that_takes_the_reports_decides_what_a_cut_event_means() {
    let (send, reports) = flume::bounded(2);
    let module = PoolModule::new("pool", || Pool::builder(FakeEngine::new()).threads(1).build())
        .script("echo", FakeScript::new(), Options::default())
        .drain_within(|| Duration::from_millis(10))
        .close_within(Duration::from_secs(5))
        .on_end(move |phase, report| send.send((phase, report)).unwrap());
    let running = Host::builder()
        .module(module)
        .build()
        .unwrap()
        .start_blocking()
        .unwrap();
    let pool = running.hub().get::<FakePool>().unwrap();
    let (call, reply) = Call::new(Does::Never);
    pool.dispatch("echo", call, Meta::default()).unwrap().detach();
    let report = running.stop_blocking().unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(reply.recv().unwrap().is_err());
    let reports: Vec<_> = reports.drain().collect();
    let [(Phase::Drain, drained), (Phase::Close, closed)] = &reports[..] else {
        panic!("{reports:?}")
    };
    assert_eq!((drained.cut, drained.threads_joined), (1, 0));
    assert_eq!((closed.threads_joined, closed.threads_stuck), (1, 0));
}

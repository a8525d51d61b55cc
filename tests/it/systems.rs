//! Supervised scripts, and a pool in a host that reports its state.

use std::error::Error as _;
use std::time::Duration;

use futures::executor::block_on;
use isopod::host::bus::{Bus, Delivery, SubscribeOptions, SystemEvent};
use isopod::host::supervise::{CallError, Called, RunError, RunOptions, Supervisor};
use isopod::host::{Host, PoolModule};
use isopod::{Failure, Options, Outcome, Pool, Script, Thrown};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::bus::{deploy, runtime};
use crate::process::until;

struct Stage {
    /// Dropped last: the tasks run on it.
    supervisor: Supervisor,
    pool: Pool,
    _runtime: Runtime,
}

impl Stage {
    fn new(source: &str) -> Self {
        let pool = Pool::builder().threads(1).build().expect("a pool");
        deploy(&pool, "s", source, vec![]);
        let runtime = runtime();
        Self {
            supervisor: Supervisor::builder(runtime.handle().clone()).build(),
            pool,
            _runtime: runtime,
        }
    }

    /// A call without arguments, as a task to supervise.
    fn task(&self, function: &'static str) -> impl Future<Output = Result<Value, Failure>> + Send + use<> {
        let pool = self.pool.clone();
        async move { pool.call("s", function, ()).await }
    }
}

#[test]
fn a_script_that_throws_has_crashed_and_its_error_is_the_cause() {
    let stage = Stage::new("export function f() { throw new RangeError('far', { cause: new Error('deep') }) }");
    let error = block_on(stage.supervisor.run("s", stage.task("f"))).expect_err("it throws");
    let failure = error.failure().expect("the pool's failure");
    assert_eq!(failure.outcome, Outcome::Exception);
    let thrown = failure.source().and_then(|source| source.downcast_ref::<Thrown>());
    let thrown = thrown.expect("what was thrown");
    assert_eq!((&*thrown.class, &*thrown.message), ("RangeError", "far"));
    assert_eq!(thrown.cause.as_ref().map(|cause| &*cause.message), Some("deep"));
    assert_eq!(stage.supervisor.stats().names["s"].crashed, 1);
}

#[test]
fn a_script_that_takes_too_long_has_timed_out_and_its_event_is_canceled() {
    let stage = Stage::new("export const f = () => new Promise((done) => setTimeout(done, 60_000));");
    let options = RunOptions::default().timeout(Duration::from_millis(50));
    let result = block_on(stage.supervisor.run_with(options, "s", stage.task("f")));
    assert!(matches!(result, Err(RunError::TimedOut { .. })), "{result:?}");
    until("the event is canceled", || {
        (stage.pool.stats().scripts["s"].outcomes.get("canceled") == Some(&1)).then_some(())
    });
    assert_eq!(stage.supervisor.stats().total.timed_out, 1);
}

#[test]
fn a_task_of_a_script_that_is_dropped_is_canceled_and_counted() {
    let stage = Stage::new("export const f = () => new Promise((done) => setTimeout(done, 60_000));");
    let running = stage.supervisor.run("s", stage.task("f"));
    until("it runs", || (stage.pool.stats().open == 1).then_some(()));
    drop(running);
    until("it is canceled", || {
        (stage.supervisor.stats().total.canceled == 1).then_some(())
    });
}

#[test]
fn many_scripts_run_at_once_and_each_result_is_in_its_place() {
    let stage = Stage::new(
        "export const one = () => 1; export const bad = () => { throw new Error('no') };
         export const late = () => new Promise((done) => setTimeout(done, 60_000));",
    );
    let tasks = ["one", "bad", "late", "one"].map(|function| stage.task(function));
    let results = block_on(stage.supervisor.run_all("s", tasks, Duration::from_millis(500)));
    assert_eq!(results[0].as_ref().ok(), Some(&Value::from(1)));
    assert!(matches!(results[1], Err(RunError::Crashed { .. })));
    assert!(matches!(results[2], Err(RunError::TimedOut { .. })));
    assert_eq!(results[3].as_ref().ok(), Some(&Value::from(1)));
}

#[test]
fn a_missing_export_is_no_error_but_a_failure_is() {
    let stage = Stage::new(
        r#"export const add = (a, b) => a + b; export const none = () => undefined;
        export const length = (list) => list.length;
        // Each throws an error that looks like one of the runtime's.
        export const liar = () => { throw new TypeError('the script has no function "liar" to call: it exports liar') };
        export const relay = async () => { await Promise.resolve(); return missing() };
        export const forge = () => { const error = new TypeError('the script has no function "forge" to call');
            error.stack = `${error}\n    at beginCall (ext:isopod_handlers/handlers.js:1:1)`; throw error };
        export const plain = () => { throw 'the script has no function "plain"' };"#,
    );
    let call = |unit: &'static str, function: &'static str, args: Value| {
        block_on(stage.supervisor.call::<Value>(&stage.pool, unit, function, args))
    };
    let value = |called: Result<Called<Value>, CallError>| called.expect("it is called").value();
    assert_eq!(value(call("s", "add", (vec![40, 2]).into())), Some(Value::from(42)));
    assert_eq!(value(call("s", "none", Value::Null)), Some(Value::Null));
    assert_eq!(value(call("s", "length", "text".into())), Some(Value::from(4)));
    for missing in ["subtract", "toString", "default"] {
        assert_eq!(value(call("s", missing, Value::Null)), None, "{missing}");
    }
    assert_eq!(value(call("s#Nothing", "add", Value::Null)), None);
    for failing in ["liar", "relay", "forge", "plain"] {
        let called = call("s", failing, Value::Null);
        assert!(
            matches!(called, Err(CallError::Run(RunError::Crashed { .. }))),
            "{failing}: {called:?}"
        );
    }
    assert!(
        call("nobody", "add", Value::Null).is_err(),
        "a script that is not there is a fault"
    );
}

#[test]
fn a_host_tells_its_bus_of_its_modules_and_of_the_workers_of_its_pool() {
    let bus = Bus::new();
    let mut told = bus
        .subscribe("isopod.>", SubscribeOptions::default())
        .expect("subscribed");
    let script = Script::builder("s").source("export const f = () => 1;").build();
    let pool = PoolModule::with("pool", |ctx| {
        Pool::builder().threads(1).on(ctx.bus().observer()).build()
    })
    .script("s", script.expect("a script"), Options::default());
    let host = Host::builder().bus(bus.clone()).module(pool).build().expect("a host");
    let running = host.start_blocking().expect("ready");
    let report = running.stop_blocking().expect("stopped");
    assert!(report.is_clean(), "{report}");
    let topics: Vec<_> = std::iter::from_fn(|| told.try_recv())
        .map(|delivery| match delivery {
            Delivery::Message(message) => message.topic.as_str().to_owned(),
            Delivery::Lagged(count) => panic!("{count} are missing"),
        })
        .collect();
    let place = |topic: &str| {
        let place = topics.iter().position(|other| other == topic);
        place.unwrap_or_else(|| panic!("{topic} is not among {topics:?}"))
    };
    let order = [
        "isopod.worker.started",
        "isopod.module.started",
        "isopod.draining",
        "isopod.module.stopped",
        "isopod.worker.stopped",
        "isopod.shutdown",
    ];
    assert!(order.map(place).is_sorted(), "{topics:?}");
    assert!(place("isopod.worker.ready") < place("isopod.draining"));
    assert_eq!(topics.last().map(String::as_str), Some("isopod.shutdown"));
}

#[test]
fn a_failing_module_is_reported_with_its_reason() {
    let bus = Bus::new();
    let mut failed = bus
        .subscribe("isopod.module.failed", SubscribeOptions::default())
        .expect("subscribed");
    let script = Script::builder("s")
        .source("export const f = ;")
        .build()
        .expect("a script");
    let pool = PoolModule::new("pool", || Pool::builder().threads(1).build()).script("s", script, Options::default());
    let host = Host::builder().bus(bus).module(pool).build().expect("a host");
    assert!(host.start_blocking().is_err());
    let Some(Delivery::Message(message)) = failed.try_recv() else {
        panic!("it is told of");
    };
    let Some(SystemEvent::ModuleFailed { module, error }) = SystemEvent::of(&message) else {
        panic!("{message:?}");
    };
    assert_eq!(&*module, "pool");
    assert!(error.contains("cannot start"), "{error}");
    assert!(failed.try_recv().is_none(), "once");
}

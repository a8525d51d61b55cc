//! Tasks, messages and results over the channel.

use std::time::Duration;

use bytes::Bytes;
use futures::executor::block_on;
use futures::{StreamExt, future::join_all};
use isopod_host::bus::{Delivery, Message, Payload, ResultRef, Results, Source, SubscribeOptions, SystemEvent};
use isopod_host::process::{ModuleRequest, ModuleTask, ModuleTasks};
use isopod_host::supervise::{Called, Supervisor};
use isopod_host::{Context, Host, Module, PhaseResult, TaskResponse, async_trait};
use isopod_pool::Outcome;
use serde_json::json;
use std::sync::Arc;

use super::{channel, child, start};

#[test]
fn a_task_reports_progress_and_results_and_ends_once() {
    let results = Results::new();
    let host = start(child("work").channel(channel().results(&results)));
    let mut told = host.system("isopod.task.*");
    let mut announced = host
        .bus
        .subscribe("results.child", SubscribeOptions::default())
        .unwrap();
    let request = ModuleRequest::new("steps").payload(json!(3)).config("locale", "de");
    let task = host.tasks.run(request);
    let responses: Vec<_> = block_on(task.collect());
    let names: Vec<_> = responses.iter().map(|response| format!("{response:?}")).collect();
    assert_eq!(responses.len(), 6, "{names:?}");
    assert!(
        matches!(&responses[2], TaskResponse::Progress(step) if step == 2),
        "{names:?}"
    );
    let TaskResponse::Result {
        name,
        data,
        announced: Ok(result),
    } = &responses[3]
    else {
        panic!("{names:?}")
    };
    assert_eq!(
        (&**name, data.as_json()),
        ("steps", Some(&json!({ "of": 3, "locale": "de" })))
    );
    assert_eq!(results.read(result).unwrap(), *data);
    assert!(
        matches!(&responses[4], TaskResponse::Result { data, .. } if **data == Payload::Bytes(Bytes::from_static(&[7; 3])))
    );
    assert!(
        matches!(&responses[5], TaskResponse::End(Ok(Payload::Json(value))) if value == 0),
        "{names:?}"
    );
    let Some(Delivery::Message(message)) = announced.try_recv() else {
        panic!("it was announced")
    };
    assert_eq!(ResultRef::of(&message).unwrap().source, Source::native("child"));
    let is_end =
        |event: &SystemEvent| matches!(event, SystemEvent::TaskCompleted { name, .. } if &**name == "child.steps");
    assert!(std::iter::from_fn(|| Some(told.next())).any(|event| is_end(&event)));
    host.stop();
}

#[test]
fn undecodable_failing_panicking_and_missing_tasks_are_answered() {
    let host = start(child("work").channel(channel()));
    assert_eq!(host.run("add", json!([40, 2])), Ok(json!(42)));
    let failed = |task, payload| host.run(task, payload).unwrap_err();
    let undecodable = failed("add", json!({ "a": 1 }));
    assert_eq!(undecodable.outcome, Outcome::Exception);
    assert!(undecodable.message.contains("cannot be decoded"), "{undecodable}");
    assert!(failed("add", json!([i64::MAX, 1])).message.contains("too large"));
    assert!(failed("panic", json!(null)).message.contains("panicked: on purpose"));
    assert_eq!(failed("missing", json!(null)).outcome, Outcome::NotDeployed);
    assert!(
        failed("forbidden", json!(null))
            .message
            .contains("only to child, child.>")
    );
    assert_eq!(host.run("add", json!([1, 1])), Ok(json!(2)));
    host.stop();
}

#[test]
fn bytes_go_there_and_back_and_what_is_too_large_is_refused() {
    let host = start(child("work").channel(channel().body_bytes_max(1 << 20)));
    let echo = |bytes: Bytes| block_on(host.tasks.run(ModuleRequest::new("echo").payload(bytes)).finish());
    let bytes = Bytes::from(vec![5; 1 << 20]);
    assert_eq!(echo(bytes.clone()), Ok(Payload::Bytes(bytes)));
    let error = echo(Bytes::from(vec![5; (1 << 20) + 1])).unwrap_err();
    assert!(
        error.message.contains("1048577 bytes, above the limit of 1048576"),
        "{error}"
    );
    host.stop();
}

#[test]
fn a_process_receives_messages_and_results() {
    let results = Results::new();
    let host = start(child("work").channel(channel().results(&results)));
    let mut seen = host.bus.subscribe("child.*", SubscribeOptions::default()).unwrap();
    let mut next = || match seen.recv_timeout(Duration::from_secs(60)) {
        Some(Delivery::Message(message)) => message,
        other => panic!("{other:?}"),
    };
    host.bus
        .publish(Message::new("orders.created".parse().unwrap(), json!({ "id": 7 })))
        .unwrap();
    let message = next();
    assert_eq!((message.topic.as_str(), message.depth), ("child.seen", 1));
    assert_eq!(message.payload.as_json(), Some(&json!({ "id": 7 })));
    assert_eq!(message.source, Source::native("child"));
    let bytes = Bytes::from(vec![0; 5000]);
    results
        .announce(&host.bus, Source::native("source"), "data", bytes)
        .unwrap();
    let message = next();
    assert_eq!(
        (message.topic.as_str(), message.payload.as_json()),
        ("child.measured", Some(&json!(5000)))
    );
    assert_eq!(message.depth, 1);
    host.stop();
}

#[test]
fn a_reader_that_does_not_read_holds_up_its_task_and_no_other() {
    let host = start(child("work").channel(channel().window_bytes(4096)));
    let mut slow = host.tasks.run(ModuleRequest::new("steps").payload(json!(10_000)));
    assert!(matches!(block_on(slow.next()), Some(TaskResponse::Progress(_))));
    for _ in 0..10 {
        assert_eq!(host.run("add", json!([1, 2])), Ok(json!(3)));
    }
    let rest: Vec<_> = block_on(slow.collect());
    assert_eq!(rest.len(), 9_999 + 3);
    host.stop();
}

#[test]
fn concurrent_tasks_get_their_own_answers() {
    let host = start(child("work").channel(channel()));
    let tasks = (0..500).map(|n| {
        host.tasks
            .run(ModuleRequest::new("add").payload(json!([n, 1])))
            .finish()
    });
    let sums = block_on(join_all(tasks));
    for (n, sum) in sums.into_iter().enumerate() {
        assert_eq!(sum, Ok(Payload::Json(json!(n + 1))));
    }
    host.stop();
}

#[test]
fn a_supervisor_calls_a_task_by_name() {
    let host = start(child("work").channel(channel()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let supervisor = Supervisor::builder(runtime.handle().clone()).build();
    let call = |task| block_on(supervisor.call::<i64>(&host.tasks, "child", task, (40, 2)));
    assert_eq!(call("add").unwrap(), Called::Value(42));
    assert_eq!(call("divide").unwrap(), Called::NotExported);
    host.stop();
}

trait Adder: Send + Sync {
    fn add(&self, a: i64, b: i64) -> ModuleTask;
}

impl Adder for ModuleTasks {
    fn add(&self, a: i64, b: i64) -> ModuleTask {
        self.run(ModuleRequest::new("add").payload(json!([a, b])))
    }
}

/// Uses the client that another module has registered.
struct User(flume::Sender<Payload>);

#[async_trait]
impl Module for User {
    fn name(&self) -> &str {
        "user"
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        let adder = ctx.hub().get::<dyn Adder>()?;
        let sum = self.0.clone();
        // Begun before the process is there, and waits for it.
        let task = adder.add(40, 2);
        ctx.spawn(async move { Ok::<_, isopod_host::BoxError>(sum.send_async(task.finish().await?).await?) });
        Ok(())
    }
}

#[test]
fn a_client_is_found_before_its_process_has_started() {
    let (sum, added) = flume::bounded(1);
    let module = child("work")
        .channel(channel())
        .client::<dyn Adder>(|tasks| Arc::new(tasks));
    let host = Host::builder().module(User(sum)).module(module).build().unwrap();
    let running = host.start_blocking().unwrap();
    assert_eq!(added.recv().unwrap(), Payload::Json(json!(42)));
    assert!(running.stop_blocking().unwrap().is_clean());
}

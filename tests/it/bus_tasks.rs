//! Tasks of scripts on the event bus: their results are announced, stored, read on demand, and start other tasks.

use std::sync::Arc;

use futures::StreamExt;
use futures::executor::block_on;
use isopod::host::bus::{Bus, HandlerOptions, Message, ResultRef, Results, Source, SubscribeOptions, SystemEvent};
use isopod::host::workers::{EventBridge, TaskResponse, WorkerTasks};
use isopod::{Outcome, Pool, TaskRequest};
use serde_json::{Value, json};

use crate::bus::{deploy, next, runtime};

struct Stage {
    bus: Bus,
    results: Results,
    pool: Pool,
    tasks: WorkerTasks,
}

impl Stage {
    fn new(bus: Bus) -> Self {
        let pool = Pool::builder().threads(1).build().expect("a pool");
        let results = Results::new();
        let tasks = WorkerTasks::new(&bus, &results, &pool);
        Self {
            bus,
            results,
            pool,
            tasks,
        }
    }

    fn script(&self, name: &str, source: &str) {
        deploy(
            &self.pool,
            name,
            source,
            vec![("RESULTS", Arc::new(self.results.binding()))],
        );
    }
}

/// The events of a task on the bus, in order.
fn told(bus: &Bus) -> isopod::host::bus::Subscription {
    bus.subscribe("isopod.task.*", SubscribeOptions::default())
        .expect("subscribed")
}

#[test]
fn a_task_stores_and_announces_its_results() {
    let stage = Stage::new(Bus::new());
    stage.script(
        "scan",
        "export default { async task({ id, payload, config }, env, ctx) {
            await ctx.progress({ percent: 50 });
            await ctx.emit('strings', { found: [payload, config.depth], id });
            await ctx.emit('raw', new Uint8Array([1, 2]));
            return 2 } };",
    );
    let mut told = told(&stage.bus);
    let mut announced = stage
        .bus
        .subscribe("results.scan", SubscribeOptions::default())
        .expect("subscribed");
    let task = stage
        .tasks
        .run::<u32>("scan", TaskRequest::new("MZ").config("depth", "2"));
    let id = task.id();
    let responses: Vec<_> = block_on(task.collect());
    assert_eq!(
        responses.iter().map(TaskResponse::is_final).collect::<Vec<_>>(),
        [false, false, false, true]
    );
    assert!(matches!(&responses[0], TaskResponse::Progress(p) if *p == json!({ "percent": 50 })));
    assert!(matches!(&responses[3], TaskResponse::End(Ok(2))));
    let TaskResponse::Result {
        name,
        data,
        announced: Ok(kept),
    } = &responses[1]
    else {
        panic!("a result that is kept: {:?}", responses[1]);
    };
    assert_eq!((&**name, &*kept.name), ("strings", "strings"));
    assert_eq!(
        data.to_json(),
        Ok(json!({ "found": ["MZ", "2"], "id": id.to_string() }))
    );
    // Read by reference, without a copy.
    let reference = ResultRef::of(&next(&mut announced)).expect("a reference");
    assert!(Arc::ptr_eq(&stage.results.read(&reference).expect("kept"), data));

    let name: Arc<str> = "scan".into();
    let events: Vec<_> = (0..3).filter_map(|_| SystemEvent::of(&next(&mut told))).collect();
    let expected = [
        SystemEvent::TaskStarted {
            task: id,
            name: name.clone(),
        },
        SystemEvent::TaskProgress {
            task: id,
            name: name.clone(),
            progress: json!({ "percent": 50 }),
        },
        SystemEvent::TaskCompleted { task: id, name },
    ];
    assert_eq!(events, expected);
}

#[test]
fn every_task_failure_is_reported_once() {
    let stage = Stage::new(Bus::new());
    stage.script("s", "export default { task() { throw new Error('broke') } };");
    let mut told = told(&stage.bus);
    let ends: Vec<_> = [
        stage.tasks.run_encoded(br#"{"script": "s"}"#),
        stage.tasks.run_encoded(br#"{"script": "nobody"}"#),
        stage.tasks.run_encoded(b"\x00 no JSON"),
        stage.tasks.run_encoded(br#"{"script": "s", "confg": {}}"#),
    ]
    .into_iter()
    .map(|task| {
        let id = task.id();
        let mut responses: Vec<TaskResponse<Value>> = block_on(task.collect());
        assert_eq!(responses.len(), 1);
        let Some(TaskResponse::End(Err(failure))) = responses.pop() else {
            panic!("an error");
        };
        (id, failure.message)
    })
    .collect();
    assert_eq!(ends[0].1, "Error: broke");
    assert!(ends[1].1.contains("\"nobody\""), "{ends:?}");
    assert!(ends[2].1.contains("the request is not"), "{ends:?}");
    assert!(ends[3].1.contains("`confg`"), "{ends:?}");
    for _ in 0..4 {
        assert!(matches!(
            SystemEvent::of(&next(&mut told)),
            Some(SystemEvent::TaskStarted { .. })
        ));
    }
    for (id, _) in ends {
        let event = SystemEvent::of(&next(&mut told));
        assert!(
            matches!(&event, Some(SystemEvent::TaskFailed { task, .. }) if *task == id),
            "{event:?}"
        );
    }
}

#[test]
fn a_dropped_task_is_canceled_and_reported() {
    let stage = Stage::new(Bus::new());
    stage.script(
        "s",
        "export default { async task(t, env, ctx) { await ctx.progress(1); await new Promise(() => {}) } };",
    );
    let mut told = told(&stage.bus);
    let mut task = stage.tasks.run::<()>("s", TaskRequest::new(()));
    assert!(matches!(block_on(task.next()), Some(TaskResponse::Progress(_))));
    drop(task);
    let last = (0..3).filter_map(|_| SystemEvent::of(&next(&mut told))).last();
    assert!(
        matches!(&last, Some(SystemEvent::TaskFailed { error, .. }) if error == "it was canceled"),
        "{last:?}"
    );
}

#[test]
fn three_chained_workers_read_each_other_s_results() {
    let stage = Stage::new(Bus::new());
    let runtime = runtime();
    stage.script(
        "parse",
        "export default { async task({ payload }, env, ctx) {
            await ctx.emit('rows', payload.split('\\n').map((line) => line.split(',').map(Number)));
            await ctx.emit('bytes', new TextEncoder().encode(payload)) } };",
    );
    stage.script(
        "sum",
        "export default { async task({ payload, config }, env, ctx) {
            if (config.name !== 'rows') return;
            const rows = await env.RESULTS.read(payload);
            await ctx.emit('sums', rows.map((row) => row.reduce((a, b) => a + b))) } };",
    );
    stage.script(
        "tell",
        "export default { async task({ payload, config }, env, ctx) {
            const sums = await env.RESULTS.read(payload);
            await ctx.emit('text', `${config.name} of ${config.source}: ${sums.join(' ')}`) } };",
    );
    let chain = |from: &str, to: &str| {
        stage
            .tasks
            .chain(from.parse().expect("a pattern"), to, HandlerOptions::default())
            .start(runtime.handle(), &stage.bus, &stage.results)
            .expect("subscribed")
    };
    let (_sum, _tell) = (chain("results.parse", "sum"), chain("results.sum", "tell"));
    let mut text = stage
        .bus
        .subscribe("results.tell", SubscribeOptions::default())
        .expect("subscribed");
    block_on(stage.tasks.run::<()>("parse", TaskRequest::new("1,2\n3,4")).finish()).expect("parsed");
    let message = next(&mut text);
    assert_eq!(message.depth, 2);
    let result = ResultRef::of(&message).expect("a result");
    let value = stage.results.read(&result).expect("kept").to_json();
    assert_eq!(value, Ok(json!("sums of sum: 3 7")));
}

#[test]
fn a_cyclic_chain_ends_at_the_maximum_depth() {
    let stage = Stage::new(Bus::builder().depth_max(3).build());
    let runtime = runtime();
    stage.script(
        "echo",
        "export default { async task({ payload }, env, ctx) { await ctx.emit('again', 1) } };",
    );
    stage.script(
        "start",
        "export default { async task(t, env, ctx) { await ctx.emit('first', 1) } };",
    );
    let patterns = ["results.start", "results.echo"];
    let chains = patterns.map(|from| {
        stage
            .tasks
            .chain(from.parse().expect("a pattern"), "echo", HandlerOptions::default())
            .start(runtime.handle(), &stage.bus, &stage.results)
            .expect("subscribed")
    });
    block_on(stage.tasks.run::<()>("start", TaskRequest::new(())).finish()).expect("started");
    crate::process::until("the circle is cut", || {
        (chains.iter().map(|chain| chain.stats().failed).sum::<u64>() == 1).then_some(())
    });
    // 0 is the first, 1 to 3 are the repetitions; the rejected one is not stored.
    assert_eq!(stage.results.stats().count, 4);
}

#[test]
fn a_cycle_of_chains_and_messages_ends_at_the_maximum_depth() {
    let stage = Stage::new(Bus::builder().depth_max(5).build());
    let runtime = runtime();
    let events = EventBridge::new(&stage.bus, "say", &["go"]).expect("patterns");
    stage.script(
        "echo",
        "export default { async task(t, env, ctx) { await ctx.emit('echoed', 1) } };",
    );
    let say = "export default { task(t, env) { env.EVENTS.publish('go') } };";
    deploy(&stage.pool, "say", say, vec![("EVENTS", Arc::new(events.binding()))]);
    let options = HandlerOptions::default().source(Source::native("relay"));
    let results = stage.results.clone();
    let relay = stage.bus.on(runtime.handle(), "go", options, move |ctx| {
        let announced = ctx.announce(&results, "relayed", json!(1));
        async move { announced.map(drop) }
    });
    let relay = relay.expect("subscribed");
    let [_echo, say] = [("results.relay", "echo"), ("results.echo", "say")].map(|(from, to)| {
        let chain = stage
            .tasks
            .chain(from.parse().expect("a pattern"), to, HandlerOptions::default());
        chain
            .start(runtime.handle(), &stage.bus, &stage.results)
            .expect("subscribed")
    });
    let go = Message::new("go".parse().expect("a topic"), ());
    stage.bus.publish(go).expect("published");
    // 0 to 2: go, relay, echo; 3 to 5: the same; the third `go` would exceed the depth.
    crate::process::until("the circle is cut", || (say.stats().failed == 1).then_some(()));
    assert_eq!(relay.stats().handled, 2);
    assert_eq!(stage.results.stats().count, 4);
}

#[test]
fn the_results_of_a_task_are_as_deep_as_its_request_says() {
    let stage = Stage::new(Bus::builder().depth_max(3).build());
    stage.script(
        "s",
        "export default { async task(t, env, ctx) { await ctx.emit('r', 1) } };",
    );
    let announced = |depth| {
        let task = stage.tasks.run::<()>("s", TaskRequest::new(()).at_depth(depth));
        let responses: Vec<_> = block_on(task.collect());
        matches!(&responses[0], TaskResponse::Result { announced: Ok(_), .. })
    };
    assert!(announced(3));
    assert!(!announced(4));
}

#[test]
fn a_missing_result_is_a_catchable_error() {
    let stage = Stage::new(Bus::new());
    stage.script(
        "read",
        "export class S { constructor(ctx, env) { this.env = env } async read(reference) {
            try { const data = await this.env.RESULTS.read(reference);
                return data instanceof Uint8Array ? [data.constructor.name, ...data] : data } catch (e) { return `${e.name}: ${e.message}` } } }",
    );
    let put = |payload: isopod::host::bus::Payload| {
        stage
            .results
            .put(isopod::host::bus::Source::Host, "r", payload)
            .expect("kept")
    };
    let text = put(json!("text").into());
    let read = |reference: ResultRef| block_on(stage.pool.call::<_, Value>("read#S", "read", (reference,)));
    assert_eq!(read(text.clone()), Ok(json!("text")));
    let gone = ResultRef { id: 99, ..text };
    let told = read(gone).expect("caught");
    assert!(
        told.as_str()
            .is_some_and(|told| told.starts_with("NotFoundError: unknown result")),
        "{told}"
    );
    let bytes = put(bytes::Bytes::from_static(&[1, 2]).into());
    assert_eq!(read(bytes), Ok(json!(["Uint8Array", 1, 2])));
}

#[test]
fn a_task_beyond_its_deadline_has_timed_out() {
    let stage = Stage::new(Bus::new());
    stage.script(
        "s",
        "export default { async task() { await new Promise(() => setTimeout(() => {}, 60_000)) } };",
    );
    let meta = isopod::Meta::default().deadline(std::time::Instant::now() + std::time::Duration::from_millis(50));
    let ended = block_on(stage.tasks.run::<()>("s", TaskRequest::new(()).meta(meta)).finish());
    assert_eq!(ended.expect_err("its time was over").outcome, Outcome::ExceededWall);
}

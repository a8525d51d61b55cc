//! Scripts on the event bus: publishing, receiving, slow and failing handlers, cycles.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use isopod::host::bus::{Bus, Delivery, Message, Payload, Slow, Source, SubscribeOptions, Subscription, SystemEvent};
use isopod::host::workers::{DeliverOptions, EventBridge, WorkerSubscription};
use isopod::{Binding, NativeBinding, NativeFunction, Options, Pool, Script};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::process::until;

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime")
}

/// A pool with one thread and this script, deployed as `s`.
pub(crate) fn pool_of(source: &str, bindings: Vec<(&str, Arc<dyn Binding>)>) -> Pool {
    let pool = Pool::builder().threads(1).build().expect("a pool");
    deploy(&pool, "s", source, bindings);
    pool
}

pub(crate) fn deploy(pool: &Pool, name: &str, source: &str, bindings: Vec<(&str, Arc<dyn Binding>)>) {
    let script = bindings
        .into_iter()
        .fold(Script::builder(name).source(source), |script, (name, binding)| {
            script.binding(name, binding)
        });
    pool.deploy(name, script.build().expect("a script"), &Options::default())
        .expect("deployed");
}

/// Scripts on a bus.
struct Stage {
    runtime: Runtime,
    bus: Bus,
    pool: Pool,
}

impl Stage {
    fn new() -> Self {
        Self::with(Bus::new(), 2)
    }

    fn with(bus: Bus, threads: usize) -> Self {
        let (runtime, pool) = (runtime(), Pool::builder().threads(threads).build().expect("a pool"));
        Self { runtime, bus, pool }
    }

    /// Deploys a script that may publish the topics of `publishes`, and subscribes it to those of `to`.
    fn script(&self, name: &str, source: &str, publishes: &[&str], to: &[&str]) -> WorkerSubscription {
        self.script_with(name, source, publishes, to, vec![], DeliverOptions::default())
    }

    fn script_with(
        &self,
        name: &str,
        source: &str,
        publishes: &[&str],
        to: &[&str],
        mut bindings: Vec<(&str, Arc<dyn Binding>)>,
        options: DeliverOptions,
    ) -> WorkerSubscription {
        let bridge = EventBridge::new(&self.bus, name, publishes).expect("patterns");
        bindings.push(("EVENTS", Arc::new(bridge.binding())));
        deploy(&self.pool, name, source, bindings);
        bridge
            .subscribe(self.runtime.handle(), &self.pool, to, options)
            .expect("subscribed")
    }

    fn listen(&self, pattern: &str) -> Subscription {
        self.bus
            .subscribe(pattern, SubscribeOptions::default())
            .expect("subscribed")
    }

    fn publish(&self, topic: &str, payload: impl Into<Payload>) {
        let message = Message::new(topic.parse().expect("a topic"), payload);
        self.bus.publish(message).expect("published");
    }
}

/// Returns the next message, which must arrive within ten seconds.
pub(crate) fn next(subscription: &mut Subscription) -> Arc<Message> {
    match subscription.recv_timeout(Duration::from_secs(10)) {
        Some(Delivery::Message(message)) => message,
        other => panic!("no message: {other:?}"),
    }
}

fn json_of(subscription: &mut Subscription) -> Value {
    next(subscription).payload.to_json().expect("json")
}

/// `GATE.pass()`: waits for a permit.
fn gate() -> (Arc<Semaphore>, Arc<dyn Binding>) {
    let gate = Arc::new(Semaphore::new(0));
    let kept = Arc::clone(&gate);
    let pass = NativeFunction::new(move |(): ()| {
        let gate = Arc::clone(&kept);
        async move {
            gate.acquire().await?.forget();
            Ok(())
        }
    });
    (gate, Arc::new(NativeBinding::from([("pass".to_owned(), pass)])))
}

#[test]
fn published_messages_reach_other_workers_and_rust() {
    let stage = Stage::new();
    let shop = "export default { message({ data }, env) {
        env.EVENTS.publish('orders.created', { id: data, lines: new Map([['tea', 2]]), at: new Date(5) }) } };";
    let mail = "export default { message({ topic, source, data }, env) {
        env.EVENTS.publish('mail.sent', [topic, source, data.id, data.lines.get('tea'), data.at.getTime()]) } };";
    let mut orders = stage.listen("orders.*");
    let mut sent = stage.listen("mail.sent");
    let _shop = stage.script("shop", shop, &["orders.*"], &["carts.*"]);
    let _mail = stage.script("mail", mail, &["mail.*"], &["orders.created"]);
    stage.publish("carts.done", json!(7));
    let order = next(&mut orders);
    assert_eq!((&order.source, order.depth), (&Source::worker("shop"), 1));
    let plain = json!({ "id": 7, "lines": { "tea": 2 }, "at": 5 });
    assert_eq!(order.payload.to_json(), Ok(plain));
    let mail = next(&mut sent);
    let chain: Vec<_> = mail.chain().iter().map(|topic| topic.as_str().to_owned()).collect();
    assert_eq!(chain, ["carts.done", "orders.created", "mail.sent"]);
    assert_eq!(mail.payload.to_json(), Ok(json!(["orders.created", "shop", 7, 2, 5])));
}

#[test]
fn bytes_go_from_rust_to_a_worker_and_on() {
    let stage = Stage::new();
    let source = "export default { message({ data }, env) {
        const back = data.map((byte) => byte + 1); env.EVENTS.publish('back', back, [back.buffer]) } };";
    let mut back = stage.listen("back");
    let _subscription = stage.script("s", source, &["back"], &["there"]);
    stage.publish("there", bytes::Bytes::from_static(&[1, 2, 3]));
    assert_eq!(
        next(&mut back).payload.as_bytes().map(|bytes| &**bytes),
        Some(&[2, 3, 4][..])
    );
}

#[test]
fn buffers_of_every_kind_are_bytes() {
    let stage = Stage::new();
    let source = "export default { message(_, env) {
        const buffer = (options) => { const made = new ArrayBuffer(3, options); new Uint8Array(made)[1] = 7; return made };
        const resizable = buffer({ maxByteLength: 8 });
        for (const [value, list] of [
            [buffer()], [new DataView(buffer(), 1)], [resizable], [new Uint8Array(resizable, 1)], [resizable, [resizable]],
        ]) env.EVENTS.publish('bytes', value, list);
        env.EVENTS.publish('told', [resizable.detached]) } };";
    let (mut sent, mut told) = (stage.listen("bytes"), stage.listen("told"));
    let _subscription = stage.script("s", source, &["bytes", "told"], &["go"]);
    stage.publish("go", json!(1));
    let whole: &[u8] = &[0, 7, 0];
    for wanted in [whole, &whole[1..], whole, &whole[1..], whole] {
        assert_eq!(next(&mut sent).payload.as_bytes().map(|bytes| &**bytes), Some(wanted));
    }
    assert_eq!(json_of(&mut told), json!([true]));
}

/// <https://html.spec.whatwg.org/multipage/structured-data.html>, sections 2.7.3 and 2.7.5.
#[test]
fn transferred_buffers_are_detached_and_untransferable_ones_refused() {
    let stage = Stage::new();
    let source = "export default { async message({ data }, env) {
        const buffer = new ArrayBuffer(3);
        const same = new Uint8Array(buffer);
        const refused = (value, list) => {
            try { env.EVENTS.publish('lost', value, list); return 'taken' } catch (error) { return error.name }
        };
        const { port1 } = new MessageChannel();
        const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 128 }, true, ['encrypt']);
        const all = [
            [1, [buffer, buffer]], [1, [{}]], [port1, [port1]], [new Blob(['x'])], [[key]], [new Headers()],
            [new SharedArrayBuffer(1)], [new Uint8Array(new SharedArrayBuffer(1))], [new ReadableStream()], [() => {}],
        ].map(([value, list]) => refused(value, list));
        env.EVENTS.publish('got', { buffer, same, error: new DOMException('m', 'AbortError') },
            { transfer: [buffer] });
        env.EVENTS.publish('told', [buffer.detached, refused(buffer), refused(same), ...new Set(all)]) } };";
    let reader = "export default { message({ data: { buffer, same, error } }, env) {
        env.EVENTS.publish('read', [same.buffer === buffer, same.length, error instanceof DOMException, error.code]) } };";
    let (mut told, mut read) = (stage.listen("told"), stage.listen("read"));
    let _sender = stage.script("sender", source, &[">"], &["go"]);
    let _reader = stage.script("reader", reader, &["read"], &["got"]);
    stage.publish("go", json!(1));
    let clone_error = "DataCloneError";
    assert_eq!(json_of(&mut told), json!([true, clone_error, clone_error, clone_error]));
    assert_eq!(json_of(&mut read), json!([true, 3, true, 20]));
}

#[test]
fn a_script_publishes_allowed_topics_only() {
    let stage = Stage::new();
    let source = "export default { message({ data }, env) {
        const told = []; for (const topic of ['orders.paid', 'isopod.shutdown', 'orders..x', 'mine.said']) {
            try { env.EVENTS.publish(topic, 1) } catch (e) { told.push(e.message) } }
        env.EVENTS.publish('mine.told', told) } };";
    let mut told = stage.listen("mine.told");
    let _subscription = stage.script("s", source, &["mine.*", "isopod.*"], &["go"]);
    stage.publish("go", ());
    let told = json_of(&mut told);
    let text = |index: usize| told[index].as_str().unwrap_or_default();
    assert!(text(0).contains("`orders.paid`, only to mine.*, isopod.*"), "{told}");
    assert!(text(1).contains("reserved for the system"), "{told}");
    assert!(text(2).contains("empty segment"), "{told}");
    assert_eq!(told.as_array().map(Vec::len), Some(3));
}

#[test]
fn cyclic_calls_end_with_an_error() {
    let stage = Stage::with(Bus::builder().depth_max(4).build(), 2);
    let says = |topic: &str| format!("export default {{ message(m, env) {{ env.EVENTS.publish('{topic}') }} }};");
    let mut failed = stage.listen("isopod.message.failed");
    let ping = stage.script("pinger", &says("ping"), &["ping"], &["pong"]);
    let pong = stage.script("ponger", &says("pong"), &["pong"], &["ping"]);
    stage.publish("ping", ());
    let Some(SystemEvent::MessageFailed { error, .. }) = SystemEvent::of(&next(&mut failed)) else {
        panic!("it is told of");
    };
    assert!(error.contains("more than 4 messages"), "{error}");
    assert!(error.contains("ping → pong → ping → pong → ping → pong"), "{error}");
    block_on(async { futures::join!(ping.drain(), pong.drain()) });
}

#[test]
fn an_error_names_its_causing_message() {
    let stage = Stage::with(Bus::builder().depth_max(0).build(), 1);
    let source =
        "export default { async message({ topic }, env) { await env[topic].pass(); env.EVENTS.publish('more') } };";
    let (gates, bindings): (Vec<_>, Vec<_>) = ["first", "second"]
        .map(|topic| {
            let (gate, binding) = gate();
            ((topic, gate), (topic, binding))
        })
        .into_iter()
        .unzip();
    let options = DeliverOptions::default().concurrency(2);
    let mut failed = stage.listen("isopod.message.failed");
    let subscription = stage.script_with("s", source, &["more"], &["first", "second"], bindings, options);
    for (topic, _) in &gates {
        stage.publish(topic, ());
    }
    until("both are handled", || (subscription.stats().active == 2).then_some(()));
    for (expected, gate) in gates {
        gate.add_permits(1);
        let Some(SystemEvent::MessageFailed { topic, error, .. }) = SystemEvent::of(&next(&mut failed)) else {
            panic!("it is told of");
        };
        assert_eq!(&*topic, expected);
        assert!(error.contains(&format!("{expected} → more")), "{error}");
    }
}

#[test]
fn a_failed_message_is_reported_and_the_next_one_handled() {
    let stage = Stage::new();
    let source = "export default { message({ data }, env) {
        if (data === 1) throw new RangeError('no'); env.EVENTS.publish('got', data) } };";
    let (mut got, mut failed) = (stage.listen("got"), stage.listen("isopod.message.failed"));
    let subscription = stage.script("s", source, &["got"], &["n"]);
    for n in [1, 2] {
        stage.publish("n", json!(n));
    }
    assert_eq!(json_of(&mut got), json!(2));
    let Some(SystemEvent::MessageFailed {
        script, topic, error, ..
    }) = SystemEvent::of(&next(&mut failed))
    else {
        panic!("it is told of");
    };
    assert_eq!((&*script, &*topic, &*error), ("s", "n", "exception: RangeError: no"));
    let stats = until("both are counted", || {
        Some(subscription.stats()).filter(|stats| stats.active == 0)
    });
    assert_eq!((stats.handled, stats.failed, stats.missed), (1, 1, 0));
}

#[test]
fn an_error_in_an_error_handler_ends_the_script() {
    let stage = Stage::with(Bus::builder().depth_max(3).build(), 1);
    let source = "export default { message() { throw new Error('always') } };";
    let subscription = stage.script("s", source, &[], &["n", "isopod.message.>"]);
    stage.publish("n", ());
    // The message itself, and the reports of its failure at depths 1 to 4: one more than of others.
    until("the last failure is handled", || {
        (subscription.stats().failed == 5).then_some(())
    });
    block_on(subscription.drain());
}

#[test]
fn messages_are_ordered_and_missed_ones_counted() {
    let stage = Stage::new();
    let source =
        "export default { async message({ data }, env) { await env.GATE.pass(); env.EVENTS.publish('got', data) } };";
    let (gate, binding) = gate();
    let options = DeliverOptions::default().subscribe(SubscribeOptions::default().capacity(2).slow(Slow::DropOldest));
    let (mut got, mut lagged) = (stage.listen("got"), stage.listen("isopod.lagged"));
    let subscription = stage.script_with("s", source, &["got"], &["n"], vec![("GATE", binding)], options);
    stage.publish("n", json!(0));
    until("the first is handled", || {
        (subscription.stats().active == 1).then_some(())
    });
    for n in 1..6 {
        stage.publish("n", json!(n));
    }
    assert!(matches!(
        SystemEvent::of(&next(&mut lagged)),
        Some(SystemEvent::Lagged { .. })
    ));
    gate.add_permits(6);
    let order: Vec<_> = (0..3).map(|_| json_of(&mut got)).collect();
    assert_eq!(order, [json!(0), json!(4), json!(5)]);
    assert_eq!(subscription.stats().missed, 3);
    block_on(subscription.drain());
}

#[test]
fn concurrent_messages_are_limited_and_a_drain_finishes_them() {
    let stage = Stage::new();
    let source =
        "export default { async message({ data }, env) { await env.GATE.pass(); env.EVENTS.publish('got', data) } };";
    let (gate, binding) = gate();
    let options = DeliverOptions::default().concurrency(3);
    let mut got = stage.listen("got");
    let subscription = stage.script_with("s", source, &["got"], &["n"], vec![("GATE", binding)], options);
    for n in 0..5 {
        stage.publish("n", json!(n));
    }
    until("three are handled", || (subscription.stats().active == 3).then_some(()));
    gate.add_permits(5);
    block_on(subscription.drain());
    stage.publish("n", json!("too late"));
    let mut all: Vec<_> = (0..5).map(|_| json_of(&mut got)).collect();
    all.sort_by_key(Value::as_u64);
    assert_eq!(all, [json!(0), json!(1), json!(2), json!(3), json!(4)]);
    assert!(got.is_empty());
}

#[test]
fn a_subscription_ends_with_its_pool_and_with_its_bus() {
    let stage = Stage::new();
    let source = "export default { message() {} };";
    let with_pool = stage.script("a", source, &[], &["n"]);
    assert_eq!(block_on(stage.pool.drain(Duration::from_secs(10))).cut, 0);
    stage.publish("n", ());
    block_on(with_pool.finished());

    let stage = Stage::new();
    let with_bus = stage.script("a", source, &[], &["n"]);
    stage.publish("n", ());
    stage.bus.close();
    block_on(with_bus.finished());
    assert_eq!(stage.pool.stats().scripts["a"].outcomes.get("exception"), Some(&0));
}

#[test]
fn publishing_on_an_ended_bus_is_an_error() {
    let pool = Pool::builder().threads(1).build().expect("a pool");
    let bus = Bus::new();
    let bridge = EventBridge::new(&bus, "s", &[">"]).expect("patterns");
    let source =
        "export class S { constructor(ctx, env) { this.env = env } say() { this.env.EVENTS.publish('a', 1) } }";
    deploy(&pool, "s", source, vec![("EVENTS", Arc::new(bridge.binding()))]);
    block_on(pool.call::<_, ()>("s#S", "say", ())).expect("published");
    drop(bus);
    let failure = block_on(pool.call::<_, ()>("s#S", "say", ())).expect_err("there is no bus");
    assert!(failure.message.contains("the bus is closed"), "{failure}");
}

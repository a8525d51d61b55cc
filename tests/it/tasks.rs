//! Tasks with progress and named results, and messages under topics, through the embedded pool.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::executor::block_on;
use isopod::{Data, Message, Outcome, Outgoing, Publish, PublishBinding, Refused, TaskItem, TaskRequest};
use serde_json::json;

use crate::pools::pool_of;

#[test]
fn a_task_reports_progress_results_and_its_value() {
    let source = "export default { async task({ id, payload, config }, env, ctx) {
        for (let i = 0; i < payload; i++) await ctx.progress({ done: i });
        await ctx.emit('text', { id, format: config.format });
        const bytes = new Uint8Array([1, 2]);
        await ctx.emit('bytes', bytes, [bytes.buffer]);
        return bytes.length; } };";
    let pool = pool_of(source, vec![]);
    let request = TaskRequest::new(3).id("t1").config("format", "webp");
    let mut task = pool.task::<u32>("s", request).expect("accepted");
    let items: Vec<TaskItem> = block_on(task.by_ref().collect());
    assert_eq!(items.len(), 5);
    assert_eq!(items[2], TaskItem::Progress(json!({ "done": 2 })));
    let named = |name: &str, data| TaskItem::Result {
        name: name.into(),
        data,
    };
    assert_eq!(
        items[3],
        named("text", Data::Json(json!({ "id": "t1", "format": "webp" })))
    );
    assert_eq!(items[4], named("bytes", Data::Bytes(vec![1, 2].into())));
    assert_eq!(block_on(task.outcome()), Ok(0), "the bytes were handed over");
}

#[test]
fn a_failed_task_ends_its_stream_with_the_reason() {
    let source = "export default { async task(t, env, ctx) { await ctx.progress(1); throw new Error('broke') } };";
    let pool = pool_of(source, vec![]);
    let mut task = pool.task::<()>("s", TaskRequest::new(())).expect("accepted");
    assert_eq!(block_on(task.next()), Some(TaskItem::Progress(json!(1))));
    assert_eq!(block_on(task.next()), None);
    let failure = block_on(task.outcome()).expect_err("it failed");
    assert_eq!(
        (failure.outcome, &*failure.message),
        (Outcome::Exception, "Error: broke")
    );
}

#[test]
fn dropping_a_task_cancels_it_and_its_signal_aborts() {
    let source = "export let told = ''; export const say = () => told;
        export default { async task(n, env, ctx) { ctx.signal.addEventListener('abort', () => told = ctx.signal.reason.name);
            await ctx.progress(1); await new Promise((done) => setTimeout(done, 60_000)) } };";
    let pool = pool_of(source, vec![]);
    let mut task = pool.task::<()>("s", TaskRequest::new(())).expect("accepted");
    assert!(block_on(task.next()).is_some());
    drop(task);
    let until = Instant::now() + Duration::from_secs(10);
    while block_on(pool.call::<_, String>("s", "say", ())).as_deref() != Ok("AbortError") {
        assert!(Instant::now() < until);
    }
    while pool.stats().scripts["s"].outcomes.get("canceled") != Some(&1) {
        assert!(Instant::now() < until);
    }
}

#[derive(Default)]
struct Kept(Mutex<Vec<Outgoing>>);

impl Publish for Kept {
    fn publish(&self, message: Outgoing) -> Result<(), Refused> {
        if message.topic == "forbidden" {
            return Err(Refused("this topic is not yours".into()));
        }
        self.0.lock().expect("no panic").push(message);
        Ok(())
    }
}

fn message(topic: &str, data: Data) -> Message {
    Message::new(1, topic, "test", data).depth(3)
}

#[test]
fn a_message_is_handled_and_what_its_handler_publishes_is_one_deeper() {
    let source = "export default { message(m, env) {
        if (m.topic === 'ignored') return;
        const data = m.data;
        env.EVENTS.publish('got', { topic: m.topic, source: m.source, same: m.data === data, data });
        env.EVENTS.publish('bytes', new Uint8Array([9]));
        env.EVENTS.publish('nothing');
        let refused = ''; try { env.EVENTS.publish('forbidden', 1) } catch (e) { refused = e.message }
        env.EVENTS.publish('refused', refused);
    }, async shout(x) { } };";
    let kept = Arc::new(Kept::default());
    let pool = pool_of(source, vec![("EVENTS", Arc::new(PublishBinding(kept.clone())))]);
    block_on(pool.message("s", message("ignored", Data::Json(json!(1))))).expect("handled");
    block_on(pool.message("s", message("orders.created", Data::Json(json!({ "n": 1 }))))).expect("handled");
    let mut kept = kept.0.lock().expect("no panic");
    assert_eq!(
        kept.iter().map(|m| (&*m.topic, m.depth)).collect::<Vec<_>>(),
        [("got", 4), ("bytes", 4), ("nothing", 4), ("refused", 4)]
    );
    assert_eq!(kept[1].data, Data::Bytes(vec![9].into()));
    assert_eq!(kept[2].data, Data::Empty);
    let expected = json!({ "topic": "orders.created", "source": "test", "same": true, "data": { "n": 1 } });
    assert_eq!(kept[0].data.to_json().expect("plain"), expected);
    assert_eq!(kept[3].data.to_json().expect("plain"), json!("this topic is not yours"));
    kept.clear();
}

#[test]
fn structured_clones_pass_from_script_to_script() {
    let source = "export default { message(m, env) {
        const { map, when, big, self, list } = m.data;
        env.EVENTS.publish('seen', [map.get('k'), when.getTime(), big === 2n ** 70n, self.self === self, list]);
    } };
    export class Sender { constructor(ctx, env) { this.env = env } send() {
        const self = {}; self.self = self;
        this.env.EVENTS.publish('all', { map: new Map([['k', 'v']]), when: new Date(5), big: 2n ** 70n, self, list: [1, , 3] });
    } }";
    let kept = Arc::new(Kept::default());
    let pool = pool_of(source, vec![("EVENTS", Arc::new(PublishBinding(kept.clone())))]);
    block_on(pool.call::<_, ()>("s#Sender", "send", ())).expect("sent");
    let data = kept.0.lock().expect("no panic").remove(0).data;
    block_on(pool.message("s", message("all", data))).expect("handled");
    let seen = kept.0.lock().expect("no panic").remove(0).data;
    assert_eq!(
        seen.to_json().expect("plain"),
        json!(["v", 5, true, true, [1, null, 3]])
    );
}

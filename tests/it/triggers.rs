//! Cron triggers and batches of queue messages, through the embedded pool.

use std::time::Duration;

use futures::executor::block_on;
use isopod::Meta;
use isopod::bindings::queue::{Decision, QueueBatch, QueueBody, QueueMessage};
use serde_json::json;

use crate::pools::pool_of;
use crate::process::until;

#[test]
fn a_cron_event_has_its_expression_and_time() {
    let source = "let seen; export const last = () => seen;
        export default { scheduled(controller, env, ctx) {
            seen = [controller.cron, controller.scheduledTime, controller.type, typeof controller.noRetry]; } };";
    let pool = pool_of(source, vec![]);
    block_on(pool.scheduled("s", "*/5 * * * *", 1_700_000_000_000.0)).expect("it ran");
    let seen: serde_json::Value = block_on(pool.call("s", "last", ())).expect("what it saw");
    assert_eq!(
        seen,
        json!(["*/5 * * * *", 1_700_000_000_000_i64, "scheduled", "function"])
    );
}

#[test]
fn the_first_decision_about_a_batch_counts() {
    let source = "export default { async queue(batch, env, ctx) {
        const [a, b, c] = batch.messages;
        if (batch.queue !== 'orders' || a.body.n !== 1 || b.timestamp.getTime() !== 5 || c.attempts !== 2) throw new Error('odd');
        a.ack(); a.retry();
        ctx.waitUntil(new Promise((done) => setTimeout(done, 5)).then(() => { b.retry({ delaySeconds: 30 }); b.ack(); batch.retryAll(); }));
        } };";
    let pool = pool_of(source, vec![]);
    let message = |n: u32| {
        let body = QueueBody::json(&json!({ "n": n }));
        (QueueMessage::again(format!("{n}"), 5, body), 2)
    };
    let batch = QueueBatch::new("orders", [1, 2, 3].map(message));
    let decided = block_on(pool.queue("s", batch, Meta::default())).expect("it ran");
    assert_eq!(decided.error, None);
    assert_eq!(decided.about(0), Decision::Ack);
    assert_eq!(decided.about(1), Decision::Retry(Some(Duration::from_secs(30))));
    assert_eq!(decided.about(2), Decision::Retry(None));
}

#[test]
fn a_handler_that_fails_has_decided_and_its_event_has_failed() {
    let source =
        "export default { async queue(batch, env, ctx) { batch.messages[1].ack(); throw new Error('not today'); } };";
    let pool = pool_of(source, vec![]);
    let messages = ["a", "b"].map(|text| (QueueMessage::new(QueueBody::text(text)), 1));
    let decided = block_on(pool.queue("s", QueueBatch::new("q", messages), Meta::default())).expect("a decision");
    assert_eq!(
        (decided.about(0), decided.about(1)),
        (Decision::Retry(None), Decision::Ack)
    );
    let error = decided.error.expect("an error");
    assert!(error.contains("not today") && error.contains("main.js:1"), "{error}");
    until("the event is counted", || {
        (pool.stats().outcomes.get("exception") == Some(&1)).then_some(())
    });
}

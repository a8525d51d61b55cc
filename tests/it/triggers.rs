//! Cron triggers and batches of queue messages, through the embedded pool.

use futures::executor::block_on;
use isopod::Outcome;
use serde_json::json;

use crate::pools::pool_of;

#[test]
fn a_cron_trigger_tells_its_expression_and_its_time() {
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
fn a_batch_is_answered_with_what_its_handler_decided_first() {
    let source = "export default { async queue(batch, env, ctx) {
        const [a, b, c] = batch.messages;
        if (batch.queue !== 'orders' || a.body.n !== 1 || b.timestamp.getTime() !== 5 || c.attempts !== 2) throw new Error('odd');
        a.ack(); a.retry();
        b.retry({ delaySeconds: 30 }); b.ack();
        batch.retryAll(); } };";
    let pool = pool_of(source, vec![]);
    let message = |id: &str, n| json!({ "id": id, "timestamp": 5, "body": { "n": n }, "attempts": 2 });
    let batch = json!({ "queue": "orders", "messages": [message("a", 1), message("b", 2), message("c", 3)] });
    let decided = block_on(pool.queue("s", batch)).expect("it ran");
    let wanted = json!({
        "ackAll": false,
        "retryAll": true,
        "acked": ["a"],
        "retried": [{ "id": "b", "delaySeconds": 30 }],
    });
    assert_eq!(decided, wanted);
    let failure = block_on(pool.queue("s", json!({ "queue": "orders" }))).expect_err("no messages");
    assert_eq!(failure.outcome, Outcome::Exception);
}

//! Backpressure of tasks: scripts wait for the readers of their items.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::executor::block_on;
use isopod::TaskRequest;

use crate::bus::pool_of;

#[test]
fn a_script_waits_for_a_reader_that_is_slow() {
    let source = "export let sent = 0; export default { async task(n, env, ctx) {
        for (let i = 0; i < 10; i++) { await ctx.progress(i); sent++ } } }; export const count = () => sent;";
    let pool = pool_of(source, vec![]);
    let mut task = pool
        .task::<()>("s", TaskRequest::new(()).items_waiting_max(2))
        .expect("accepted");
    let until = Instant::now() + Duration::from_secs(10);
    // Two are in the channel, the third is waiting for room.
    while block_on(pool.call::<_, u32>("s", "count", ())) != Ok(2) {
        assert!(Instant::now() < until);
    }
    assert_eq!(block_on(task.by_ref().collect::<Vec<_>>()).len(), 10);
    assert_eq!(block_on(task.outcome()), Ok(()));
}

#[test]
fn operations_without_backpressure_are_limited() {
    let source = "let refused = []; export const told = () => refused; export default { async task(n, env, ctx) {
        const all = []; for (let i = 0; i < 400; i++) all.push(ctx.progress(i).catch((e) => refused.push(e.message)));
        await Promise.all(all) } };";
    let pool = pool_of(source, vec![]);
    let mut task = pool
        .task::<()>("s", TaskRequest::new(()).items_waiting_max(1))
        .expect("accepted");
    let until = Instant::now() + Duration::from_secs(10);
    // One is in the channel, 256 wait for room, and the rest is rejected.
    while block_on(pool.call::<_, Vec<String>>("s", "told", ())).map(|told| told.len()) != Ok(143) {
        assert!(Instant::now() < until);
    }
    let told: Vec<String> = block_on(pool.call("s", "told", ())).expect("messages");
    assert!(told[0].contains("await ctx.progress()"), "{told:?}");
    assert_eq!(block_on(task.by_ref().collect::<Vec<_>>()).len(), 257);
    assert_eq!(block_on(task.outcome()), Ok(()));
}

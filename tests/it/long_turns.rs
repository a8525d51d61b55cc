//! Events of a script while the code of one of its workers runs without a break.

use std::sync::mpsc::{TryRecvError, sync_channel};
use std::time::Duration;

use futures::executor::block_on;
use isopod::{Limits, Options, Outcome, Pool, Script};

use crate::process::until;

#[test]
fn attached_callers_are_answered_by_another_worker() {
    let pool = Pool::builder().build().expect("a pool");
    let source = "export const run = () => { for (;;); };
                  export const ready = () => 1;";
    let limits = Limits::default().cpu(Duration::from_secs(3));
    let script = Script::builder("s").source(source).limits(limits).build();
    let script = script.expect("a script");
    pool.deploy("s", script, &Options::default()).expect("a pool that runs");
    block_on(pool.warm("s")).expect("a worker");
    std::thread::scope(|scope| {
        let (ended, end) = sync_channel(1);
        let pool = &pool;
        scope.spawn(move || ended.send(block_on(pool.call::<_, ()>("s", "run", ()))));
        until("it runs", || (pool.stats().scripts["s"].in_flight == 1).then_some(()));
        for _ in 0..10 {
            let one: i32 = block_on(pool.call("s", "ready", ())).expect("an answer");
            assert_eq!((one, end.try_recv()), (1, Err(TryRecvError::Empty)));
        }
        let ran = end.recv().expect("its end");
        assert_eq!(ran.map_err(|failure| failure.outcome), Err(Outcome::ExceededCpu));
    });
}

//! A call on a worker that did not exist before it: event loop, isolate from the snapshot, the script's first line.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::executor::block_on;
use isopod_pool::js::{Pool, Script};
use isopod_pool::{Options, Policy};

use super::micros_since;

const SCRIPT: &str = "fresh";

/// Between two calls, so that the last worker is gone when the next is made, as the peers terminate theirs.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) fn run(calls: usize) -> Result<Vec<f64>> {
    let pool = Pool::builder().threads(1).build()?;
    let script = Script::builder(SCRIPT).source("export const ping = () => 1;").build()?;
    pool.deploy(SCRIPT, script, &Options::default().policy(Policy::PerRequest))?;
    let mut samples = Vec::with_capacity(calls);
    for _ in 0..calls {
        let begun = Instant::now();
        let _: i32 = block_on(pool.call(SCRIPT, "ping", &()))?;
        samples.push(micros_since(begun));
        // tidy:allow(sleep): a measurement lets the process come to rest, or looks again.
        std::thread::sleep(PAUSE);
    }
    Ok(samples)
}

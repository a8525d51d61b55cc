//! A call on a new worker: event loop, isolate from the snapshot, the script's first line.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::executor::block_on;
use isopod_pool::js::{Pool, Script};
use isopod_pool::{Options, Policy};

use super::micros_since;

const SCRIPT: &str = "fresh";

/// Between two calls, so that the last worker has ended before the next starts, as the peers terminate theirs.
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
        // tidy:allow(sleep): lets the process settle, or polls it.
        std::thread::sleep(PAUSE);
    }
    Ok(samples)
}

//! The shortest program: a pool, a script, one call.

use std::time::Instant;

use anyhow::Result;
use futures::executor::block_on;
use isopod_pool::Options;
use isopod_pool::js::{Pool, Script};

pub(super) fn run() -> Result<()> {
    let begun = Instant::now();
    let pool = Pool::builder().build()?;
    let script = Script::builder("sum")
        .source("export const add = (a, b) => a + b;")
        .build()?;
    pool.deploy("sum", script, &Options::default())?;
    let sum: i32 = block_on(pool.call("sum", "add", (1, 2)))?;
    let took = begun.elapsed();
    println!("{sum}");
    // The measurement from outside includes the process's own start and end.
    eprintln!("{took:.1?} from the builder to the result");
    Ok(())
}

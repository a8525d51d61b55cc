//! Workers that have answered and are idle, for measuring their memory from outside.

use std::io::{Read, stdin};

use anyhow::{Result, ensure};
use futures::executor::block_on;
use futures::future::try_join_all;
use isopod_pool::Options;
use isopod_pool::js::{Pool, Script};

const SCRIPT: &str = "idle";

/// Answers late, so that concurrent calls are spread over all workers.
const SOURCE: &str = "export const ping = () => new Promise((done) => setTimeout(done, 200));";

/// The first lines of a script on the snapshot with Node.js modules.
const BUFFER: &str = "export const bytes = Buffer.from('ping');\n";

pub(super) fn run(workers: usize, node: bool) -> Result<()> {
    let source = format!("{}{SOURCE}", if node { BUFFER } else { "" });
    let pool = Pool::builder().threads(workers).build()?;
    let script = Script::builder(SCRIPT).source(source).build()?;
    pool.deploy(SCRIPT, script, &Options::default().workers_min(workers).spread_at(1))?;
    while pool.stats().scripts[SCRIPT].workers < workers {
        // tidy:allow(sleep): lets the process settle, or polls it.
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    block_on(try_join_all(
        (0..workers).map(|_| pool.call::<_, ()>(SCRIPT, "ping", &())),
    ))?;
    ensure!(
        pool.stats().scripts[SCRIPT].workers == workers,
        "not every worker is there"
    );
    println!("ready");
    stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

//! The cost of limits, and how late they are enforced.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::executor::block_on;
use futures::future::try_join_all;
use http_body_util::BodyExt;
use isopod_pool::js::handlers::Body;
use isopod_pool::js::{Limits, Pool, Script};
use isopod_pool::{Meta, Options, Outcome};

use super::micros_since;

const CALLERS: usize = 64;
/// Requests per block: short, so that other load on the machine affects both blocks of a pair or neither.
const BLOCK: usize = 6_400;
const LIMIT: Duration = Duration::from_millis(100);

const HELLO: &str = "export default { fetch: () => new Response('Hello, world!') }";

/// Pairs of microseconds per request: limits off, limits on.
pub(super) fn enforced(blocks: usize) -> Result<Vec<(f64, f64)>> {
    let pool = Pool::builder().threads(2).build()?;
    for (name, enforced) in [("off", false), ("on", true)] {
        let script = Script::builder(name).source(HELLO);
        let script = if enforced { script } else { script.unenforced() };
        let options = Options::default().workers_min(1).workers_max(1);
        pool.deploy(name, script.build()?, &options)?;
        block_on(pool.warm(name))?;
        block(&pool, name)?;
    }
    let mut pairs = Vec::with_capacity(blocks);
    for pair in 0..blocks {
        // Each is first in half of the pairs.
        pairs.push(if pair % 2 == 0 {
            let off = block(&pool, "off")?;
            (off, block(&pool, "on")?)
        } else {
            let on = block(&pool, "on")?;
            (block(&pool, "off")?, on)
        });
    }
    Ok(pairs)
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests")]
fn block(pool: &Pool, name: &str) -> Result<f64> {
    let begun = Instant::now();
    let callers = (0..CALLERS).map(|_| async {
        for _ in 0..BLOCK / CALLERS {
            let request = http::Request::get("http://bench/").body(Body::empty())?;
            let response = pool.fetch(name, request, Meta::default()).await?;
            let body = response.into_body().collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
            ensure!(&*body == b"Hello, world!", "another answer");
        }
        Ok(())
    });
    block_on(try_join_all(callers))?;
    Ok(micros_since(begun) / BLOCK as f64)
}

/// Milliseconds from the limit to the answer for many endless loops, with one on every processor at any time. The flag
/// says whether the hypervisor took processor time meanwhile.
pub(super) fn breach(loops: usize) -> Result<Vec<(f64, bool)>> {
    let processors = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..processors)
            .map(|number| scope.spawn(move || lateness(&format!("loop-{number}"), loops)))
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| anyhow::anyhow!("a caller panicked"))??);
        }
        Ok(all)
    })
}

/// One pool per loop, so that its thread is known.
fn lateness(name: &str, loops: usize) -> Result<Vec<(f64, bool)>> {
    let pool = Pool::builder().threads(1).thread_name(name).build()?;
    let limits = Limits::default().cpu(LIMIT);
    let source = "export const ready = () => {}; export const burn = () => { for (;;); };";
    let script = Script::builder(name).source(source).limits(limits).build()?;
    pool.deploy(name, script, &Options::default())?;
    let mut late = Vec::with_capacity(loops);
    for _ in 0..loops {
        block_on(pool.call::<_, ()>(name, "ready", ()))?;
        let (stolen, waited) = (stolen()?, waited_for_a_processor(name)?);
        let begun = Instant::now();
        let ended = block_on(pool.call::<_, ()>(name, "burn", ()));
        let took = begun.elapsed();
        // Time spent waiting for a processor delays reaching a CPU limit.
        let waited = waited_for_a_processor(name)? - waited;
        let failure = ended.err().context("an endless loop came to its end")?;
        ensure!(failure.outcome == Outcome::ExceededCpu, "{failure}");
        let late_by = took.as_secs_f64() - waited.as_secs_f64() - LIMIT.as_secs_f64();
        late.push((late_by * 1e3, stolen != self::stolen()?));
    }
    Ok(late)
}

/// Time taken by the hypervisor, in ticks: the eighth number of `/proc/stat`, see proc(5). It counts neither as a
/// thread's CPU time nor as its waiting time.
fn stolen() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let ticks = stat
        .split_ascii_whitespace()
        .nth(8)
        .context("a /proc/stat of ten numbers")?;
    Ok(ticks.parse()?)
}

/// Time for which the pool's thread was runnable but not running, since it started: the second number of `schedstat`,
/// see `Documentation/scheduler/sched-stats.rst` of the Linux kernel.
fn waited_for_a_processor(pool: &str) -> Result<Duration> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        // The worker thread is named after the pool, with its number; other threads have other suffixes.
        if std::fs::read_to_string(task.join("comm"))?.trim_end() == format!("{pool}-0") {
            let schedstat = std::fs::read_to_string(task.join("schedstat"))?;
            let nanos = schedstat.split(' ').nth(1).context("a schedstat of three numbers")?;
            return Ok(Duration::from_nanos(nanos.parse()?));
        }
    }
    anyhow::bail!("{pool} has no thread")
}

//! What it costs that limits are watched, and how late they hold.

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
/// Requests of one block: short enough that a busy moment of the machine hits both of a pair, or neither.
const BLOCK: usize = 6_400;
const LIMIT: Duration = Duration::from_millis(100);

const HELLO: &str = "export default { fetch: () => new Response('Hello, world!') }";

/// Pairs of microseconds a request: limits off, limits on.
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
        // Each is first as often as the other.
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

/// Milliseconds from its limit to the answer, for each of many endless loops: one on every processor at any time. With it,
/// whether the machine under this one took processors away meanwhile.
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

/// A pool each, so that it is known which thread loops.
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
        // A limit of CPU time is reached that much later by the clock.
        let waited = waited_for_a_processor(name)? - waited;
        let failure = ended.err().context("an endless loop came to its end")?;
        ensure!(failure.outcome == Outcome::ExceededCpu, "{failure}");
        let late_by = took.as_secs_f64() - waited.as_secs_f64() - LIMIT.as_secs_f64();
        late.push((late_by * 1e3, stolen != self::stolen()?));
    }
    Ok(late)
}

/// What the machine under this one has taken away, in ticks: the eighth number of `/proc/stat`, see proc(5). It is in no
/// thread's CPU time, and in none's waiting either.
fn stolen() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let ticks = stat
        .split_ascii_whitespace()
        .nth(8)
        .context("a /proc/stat of ten numbers")?;
    Ok(ticks.parse()?)
}

/// How long the pool's thread has been ready to run and did not, since it began. See `Documentation/scheduler/sched-stats.rst` of the
/// Linux kernel: the second number of `schedstat`.
fn waited_for_a_processor(pool: &str) -> Result<Duration> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        // The one that runs workers is named after the pool and its number; the others have words for what they do.
        if std::fs::read_to_string(task.join("comm"))?.trim_end() == format!("{pool}-0") {
            let schedstat = std::fs::read_to_string(task.join("schedstat"))?;
            let nanos = schedstat.split(' ').nth(1).context("a schedstat of three numbers")?;
            return Ok(Duration::from_nanos(nanos.parse()?));
        }
    }
    anyhow::bail!("{pool} has no thread")
}

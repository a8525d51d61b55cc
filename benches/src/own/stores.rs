//! Storage and services, in one process: queues, calls between workers, large objects.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::executor::block_on;
use futures::future::try_join_all;
use isopod_ext::bindings::Binding;
use isopod_ext::bindings::queue::{QueueBinding, SqliteQueue};
use isopod_ext::bindings::r2::{LocalR2, R2Binding};
use isopod_ext::fetcher::FetcherBinding;
use isopod_host::workers::{ConsumeOptions, QueueSource};
use isopod_pool::Options;
use isopod_pool::js::{Pool, Script};

/// Callers that send at the same time.
const SENDERS: usize = 4;
/// Messages of a batch.
const BATCH: usize = 100;
/// Calls of which the time is taken together: a clock read costs as much as a part of one.
const CALLS: usize = 50;

fn deploy(pool: &Pool, name: &str, source: &str, bindings: Vec<(&str, Arc<dyn Binding>)>) -> Result<()> {
    let script = bindings
        .into_iter()
        .fold(Script::builder(name).source(source), |script, (name, binding)| {
            script.binding(name, binding)
        });
    pool.deploy(name, script.build()?, &Options::default().workers_min(1).workers_max(1))?;
    block_on(pool.warm(name))?;
    Ok(())
}

/// Sends messages in batches, and has them consumed. Returns messages per second: sent, and handled.
pub(super) fn queue(messages: usize) -> Result<[f64; 2]> {
    const SOURCE: &str = "import { env } from 'cloudflare:workers';
        export async function send(batches) {
            const batch = [...Array(100).keys()].map((order) => ({ body: { order, customer: 'Ada', items: [1, 2, 3] } }));
            for (let at = 0; at < batches; at++) await env.QUEUE.sendBatch(batch);
        }
        export default { queue() {} };";
    let folder = tempfile::tempdir()?;
    let store = SqliteQueue::new(folder.path().join("queue.sqlite"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()?;
    let pool = Pool::builder().threads(2).build()?;
    let binding: Arc<dyn Binding> = Arc::new(QueueBinding::new(store.clone()));
    deploy(&pool, "sends", SOURCE, vec![("QUEUE", binding)])?;
    deploy(&pool, "handles", "export default { queue() {} };", Vec::new())?;
    let options = ConsumeOptions::default()
        .batch_size(BATCH)
        .batch_timeout(Duration::from_millis(50));
    let consumer = QueueSource::new("orders", store)
        .options(options)
        .start(runtime.handle(), &pool, "handles");
    let batches = messages / BATCH / SENDERS;
    let total = (batches * BATCH * SENDERS) as u64;
    let begun = Instant::now();
    block_on(try_join_all(
        (0..SENDERS).map(|_| pool.call::<_, ()>("sends", "send", (batches,))),
    ))?;
    let sent = begun.elapsed();
    while consumer.stats().acknowledged < total {
        // tidy:allow(sleep): lets the process settle, or polls it.
        std::thread::sleep(Duration::from_millis(1));
    }
    let handled = begun.elapsed();
    block_on(consumer.drain());
    #[expect(clippy::cast_precision_loss, reason = "a number of messages")]
    let rate = |time: Duration| total as f64 / time.as_secs_f64();
    Ok([rate(sent), rate(handled)])
}

/// Calls methods of another worker, one after another. Returns microseconds of each, averaged over some.
pub(super) fn service(calls: usize) -> Result<Vec<f64>> {
    const CALLED: &str = "import { WorkerEntrypoint } from 'cloudflare:workers';
        export default class extends WorkerEntrypoint { add(a, b) { return a + b; } };";
    const CALLS_IT: &str = "import { env } from 'cloudflare:workers';
        export async function call(times) {
            let sum = 0;
            for (let at = 0; at < times; at++) sum = await env.OTHER.add(sum, 1);
            return sum;
        }";
    let pool = Pool::builder().threads(2).build()?;
    deploy(&pool, "called", CALLED, Vec::new())?;
    let other: Arc<dyn Binding> = Arc::new(FetcherBinding::new(pool.fetcher("called")));
    deploy(&pool, "calls", CALLS_IT, vec![("OTHER", other)])?;
    let rounds = (calls / CALLS).max(1);
    let mut samples = Vec::with_capacity(rounds);
    for round in 0..rounds + rounds / 5 {
        let begun = Instant::now();
        let sum: usize = block_on(pool.call("calls", "call", (CALLS,)))?;
        anyhow::ensure!(sum == CALLS, "a wrong sum");
        if round >= rounds / 5 {
            #[expect(clippy::cast_precision_loss, reason = "a number of calls")]
            samples.push(super::micros_since(begun) / CALLS as f64);
        }
    }
    Ok(samples)
}

/// Puts a large object into a bucket and gets it again, as streams. Returns MB per second of both, and the MiB by which the process has
/// grown meanwhile at its largest.
pub(super) fn object(megabytes: usize) -> Result<[f64; 3]> {
    const SOURCE: &str = "import { env } from 'cloudflare:workers';
        const piece = new Uint8Array(65536).fill(7);
        export async function put(size) {
            const { readable, writable } = new FixedLengthStream(size);
            const put = env.BUCKET.put('large', readable);
            const writer = writable.getWriter();
            for (let left = size; left > 0; left -= piece.length) await writer.write(piece.subarray(0, left));
            await writer.close();
            return (await put).size;
        }
        export async function get() {
            const { body } = await env.BUCKET.get('large');
            let size = 0;
            for await (const chunk of body) size += chunk.length;
            return size;
        }";
    let folder = tempfile::tempdir()?;
    let pool = Pool::builder().threads(1).build()?;
    let bucket: Arc<dyn Binding> = Arc::new(R2Binding::new(LocalR2::new(folder.path())));
    deploy(&pool, "stores", SOURCE, vec![("BUCKET", bucket)])?;
    let size = megabytes * 1_000_000;
    // What the first use takes is there before.
    block_on(pool.call::<_, usize>("stores", "put", (1_000_000,)))?;
    let before = status_mib("VmRSS:")?;
    // From now on the largest size is counted again.
    fs::write("/proc/self/clear_refs", "5")?;
    let timed = |function: &'static str| -> Result<f64> {
        let begun = Instant::now();
        let stored: usize = match function {
            "put" => block_on(pool.call("stores", function, (size,)))?,
            _ => block_on(pool.call("stores", function, ()))?,
        };
        anyhow::ensure!(stored == size, "a wrong size");
        #[expect(clippy::cast_precision_loss, reason = "a number of bytes")]
        Ok(size as f64 / 1e6 / begun.elapsed().as_secs_f64())
    };
    let (put, get) = (timed("put")?, timed("get")?);
    Ok([put, get, status_mib("VmHWM:")? - before])
}

/// A number of this process's memory, in MiB.
fn status_mib(name: &str) -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib: f64 = line.context("no such line")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

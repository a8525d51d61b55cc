//! Starting a worker on one thread, to its script's first line: event loop, `LocalSet`, isolate, modules.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use anyhow::Result;
use isopod_runtime::io::IoOptions;
use isopod_runtime::{BootOptions, OsScheduling, Script, Watchdog, Worker, WorkerThread, platform};
use tokio::task::LocalSet;

use super::micros_since;

const SOURCE: &str = "export const ping = () => 1;";

/// The same on the snapshot with Node.js modules.
const SOURCE_WITH_BUFFER: &str = "const bytes = Buffer.from('ping'); export const ping = () => bytes.length;";

pub(super) fn run(workers: usize, node: bool) -> Result<Vec<f64>> {
    let source = if node { SOURCE_WITH_BUFFER } else { SOURCE };
    let script = Arc::new(Script::builder("boot").source(source).build()?);
    let (to, samples) = sync_channel(1);
    let body = Box::new(move || drop(to.send(boots(workers, &script))));
    platform::spawn("boot".into(), body)?;
    samples.recv()?
}

fn boots(workers: usize, script: &Arc<Script>) -> Result<Vec<f64>> {
    let watchdog = Arc::new(Watchdog::start(OsScheduling::Untouched)?);
    let thread = WorkerThread::new(IoOptions::default(), watchdog);
    // The first finds no code cache.
    let all = (0..=workers)
        .map(|_| boot(&thread, script))
        .collect::<Result<Vec<_>>>()?;
    Ok(all[1..].to_vec())
}

fn boot(thread: &WorkerThread, script: &Arc<Script>) -> Result<f64> {
    let begun = Instant::now();
    let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let worker = local.block_on(&event_loop, Worker::boot(thread, script, BootOptions::default()))?;
    // The top-level code has run.
    let took = micros_since(begun);
    drop(worker);
    Ok(took)
}

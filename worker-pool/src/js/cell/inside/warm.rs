//! The warming up of a process that waits for its worker.

use std::sync::Arc;
use std::time::Duration;

use isopod_runtime::io::IoOptions;
use isopod_runtime::{BootOptions, Image, OsScheduling, Script, Watchdog, Worker, WorkerTemplate, WorkerThread};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// Time that a process has waited when it warms up, so that one that is needed at once loses none.
pub(super) const AFTER: Duration = Duration::from_millis(50);

/// Starts an empty worker on this thread and ends it, so that the parts that every start needs are in memory: pages of the program, and the
/// state that V8 and its libraries set up once.
pub(super) fn warm_up(runtime: &Runtime, image: Image) {
    if let Err(error) = start(runtime, image) {
        tracing::debug!(%error, "a process cannot warm up");
    }
}

fn start(runtime: &Runtime, image: Image) -> Result<(), Box<dyn std::error::Error>> {
    let watchdog = Watchdog::start(OsScheduling::Untouched)?;
    // Without extensions, which would notice it.
    let template = WorkerTemplate::new(image, Vec::new())?;
    let thread = WorkerThread::new(IoOptions::default(), Arc::new(watchdog)).with_template(template);
    let script = Script::builder("warm")
        .source("export default { fetch() {} };")
        .build()?;
    let local = LocalSet::new();
    let started = local.block_on(runtime, async {
        let worker = Worker::boot(&thread, &Arc::new(script), BootOptions::default()).await;
        worker.map(drop).map_err(|fault| fault.message)
    });
    // What the worker has left is dropped inside its runtime.
    let _entered = runtime.enter();
    drop(local);
    Ok(started?)
}

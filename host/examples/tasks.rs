//! Measures the round trip of a task: in the process of a module, in this process as a supervised call, and in a worker of
//! this process. Then results of 1 and 8 MiB of a module's process, over the socket and through shared memory.
//!
//! ```text
//! cargo run --release -p isopod-host --features shared-memory --example tasks
//! ```
//!
//! With `--no-default-features` it builds without V8, and has no worker. Without `shared-memory` all is over the socket.

use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use futures::executor::block_on;
use isopod_host::bus::Results;
use isopod_host::process::{Channel, ModuleRequest, ModuleTasks, ProcessModule};
use isopod_host::supervise::{NativeModules, Supervisor};
use isopod_host::{Context, Host, Module, PhaseResult, async_trait};
use isopod_module::TaskContext;
use serde_json::Value;

/// Rounds with small tasks that are measured, after a tenth of them to warm up.
const ROUNDS: usize = 20_000;
/// Tasks at once, where it is more than one.
const AT_ONCE: usize = 16;
/// Rounds with large results.
const LARGE_ROUNDS: usize = 500;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    if std::env::args().nth(1).as_deref() == Some("module") {
        return Ok(module()?);
    }
    let results = Results::builder().bytes_max(0).build();
    let channel = Channel::default().results(&results);
    in_a_process("over the socket", channel.clone())?;
    #[cfg(feature = "shared-memory")]
    in_a_process(
        "with shared memory",
        channel.shared_memory(isopod_host::process::SharedMemory::default()),
    )?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()?;
    let supervisor = Supervisor::builder(runtime.handle().clone()).build();
    let native = NativeModules::new().function("echo", "echo", |value: Value| async move {
        Ok::<_, isopod_host::BoxError>(value)
    });
    let ask = || async {
        let called = supervisor.call::<Value>(&native, "echo", "echo", serde_json::json!({ "id": 7 }));
        called.await.map(drop)
    };
    report("as a supervised call", ROUNDS, ask)?;
    #[cfg(feature = "v8")]
    in_a_worker()?;
    Ok(())
}

/// The program of the module's process.
fn module() -> Result<(), isopod_module::Error> {
    let echo = |_: TaskContext, value: Value| async move { Ok::<_, isopod_module::Error>(value) };
    // A result that is there already, and one that the task writes where it is to be.
    let large = Bytes::from(vec![1; 8 << 20]);
    let emit = move |ctx: TaskContext, bytes: usize| {
        let result = large.slice(..bytes);
        async move { ctx.emit_payload("result", result).await }
    };
    let write = |ctx: TaskContext, bytes: usize| async move {
        let mut buffer = ctx.buffer(bytes).await;
        buffer.fill(1);
        ctx.emit_buffer("result", buffer).await
    };
    isopod_module::Module::connect()?
        .tasks_max(64)
        .task("echo", echo)
        .task("emit", emit)
        .task("write", write)
        .run()
}

fn in_a_process(name: &str, channel: Channel) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (found, tasks) = flume::bounded(1);
    let begun = Instant::now();
    let running = Host::builder()
        .module(
            ProcessModule::new("echo", std::env::current_exe()?)
                .arg("module")
                .channel(channel),
        )
        .module(Finder(found))
        .build()?
        .start_blocking()?;
    let tasks = tasks.recv()?;
    println!("{name}: the host has started after {:.1?}", begun.elapsed());
    let ask = || async {
        let request = ModuleRequest::new("echo").payload(serde_json::json!({ "id": 7 }));
        tasks.run(request).finish().await.map(drop)
    };
    report(name, ROUNDS, ask)?;
    for (task, what) in [("emit", "copied"), ("write", "written in place")] {
        for mib in [1, 8] {
            let ask = || async {
                let request = ModuleRequest::new(task).payload(serde_json::json!(mib << 20));
                tasks.run(request).finish().await.map(drop)
            };
            report(&format!("{name}, a result of {mib} MiB, {what}"), LARGE_ROUNDS, ask)?;
        }
    }
    running.stop_blocking()?;
    Ok(())
}

#[cfg(feature = "v8")]
fn in_a_worker() -> Result<(), Box<dyn Error + Send + Sync>> {
    use isopod_host::bus::{Bus, Results};
    use isopod_host::workers::WorkerTasks;
    use isopod_pool::Options;
    use isopod_pool::js::{Pool, Script, TaskRequest};

    let (bus, results, pool) = (Bus::new(), Results::new(), Pool::builder().threads(1).build()?);
    let source = "export default { task: ({ payload }) => payload };";
    pool.deploy(
        "echo",
        Script::builder("echo").source(source).build()?,
        &Options::default(),
    )?;
    let tasks = WorkerTasks::new(&bus, &results, &pool);
    let ask = || async {
        let request = TaskRequest::new(serde_json::json!({ "id": 7 }));
        tasks.run::<Value>("echo", request).finish().await.map(drop)
    };
    report("in a worker", ROUNDS, ask)?;
    let _joined = pool.shutdown_blocking(std::time::Duration::from_secs(5));
    Ok(())
}

/// Takes the module's tasks out of the hub.
struct Finder(flume::Sender<ModuleTasks>);

#[async_trait]
impl Module for Finder {
    fn name(&self) -> &str {
        "finder"
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        let tasks = ctx.hub().get_scoped::<ModuleTasks>("echo")?;
        self.0.send((*tasks).clone())?;
        Ok(())
    }
}

fn report<F, E>(name: &str, rounds: usize, ask: impl Fn() -> F) -> Result<(), Box<dyn Error + Send + Sync>>
where
    F: Future<Output = Result<(), E>>,
    E: Error + Send + Sync + 'static,
{
    let mut times = Vec::with_capacity(rounds);
    for round in 0..rounds + rounds / 10 {
        let begun = Instant::now();
        block_on(ask())?;
        if round >= rounds / 10 {
            times.push(begun.elapsed());
        }
    }
    times.sort_unstable();
    let begun = Instant::now();
    for _ in 0..rounds / AT_ONCE {
        for ended in block_on(futures::future::join_all((0..AT_ONCE).map(|_| ask()))) {
            ended?;
        }
    }
    let rate = (rounds / AT_ONCE * AT_ONCE) as f64 / begun.elapsed().as_secs_f64();
    let (median, late) = (times[rounds / 2], times[rounds * 99 / 100]);
    println!("{name}: {median:.1?} median, {late:.1?} at 99 %, {rate:.0} a second with {AT_ONCE} at once");
    Ok(())
}

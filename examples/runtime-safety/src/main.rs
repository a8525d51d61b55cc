//! A hundred workers over eight threads at once, then as many Rust tasks. Each uses the HTTP client of its thread and
//! leaves something running. Nothing passes from one to another, and connections outlive workers.
//!
//! The log on standard error says which thread built which client.

mod origin;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::executor::block_on;
use futures::future::{join_all, pending};
use isopod::{FetchConfig, Meta, NetPolicy, Options, Policy, Pool, Script};

const THREADS: usize = 8;
const WORKERS: usize = 100;
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter("warn,isopod_ext::io=debug")
        .init();
    let (address, counts) = origin::start()?;
    let pool = Pool::builder().threads(THREADS).thread_name("crowd").build()?;

    deploy(&pool, address)?;
    let wrong: Vec<_> = (0..ROUNDS).flat_map(|round| scripts(&pool, round)).collect();
    println!(
        "{} requests of {WORKERS} scripts, {} failed",
        WORKERS * ROUNDS,
        wrong.len()
    );
    let gone = Arc::new(AtomicUsize::new(0));
    let also_wrong = natives(&pool, address, &gone);
    println!("{WORKERS} requests of tasks in Rust, {} failed", also_wrong.len());
    for error in wrong.iter().chain(&also_wrong) {
        // A client used on more than one runtime fails here with "runtime dropped the dispatch task".
        eprintln!("failed: {error}");
    }

    let report = pool.shutdown_blocking(Duration::from_secs(10));
    println!(
        "{} threads joined, {} stuck",
        report.threads_joined, report.threads_stuck
    );
    println!(
        "{} local tasks left behind, {} dropped",
        WORKERS,
        gone.load(Ordering::SeqCst)
    );
    let (connections, requests) = counts.get();
    println!("{requests} requests came in");
    eprintln!("over {connections} connections");
    if connections < requests {
        Ok(())
    } else {
        Err("no connection was used twice: they died with their workers".into())
    }
}

/// Deploys the scripts. Each request runs in a fresh worker.
fn deploy(pool: &Pool, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let policy = NetPolicy::default().allow_private(true);
    let fetch = FetchConfig::default().policy(Arc::new(policy));
    let options = Options::default().policy(Policy::PerRequest);
    for worker in 0..WORKERS {
        let source = format!(
            "export async function get(round) {{
                 setInterval(() => {{}}, 1000); // left behind: it dies with the worker
                 const response = await fetch(`http://{address}/{worker}/${{round}}`);
                 return await response.text();
             }}"
        );
        let script = Script::builder(format!("w{worker}"))
            .source(source)
            .fetch(fetch.clone())
            .build()?;
        pool.deploy(format!("w{worker}"), script, &options)?;
    }
    Ok(())
}

/// Lets all scripts fetch at once, each on a free thread. Returns the failures.
fn scripts(pool: &Pool, round: usize) -> Vec<String> {
    let calls = (0..WORKERS).map(|worker| async move {
        match pool.call::<_, String>(&format!("w{worker}"), "get", (round,)).await {
            Ok(path) if path == format!("/{worker}/{round}") => None,
            Ok(path) => Some(format!("{path} for worker {worker}")),
            Err(failure) => Some(failure.to_string()),
        }
    });
    block_on(join_all(calls)).into_iter().flatten().collect()
}

/// Counts its drops.
struct Left(Arc<AtomicUsize>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Runs as many Rust tasks at once, each with its thread's client, each leaving a local task behind. Returns the
/// failures.
fn natives(pool: &Pool, address: SocketAddr, gone: &Arc<AtomicUsize>) -> Vec<String> {
    let tasks = (0..WORKERS).map(|number| {
        let left = Left(Arc::clone(gone));
        pool.native("get", Meta::default(), async move |thread| {
            // Never ends by itself: it belongs to this task's `LocalSet` and is dropped with it.
            tokio::task::spawn_local(async move {
                let _left = left;
                pending::<()>().await;
            });
            // Built inside the thread's runtime on first use, and kept by the thread.
            let client = thread
                .io()
                .client(&"origin", |_| reqwest::Client::builder().no_proxy().build());
            let client = client.map_err(|error| error.to_string())?;
            // The request runs on the client's runtime; its result is awaited here.
            let request = client.run(move |client| async move {
                let response = client.get(format!("http://{address}/native/{number}")).send().await?;
                response.text().await
            });
            match request.await {
                Ok(Ok(path)) if path == format!("/native/{number}") => Ok(()),
                Ok(Ok(path)) => Err(format!("{path} for task {number}")),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
    });
    let ended = block_on(join_all(tasks));
    let wrong = ended.into_iter().filter_map(|ended| match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(failure) => Some(failure.to_string()),
    });
    wrong.collect()
}

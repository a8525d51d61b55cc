//! Where the time goes when a worker is made and dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use isopod_runtime::io::IoOptions;
use isopod_runtime::{BootOptions, Script, Watchdog, Worker, WorkerThread, platform};

fn main() {
    let rounds: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200);
    let script = Arc::new(
        Script::builder("x")
            .source("export const ping = () => 1;")
            .build()
            .unwrap(),
    );
    let body = Box::new(move || {
        let thread = WorkerThread::start(IoOptions::default(), Arc::new(Watchdog::start().unwrap())).unwrap();
        let mut made: Vec<[Duration; 3]> = Vec::new();
        for _ in 0..rounds {
            let a = Instant::now();
            let event_loop = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let local = tokio::task::LocalSet::new();
            let b = Instant::now();
            let worker = local
                .block_on(&event_loop, Worker::boot(&thread, &script, BootOptions::default()))
                .unwrap();
            let c = Instant::now();
            drop(worker);
            drop(local);
            drop(event_loop);
            let d = Instant::now();
            made.push([b - a, c - b, d - c]);
        }
        for (i, name) in ["event loop", "boot", "drop"].iter().enumerate() {
            let mut all: Vec<_> = made.iter().map(|m| m[i]).collect();
            all.sort();
            println!(
                "{name}: median {:?} min {:?} p90 {:?}",
                all[all.len() / 2],
                all[0],
                all[all.len() * 9 / 10]
            );
        }
    });
    platform::spawn("boot".into(), body).unwrap().join().unwrap();
}

//! Dispatch through the pool: calls of small functions, with V8 and with the fake engine.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use futures::executor::block_on;
use futures::future::try_join_all;
use isopod_pool::fake::{Call, FakeEngine, FakeScript};
use isopod_pool::js::{Pool, Script};
use isopod_pool::{Meta, Options, Pool as CorePool};
use serde::{Deserialize, Serialize};

use super::{Function, micros_since};

const CALLERS: usize = 64;
const WORKERS: usize = 2;
const SCRIPT: &str = "called";

/// The same as in `piscina-task.mjs`.
const SOURCE: &str = "export function nothing() {}
export const total = (order) => ({ id: order.id, sum: order.count * order.price, paid: !order.open });
export function work() { let sum = 0; for (let i = 0; i < 30_000; i++) sum = (sum + i * 7) % 1000003; return sum }";

#[derive(Clone, Serialize)]
struct Order {
    id: u32,
    item: &'static str,
    count: u32,
    price: f64,
    open: bool,
}

#[derive(Deserialize)]
struct Invoice {
    id: u32,
    sum: f64,
    paid: bool,
}

fn options(workers: usize) -> Options {
    Options::default().workers_min(workers)
}

fn v8_pool(workers: usize) -> Result<Pool> {
    let pool = Pool::builder().threads(workers).build()?;
    let script = Script::builder(SCRIPT).source(SOURCE).build()?;
    pool.deploy(SCRIPT, script, &options(workers))?;
    block_on(pool.warm(SCRIPT))?;
    while pool.stats().scripts[SCRIPT].workers < workers {
        // tidy:allow(sleep): lets the process settle, or polls it.
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(pool)
}

async fn call(pool: &Pool, function: Function) -> Result<()> {
    match function {
        Function::Nothing => Ok(pool.call::<_, ()>(SCRIPT, "nothing", ()).await?),
        Function::Work => {
            let sum: u32 = pool.call(SCRIPT, "work", ()).await?;
            ensure!(sum > 0, "a wrong sum");
            Ok(())
        }
        Function::Total => {
            let order = Order {
                id: 7,
                item: "tea",
                count: 3,
                price: 2.5,
                open: false,
            };
            let invoice: Invoice = pool.call(SCRIPT, "total", (order,)).await?;
            ensure!((invoice.id, invoice.sum, invoice.paid) == (7, 7.5, true), "a wrong sum");
            Ok(())
        }
    }
}

pub(super) fn call_latency(function: Function, workers: usize, calls: usize) -> Result<Vec<f64>> {
    let pool = v8_pool(workers)?;
    latency(calls, || call(&pool, function))
}

pub(super) fn call_throughput(function: Function, workers: usize, calls: usize) -> Result<f64> {
    let pool = v8_pool(workers)?;
    throughput(calls, || call(&pool, function))
}

fn fake_pool() -> Result<CorePool<FakeEngine>> {
    let pool = CorePool::builder(FakeEngine::new()).threads(WORKERS).build()?;
    pool.deploy(SCRIPT, Arc::new(FakeScript::new()), &options(WORKERS))?;
    block_on(pool.warm(SCRIPT))?;
    Ok(pool)
}

async fn fake_call(pool: &CorePool<FakeEngine>) -> Result<()> {
    let (event, reply) = Call::echo(1);
    let ticket = pool
        .dispatch(SCRIPT, event, Meta::default())
        .map_err(|rejected| anyhow!("{}", rejected.reason))?;
    reply.into_recv_async().await??;
    ticket.detach();
    Ok(())
}

pub(super) fn fake_latency(calls: usize) -> Result<Vec<f64>> {
    let pool = fake_pool()?;
    latency(calls, || fake_call(&pool))
}

pub(super) fn fake_throughput(calls: usize) -> Result<f64> {
    let pool = fake_pool()?;
    throughput(calls, || fake_call(&pool))
}

/// One caller; another fifth of the calls comes first as a warm-up.
fn latency<F: Future<Output = Result<()>>>(calls: usize, call: impl Fn() -> F) -> Result<Vec<f64>> {
    block_on(async {
        for _ in 0..calls / 5 {
            call().await?;
        }
        let mut samples = Vec::with_capacity(calls);
        for _ in 0..calls {
            let begun = Instant::now();
            call().await?;
            samples.push(micros_since(begun));
        }
        Ok(samples)
    })
}

/// Many callers on one thread, each making its next call after the last was answered. Returns calls per second.
#[expect(clippy::cast_precision_loss, reason = "a count of calls")]
fn throughput<F: Future<Output = Result<()>>>(calls: usize, call: impl Fn() -> F) -> Result<f64> {
    let each = calls / CALLERS;
    let round = |each: usize| {
        let callers = (0..CALLERS).map(|_| async {
            for _ in 0..each {
                call().await?;
            }
            Result::<()>::Ok(())
        });
        block_on(try_join_all(callers.collect::<Vec<_>>()))
    };
    round(each / 5)?;
    let begun = Instant::now();
    round(each)?;
    Ok((each * CALLERS) as f64 / begun.elapsed().as_secs_f64())
}

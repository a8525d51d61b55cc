//! Dispatch through the pool: calls of a function that does nothing, on V8 and on the engine without V8.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use futures::executor::block_on;
use futures::future::try_join_all;
use isopod_pool::fake::{Call, FakeEngine, FakeScript};
use isopod_pool::js::{Pool, Script};
use isopod_pool::{Meta, Options, Pool as CorePool};

use super::micros_since;

const CALLERS: usize = 64;
const WORKERS: usize = 2;
const SCRIPT: &str = "empty";

fn options() -> Options {
    Options {
        workers_min: WORKERS,
        ..Options::default()
    }
}

fn v8_pool() -> Result<Pool> {
    let pool = Pool::builder().threads(WORKERS).build()?;
    let script = Script::builder(SCRIPT).source("export function nothing() {}").build()?;
    pool.deploy(SCRIPT, script, &options())?;
    block_on(pool.warm(SCRIPT))?;
    while pool.stats().scripts[SCRIPT].workers < WORKERS {
        // tidy:allow(sleep): a measurement lets the process come to rest, or looks again.
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(pool)
}

async fn call(pool: &Pool) -> Result<()> {
    Ok(pool.call::<_, ()>(SCRIPT, "nothing", &()).await?)
}

pub(super) fn call_latency(calls: usize) -> Result<Vec<f64>> {
    let pool = v8_pool()?;
    latency(calls, || call(&pool))
}

pub(super) fn call_throughput(calls: usize) -> Result<f64> {
    let pool = v8_pool()?;
    throughput(calls, || call(&pool))
}

fn fake_pool() -> Result<CorePool<FakeEngine>> {
    let pool = CorePool::builder(FakeEngine::new()).threads(WORKERS).build()?;
    pool.deploy(SCRIPT, Arc::new(FakeScript::new()), &options())?;
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

/// One caller; a fifth of the calls before, to be warm.
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

/// Many callers on one thread, each with its next call when its last is answered; calls a second.
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

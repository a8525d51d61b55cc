//! A message from one worker to another: the duration of each hop.

use std::time::Instant;

use anyhow::{Context, Result};
use futures::executor::block_on;
use isopod_host::bus::{Bus, Delivery, Message, SubscribeOptions};
use isopod_host::workers::{DeliverOptions, EventBridge};
use isopod_pool::Options;
use isopod_pool::js::{Pool, Script};

use super::micros_since;

/// Hops of a chain: ping, pong, ping, …, within the bus's limit on depth.
const HOPS: u32 = 8;

/// Publishes what it received, incremented; the last hop goes to the benchmark.
const SOURCE: &str = "export default { message(m, env) {
    const hop = m.data.hop + 1;
    env.EVENTS.publish(hop === m.data.last ? 'bench.end' : env.TO, { hop, last: m.data.last });
} };";

pub(super) fn run(chains: usize) -> Result<Vec<f64>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()?;
    let (bus, pool) = (Bus::new(), Pool::builder().threads(2).build()?);
    let mut subscriptions = Vec::new();
    for (name, to) in [("ping", "bench.pong"), ("pong", "bench.ping")] {
        let bridge = EventBridge::new(&bus, name, &["bench.*"])?;
        let script = Script::builder(name)
            .source(SOURCE)
            .text("TO", to)
            .binding("EVENTS", bridge.binding())
            .build()?;
        let options = Options::default().workers_min(1).workers_max(1);
        pool.deploy(name, script, &options)?;
        block_on(pool.warm(name))?;
        let topic = format!("bench.{name}");
        subscriptions.push(bridge.subscribe(runtime.handle(), &pool, &[&topic], DeliverOptions::default())?);
    }
    let mut ends = bus.subscribe("bench.end", SubscribeOptions::default())?;
    let mut samples = Vec::with_capacity(chains);
    for chain in 0..chains + chains / 5 {
        let begun = Instant::now();
        let first = serde_json::json!({ "hop": 0, "last": HOPS });
        bus.publish(Message::new("bench.ping".parse()?, first))?;
        let end = block_on(ends.recv()).context("the bus is closed")?;
        anyhow::ensure!(matches!(end, Delivery::Message(_)), "the last message was lost");
        if chain >= chains / 5 {
            samples.push(micros_since(begun) / f64::from(HOPS));
        }
    }
    for subscription in subscriptions {
        block_on(subscription.drain());
    }
    Ok(samples)
}

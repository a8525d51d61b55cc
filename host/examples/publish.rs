//! The cost of publishing: `cargo run --release -p isopod-host --no-default-features --example publish`.
//!
//! One thread publishes and reads back, so no wake-up is in the figures: they are CPU time of the bus alone.

use std::error::Error;
use std::time::{Duration, Instant};

use isopod_host::bus::{Bus, Message, SubscribeOptions, Topic};

const ROUNDS: u32 = 2_000;
const BURST: u32 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    for others in [0, 1_000] {
        let bus = Bus::new();
        let _others: Vec<_> = (0..others)
            .map(|number| bus.subscribe(&format!("other.{number}.*"), SubscribeOptions::default()))
            .collect::<Result<_, _>>()?;
        let mut subscription = bus.subscribe("orders.*", SubscribeOptions::default())?;
        let topic: Topic = "orders.created".parse()?;
        let (mut publish, mut read) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            for _ in 0..BURST {
                bus.publish(Message::new(topic.clone(), ()))?;
            }
            let published = Instant::now();
            while subscription.try_recv().is_some() {}
            // The best of many: the machine has other things to do.
            publish = publish.min((published - begun) / BURST);
            read = read.min(published.elapsed() / BURST);
        }
        println!("{others} subscriptions to other topics: publish {publish:?}, read {read:?}");
    }
    Ok(())
}

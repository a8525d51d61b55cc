//! The bus as its users see it.

mod chain;
mod handler;
mod publish;
mod system;

use isopod_host::bus::{Delivery, Subscription, Topic};
use serde_json::Value;

fn topic(text: &str) -> Topic {
    text.parse().expect("a topic")
}

/// The queued deliveries: topics of messages, and numbers of missing ones.
fn waiting(subscription: &mut Subscription) -> Vec<String> {
    std::iter::from_fn(|| subscription.try_recv())
        .map(|delivery| match delivery {
            Delivery::Message(message) => match message.payload.as_json() {
                Some(Value::Number(number)) => format!("{} {number}", message.topic),
                _ => message.topic.to_string(),
            },
            Delivery::Lagged(count) => format!("{count} lost"),
        })
        .collect()
}

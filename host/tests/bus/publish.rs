//! Publishing, subscribing, limits, and slow subscribers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::executor::block_on;
use isopod_host::bus::{
    Bus, Delivery, End, Message, Payload, PublishError, Slow, SubscribeError, SubscribeOptions, Subscription,
};
use proptest::prelude::*;
use serde_json::json;

use crate::{topic, waiting};

fn keep(capacity: usize, slow: Slow) -> SubscribeOptions {
    SubscribeOptions::default().capacity(capacity).slow(slow)
}

fn subscribe(bus: &Bus, pattern: &str) -> Subscription {
    bus.subscribe(pattern, SubscribeOptions::default())
        .expect("a subscription")
}

#[test]
fn a_message_reaches_each_subscriber_once() {
    let bus = Bus::new();
    let (mut exact, mut deep) = (subscribe(&bus, "orders.created"), subscribe(&bus, "orders.>"));
    let mut other = subscribe(&bus, "orders.*.eu");
    let patterns = ["orders.*", ">", "orders.created"].map(|text| text.parse().expect("a pattern"));
    let mut several = bus
        .subscribe_all(patterns, SubscribeOptions::default())
        .expect("a subscription");
    let published = bus
        .publish(Message::new(topic("orders.created"), ()))
        .expect("published");
    assert_eq!(published.delivered, 3);
    for subscription in [&mut exact, &mut deep, &mut several] {
        assert_eq!(waiting(subscription), ["orders.created"]);
    }
    assert!(waiting(&mut other).is_empty());
}

#[test]
fn slow_subscribers_get_their_losses_in_order() {
    let bus = Bus::new();
    let mut lagged = subscribe(&bus, "isopod.lagged");
    let mut oldest = bus.subscribe("n", keep(2, Slow::DropOldest)).expect("a subscription");
    let mut newest = bus.subscribe("n", keep(2, Slow::DropNewest)).expect("a subscription");
    let mut all = bus.subscribe("n", keep(2, Slow::Disconnect)).expect("a subscription");
    for number in 0..5 {
        bus.publish(Message::new(topic("n"), json!(number))).expect("published");
    }
    assert_eq!(waiting(&mut oldest), ["3 lost", "n 3", "n 4"]);
    assert_eq!(waiting(&mut newest), ["n 0", "n 1", "3 lost"]);
    assert_eq!(waiting(&mut all), ["n 0", "n 1", "1 lost"]);
    assert_eq!((all.end(), oldest.end()), (Some(End::Slow), None));
    assert_eq!(bus.subscribers(), 3, "the disconnected one is gone");
    assert_eq!(waiting(&mut lagged).len(), 2);
}

#[test]
fn dropping_a_subscription_makes_room_for_another() {
    let bus = Bus::builder().subscribers_max(1).build();
    let first = subscribe(&bus, "a.*");
    let second = bus.subscribe("b", SubscribeOptions::default());
    assert_eq!(second.err(), Some(SubscribeError::TooMany { subscribers_max: 1 }));
    drop(first);
    assert!(!bus.has_subscribers(&topic("a.b")));
    assert!(bus.subscribe("b", SubscribeOptions::default()).is_ok());
}

#[test]
fn requests_over_a_limit_are_refused_with_a_reason() {
    let bus = Bus::builder()
        .message_bytes_max(4)
        .segments_max(2)
        .topic_bytes_max(8)
        .build();
    let refused = |name: &str, payload: Payload| bus.publish(Message::new(topic(name), payload)).err();
    assert_eq!(refused("a.b", Bytes::from_static(b"1234").into()), None);
    assert_eq!(refused("a.b", json!("12").into()), None);
    let too_large = |error| {
        matches!(
            error,
            Some(PublishError::TooLarge {
                bytes: 5,
                bytes_max: 4,
                ..
            })
        )
    };
    assert!(too_large(refused("a.b", Bytes::from_static(b"12345").into())));
    assert!(too_large(refused("a.b", json!("123").into())));
    assert!(matches!(refused("a.b.c", ().into()), Some(PublishError::Topic(_))));
    assert!(matches!(refused("a.1234567", ().into()), Some(PublishError::Topic(_))));
    assert!(matches!(
        refused("isopod.x", ().into()),
        Some(PublishError::Reserved { .. })
    ));
    assert!(matches!(
        bus.subscribe("a.*.>", keep(1, Slow::DropOldest)),
        Err(SubscribeError::Pattern(_))
    ));
    assert_eq!(bus.subscribers(), 0);
}

#[test]
fn a_subscription_ends_with_its_bus_after_queued_messages() {
    let bus = Bus::new();
    let other_handle = bus.clone();
    let subscription = subscribe(&bus, "a");
    drop(bus);
    other_handle.publish(Message::new(topic("a"), ())).expect("open");
    drop(other_handle);
    assert_eq!(block_on(subscription.count()), 1);
}

#[test]
fn a_blocking_receive_has_a_timeout() {
    let bus = Bus::new();
    let mut subscription = subscribe(&bus, "a");
    assert!(subscription.recv_timeout(Duration::from_millis(5)).is_none());
    assert_eq!(subscription.end(), None);
    let ready = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            ready.wait();
            bus.publish(Message::new(topic("a"), ())).expect("open");
        });
        ready.wait();
        let got = subscription.recv_timeout(Duration::from_secs(60));
        assert!(matches!(got, Some(Delivery::Message(_))));
    });
}

#[test]
fn many_threads_may_publish_subscribe_and_leave_at_once() {
    let bus = Bus::new();
    let mut all = bus
        .subscribe("load.*", keep(100_000, Slow::DropNewest))
        .expect("a subscription");
    let read = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for publisher in 0..3 {
            let bus = bus.clone();
            scope.spawn(move || {
                let topic = topic(&format!("load.{publisher}"));
                for number in 0..500 {
                    bus.publish(Message::new(topic.clone(), json!(number))).expect("open");
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..200 {
                let mut passing = subscribe(&bus, "load.>");
                if passing.recv_timeout(Duration::from_micros(50)).is_some() {
                    read.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    });
    assert_eq!(bus.subscribers(), 1);
    let got = waiting(&mut all);
    assert_eq!(got.len(), 1500);
    for publisher in 0..3 {
        let own: Vec<_> = got
            .iter()
            .filter(|text| text.starts_with(&format!("load.{publisher} ")))
            .collect();
        let wanted: Vec<_> = (0..500).map(|number| format!("load.{publisher} {number}")).collect();
        assert!(
            own.into_iter().eq(&wanted),
            "the order of publisher {publisher} is not kept"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A reader at another pace than the publisher, on another thread: every message is either read, in order, or counted as
    /// lost at its place.
    #[test]
    fn read_and_lost_messages_add_up(capacity in 1_usize..8, count in 0_u64..300, drop_oldest: bool) {
        let bus = Bus::new();
        let slow = if drop_oldest { Slow::DropOldest } else { Slow::DropNewest };
        let subscription = bus.subscribe("n", keep(capacity, slow)).expect("a subscription");
        let publisher = std::thread::spawn(move || {
            let topic = topic("n");
            for number in 0..count {
                bus.publish(Message::new(topic.clone(), json!(number))).expect("open");
            }
        });
        let (next, in_order) = block_on(subscription.fold((0, true), |(next, in_order), delivery| async move {
            match delivery {
                Delivery::Message(message) => (next + 1, in_order && message.payload == Payload::Json(json!(next))),
                Delivery::Lagged(lost) => (next + lost, in_order),
            }
        }));
        publisher.join().expect("publishes");
        prop_assert!(in_order);
        prop_assert_eq!(next, count);
    }
}

#[test]
fn a_message_is_shared_and_not_copied() {
    let bus = Bus::new();
    let mut subscriptions = [subscribe(&bus, "a"), subscribe(&bus, "*")];
    bus.publish(Message::new(topic("a"), Bytes::from_static(b"x")))
        .expect("open");
    let got: Vec<_> = subscriptions.iter_mut().filter_map(Subscription::try_recv).collect();
    let [Delivery::Message(one), Delivery::Message(two)] = &got[..] else {
        panic!("two messages, not {got:?}")
    };
    assert!(Arc::ptr_eq(one, two));
}

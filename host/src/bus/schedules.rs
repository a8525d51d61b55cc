//! Tests of the queue in every order of its users' steps: `queue.rs` is included a second time, with simulated locks.

mod lock {
    pub(super) use shuttle::sync::{Mutex, MutexGuard};
}
#[path = "queue.rs"]
#[expect(clippy::duplicate_mod, reason = "that is the point: the same code with other locks")]
#[expect(dead_code, unreachable_pub, reason = "the orders that matter need not all of it")]
mod queue;

use std::future::poll_fn;

use shuttle::sync::Arc;
use shuttle::{future, thread};

use queue::*;

/// Two publishers, a reader that sleeps while there is no message, and then the end of the bus.
#[test]
fn in_every_schedule_a_reader_wakes_and_accounts_for_each_message() {
    let run = || {
        let queue = Arc::new(Queue::new(2, Slow::DropOldest));
        let publishers: Vec<_> = [0, 100]
            .map(|first| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    for value in first..first + 3 {
                        let _ = queue.push(value);
                    }
                })
            })
            .into();
        let (mut seen, mut lost) = (Vec::new(), 0);
        future::block_on(async {
            // Only messages wake the reader here: if one does not, the test deadlocks.
            while seen.len() as u64 + lost < 6 {
                match poll_fn(|cx| queue.poll_pop(cx)).await {
                    Some(Item::Value(value)) => seen.push(value),
                    Some(Item::Lost(count)) => lost += count,
                    None => panic!("nobody has ended it"),
                }
            }
            let ends = Arc::clone(&queue);
            let closer = thread::spawn(move || ends.end(End::Closed));
            assert_eq!(poll_fn(|cx| queue.poll_pop(cx)).await, None);
            closer.join().unwrap();
        });
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        assert_eq!(seen.len() as u64 + lost, 6);
        for first in [0, 100] {
            let own: Vec<_> = seen.iter().filter(|value| **value / 100 == first / 100).collect();
            assert!(own.is_sorted(), "each publisher's order is kept: {seen:?}");
        }
    };
    shuttle::check_random(run, 2_000);
    shuttle::check_pct(run, 2_000, 3);
}

#[test]
fn in_every_schedule_a_reader_that_leaves_leaves_no_messages() {
    shuttle::check_random(
        || {
            let (queue, kept) = (Arc::new(Queue::new(4, Slow::DropNewest)), std::sync::Arc::new(()));
            let publisher = {
                let (queue, kept) = (Arc::clone(&queue), std::sync::Arc::clone(&kept));
                thread::spawn(move || {
                    for _ in 0..3 {
                        let _ = queue.push(std::sync::Arc::clone(&kept));
                    }
                })
            };
            queue.abandon();
            publisher.join().unwrap();
            assert_eq!(std::sync::Arc::strong_count(&kept), 1);
        },
        2_000,
    );
}

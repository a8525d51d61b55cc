//! Tests of delivery and of reported losses.

use proptest::prelude::*;

use std::task::Poll;

use super::queue::*;

fn drain(queue: &Queue<u64>) -> Vec<Item<u64>> {
    std::iter::from_fn(|| match queue.try_pop() {
        Poll::Ready(item) => item,
        Poll::Pending => None,
    })
    .collect()
}

#[test]
fn losses_are_reported_in_order() {
    let (oldest, newest) = (Queue::new(2, Slow::DropOldest), Queue::new(2, Slow::DropNewest));
    for value in 0..4 {
        let _ = (oldest.push(value), newest.push(value));
    }
    assert_eq!(drain(&oldest), [Item::Lost(2), Item::Value(2), Item::Value(3)]);
    assert_eq!(newest.try_pop(), Poll::Ready(Some(Item::Value(0))));
    assert_eq!(newest.push(4), Pushed::Queued);
    assert_eq!(drain(&newest), [Item::Value(1), Item::Lost(2), Item::Value(4)]);
}

#[test]
fn a_disconnected_reader_gets_queued_messages_and_its_losses() {
    let queue = Queue::new(1, Slow::Disconnect);
    assert_eq!(queue.push(0), Pushed::Queued);
    assert_eq!(queue.push(1), Pushed::Disconnected);
    assert_eq!(queue.push(2), Pushed::Ended);
    assert_eq!(drain(&queue), [Item::Value(0), Item::Lost(1)]);
    assert_eq!((queue.try_pop(), queue.ended()), (Poll::Ready(None), Some(End::Slow)));
}

proptest! {
    #[test]
    fn received_messages_are_ordered_and_gaps_counted(
        capacity in 1_usize..6,
        drop_oldest in any::<bool>(),
        pushes in prop::collection::vec(any::<bool>(), 0..80),
    ) {
        let queue = Queue::new(capacity, if drop_oldest { Slow::DropOldest } else { Slow::DropNewest });
        let (mut sent, mut got) = (0, Vec::new());
        for push in pushes {
            if push {
                let _ = queue.push(sent);
                sent += 1;
            } else if let Poll::Ready(Some(item)) = queue.try_pop() {
                got.push(item);
            }
            prop_assert!(queue.len() <= capacity);
        }
        got.extend(drain(&queue));
        let mut next = 0;
        for item in got {
            match item {
                Item::Value(value) => {
                    prop_assert_eq!(value, next);
                    next += 1;
                }
                Item::Lost(lost) => next += lost,
            }
        }
        prop_assert_eq!(next, sent);
    }
}

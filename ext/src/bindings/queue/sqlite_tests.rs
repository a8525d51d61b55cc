use futures::executor::block_on;
use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn queue() -> (tempfile::TempDir, SqliteQueue) {
    let folder = tempfile::tempdir().unwrap();
    let queue = SqliteQueue::new(folder.path().join("new/queue.sqlite"));
    (folder, queue)
}

fn messages(texts: &[&str]) -> Vec<Outbound> {
    let message = |text: &&str| Outbound::new(QueueMessage::new(QueueBody::text(*text)));
    texts.iter().map(message).collect()
}

fn send(queue: &SqliteQueue, texts: &[&str]) -> QueueMetrics {
    block_on(queue.send(messages(texts))).unwrap()
}

fn take(queue: &SqliteQueue, at_most: usize, lease: Duration) -> Vec<Leased> {
    let wanted = Take::default().at_most(at_most).lease(lease);
    block_on(queue.take(wanted)).unwrap().messages
}

fn texts(taken: &[Leased]) -> Vec<(String, u32)> {
    let text = |one: &Leased| {
        (
            String::from_utf8_lossy(&one.message.body.bytes).into_owned(),
            one.attempts,
        )
    };
    taken.iter().map(text).collect()
}

fn settle(queue: &SqliteQueue, taken: &[Leased], verdict: Verdict) {
    let settled = taken.iter().map(|one| Settled {
        receipt: one.receipt,
        verdict,
    });
    block_on(queue.settle(settled.collect())).unwrap();
}

fn named(names: &[(&str, u32)]) -> Vec<(String, u32)> {
    names
        .iter()
        .map(|(name, attempts)| ((*name).to_owned(), *attempts))
        .collect()
}

#[test]
fn messages_are_ordered_and_leased() {
    let (_folder, queue) = queue();
    send(&queue, &["a", "b"]);
    send(&queue, &["c"]);
    let first = take(&queue, 2, MINUTE);
    assert_eq!(texts(&first), named(&[("a", 1), ("b", 1)]));
    assert_eq!(texts(&take(&queue, 2, Duration::ZERO)), named(&[("c", 1)]));
    assert_eq!(
        texts(&take(&queue, 2, MINUTE)),
        named(&[("c", 2)]),
        "its lease was over at once"
    );
    settle(&queue, &first, Verdict::Remove);
    assert_eq!(block_on(queue.metrics()).unwrap().count, 1);
}

#[test]
fn a_receipt_of_an_earlier_lease_has_no_effect() {
    let (_folder, queue) = queue();
    send(&queue, &["a"]);
    let lost = take(&queue, 1, Duration::ZERO);
    let taken = take(&queue, 1, MINUTE);
    settle(&queue, &lost, Verdict::Remove);
    settle(&queue, &lost, Verdict::Retry(Duration::ZERO));
    block_on(queue.renew(vec![lost[0].receipt], Duration::ZERO)).unwrap();
    assert_eq!(texts(&take(&queue, 1, MINUTE)), []);
    block_on(queue.renew(vec![taken[0].receipt], Duration::ZERO)).unwrap();
    assert_eq!(texts(&take(&queue, 1, MINUTE)), named(&[("a", 3)]));
}

#[test]
fn a_message_is_redelivered_after_its_delay_or_a_return() {
    let (_folder, queue) = queue();
    send(&queue, &["a", "b"]);
    let taken = take(&queue, 2, MINUTE);
    settle(&queue, &taken[..1], Verdict::Retry(MINUTE));
    settle(&queue, &taken[1..], Verdict::Return);
    let now = now_ms();
    let taken = block_on(queue.take(Take::default().lease(2 * MINUTE))).unwrap();
    assert_eq!(texts(&taken.messages), named(&[("b", 1)]));
    let next = taken.next_ms.expect("the delayed one is due some time");
    assert!(next > now + 50_000 && next <= now + 61_000, "{next} at {now}");
}

#[test]
fn a_delayed_message_is_not_due_before() {
    let (_folder, queue) = queue();
    let delayed = messages(&["late"]).pop().unwrap().delay(MINUTE);
    block_on(queue.send(vec![delayed])).unwrap();
    assert_eq!(take(&queue, 1, MINUTE), []);
    let peeked = block_on(queue.peek(5)).unwrap();
    assert!(peeked[0].due_ms > Some(now_ms()) && !peeked[0].is_leased && peeked[0].attempts == 0);
}

#[test]
fn fewer_messages_than_the_minimum_are_not_taken() {
    let (_folder, queue) = queue();
    send(&queue, &["a", "b"]);
    let wanted = Take::default().at_least(3);
    let taken = block_on(queue.take(wanted)).unwrap();
    assert_eq!((taken.messages.len(), taken.waiting), (0, 2));
    send(&queue, &["c"]);
    let taken = block_on(queue.take(wanted)).unwrap();
    assert_eq!((taken.messages.len(), taken.waiting), (3, 0));
}

#[test]
fn no_more_messages_are_taken_than_fit() {
    let (_folder, queue) = queue();
    send(&queue, &["aaaa", "bbbb", "cccc"]);
    let wanted = Take::default().bytes_max(8).lease(MINUTE);
    assert_eq!(
        texts(&block_on(queue.take(wanted)).unwrap().messages),
        named(&[("aaaa", 1), ("bbbb", 1)])
    );
    let wanted = wanted.bytes_max(1);
    assert_eq!(
        texts(&block_on(queue.take(wanted)).unwrap().messages),
        named(&[("cccc", 1)]),
        "one is always taken"
    );
}

#[test]
fn a_moved_message_keeps_its_id_without_a_duplicate() {
    let (_folder, queue) = queue();
    let message = QueueMessage::again("7", 5, QueueBody::json(&serde_json::json!({})));
    for _ in 0..2 {
        let moved = Outbound::new(message.clone()).is_moved(true);
        block_on(queue.send(vec![moved])).unwrap();
    }
    let taken = take(&queue, 5, MINUTE);
    assert_eq!((taken.len(), &taken[0].message), (1, &message));
    assert_eq!(
        block_on(queue.metrics()).unwrap(),
        QueueMetrics::default().count(1).bytes(2).oldest_ms(5)
    );
}

#[test]
fn a_backlog_that_would_be_too_large_refuses_all_of_a_batch_and_can_be_settled() {
    let (_folder, queue) = queue();
    let queue = queue.bytes_max(100_000);
    let body = || Outbound::new(QueueMessage::new(QueueBody::bytes(vec![7; 9_900])));
    for _ in 0..9 {
        block_on(queue.send(vec![body()])).unwrap();
    }
    let refused = block_on(queue.send(vec![body(), body()])).unwrap_err();
    assert_eq!(refused, StorageError::Full(100_000));
    assert_eq!(block_on(queue.send(vec![body()])).unwrap().count, 10);
    let taken = take(&queue, 10, MINUTE);
    settle(&queue, &taken, Verdict::Remove);
    assert_eq!(block_on(queue.metrics()).unwrap(), QueueMetrics::default());
    assert_eq!(block_on(queue.send(vec![body()])).unwrap().count, 1);
}

#[test]
fn a_purge_removes_leased_messages() {
    let (_folder, queue) = queue();
    send(&queue, &["a", "b"]);
    let taken = take(&queue, 1, MINUTE);
    assert_eq!(block_on(queue.purge()).unwrap(), 2);
    settle(&queue, &taken, Verdict::Retry(Duration::ZERO));
    assert_eq!(take(&queue, 5, MINUTE), []);
}

#[test]
fn consumers_are_notified_of_new_and_retried_messages() {
    let (_folder, queue) = queue();
    send(&queue, &["a"]);
    let seen = block_on(queue.changed(0)).unwrap();
    let waits = queue.changed(seen);
    let other = queue.clone();
    let sender = std::thread::spawn(move || send(&other, &["b"]));
    let seen = block_on(waits).unwrap();
    sender.join().unwrap();
    let taken = take(&queue, 1, MINUTE);
    settle(&queue, &taken, Verdict::Retry(Duration::ZERO));
    assert!(block_on(queue.changed(seen)).unwrap() > seen);
}

#[test]
fn two_processes_take_different_messages() {
    let (_folder, queue) = queue();
    let other = SqliteQueue::new(queue.path());
    send(&queue, &["a", "b", "c"]);
    let mut all = texts(&take(&queue, 2, MINUTE));
    all.extend(texts(&take(&other, 2, MINUTE)));
    assert_eq!(all, named(&[("a", 1), ("b", 1), ("c", 1)]));
}

/// A step of a producer or a consumer.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send(u8),
    Take(usize),
    Settle(Verdict),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u8>().prop_map(Step::Send),
        (1..4_usize).prop_map(Step::Take),
        prop_oneof![
            Just(Verdict::Remove),
            Just(Verdict::Return),
            Just(Verdict::Retry(Duration::ZERO)),
            Just(Verdict::Retry(MINUTE))
        ]
        .prop_map(Step::Settle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The totals are those of the messages that were sent and not removed.
    #[test]
    fn the_backlog_is_what_was_sent_and_not_removed(steps in proptest::collection::vec(step(), 1..20)) {
        let (_folder, queue) = queue();
        let (mut held, mut count, mut bytes) = (Vec::new(), 0, 0);
        for step in steps {
            match step {
                Step::Send(length) => {
                    let body = QueueBody::bytes(vec![0; usize::from(length)]);
                    block_on(queue.send(vec![Outbound::new(QueueMessage::new(body))])).unwrap();
                    count += 1;
                    bytes += u64::from(length);
                }
                Step::Take(at_most) => held.extend(take(&queue, at_most, MINUTE)),
                Step::Settle(verdict) => {
                    let taken: Vec<_> = held.pop().into_iter().collect();
                    settle(&queue, &taken, verdict);
                    if verdict == Verdict::Remove {
                        count -= taken.len() as u64;
                        bytes -= taken.iter().map(|one| one.message.body.bytes.len() as u64).sum::<u64>();
                    }
                }
            }
            let metrics = block_on(queue.metrics()).unwrap();
            prop_assert_eq!((metrics.count, metrics.bytes, metrics.oldest_ms.is_some()), (count, bytes, count > 0));
        }
    }
}

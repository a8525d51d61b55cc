//! Queues on NATS JetStream.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use isopod_ext::bindings::queue::{
    ContentType, Leased, NatsQueue, Outbound, QueueBody, QueueMessage, QueueStore, Receipt, Take, Verdict,
};
use isopod_ext::storage::{NatsServer, StorageError};

use crate::common::nats::Nats;
use crate::stores::{await_messages, consumers_share, send, settle, take, told};

/// A connection of a process of its own.
fn process(server: &Nats) -> NatsServer {
    NatsServer::new(server.url()).expect("a URL")
}

fn text(text: &str) -> Outbound {
    Outbound::new(QueueMessage::new(QueueBody::text(text)))
}

fn count(store: &dyn QueueStore) -> u64 {
    block_on(store.metrics()).expect("a backlog").count
}

/// Takes until there are this many.
fn await_all(store: &dyn QueueStore, count: usize) -> (Vec<Receipt>, Vec<(String, u32)>) {
    let (mut receipts, mut texts) = (Vec::new(), Vec::new());
    while texts.len() < count {
        let (more, found) = await_messages(store);
        assert!(!found.is_empty(), "only {texts:?}");
        receipts.extend(more);
        texts.extend(found);
    }
    (receipts, texts)
}

#[test]
fn a_queue_keeps_messages_until_they_are_settled() {
    let server = Nats::start();
    let (one, two) = (process(&server), process(&server));
    let (store, other) = (NatsQueue::new(&one, "a b"), NatsQueue::new(&two, "a b"));
    let apart = NatsQueue::new(&one, "apart");
    assert_eq!(send(&store, &["a", "b", "c"]), 3);
    assert_eq!(count(&apart), 0);
    let metrics = block_on(other.metrics()).expect("a backlog");
    assert!(
        metrics.count == 3 && metrics.bytes >= 3 && metrics.oldest_ms.is_some(),
        "{metrics:?}"
    );
    let peeked = block_on(other.peek(2)).expect("messages");
    let bodies: Vec<_> = peeked.iter().map(|one| &*one.message.body.bytes).collect();
    assert_eq!(bodies, [b"a", b"b"]);
    assert!(
        peeked.iter().all(|one| !one.is_leased && one.attempts == 0),
        "{peeked:?}"
    );

    let few = block_on(store.take(Take::default().at_least(4))).expect("messages");
    assert!(few.messages.is_empty() && few.waiting == 3, "{few:?}");
    let (first, texts) = take(&store, Take::default().at_most(2));
    assert_eq!(texts, told(&[("a", 1), ("b", 1)]));
    let (rest, texts) = take(&other, Take::default());
    assert_eq!(texts, told(&[("c", 1)]));
    assert!(block_on(other.peek(1)).expect("messages")[0].is_leased);

    settle(&store, &first[..1], Verdict::Remove);
    settle(&store, &first[1..], Verdict::Return);
    settle(&other, &rest, Verdict::Retry(Duration::from_millis(1)));
    let (all, mut texts) = await_all(&store, 2);
    texts.sort();
    assert_eq!(
        texts,
        told(&[("b", 1), ("c", 2)]),
        "a return is no attempt, a retry is one"
    );
    // A settled message is not settled again.
    settle(&store, &first, Verdict::Remove);
    assert_eq!(count(&store), 2);
    settle(&store, &all, Verdict::Remove);
    let empty = block_on(other.metrics()).expect("a backlog");
    assert_eq!((empty.count, empty.bytes, empty.oldest_ms), (0, 0, None));

    // A message that is moved twice is there once.
    let moved = QueueMessage::again("an id", 5, QueueBody::json(&serde_json::json!([1])));
    for _ in 0..2 {
        let moved = [moved.clone(), QueueMessage::again("other", 6, QueueBody::text("x"))];
        let moved = moved.map(|message| Outbound::new(message).is_moved(true));
        block_on(store.send(moved.into())).expect("an acknowledgment");
    }
    let taken = block_on(other.take(Take::default())).expect("messages").messages;
    assert_eq!(taken.len(), 2, "{taken:?}");
    assert!(taken.iter().any(|one| one.message == moved), "{taken:?}");
    let receipts: Vec<_> = taken.iter().map(|one: &Leased| one.receipt).collect();
    assert_eq!(block_on(store.purge()).expect("a number"), 2);
    // They are removed, even those that another process has taken.
    settle(&other, &receipts[..1], Verdict::Remove);
    settle(&other, &receipts[1..], Verdict::Retry(Duration::ZERO));
    assert_eq!(take(&store, Take::default()).1, []);

    // A dead letter goes back to the queue that it comes from, again and again.
    let letter = QueueMessage::new(QueueBody::text("letter"));
    block_on(store.send(vec![Outbound::new(letter.clone())])).expect("an acknowledgment");
    for (from, to) in [(&store, &apart), (&apart, &store), (&store, &apart)] {
        let (receipts, texts) = take(from, Take::default());
        assert_eq!(texts, told(&[("letter", 1)]));
        block_on(to.send(vec![Outbound::new(letter.clone()).is_moved(true)])).expect("an acknowledgment");
        settle(from, &receipts, Verdict::Remove);
    }
    assert_eq!((count(&store), count(&apart)), (0, 1));

    let forms = ContentType::ALL.map(|form| Outbound::new(QueueMessage::new(QueueBody::new(form, "1"))));
    block_on(store.send(forms.clone().into())).expect("an acknowledgment");
    let taken = block_on(store.take(Take::default())).expect("messages").messages;
    let messages: Vec<_> = taken.into_iter().map(|one| one.message).collect();
    assert_eq!(messages, forms.map(|one| one.message));
}

#[test]
fn consumers_share_the_messages_of_a_queue() {
    let server = Nats::start();
    let open = || Arc::new(NatsQueue::new(&process(&server), "c")) as Arc<dyn QueueStore>;
    consumers_share(&[open(), open(), open()]);
}

#[test]
fn an_expired_lease_frees_its_message() {
    let server = Nats::start();
    let (store, other) = (
        NatsQueue::new(&process(&server), "q"),
        NatsQueue::new(&process(&server), "q"),
    );
    send(&store, &["kept", "lost"]);
    let lease = Duration::from_secs(1);
    let (receipts, _) = take(&store, Take::default().lease(lease));
    let (kept, lost) = (receipts[..1].to_vec(), receipts[1..].to_vec());
    let (again, texts) = loop {
        block_on(store.renew(kept.clone(), lease)).expect("an acknowledgment");
        let taken = take(&other, Take::default().lease(lease));
        if !taken.0.is_empty() {
            break taken;
        }
    };
    assert_eq!(texts, told(&[("lost", 2)]));
    settle(&store, &lost, Verdict::Remove);
    assert_eq!(count(&store), 2, "the old receipt has no effect");
    settle(&store, &kept, Verdict::Remove);
    settle(&other, &again, Verdict::Remove);
    assert_eq!(count(&store), 0);
}

#[test]
fn a_delayed_message_comes_at_its_time_alone_and_in_a_batch() {
    let server = Nats::start();
    let (store, other) = (
        NatsQueue::new(&process(&server), "q"),
        NatsQueue::new(&process(&server), "q"),
    );
    let delay = Duration::from_secs(1);
    // The first change is counted once the connection listens.
    let seen = block_on(other.changed(0)).expect("a change");
    block_on(store.send(vec![text("alone").delay(delay)])).expect("an acknowledgment");
    block_on(store.send(vec![text("now"), text("later").delay(delay)])).expect("an acknowledgment");
    assert_eq!(take(&store, Take::default()).1, told(&[("now", 1)]));
    let peeked = block_on(store.peek(9)).expect("messages");
    assert_eq!(
        peeked.iter().filter(|one| one.due_ms.is_some()).count(),
        2,
        "{peeked:?}"
    );
    // The other process is notified of the time.
    block_on(other.changed(seen)).expect("a change");
    let mut next = None;
    while next.is_none() && count(&store) == 3 {
        next = block_on(other.take(Take::default().at_least(9)))
            .expect("messages")
            .next_ms;
    }
    assert!(next.is_some());
    let (_, mut texts) = await_all(&other, 2);
    texts.sort();
    assert_eq!(texts, told(&[("alone", 1), ("later", 1)]));
}

#[test]
fn a_message_wakes_the_consumers_of_other_processes() {
    let server = Nats::start();
    let (here, there) = (
        NatsQueue::new(&process(&server), "q"),
        NatsQueue::new(&process(&server), "q"),
    );
    // The first change is counted once the connection listens.
    let seen = block_on(there.changed(0)).expect("a change");
    let waits = thread::spawn(move || block_on(there.changed(seen)).expect("a change"));
    send(&here, &["a"]);
    assert_ne!(waits.join().expect("a consumer"), seen);
}

#[test]
fn a_full_queue_refuses_messages() {
    let server = Nats::start();
    let queue = NatsQueue::new(&process(&server), "q").bytes_max(450);
    send(&queue, &["a", "b"]);
    let full = block_on(queue.send(vec![text("c")]));
    assert_eq!(full, Err(StorageError::Full(450)));
}

#[test]
fn a_restart_of_the_server_loses_no_operation() {
    let server = Nats::start();
    let queue = NatsQueue::new(&process(&server), "q");
    send(&queue, &["before"]);
    let written = thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let queue = &queue;
                scope.spawn(move || {
                    for at in 0..50 {
                        let texts = [0, 1].map(|part| format!("{writer}-{at}-{part}"));
                        send(queue, &texts.each_ref().map(String::as_str));
                    }
                })
            })
            .collect();
        for _ in 0..3 {
            server.crash();
            server.run();
        }
        writers.into_iter().for_each(|writer| writer.join().expect("a writer"));
        400
    });
    let mut texts = BTreeSet::new();
    while texts.len() <= written {
        let (receipts, more) = await_messages(&queue);
        assert!(!more.is_empty(), "only {}", texts.len());
        settle(&queue, &receipts, Verdict::Remove);
        assert!(
            more.iter().all(|(text, _)| texts.insert(text.clone())),
            "twice: {more:?}"
        );
    }
    assert_eq!(count(&queue), 0);
}

#[test]
fn a_missing_server_is_reported_at_once_without_password() {
    // The listener is closed again.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|one| one.local_addr())
        .expect("a port")
        .port();
    let server = NatsServer::new(format!("nats://app:hidden@127.0.0.1:{port}/shop")).expect("a URL");
    let store = NatsQueue::new(&server, "q");
    let error = block_on(store.metrics()).expect_err("no server").to_string();
    assert!(error.contains(&format!("NATS at 127.0.0.1:{port}/shop: ")), "{error}");
    assert!(!format!("{error} {store:?}").contains("hidden"), "{error} {store:?}");
}

#[test]
fn a_wrong_password_is_reported() {
    let server = Nats::start();
    let wrong = NatsServer::new(server.url().replace("hidden", "wrong")).expect("a URL");
    let error = block_on(NatsQueue::new(&wrong, "q").metrics())
        .expect_err("refused")
        .to_string();
    assert!(error.contains("authorization") && !error.contains("wrong@"), "{error}");
}

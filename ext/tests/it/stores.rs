//! The stores of bindings, each kind on every engine: the same tests for all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::executor::block_on;
use isopod_ext::bindings::kv::{KvEntry, KvListing, KvStore, PostgresKv, SqliteKv};
use isopod_ext::bindings::queue::{
    Outbound, PostgresQueue, QueueBody, QueueMessage, QueueStore, Receipt, Settled, SqliteQueue, Take, Verdict,
};
use isopod_ext::storage::ticks::{PostgresTicks, Tick, TickStore};
use isopod_ext::storage::{PostgresServer, ReadRoom, StorageError};

use crate::common::postgres::Postgres;

/// A connection of a process of its own.
fn process(server: &Postgres) -> PostgresServer {
    PostgresServer::new(server.url()).expect("a URL")
}

fn get(store: &dyn KvStore, key: &str) -> Option<KvEntry> {
    let room = ReadRoom::new(usize::MAX);
    block_on(store.get(vec![key.to_owned()], room))
        .expect("an answer")
        .pop()
        .flatten()
}

fn put(store: &dyn KvStore, key: &str, entry: KvEntry) {
    block_on(store.put(key.to_owned(), entry)).expect("an acknowledgment");
}

fn names(store: &dyn KvStore, listing: KvListing) -> (Vec<String>, bool) {
    let page = block_on(store.list(listing)).expect("a page");
    (page.keys.into_iter().map(|key| key.name).collect(), page.is_complete)
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs()
}

/// `store` and `other` are the same namespace, `apart` is another.
fn a_namespace_behaves(store: &dyn KvStore, other: &dyn KvStore, apart: &dyn KvStore) {
    assert_eq!(get(store, "a"), None);
    put(store, "a", KvEntry::new("1").metadata("{}".to_owned()));
    put(
        store,
        "a",
        KvEntry::new("2").metadata("[1]".to_owned()).expiration(seconds() + 100),
    );
    let found = get(other, "a").expect("an entry");
    assert_eq!((&*found.value, found.metadata.as_deref()), (&b"2"[..], Some("[1]")));
    assert!(found.expiration.is_some());
    assert_eq!(get(apart, "a"), None);

    // Larger than what is read with its entry.
    let large = vec![7_u8; 3 << 20];
    put(store, "large", KvEntry::new(large.clone()));
    assert_eq!(get(other, "large").expect("an entry").value, large);
    let refused = block_on(store.get(vec!["large".to_owned()], ReadRoom::new(1 << 20)));
    assert!(matches!(refused, Err(StorageError::Memory(_))), "{refused:?}");

    put(store, "gone", KvEntry::new("x").expiration(seconds() - 1));
    assert_eq!(get(store, "gone"), None);

    for key in ["b\0", "b", "b/ä", "b/\u{10ffff}", "b/\u{10ffff}x", "c"] {
        put(store, key, KvEntry::new(key.to_owned()));
    }
    let all = ["a", "b", "b\0", "b/ä", "b/\u{10ffff}", "b/\u{10ffff}x", "c", "large"].map(str::to_owned);
    assert_eq!(names(other, KvListing::default()), (all[..].to_vec(), true));
    assert_eq!(
        names(other, KvListing::default().prefix("b/")),
        (all[3..6].to_vec(), true)
    );
    assert_eq!(
        names(other, KvListing::default().prefix("b/\u{10ffff}").limit(1)),
        (all[4..5].to_vec(), false)
    );
    let after = KvListing::default().prefix("b").after(Some("b/ä".to_owned())).limit(2);
    assert_eq!(names(other, after), (all[4..6].to_vec(), true));
    let several = block_on(store.get(
        vec!["c".to_owned(), "no".to_owned(), "b\0".to_owned()],
        ReadRoom::new(1000),
    ));
    let several = several
        .expect("entries")
        .into_iter()
        .map(|entry| entry.map(|entry| entry.value));
    assert_eq!(
        several.collect::<Vec<_>>(),
        [Some("c".into()), None, Some("b\0".into())]
    );

    block_on(other.delete("c".to_owned())).expect("an acknowledgment");
    block_on(other.delete("c".to_owned())).expect("an acknowledgment");
    assert_eq!(get(store, "c"), None);
}

#[test]
fn a_namespace_behaves_alike_on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |name: &str| SqliteKv::new(folder.path().join(name));
    a_namespace_behaves(&open("a"), &open("a"), &open("b"));
}

#[test]
fn a_namespace_behaves_alike_on_postgresql() {
    let server = Postgres::start();
    let (one, two) = (process(&server), process(&server));
    let open = PostgresKv::new;
    a_namespace_behaves(&open(&one, "a"), &open(&two, "a"), &open(&one, "b"));
}

pub(crate) fn send(store: &dyn QueueStore, texts: &[&str]) -> u64 {
    let messages = texts
        .iter()
        .map(|text| Outbound::new(QueueMessage::new(QueueBody::text(*text))));
    block_on(store.send(messages.collect()))
        .expect("an acknowledgment")
        .count
}

/// Takes messages: their receipts, and their texts with the number of attempts.
pub(crate) fn take(store: &dyn QueueStore, wanted: Take) -> (Vec<Receipt>, Vec<(String, u32)>) {
    let taken = block_on(store.take(wanted)).expect("messages").messages;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    taken
        .into_iter()
        .map(|one| (one.receipt, (text(&one.message.body.bytes), one.attempts)))
        .unzip()
}

pub(crate) fn settle(store: &dyn QueueStore, receipts: &[Receipt], verdict: Verdict) {
    let settled = receipts.iter().map(|receipt| Settled {
        receipt: *receipt,
        verdict,
    });
    block_on(store.settle(settled.collect())).expect("an acknowledgment");
}

/// Takes until there are messages.
pub(crate) fn await_messages(store: &dyn QueueStore) -> (Vec<Receipt>, Vec<(String, u32)>) {
    let begun = Instant::now();
    loop {
        let taken = take(store, Take::default());
        if !taken.0.is_empty() || begun.elapsed() > Duration::from_secs(20) {
            return taken;
        }
        thread::yield_now();
    }
}

pub(crate) fn told(texts: &[(&str, u32)]) -> Vec<(String, u32)> {
    texts
        .iter()
        .map(|(text, attempts)| ((*text).to_owned(), *attempts))
        .collect()
}

/// `store` and `other` are the same queue, `apart` is another.
fn a_queue_behaves(store: &dyn QueueStore, other: &dyn QueueStore, apart: &dyn QueueStore) {
    assert_eq!(send(store, &["a", "b", "c"]), 3);
    assert_eq!(block_on(apart.metrics()).expect("a backlog").count, 0);
    let metrics = block_on(other.metrics()).expect("a backlog");
    assert_eq!((metrics.count, metrics.bytes), (3, 3));
    assert!(metrics.oldest_ms.is_some());
    let peeked = block_on(other.peek(2)).expect("messages");
    assert_eq!(
        peeked.iter().map(|one| &*one.message.body.bytes).collect::<Vec<_>>(),
        [b"a", b"b"]
    );

    // Fewer than are wanted are left.
    let few = block_on(store.take(Take::default().at_least(4))).expect("messages");
    assert!(few.messages.is_empty() && few.waiting == 3, "{few:?}");
    // No more are taken once their length is reached.
    let (first, texts) = take(store, Take::default().bytes_max(2));
    assert_eq!(texts, told(&[("a", 1), ("b", 1)]));
    let (rest, texts) = take(other, Take::default().lease(Duration::from_millis(1)));
    assert_eq!(texts, told(&[("c", 1)]));
    // Its lease is over, and the old receipt has no effect.
    let (again, texts) = await_messages(store);
    assert_eq!(texts, told(&[("c", 2)]));
    settle(other, &rest, Verdict::Remove);
    assert_eq!(block_on(store.metrics()).expect("a backlog").count, 3);

    settle(store, &first[..1], Verdict::Remove);
    settle(store, &first[1..], Verdict::Return);
    settle(store, &again, Verdict::Retry(Duration::from_millis(1)));
    let (mut all, mut texts) = await_messages(other);
    while texts.len() < 2 {
        let (receipts, more) = await_messages(other);
        all.extend(receipts);
        texts.extend(more);
    }
    assert_eq!(
        texts,
        told(&[("b", 1), ("c", 3)]),
        "a return is no attempt, a retry is one"
    );
    settle(other, &all, Verdict::Remove);
    let empty = block_on(store.metrics()).expect("a backlog");
    assert_eq!((empty.count, empty.bytes, empty.oldest_ms), (0, 0, None));

    // A message that is moved twice is there once.
    let moved = QueueMessage::again("0123", 5, QueueBody::text("dead"));
    for _ in 0..2 {
        block_on(store.send(vec![Outbound::new(moved.clone()).is_moved(true)])).expect("an acknowledgment");
    }
    assert_eq!(block_on(store.purge()).expect("a number"), 1);
    assert_eq!(take(store, Take::default()).1, []);

    // One that is delayed comes later, and a lease that is renewed lasts.
    let later = Outbound::new(QueueMessage::new(QueueBody::text("later"))).delay(Duration::from_secs(3600));
    block_on(store.send(vec![later])).expect("an acknowledgment");
    let none = block_on(other.take(Take::default())).expect("messages");
    assert!(
        none.messages.is_empty() && none.next_ms.is_some_and(|next| next > seconds() * 1000),
        "{none:?}"
    );
    send(store, &["long"]);
    let (long, _) = take(store, Take::default().lease(Duration::from_secs(1)));
    block_on(other.renew(long.clone(), Duration::from_secs(3600))).expect("an acknowledgment");
    let after = block_on(store.take(Take::default())).expect("messages").next_ms;
    assert!(after.is_some_and(|next| next > (seconds() + 3000) * 1000), "{after:?}");
    settle(store, &long, Verdict::Remove);
}

/// Takes and settles on several handles at once. Each message goes to one of them.
pub(crate) fn consumers_share(stores: &[Arc<dyn QueueStore>]) {
    const COUNT: usize = 600;
    let texts: Vec<String> = (0..COUNT).map(|at| at.to_string()).collect();
    for texts in texts.chunks(50) {
        send(&*stores[0], &texts.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let had: Vec<String> = thread::scope(|scope| {
        let takers: Vec<_> = stores
            .iter()
            .map(|store| {
                scope.spawn(move || {
                    let mut had = Vec::new();
                    while block_on(store.metrics()).expect("a backlog").count > 0 {
                        let (receipts, texts) = take(&**store, Take::default().at_most(20));
                        settle(&**store, &receipts, Verdict::Remove);
                        had.extend(texts.into_iter().map(|(text, _)| text));
                    }
                    had
                })
            })
            .collect();
        takers
            .into_iter()
            .flat_map(|taker| taker.join().expect("a taker"))
            .collect()
    });
    assert_eq!(had.len(), COUNT, "each once");
    assert_eq!(had.into_iter().collect::<BTreeSet<_>>(), texts.into_iter().collect());
}

#[test]
fn a_queue_behaves_alike_on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |name: &str| SqliteQueue::new(folder.path().join(name));
    a_queue_behaves(&open("a"), &open("a"), &open("b"));
    let shared: Vec<_> = (0..3).map(|_| Arc::new(open("c")) as Arc<dyn QueueStore>).collect();
    consumers_share(&shared);
}

#[test]
fn a_queue_behaves_alike_on_postgresql() {
    let server = Postgres::start();
    let (one, two) = (process(&server), process(&server));
    let open = PostgresQueue::new;
    a_queue_behaves(&open(&one, "a"), &open(&two, "a"), &open(&one, "b"));
    let shared: Vec<_> = (0..3)
        .map(|_| Arc::new(open(&process(&server), "c")) as Arc<dyn QueueStore>)
        .collect();
    consumers_share(&shared);
}

#[test]
fn a_message_wakes_the_consumers_of_other_processes() {
    let server = Postgres::start();
    let (here, there) = (
        PostgresQueue::new(&process(&server), "q"),
        PostgresQueue::new(&process(&server), "q"),
    );
    // The first change is counted once the connection listens.
    let seen = block_on(there.changed(0)).expect("a change");
    let waits = thread::spawn(move || block_on(there.changed(seen)).expect("a change"));
    send(&here, &["a"]);
    let wakes = waits.join().expect("a consumer");
    assert_ne!(wakes, seen);
}

#[test]
fn a_full_queue_refuses_messages() {
    let server = Postgres::start();
    let queue = PostgresQueue::new(&process(&server), "q").bytes_max(250);
    send(&queue, &["a", "b"]);
    let full = block_on(queue.send(vec![Outbound::new(QueueMessage::new(QueueBody::text("c")))]));
    assert_eq!(full, Err(StorageError::Full(250)));
}

#[test]
fn a_tick_is_taken_once_by_processes_that_share_a_server() {
    let server = Postgres::start();
    let records: Vec<_> = (0..3).map(|_| PostgresTicks::new(&process(&server))).collect();
    let take = |record: &PostgresTicks, cron: &str, time: u64| {
        let tick = Tick::new("w", cron, UNIX_EPOCH + Duration::from_secs(time));
        block_on(record.take(tick)).expect("a record")
    };
    for time in 1000..1010 {
        let taken = thread::scope(|scope| {
            let takers: Vec<_> = records
                .iter()
                .map(|record| scope.spawn(move || take(record, "*", time)))
                .collect();
            let taken = takers.into_iter().map(|taker| taker.join().expect("a taker"));
            taken.filter(|is_taken| *is_taken).count()
        });
        assert_eq!(taken, 1, "{time}");
    }
    assert!(!take(&records[0], "*", 1005), "it is late");
    assert!(take(&records[0], "other", 1005));
}

#[test]
fn a_restart_of_the_server_loses_no_operation() {
    let server = Postgres::start();
    let of_process = process(&server);
    let (kv, queue) = (PostgresKv::new(&of_process, "n"), PostgresQueue::new(&of_process, "q"));
    put(&kv, "before", KvEntry::new("1"));
    send(&queue, &["before"]);
    let written = thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (kv, queue) = (&kv, &queue);
                scope.spawn(move || {
                    for at in 0..50 {
                        let key = format!("{writer}-{at}");
                        put(kv, &key, KvEntry::new("1"));
                        send(queue, &[&key]);
                    }
                })
            })
            .collect();
        for _ in 0..3 {
            server.crash();
            server.run();
        }
        writers.into_iter().for_each(|writer| writer.join().expect("a writer"));
        200
    });
    assert_eq!(names(&kv, KvListing::default()).0.len(), written + 1);
    assert_eq!(block_on(queue.metrics()).expect("a backlog").count, written as u64 + 1);
    let mut texts = BTreeSet::new();
    while texts.len() <= written {
        let (receipts, more) = await_messages(&queue);
        settle(&queue, &receipts, Verdict::Remove);
        assert!(
            more.iter().all(|(text, _)| texts.insert(text.clone())),
            "twice: {more:?}"
        );
        assert!(!more.is_empty(), "only {texts:?}");
    }
}

#[test]
fn an_unreachable_server_is_reported_at_once_without_its_password() {
    // The listener is closed again.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|one| one.local_addr())
        .expect("a port")
        .port();
    let server = PostgresServer::new(format!("postgres://app:hidden@127.0.0.1:{port}/shop")).expect("a URL");
    let store = PostgresKv::new(&server, "n");
    let error = block_on(store.delete("a".to_owned()))
        .expect_err("no server")
        .to_string();
    assert!(
        error.contains(&format!("PostgreSQL at 127.0.0.1:{port}/shop: ")),
        "{error}"
    );
    assert!(!format!("{error} {store:?}").contains("hidden"), "{error} {store:?}");
}

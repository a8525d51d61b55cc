use futures::executor::block_on;

use super::*;
use crate::storage::StorageError;

fn store() -> (tempfile::TempDir, SqliteKv) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteKv::new(folder.path().join("new/folder/kv.sqlite"));
    (folder, store)
}

fn room() -> ReadRoom {
    ReadRoom::new(64 << 20)
}

fn get(store: &SqliteKv, key: &str) -> Option<KvEntry> {
    block_on(store.get(vec![key.to_owned()], room())).unwrap().remove(0)
}

fn put(store: &SqliteKv, key: &str, entry: KvEntry) -> Result<(), StorageError> {
    block_on(store.put(key.to_owned(), entry))
}

fn names(page: &KvPage) -> Vec<&str> {
    page.keys.iter().map(|key| key.name.as_str()).collect()
}

#[test]
fn the_last_put_of_an_entry_counts() {
    let (_folder, store) = store();
    assert_eq!(get(&store, "a"), None);
    let first = KvEntry::new("one").metadata("{}".to_owned()).expiration(now() + 1000);
    put(&store, "a", first.clone()).unwrap();
    assert_eq!(get(&store, "a"), Some(first));
    put(&store, "a", KvEntry::new("two")).unwrap();
    assert_eq!(get(&store, "a"), Some(KvEntry::new("two")));
    block_on(store.delete("a".to_owned())).unwrap();
    assert_eq!(get(&store, "a"), None);
}

#[test]
fn large_values_are_read_as_they_were_put() {
    let (_folder, store) = store();
    for length in [0, SMALL_BYTES, SMALL_BYTES + 1, 25 << 20] {
        let value: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        put(&store, "a", KvEntry::new(value.clone())).unwrap();
        assert!(get(&store, "a").is_some_and(|entry| entry.value == value), "{length}");
    }
}

#[test]
fn a_read_on_the_callers_thread_gives_what_the_readers_give() {
    let (_folder, store) = store();
    let near = |store: &SqliteKv, key: &str| store.get_now(key, &room());
    put(&store, "a", KvEntry::new("one")).unwrap();
    assert_eq!(near(&store, "a"), None, "no connection is open yet");
    let begun = std::time::Instant::now();
    while near(&store, "a").is_none() {
        // Each read may start another reader, which opens a connection for callers.
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert_eq!(get(&store, "a"), Some(KvEntry::new("one")));
    }
    for value in ["two", "three"] {
        put(&store, "a", KvEntry::new(value)).unwrap();
        assert_eq!(near(&store, "a"), Some(Some(KvEntry::new(value))));
    }
    assert_eq!(near(&store, "b"), Some(None));
    put(&store, "a", KvEntry::new(vec![0; SMALL_BYTES + 1])).unwrap();
    assert_eq!(near(&store, "a"), None, "it is large");
    assert!(
        store
            .database
            .read_near(|_| -> Result<Option<()>, Failed> { Err(rusqlite::Error::InvalidQuery.into()) })
            .is_none()
    );
    put(&store, "a", KvEntry::new("four").expiration(1)).unwrap();
    assert_eq!(near(&store, "a"), Some(None), "it has expired");
}

#[test]
fn a_value_is_not_read_without_room_for_it() {
    let (_folder, store) = store();
    put(&store, "a", KvEntry::new(vec![0; 100_000])).unwrap();
    let room = ReadRoom::new(150_000);
    let first = block_on(store.get(vec!["a".to_owned()], room.clone())).unwrap();
    let second = block_on(store.get(vec!["a".to_owned()], room.clone()));
    assert!(matches!(second, Err(StorageError::Memory(_))), "{second:?}");
    drop(first);
    block_on(store.get(vec!["a".to_owned()], room)).unwrap();
}

/// Source: the order of workerd's transcript, that of UTF-8 bytes; and `list_complete` is true where nothing follows.
#[test]
fn keys_are_listed_by_their_bytes_in_pages() {
    let (_folder, store) = store();
    let all = ["%", "B", "_", "a", "ab", "b", "é", "\u{ffee}", "\u{1f600}"];
    for key in all.iter().rev() {
        put(&store, &format!("o/{key}"), KvEntry::new("x")).unwrap();
    }
    put(&store, "o0", KvEntry::new("x")).unwrap();
    let all: Vec<_> = all.iter().map(|key| format!("o/{key}")).collect();
    let mut after = None;
    let mut pages = Vec::new();
    loop {
        let listing = KvListing::default().prefix("o/").after(after).limit(4);
        let page = block_on(store.list(listing)).unwrap();
        after = page.keys.last().map(|key| key.name.clone());
        let is_complete = page.is_complete;
        pages.push(page);
        if is_complete {
            break;
        }
    }
    assert_eq!(pages.iter().map(|page| page.keys.len()).collect::<Vec<_>>(), [4, 4, 1]);
    assert_eq!(pages.iter().flat_map(names).collect::<Vec<_>>(), all);
    let page = block_on(store.list(KvListing::default().prefix("o/").limit(9))).unwrap();
    assert!(page.is_complete && page.keys.len() == 9);
}

#[test]
fn expired_entries_are_invisible_and_later_removed() {
    let (_folder, store) = store();
    let store = SqliteKv::of(Options {
        sweep_every: Duration::from_millis(10),
        ..store.options
    });
    for key in 0..250 {
        put(&store, &format!("old{key}"), KvEntry::new("x").expiration(now())).unwrap();
    }
    put(&store, "new", KvEntry::new("x").expiration(now() + 1000)).unwrap();
    assert_eq!(get(&store, "old0"), None);
    assert_eq!(names(&block_on(store.list(KvListing::default())).unwrap()), ["new"]);
    let db = Connection::open(store.path()).unwrap();
    let rows = || db.query_row("SELECT count(*) FROM entries", [], |row| row.get::<_, u32>(0));
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while rows().unwrap() > 1 {
        assert!(std::time::Instant::now() < deadline, "{:?}", rows());
        // tidy:allow(sleep): between two looks into a file that another thread changes
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(rows().unwrap(), 1);
}

#[test]
fn a_full_file_refuses_a_write_and_keeps_its_data() {
    let (_folder, store) = store();
    let store = store.bytes_max(200_000);
    put(&store, "a", KvEntry::new("x")).unwrap();
    let error = put(&store, "b", KvEntry::new(vec![0; 300_000])).unwrap_err();
    assert_eq!(error, StorageError::Full(200_000));
    put(&store, "c", KvEntry::new("y")).unwrap();
    assert_eq!(names(&block_on(store.list(KvListing::default())).unwrap()), ["a", "c"]);
}

#[test]
fn a_full_queue_refuses_more() {
    let (_folder, store) = store();
    let store = store.queue_len_max(8);
    let puts: Vec<_> = (0..2000)
        .map(|at| store.put(format!("{at}"), KvEntry::new("x")))
        .collect();
    let done: Vec<_> = puts.into_iter().map(block_on).collect();
    let refused = done
        .iter()
        .filter(|done| **done == Err(StorageError::Overloaded(8)))
        .count();
    let stored = block_on(store.list(KvListing::default().limit(5000)))
        .unwrap()
        .keys
        .len();
    assert!(refused > 0 && stored > 0, "{refused} refused, {stored} stored");
    assert_eq!(refused + stored, 2000);
}

/// As by several processes.
#[test]
fn handles_of_one_file_see_each_others_writes() {
    let (_folder, one) = store();
    let two = SqliteKv::new(one.path());
    std::thread::scope(|scope| {
        for (name, store) in [("one", &one), ("two", &two)] {
            scope.spawn(move || {
                for at in 0..50 {
                    put(store, &format!("{name}{at}"), KvEntry::new("x")).unwrap();
                }
            });
        }
    });
    for store in [&one, &two] {
        let page = block_on(store.list(KvListing::default())).unwrap();
        assert_eq!(page.keys.len(), 100);
    }
}

#[test]
fn an_abandoned_write_may_be_left_out_and_disturbs_no_other() {
    let (_folder, store) = store();
    for at in 0..100 {
        drop(store.put(format!("dropped{at}"), KvEntry::new("x")));
    }
    put(&store, "kept", KvEntry::new("x")).unwrap();
    assert_eq!(get(&store, "kept"), Some(KvEntry::new("x")));
}

#[test]
fn a_file_of_another_format_is_refused() {
    let (_folder, store) = store();
    put(&store, "a", KvEntry::new("x")).unwrap();
    let db = Connection::open(store.path()).unwrap();
    db.pragma_update(None, "user_version", 9).unwrap();
    let error = put(&SqliteKv::new(store.path()), "a", KvEntry::new("x")).unwrap_err();
    assert!(error.to_string().contains("has version 9 of its format"), "{error}");
}

//! Bytes that a worker in a process of its own asks of bindings with storage and of `caches`: they answer or refuse, and afterwards all
//! the room in memory that the question and its answer took is given back.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::executor::block_on;
use isopod_ext::cache::{CacheLimits, ResponseCache};
use isopod_ext::remote::{Transit, serve_cache};
use isopod_pool::js::bindings::analytics::{AnalyticsBinding, SqliteAnalytics};
use isopod_pool::js::bindings::kv::{KvBinding, SqliteKv};
use isopod_pool::js::bindings::queue::{QueueBinding, SqliteQueue};
use isopod_pool::js::bindings::r2::{LocalR2, R2Binding};
use isopod_pool::js::bindings::{Binding, Parcel};
use isopod_pool::js::handlers::Body;

use crate::engine::Target;
use crate::mutate::mutated;
use crate::structured_clone::bytes;

/// What the parts of a value may count.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// The bytes in transit.
const ROOM: usize = 1 << 20;

/// Tags of operations, lengths, and texts that mean something.
const PARTS: &[&str] = &[
    "00",
    "01",
    "02",
    "03",
    "0161",
    "ffffffff0f",
    "ffffffffffffffffff01",
    "e807",
    // Texts of JSON: null, [], {}, -1, 1e999.
    "6e756c6c",
    "5b5d",
    "7b7d",
    "2d31",
    "3165393939",
    // text, json, bytes, v8.
    "0474657874",
    "046a736f6e",
    "056279746573",
    "027638",
];

/// The storage of all inputs.
struct Stores {
    bindings: [Arc<dyn Binding>; 4],
    cache: ResponseCache,
    transit: Transit,
    _folder: tempfile::TempDir,
}

static STORES: LazyLock<Stores> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    Stores {
        bindings: [
            Arc::new(KvBinding::new(SqliteKv::new(path("kv.sqlite3")))),
            Arc::new(R2Binding::new(LocalR2::new(path("r2")))),
            Arc::new(QueueBinding::new(SqliteQueue::new(path("queue.sqlite3")))),
            Arc::new(AnalyticsBinding::new(SqliteAnalytics::new(
                path("points.sqlite3"),
                "points",
            ))),
        ],
        cache: ResponseCache::new(CacheLimits::default()),
        transit: Transit::new(ROOM),
        _folder: folder,
    }
});

/// The answers to a question, of each binding and of the cache.
fn ask(bytes: &Bytes) -> Vec<Result<Parcel, String>> {
    let stores = &*STORES;
    let asked = || {
        let held = block_on(stores.transit.question(bytes.len()));
        Parcel {
            held,
            transit: stores.transit.clone(),
            ..Parcel::with_bodies(bytes.clone(), vec![Body::from("body")])
        }
    };
    let answered = |answer| block_on(async { Parcel::made(Box::pin(answer).await?, &stores.transit).await });
    let mut answers = Vec::new();
    for binding in &stores.bindings {
        answers.push(answered(binding.serve("script", asked(), VALUE_BYTES_MAX)));
    }
    answers.push(answered(serve_cache(stores.cache.clone(), "script", asked())));
    answers
}

fn check(text: &str) {
    drop(ask(&bytes(text)));
    let transit = &STORES.transit;
    let is_free = transit.question(ROOM).now_or_never().is_some()
        && transit.answer(ROOM).now_or_never().is_some()
        && transit.pass_on(ROOM).is_ok();
    assert!(is_free, "the room that a question takes is given back");
}

#[test]
fn questions() {
    // Stores write to the disk.
    Target::slow("questions", 64, Duration::from_secs(10)).run(|corpus| mutated(corpus, PARTS), check);
}

#[test]
fn the_corpus_has_a_question_for_each() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/questions");
    let mut answered = [0; 5];
    for file in std::fs::read_dir(folder).expect("the corpus") {
        let path = file.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        let answers = ask(&bytes(&text));
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let of = ["kv", "r2", "queue", "analytics", "cache"];
        let of = of.iter().position(|of| name.starts_with(of));
        // Findings have other names.
        let Some(of) = of else { continue };
        assert!(answers[of].is_ok(), "{name}: {:?}", answers[of].as_ref().err());
        answered[of] += 1;
    }
    assert!(answered.iter().all(|count| *count > 0), "{answered:?}");
}

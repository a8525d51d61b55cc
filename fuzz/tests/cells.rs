//! Bytes that a worker in a process of its own writes: a message or an error; and what it asks of bindings, which answer or refuse.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use isopod_ext::storage::{ReadRoom, StorageFuture};
use isopod_pool::js::bindings::kv::{KvBinding, KvEntry, KvListing, KvPage, KvStore};
use isopod_pool::js::bindings::rate_limit::RateLimit;
use isopod_pool::js::bindings::{Binding, Parcel};
use isopod_pool::js::fetcher::{FetchFuture, Fetcher, FetcherBinding};
use isopod_pool::js::handlers::{Body, Caller};
use isopod_pool::js::native::{NativeBinding, NativeFunction};
use isopod_pool::js::publish::{Outgoing, Publish, PublishBinding, Refused};
use isopod_pool::js::understood;
use isopod_pool::js::written::Frame;

use crate::engine::Target;
use crate::mutate::mutated;
use crate::structured_clone::bytes;

/// What the parts of a value may count.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// Tags of messages and operations, lengths, and texts that mean something.
const PARTS: &[&str] = &[
    "00",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "07",
    "08",
    "09",
    "80",
    "ff",
    "ffffffff0f",
    "0161",
    "0300",
    "010000",
    "474554",
    "04504f5354",
    "687474703a2f2f78",
    "0200",
    "08",
    "7f",
    "0a",
];

/// Keeps nothing.
struct Nothing;

impl KvStore for Nothing {
    fn get(&self, keys: Vec<String>, _room: ReadRoom) -> StorageFuture<Vec<Option<KvEntry>>> {
        Box::pin(async move { Ok(keys.iter().map(|key| Some(KvEntry::new(key.clone()))).collect()) })
    }

    fn put(&self, key: String, _entry: KvEntry) -> StorageFuture<()> {
        assert!(!key.is_empty(), "the rules of the platform hold");
        Box::pin(async { Ok(()) })
    }

    fn delete(&self, _key: String) -> StorageFuture<()> {
        Box::pin(async { Ok(()) })
    }

    fn list(&self, _listing: KvListing) -> StorageFuture<KvPage> {
        Box::pin(async { Ok(KvPage::default()) })
    }
}

impl Publish for Nothing {
    fn publish(&self, _message: Outgoing) -> Result<(), Refused> {
        Ok(())
    }
}

impl Fetcher for Nothing {
    fn fetch(&self, request: http::Request<Body>, caller: Caller) -> FetchFuture {
        assert_eq!(&*caller.worker, "script", "a worker is who it is");
        Box::pin(async move { Ok(http::Response::new(request.into_body())) })
    }
}

fn check(text: &str) {
    let bytes = bytes(text);
    understood(&bytes);
    let functions = [("f".to_owned(), NativeFunction::new(|(n,): (u32,)| async move { Ok(n) }))];
    let bindings: [Arc<dyn Binding>; 5] = [
        Arc::new(KvBinding::new(Nothing)),
        Arc::new(PublishBinding(Arc::new(Nothing))),
        Arc::new(FetcherBinding::new(Nothing)),
        Arc::new(NativeBinding::from(functions)),
        Arc::new(RateLimit::new(1, Duration::from_secs(60))),
    ];
    for binding in bindings {
        let asked = Parcel::with_bodies(bytes.clone(), vec![Body::from("body")]);
        // An answer or an error, as long as there is one.
        drop(block_on(binding.serve("script", asked, VALUE_BYTES_MAX)));
    }
}

#[test]
fn cells() {
    Target::new("cells").run(|corpus| mutated(corpus, PARTS), check);
}

#[test]
fn a_request_to_a_service_is_understood() {
    // A GET of http://x, by a caller who says another name.
    let seed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/cells/service.txt"));
    let bytes = bytes(&seed.expect("the corpus"));
    let Ok(Frame::Event(_)) = Frame::decode(&bytes) else {
        panic!("an event")
    };
    let asked = Parcel::new(bytes);
    let answer = block_on(FetcherBinding::new(Nothing).serve("script", asked, VALUE_BYTES_MAX));
    assert!(answer.is_ok(), "{:?}", answer.err());
}

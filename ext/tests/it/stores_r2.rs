//! Buckets on every engine: the same tests for all.

use std::sync::Arc;
use std::thread;

use futures::executor::block_on;
use http_body_util::BodyExt as _;
use isopod_ext::bindings::r2::{
    LocalR2, R2Algorithm, R2Checksum, R2Conditions, R2Error, R2Etag, R2Fault, R2Found, R2Get, R2HttpMetadata,
    R2Listing, R2NewUpload, R2Object, R2Part, R2Put, R2Range, R2StorageClass, R2Store, S3R2,
};
use isopod_ext::event::Body;
use isopod_ext::storage::{ReadRoom, StorageError};

use crate::common::seaweed::Seaweed;

const MIB: usize = 1 << 20;

fn put(store: &dyn R2Store, put: R2Put, content: &[u8]) -> Result<Option<R2Object>, R2Error> {
    block_on(store.put(put, Body::from(bytes::Bytes::copy_from_slice(content))))
}

fn stored(store: &dyn R2Store, key: &str, content: &[u8]) -> R2Object {
    put(store, R2Put::new(key), content)
        .expect("an acknowledgment")
        .expect("an object")
}

fn get(store: &dyn R2Store, get: R2Get) -> Option<R2Found> {
    block_on(store.get(get, ReadRoom::new(usize::MAX))).expect("an answer")
}

fn content(found: R2Found) -> Vec<u8> {
    let content = found.content.expect("content");
    block_on(content.collect()).expect("all of it").to_bytes().to_vec()
}

fn head(store: &dyn R2Store, key: &str) -> Option<R2Object> {
    block_on(store.head(key.to_owned())).expect("an answer")
}

fn keys(store: &dyn R2Store, listing: R2Listing) -> (Vec<String>, Vec<String>, Option<String>) {
    let page = block_on(store.list(listing)).expect("a page");
    (
        page.objects.into_iter().map(|object| object.key).collect(),
        page.prefixes,
        page.cursor,
    )
}

/// Bytes that differ by position.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from(at * 7919 % 251).expect("a byte"))
        .collect()
}

/// `store` and `other` are the same bucket, `apart` is another.
fn a_bucket_behaves(store: &dyn R2Store, other: &dyn R2Store, apart: &dyn R2Store) {
    assert_eq!(head(store, "a"), None);
    assert!(get(store, R2Get::new("a")).is_none());

    // Metadata of an object.
    let sha1 = R2Checksum {
        algorithm: R2Algorithm::Sha1,
        // Source: `printf hello | sha1sum`.
        digest: vec![
            0xaa, 0xf4, 0xc6, 0x1d, 0xdc, 0xc5, 0xe8, 0xa2, 0xda, 0xbe, 0xde, 0x0f, 0x3b, 0x48, 0x2c, 0xd9, 0xae, 0xa9,
            0x43, 0x4d,
        ],
    };
    let http = R2HttpMetadata::default()
        .content_type("text/plain".to_owned())
        .cache_control("max-age=60".to_owned())
        .content_disposition("inline".to_owned())
        .cache_expiry(1_700_000_000_000_i64);
    let about = R2Put::new("a")
        .checksum(sha1.clone())
        .http_metadata(http.clone())
        .custom_metadata(vec![("Key".to_owned(), "Wert ü".to_owned())])
        .storage_class(R2StorageClass::InfrequentAccess);
    let object = put(store, about.clone(), b"hello")
        .expect("an acknowledgment")
        .expect("an object");
    let found = head(other, "a").expect("an object");
    // Source: `printf hello | md5sum`.
    assert_eq!((&*found.etag, found.size), ("5d41402abc4b2a76b9719d911017c592", 5));
    assert_eq!((&found.version, &found.etag), (&object.version, &object.etag));
    assert_eq!(found.checksums.sha1.as_ref(), Some(&sha1.digest));
    assert_eq!(found.checksums.md5.as_ref().map(Vec::len), Some(16));
    assert_eq!(
        (&found.http_metadata, &found.custom_metadata),
        (&http, &about.custom_metadata)
    );
    assert_eq!(found.storage_class, R2StorageClass::InfrequentAccess);
    assert!(found.uploaded.abs_diff(object.uploaded) <= 2000, "{found:?} {object:?}");
    assert_eq!(content(get(other, R2Get::new("a")).expect("an object")), b"hello");
    assert_eq!(head(apart, "a"), None);
    let wrong = put(store, about, b"other");
    assert!(
        matches!(wrong, Err(R2Error::Fault(R2Fault::Digest { .. }))),
        "{wrong:?}"
    );
    assert_eq!(content(get(other, R2Get::new("a")).expect("an object")), b"hello");

    // An empty object, and odd keys.
    assert_eq!(stored(store, "empty", b"").size, 0);
    assert_eq!(content(get(store, R2Get::new("empty")).expect("an object")), b"");
    for key in ["/x//y/", "./..", "100% ü?#&+\n"] {
        stored(store, key, key.as_bytes());
        assert_eq!(content(get(other, R2Get::new(key)).expect("an object")), key.as_bytes());
        block_on(other.delete(vec![key.to_owned()])).expect("an acknowledgment");
    }

    // Parts of an object.
    for (range, expected) in [
        (
            R2Range::From {
                offset: 1,
                length: Some(3),
            },
            &b"ell"[..],
        ),
        (
            R2Range::From {
                offset: 3,
                length: None,
            },
            b"lo",
        ),
        (R2Range::Last(2), b"lo"),
    ] {
        let found = get(store, R2Get::new("a").range(range)).expect("an object");
        assert_eq!((found.object.size, found.range.1), (5, expected.len() as u64));
        assert_eq!(content(found), expected);
    }

    // Conditions.
    let is = |etag: &str| Some(vec![R2Etag::Strong(etag.to_owned())]);
    let any = || Some(vec![R2Etag::Any]);
    let on = R2Conditions::default;
    let refused = get(store, R2Get::new("a").conditions(on().etag_matches(is("another")))).expect("an object");
    assert!(refused.content.is_none());
    let found = get(store, R2Get::new("a").conditions(on().etag_matches(is(&object.etag)))).expect("an object");
    assert_eq!(content(found), b"hello");
    let write = |key: &str, conditions| put(store, R2Put::new(key).conditions(conditions), b"new").expect("an answer");
    assert!(write("a", on().etag_does_not_match(any())).is_none());
    assert!(write("a", on().etag_matches(is("another"))).is_none());
    assert!(write("none", on().etag_matches(any())).is_none());
    assert!(write("b", on().etag_does_not_match(any())).is_some());
    assert!(write("a", on().etag_matches(is(&object.etag))).is_some());
    assert_eq!(content(get(other, R2Get::new("a")).expect("an object")), b"new");

    // More than is passed on at once.
    let large = pattern(20 * MIB + 77);
    assert_eq!(stored(store, "large", &large).size, large.len() as u64);
    assert!(
        content(get(other, R2Get::new("large")).expect("an object")) == large,
        "another content"
    );
    let range = R2Range::From {
        offset: 9 * MIB as u64,
        length: Some(1000),
    };
    let found = get(other, R2Get::new("large").range(range)).expect("an object");
    assert_eq!(content(found), large[9 * MIB..][..1000]);
    let room = ReadRoom::new(1000);
    let refused = block_on(store.get(R2Get::new("large"), room));
    let refused = refused.map(|found| block_on(found.expect("an object").content.expect("content").collect()).is_err());
    assert!(
        matches!(refused, Ok(true) | Err(R2Error::Storage(StorageError::Memory(_)))),
        "{refused:?}"
    );

    // Lists.
    for key in ["l/1", "l/2/x", "l/2/y", "l/3", "l0"] {
        stored(store, key, b"x");
    }
    let all = ["l/1", "l/2/x", "l/2/y", "l/3"].map(str::to_owned);
    assert_eq!(
        keys(other, R2Listing::default().prefix("l/")),
        (all.to_vec(), vec![], None)
    );
    let by = R2Listing::default().prefix("l/").delimiter("/".to_owned());
    assert_eq!(
        keys(other, by),
        (vec![all[0].clone(), all[3].clone()], vec!["l/2/".to_owned()], None)
    );
    let (first, _, cursor) = keys(other, R2Listing::default().prefix("l/").limit(3));
    assert_eq!(first, all[..3]);
    assert!(cursor.is_some());
    let rest = R2Listing::default().prefix("l/").limit(3).cursor(cursor);
    assert_eq!(keys(other, rest), (vec![all[3].clone()], vec![], None));
    let after = R2Listing::default().prefix("l/").start_after("l/2/x".to_owned());
    assert_eq!(keys(other, after).0, all[2..]);
    let (_, count) = block_on(store.total()).expect("a number");
    assert_eq!(count, 9);

    block_on(other.delete(vec!["a".to_owned(), "nothing".to_owned()])).expect("an acknowledgment");
    assert_eq!(head(store, "a"), None);
}

/// Uploads in parts.
fn uploads_behave(store: &dyn R2Store, other: &dyn R2Store) {
    let upload = R2NewUpload::new("film").custom_metadata(vec![("a".to_owned(), "b".to_owned())]);
    let id = block_on(store.create_upload(upload)).expect("an id");
    let parts = [pattern(5 * MIB), pattern(1000)];
    let sent: Vec<_> = (1..)
        .zip(&parts)
        .map(|(number, part)| {
            let body = Body::from(bytes::Bytes::copy_from_slice(part));
            let etag = block_on(other.put_part("film".to_owned(), id.clone(), number, body)).expect("an ETag");
            R2Part { number, etag }
        })
        .collect();
    assert_eq!(head(store, "film"), None, "it is there when it is complete");
    let object = block_on(store.complete_upload("film".to_owned(), id.clone(), sent)).expect("an object");
    assert_eq!(
        (object.size, &*object.custom_metadata),
        (parts.concat().len() as u64, &[("a".to_owned(), "b".to_owned())][..])
    );
    assert!(object.etag.ends_with("-2"), "{object:?}");
    assert!(
        content(get(other, R2Get::new("film")).expect("an object")) == parts.concat(),
        "another content"
    );

    let id = block_on(store.create_upload(R2NewUpload::new("gone"))).expect("an id");
    block_on(store.abort_upload("gone".to_owned(), id.clone())).expect("an acknowledgment");
    let late = block_on(store.put_part("gone".to_owned(), id, 1, Body::from("x")));
    assert!(matches!(late, Err(R2Error::Fault(R2Fault::NoUpload))), "{late:?}");
    assert_eq!(head(store, "gone"), None);
}

/// Of concurrent writes on the condition that there is no object, one succeeds.
fn one_writer_wins(stores: &[Arc<dyn R2Store>]) {
    for round in 0..5 {
        let won = thread::scope(|scope| {
            let writers: Vec<_> = stores
                .iter()
                .map(|store| {
                    scope.spawn(move || {
                        let conditions = R2Conditions::default().etag_does_not_match(Some(vec![R2Etag::Any]));
                        let about = R2Put::new(format!("won/{round}")).conditions(conditions);
                        put(&**store, about, b"x").expect("an answer").is_some()
                    })
                })
                .collect();
            writers
                .into_iter()
                .filter_map(|writer| writer.join().expect("a writer").then_some(()))
                .count()
        });
        assert_eq!(won, 1);
    }
}

#[test]
fn a_bucket_behaves_alike_in_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |name: &str| LocalR2::new(folder.path().join(name));
    a_bucket_behaves(&open("a"), &open("a"), &open("b"));
    uploads_behave(&open("a"), &open("a"));
    one_writer_wins(&[Arc::new(open("a")), Arc::new(open("a")), Arc::new(open("a"))]);
}

#[test]
fn a_bucket_behaves_alike_on_s3() {
    let server = Seaweed::start();
    let (id, secret) = Seaweed::CREDENTIALS;
    let open = |prefix: &str| {
        S3R2::new("bucket")
            .prefix(prefix)
            .endpoint(server.endpoint())
            .credentials(id, secret)
    };
    a_bucket_behaves(&open("a/"), &open("a/"), &open("b/"));
    uploads_behave(&open("a/"), &open("a/"));
    one_writer_wins(&[Arc::new(open("a/")), Arc::new(open("a/")), Arc::new(open("a/"))]);
}

#[test]
fn an_unreachable_service_is_reported_without_the_secret() {
    let server = Seaweed::start();
    let refused = S3R2::new("bucket")
        .endpoint(server.endpoint())
        .credentials("nobody", "hidden");
    let error = block_on(refused.head("a".to_owned()))
        .expect_err("no credentials")
        .to_string();
    assert!(error.contains("s3://bucket/"), "{error}");
    assert!(
        !format!("{error} {refused:?}").contains("hidden"),
        "{error} {refused:?}"
    );
}

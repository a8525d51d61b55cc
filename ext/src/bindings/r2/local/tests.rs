use std::fs;
use std::time::SystemTime;

use futures::executor::block_on;
use http_body_util::BodyExt as _;

use super::super::condition::{R2Conditions, R2Etag};
use super::super::object::{R2Checksum, R2HttpMetadata, R2StorageClass};
use super::super::range::R2Range;
use super::*;

fn bucket() -> (tempfile::TempDir, LocalR2) {
    let folder = tempfile::tempdir().unwrap();
    let bucket = LocalR2::new(folder.path().join("new/bucket"));
    (folder, bucket)
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn put(bucket: &LocalR2, key: &str, content: impl Into<Body>) -> Result<Option<R2Object>, R2Error> {
    block_on(bucket.put(R2Put::new(key), content.into()))
}

fn room() -> ReadRoom {
    ReadRoom::new(64 << 20)
}

fn read(bucket: &LocalR2, get: R2Get) -> Result<Option<Vec<u8>>, R2Error> {
    block_on(async {
        let found = bucket.get(get, room()).await?;
        let Some(content) = found.and_then(|found| found.content) else {
            return Ok(None);
        };
        Ok(Some(content.collect().await.unwrap().to_bytes().to_vec()))
    })
}

/// The names of the files in a folder of a bucket and the folders in it.
fn files(bucket: &LocalR2, folder: &str) -> Vec<String> {
    fn walk(folder: &Path, files: &mut Vec<String>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path().is_dir() {
                true => walk(&entry.path(), files),
                false => files.push(entry.file_name().into_string().unwrap()),
            }
        }
    }
    let mut files = Vec::new();
    walk(&bucket.path().join(folder), &mut files);
    files
}

/// Waits until background work has reached a state.
fn settled(bucket: &LocalR2, is_so: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", files(bucket, ""));
        std::thread::yield_now();
    }
}

#[test]
fn the_last_put_of_an_object_counts() {
    let (_folder, bucket) = bucket();
    assert_eq!(block_on(bucket.head("a".to_owned())), Ok(None));
    assert_eq!(read(&bucket, R2Get::new("a")), Ok(None));
    for length in [0, 1, SMALL_BYTES as usize, SMALL_BYTES as usize + 1, (1 << 20) + 7] {
        let stored = put(&bucket, "a", content(length)).unwrap().unwrap();
        assert_eq!((stored.size, stored.etag.len()), (length as u64, 32));
        assert_eq!(block_on(bucket.head("a".to_owned())), Ok(Some(stored)));
        assert_eq!(read(&bucket, R2Get::new("a")), Ok(Some(content(length))), "{length}");
    }
    block_on(bucket.delete(vec!["a".to_owned(), "none".to_owned()])).unwrap();
    assert_eq!(read(&bucket, R2Get::new("a")), Ok(None));
    assert_eq!(block_on(bucket.total()), Ok((0, 0)));
    settled(&bucket, || {
        files(&bucket, "blobs").is_empty() && files(&bucket, "aside").is_empty()
    });
}

#[test]
fn metadata_is_kept_with_an_object() {
    let (_folder, bucket) = bucket();
    let http = R2HttpMetadata::default()
        .content_type("a/b".to_owned())
        .cache_expiry(-5);
    let custom = vec![("b".to_owned(), "1".to_owned()), ("a".to_owned(), "\0ü".to_owned())];
    let about = R2Put::new("a")
        .http_metadata(http.clone())
        .custom_metadata(custom.clone())
        .storage_class(R2StorageClass::InfrequentAccess)
        .checksum(R2Checksum {
            algorithm: R2Algorithm::Sha1,
            // Source: RFC 3174, 7.3, TEST1.
            digest: vec![
                0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c,
                0xd0, 0xd8, 0x9d,
            ],
        });
    block_on(bucket.put(about.clone(), "abc".into())).unwrap().unwrap();
    let object = block_on(bucket.head("a".to_owned())).unwrap().unwrap();
    assert_eq!((object.http_metadata, object.custom_metadata), (http, custom));
    assert_eq!(object.storage_class, R2StorageClass::InfrequentAccess);
    assert!(object.checksums.sha1.is_some_and(|digest| digest.len() == 20));
    let refused = block_on(bucket.put(about, "abd".into()));
    assert!(
        matches!(refused, Err(R2Error::Fault(R2Fault::Digest { .. }))),
        "{refused:?}"
    );
    assert_eq!(read(&bucket, R2Get::new("a")), Ok(Some(b"abc".to_vec())));
}

#[test]
fn one_of_several_concurrent_writers_wins() {
    let (_folder, bucket) = bucket();
    let first = R2Conditions::default().etag_does_not_match(vec![R2Etag::Any]);
    let puts = (0..20).map(|at: usize| bucket.put(R2Put::new("a").conditions(first.clone()), at.to_string().into()));
    let done = block_on(futures::future::join_all(puts));
    let stored: Vec<_> = done.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(stored.len(), 1);
    assert_eq!(block_on(bucket.head("a".to_owned())), Ok(stored.into_iter().next()));
    settled(&bucket, || {
        files(&bucket, "blobs").len() == 1 && files(&bucket, "aside").is_empty()
    });
}

#[test]
fn content_that_ends_early_changes_nothing() {
    let (_folder, bucket) = bucket();
    put(&bucket, "a", "old").unwrap();
    let part = http_body_util::Full::new(bytes::Bytes::from(content(300_000)));
    let broken = Body::new(Announced(part, 300_001));
    let refused = put(&bucket, "a", broken);
    assert!(matches!(refused, Err(R2Error::Content(_))), "{refused:?}");
    assert_eq!(read(&bucket, R2Get::new("a")), Ok(Some(b"old".to_vec())));
    settled(&bucket, || files(&bucket, "aside").is_empty());
}

/// A body with a wrong announced length.
struct Announced(http_body_util::Full<bytes::Bytes>, u64);

impl http_body::Body for Announced {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.1)
    }
}

#[test]
fn an_object_can_be_read_while_it_is_replaced() {
    let (_folder, bucket) = bucket();
    put(&bucket, "a", content(3 << 20)).unwrap();
    let found = block_on(bucket.get(R2Get::new("a"), room())).unwrap().unwrap();
    put(&bucket, "a", "new").unwrap();
    settled(&bucket, || files(&bucket, "blobs").len() == 1);
    let read = block_on(found.content.unwrap().collect()).unwrap().to_bytes();
    assert_eq!(read, content(3 << 20));
}

#[test]
fn a_reader_has_little_of_an_object_in_memory() {
    let (_folder, bucket) = bucket();
    put(&bucket, "a", content(3 << 20)).unwrap();
    // Two reads of 256 KiB.
    let room = ReadRoom::new(512 << 10);
    let found = block_on(bucket.get(R2Get::new("a"), room.clone())).unwrap().unwrap();
    let mut content = found.content.unwrap();
    let mut length = 0;
    while let Some(frame) = block_on(content.frame()) {
        length += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(length, 3 << 20);
    let found = block_on(bucket.get(R2Get::new("a"), ReadRoom::new(1000)))
        .unwrap()
        .unwrap();
    let error = block_on(found.content.unwrap().collect()).unwrap_err();
    assert!(error.to_string().contains("limits.native"), "{error}");
}

#[test]
fn limits_are_enforced() {
    let (_folder, bucket) = bucket();
    let bucket = bucket.bytes_max(1000).object_bytes_max(800).transfers_max(1);
    assert_eq!(put(&bucket, "a", content(801)), Err(R2Fault::ObjectSize.into()));
    put(&bucket, "a", content(600)).unwrap();
    assert_eq!(put(&bucket, "b", content(401)), Err(StorageError::Full(1000).into()));
    put(&bucket, "a", content(800)).unwrap();
    put(&bucket, "b", content(200)).unwrap();
    assert_eq!(block_on(bucket.total()), Ok((1000, 2)));

    let bucket = bucket.bytes_max(1 << 20).object_bytes_max(1 << 20);
    put(&bucket, "a", content(100_000)).unwrap();
    let first = block_on(bucket.get(R2Get::new("a"), room())).unwrap();
    let second = block_on(bucket.get(R2Get::new("a"), room()));
    assert!(
        matches!(second, Err(R2Error::Fault(R2Fault::Transfers(1)))),
        "{second:?}"
    );
    drop(first);
    assert!(block_on(bucket.get(R2Get::new("a"), room())).is_ok());
}

#[test]
fn uploads_are_made_of_their_parts() {
    let (_folder, bucket) = bucket();
    let part = |key: &str, id: &str, number, content: Vec<u8>| {
        let etag = block_on(bucket.put_part(key.to_owned(), id.to_owned(), number, content.into()));
        etag.map(|etag| R2Part { number, etag })
    };
    let complete = |key: &str, id: &str, parts| block_on(bucket.complete_upload(key.to_owned(), id.to_owned(), parts));
    let id = block_on(bucket.create_upload(R2NewUpload::new("a"))).unwrap();
    let one = content(5 << 20);
    let parts = vec![
        part("a", &id, 1, one.clone()).unwrap(),
        part("a", &id, 2, b"end".to_vec()).unwrap(),
    ];
    let _unused = part("a", &id, 3, b"unused".to_vec()).unwrap();
    assert_eq!(
        read(&bucket, R2Get::new("a")),
        Ok(None),
        "it is seen when it is complete"
    );
    let object = complete("a", &id, parts.clone()).unwrap();
    assert_eq!(object.size, (5 << 20) + 3);
    let whole = [one.clone(), b"end".to_vec()].concat();
    assert_eq!(read(&bucket, R2Get::new("a")), Ok(Some(whole)));
    let range = R2Range::From {
        offset: (5 << 20) - 2,
        length: Some(4),
    };
    let over = [&one[(5 << 20) - 2..], b"en"].concat();
    assert_eq!(read(&bucket, R2Get::new("a").range(range)), Ok(Some(over)));
    assert_eq!(complete("a", &id, parts), Err(R2Fault::NoUpload.into()));
    assert_eq!(part("a", &id, 4, Vec::new()), Err(R2Fault::NoUpload.into()));
    settled(&bucket, || {
        files(&bucket, "").iter().filter(|name| name.len() == 32).count() == 2
    });

    let id = block_on(bucket.create_upload(R2NewUpload::new("b"))).unwrap();
    let empty = part("b", &id, 1, Vec::new()).unwrap();
    assert_eq!(complete("b", &id, vec![empty]).unwrap().size, 0);
    assert_eq!(read(&bucket, R2Get::new("b")), Ok(Some(Vec::new())));
    // The files of the replaced multipart object are kept for its readers.
    put(&bucket, "a", "new").unwrap();
    assert_eq!(files(&bucket, "blobs").len(), 3);
    assert_eq!(block_on(bucket.total()), Ok((3, 2)));
}

#[test]
fn files_left_by_a_crash_are_cleaned_up() {
    let (_folder, bucket) = bucket();
    let stored = put(&bucket, "a", "stored").unwrap().unwrap();
    let used = files(&bucket, "blobs").remove(0);
    drop(bucket.clone());
    // Simulates crashes before the move, and while another file was written.
    let aside = bucket.path().join("aside");
    fs::rename(bucket.blobs.place(&used), aside.join(&used)).unwrap();
    fs::write(aside.join("abandoned"), "part").unwrap();
    fs::write(aside.join("new"), "part").unwrap();
    let locked = fs::File::create(aside.join("locked")).unwrap();
    locked.lock().unwrap();
    let before = SystemTime::now() - Duration::from_secs(3600);
    for name in [&used, "abandoned", "locked"] {
        let file = fs::File::options().write(true).open(aside.join(name)).unwrap();
        file.set_modified(before).unwrap();
    }
    let again = LocalR2::new(bucket.path());
    assert_eq!(
        read(&again, R2Get::new("a")),
        Ok(Some(b"stored".to_vec())),
        "it is read where it is"
    );
    settled(&again, || {
        files(&again, "blobs") == [used.clone()] && files(&again, "aside").len() == 2
    });
    assert_eq!(block_on(again.head("a".to_owned())), Ok(Some(stored)));
    let mut left = files(&again, "aside");
    left.sort();
    assert_eq!(left, ["locked", "new"], "they may be written by another process");
}

#[test]
fn a_forgotten_upload_ends_after_a_week() {
    let (_folder, bucket) = bucket();
    let id = block_on(bucket.create_upload(R2NewUpload::new("a"))).unwrap();
    block_on(bucket.put_part("a".to_owned(), id.clone(), 1, "part".into())).unwrap();
    const DAY: u64 = 24 * 60 * 60 * 1000;
    for (days, expected) in [(6, 1), (8, 0)] {
        sweep::sweep(&bucket.database, &bucket.blobs, now_ms() + days * DAY);
        assert_eq!(files(&bucket, "blobs").len(), expected, "after {days} days");
    }
    assert_eq!(
        block_on(bucket.abort_upload("a".to_owned(), id)),
        Err(R2Fault::Internal.into())
    );
}

#[test]
fn lists_have_groups_and_pages() {
    let (_folder, bucket) = bucket();
    for key in ["a", "b/1", "b/2", "b/c/1", "c", "d/1", "e%"] {
        put(&bucket, key, "x").unwrap();
    }
    let list = |listing: R2Listing| {
        let page = block_on(bucket.list(listing)).unwrap();
        let keys: Vec<_> = page.objects.into_iter().map(|object| object.key).collect();
        (keys.join(" "), page.prefixes.join(" "), page.cursor)
    };
    let all = R2Listing::default;
    assert_eq!(
        list(all()),
        ("a b/1 b/2 b/c/1 c d/1 e%".to_owned(), String::new(), None)
    );
    assert_eq!(
        list(all().prefix("b/").delimiter("/".to_owned())),
        ("b/1 b/2".to_owned(), "b/c/".to_owned(), None)
    );
    assert_eq!(list(all().start_after("b/2".to_owned()).prefix("b")).0, "b/c/1");
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let (keys, prefixes, next) = list(all().limit(2).delimiter("/".to_owned()).cursor(cursor));
        pages.push((keys, prefixes));
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    let expected = [("a", "b/"), ("c", "d/"), ("e%", "")];
    assert_eq!(
        pages,
        expected.map(|(keys, prefixes)| (keys.to_owned(), prefixes.to_owned()))
    );
}

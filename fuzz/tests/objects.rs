//! Bytes that a sandbox asks of the storage of an object that lives in it: each question is answered or refused. No file but the
//! object's is touched, no alarm but its own is set, the room that questions take is given back, and afterwards others may have it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::executor::block_on;
use isopod_ext::handlers::{Event, EventKind};
use isopod_ext::objects::{AlarmStore, ObjectClass, ObjectId, ObjectStart, OnEnd, StoredObject};
use isopod_ext::remote::{Crossing, Lent, Parcel, SandboxLimits, Transit};
use isopod_ext::storage::StorageFuture;
use isopod_ext::values::answer;
use isopod_ext::written::export_to;
use serde_json::Value;

use crate::engine::Target;
use crate::mutate::mutated;
use crate::structured_clone::bytes;

/// The bytes in transit.
const ROOM: usize = 1 << 20;

/// Tags of operations, lengths, options, and texts that mean something.
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
    "0a",
    "0b",
    "0c",
    "0d",
    "0e",
    "0f",
    "10",
    "11",
    "12",
    "13",
    "\n",
    "\n02\n",
    "0161",
    "000000000000f07f",
    "ffffffff0f",
    "ffffffffffffffffff01",
    // _cf_KV, ATTACH, BEGIN, PRAGMA, ROLLBACK, a path.
    "5f63665f4b56",
    "415454414348",
    "424547494e",
    "505241474d41",
    "524f4c4c4241434b",
    "2e2e2f6e65696768626f72",
];

/// What another object has stored.
const NEIGHBOR: &[u8] = b"a neighbor";

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("objects")).expect("created");
    std::fs::write(folder.path().join("objects/neighbor.sqlite"), NEIGHBOR).expect("written");
    folder
});

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// The objects for which alarms were set.
#[derive(Default)]
struct Alarms(Mutex<BTreeSet<String>>);

impl AlarmStore for Alarms {
    fn set(&self, id: &ObjectId, _at_ms: Option<i64>) -> StorageFuture<()> {
        self.0.lock().expect("no panic").insert(id.to_string());
        Box::pin(std::future::ready(Ok(())))
    }

    fn bring_forward(&self, id: &ObjectId, _at_ms: i64) -> StorageFuture<bool> {
        self.0.lock().expect("no panic").insert(id.to_string());
        Box::pin(std::future::ready(Ok(true)))
    }
}

/// The storage of an object that was started in a sandbox.
fn start(folder: &Path, id: &str, alarms: &Arc<Alarms>, on_end: OnEnd) -> Arc<dyn Lent> {
    let stored = StoredObject {
        folder: folder.to_owned(),
        id: ObjectId::new(id, None),
        bytes_max: 1 << 20,
        alarms: Arc::clone(alarms) as Arc<dyn AlarmStore>,
        on_end,
    };
    let class = Arc::new(ObjectClass::new("script", "Class", folder));
    let (reply, _) = answer::<Value>();
    let event = Event {
        entrypoint: None,
        kind: EventKind::handler(ObjectStart::new(class, stored), reply),
    };
    let crossing = Crossing::to_sandbox(SandboxLimits {
        native_bytes: 64 << 20,
        cpu: Duration::from_millis(200),
    });
    let exported = export_to(event, &crossing).expect("a start is exported");
    exported.stubs.into_iter().next().expect("a start lends the storage")
}

/// Asks each line of a text, and returns the answers.
fn ask(text: &str) -> Vec<Result<Bytes, String>> {
    let folder = FOLDER.path().join("objects");
    let id = format!("{:064x}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let (ended, end) = sync_channel(1);
    let alarms = Arc::<Alarms>::default();
    let object = start(
        &folder,
        &id,
        &alarms,
        OnEnd::new(move || ended.send(()).unwrap_or_default()),
    );
    let transit = Transit::new(ROOM);
    let ask = |line: &str| {
        let bytes = bytes(line);
        let held = block_on(transit.question(bytes.len()));
        let parcel = Parcel {
            held,
            transit: transit.clone(),
            ..Parcel::new(bytes)
        };
        block_on(async { object.call(parcel, 0).await?.made(&transit).await }).map(|parcel| parcel.bytes)
    };
    let answers = text.lines().map(ask).collect();
    drop(object);
    end.recv_timeout(Duration::from_secs(10)).expect("its end is told");
    let is_free = transit.question(ROOM).now_or_never().is_some() && transit.answer(ROOM).now_or_never().is_some();
    assert!(is_free, "the room that a question takes is given back");
    for alarm in &*alarms.0.lock().expect("no panic") {
        assert_eq!(*alarm, id, "an alarm of another object");
    }
    let files = std::fs::read_dir(&folder).expect("the folder");
    for file in files.map(|file| file.expect("a file").path()) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match name.as_str() {
            "neighbor.sqlite" => assert_eq!(std::fs::read(&file).expect("read"), NEIGHBOR),
            own => {
                assert!(own.starts_with(&id), "{own} is of no object");
                std::fs::remove_file(&file).expect("removed");
            }
        }
    }
    assert_eq!(std::fs::read_dir(FOLDER.path()).expect("the folder").count(), 1);
    answers
}

#[test]
fn objects() {
    // Each writes to the disk.
    Target::slow("objects", 64, Duration::from_secs(15)).run(|corpus| mutated(corpus, PARTS), |text| drop(ask(text)));
}

#[test]
fn the_corpus_is_answered() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/objects");
    let mut count = 0;
    for file in std::fs::read_dir(folder).expect("the corpus") {
        let path = file.expect("a file").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("found-") {
            continue;
        }
        for (line, answer) in ask(&std::fs::read_to_string(&path).expect("a text"))
            .into_iter()
            .enumerate()
        {
            // The first byte of an answer says whether it is one.
            let is_done = answer.as_ref().is_ok_and(|bytes| bytes.first() == Some(&0));
            assert!(is_done, "{name}, line {}: {answer:?}", line + 1);
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

//! Bytes of another process: a frame or an error, and a frame's values, bodies and functions are taken as far as they can be.

use std::sync::Arc;

use isopod_pool::js::bindings::{Lent, Parcel, ParcelFuture};
use isopod_pool::js::handlers::Body;
use isopod_pool::js::native::NativeFunction;
use isopod_pool::js::values::Encoded;
use isopod_pool::js::written::{
    Exported, Frame, WrittenAnswer, WrittenArgument, WrittenArguments, WrittenKind, export, import,
};
use serde_json::Value;

use crate::engine::Target;
use crate::mutate::mutated;
use crate::structured_clone::bytes;

/// What the parts of a value may count.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// The version with the tags of frames and events, lengths, tokens of values, and texts that mean something.
const PARTS: &[&str] = &[
    "01",
    "0100",
    "010000",
    "01000000",
    "01000001",
    "01000002",
    "0101",
    "010100",
    "0102",
    "010200",
    "010201",
    "0103",
    "ffffffff0f",
    "80",
    "00",
    "474554",
    "04504f5354",
    "687474703a2f2f78",
    "0200",
    "08",
    "09",
    "0a",
    "0601",
    "7f",
];

/// A function of the other side's.
struct Silent;

impl Lent for Silent {
    fn call(&self, _asked: Parcel, _bytes_max: usize) -> ParcelFuture {
        Box::pin(async { Err("it is not called".to_owned()) })
    }
}

fn check(text: &str) {
    let bytes = bytes(text);
    read(&bytes);
    let Ok(frame) = Frame::decode(&bytes) else { return };
    let again = frame.encode().expect("what was decoded is encoded");
    assert_eq!(Frame::decode(&again).as_ref(), Ok(&frame));
    match frame {
        Frame::Event(event) => {
            if let WrittenKind::Call { arguments, .. } | WrittenKind::Handler { arguments, .. } = &event.kind {
                read_all(arguments);
            }
            let body = |_| Some(Body::from("body"));
            let function = |_| Some(NativeFunction::new(|(): ()| async { Ok(()) }));
            let stub = |_| Some(Arc::new(Silent) as Arc<dyn Lent>);
            let entrypoint = event.entrypoint.clone();
            if let Ok((imported, _owed)) = import(event, body, function, stub, VALUE_BYTES_MAX) {
                let Exported { event, .. } = export(imported).expect("what was imported is exported");
                assert_eq!(event.entrypoint, entrypoint);
            }
        }
        Frame::Answer(WrittenAnswer::Value(value)) => read(&value),
        _ => {}
    }
}

fn read_all(arguments: &WrittenArguments) {
    let arguments = match arguments {
        WrittenArguments::Whole(whole) => std::slice::from_ref(whole),
        WrittenArguments::Each(each) => each,
    };
    for argument in arguments {
        if let WrittenArgument::Value(value) = argument {
            read(value);
        }
    }
}

/// A value or an error; a value is the same again.
fn read(bytes: &[u8]) {
    let encoded = Encoded::from_bytes(bytes.to_vec().into());
    let Ok(value) = encoded.read::<Value>(VALUE_BYTES_MAX) else {
        return;
    };
    let again = Encoded::of(&value).expect("a value that was read");
    assert_eq!(again.read::<Value>(VALUE_BYTES_MAX).expect("a value"), value);
    assert_eq!(
        Encoded::of(&encoded)
            .expect("a value")
            .read::<Value>(VALUE_BYTES_MAX)
            .expect("a value"),
        value
    );
}

#[test]
fn frames() {
    Target::new("frames").run(|corpus| mutated(corpus, PARTS), check);
}

//! Conversion between payloads and scripts' values. Bytes are shared in both directions.

use std::time::UNIX_EPOCH;

use isopod_pool::js::{Data, Message as ToWorker};

use crate::bus::{Message, Payload};

pub(super) fn payload_of(data: Data) -> Payload {
    match data {
        Data::Empty => Payload::Empty,
        Data::Json(value) => Payload::Json(value),
        Data::Bytes(bytes) => Payload::Bytes(bytes),
        Data::Cloned(bytes) => Payload::Cloned(bytes),
        other => other.to_json().map_or(Payload::Empty, Payload::Json),
    }
}

fn data_of(payload: &Payload) -> Data {
    match payload {
        Payload::Empty => Data::Empty,
        Payload::Json(value) => Data::Json(value.clone()),
        Payload::Bytes(bytes) => Data::Bytes(bytes.clone()),
        Payload::Cloned(bytes) => Data::Cloned(bytes.clone()),
    }
}

pub(super) fn to_worker(message: &Message) -> ToWorker {
    let since = message.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let data = data_of(&message.payload);
    ToWorker::new(message.id, message.topic.as_str(), message.source.name(), data)
        .at_ms(since.as_secs_f64() * 1000.0)
        .depth(message.depth)
}

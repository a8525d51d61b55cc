//! `env.EVENTS` of workers in processes of their own: messages are encoded, and published in the pool's process.

use serde::{Deserialize, Serialize};

use super::{Outgoing, Publish, Refused};
use crate::bindings::{Asks, Parcel, pack, unpack};
use crate::written::{WrittenData, data_of, written_data};

/// A message.
#[derive(Serialize, Deserialize)]
struct Publication {
    topic: String,
    data: WrittenData,
    depth: u32,
    cause: Option<u64>,
}

/// The receiver of messages, in another process.
pub(crate) struct RemotePublish(pub(crate) Asks);

impl Publish for RemotePublish {
    fn publish(&self, message: Outgoing) -> Result<(), Refused> {
        let data = written_data(message.data).map_err(|error| Refused(error.to_string()))?;
        let request = pack(&Publication {
            topic: message.topic,
            data,
            depth: message.depth,
            cause: message.cause,
        });
        let answer = request.and_then(|bytes| self.0.ask_now(Parcel::new(bytes)));
        let answer = answer.and_then(|answer| unpack::<Result<(), String>>(&answer.bytes));
        answer.and_then(|answer| answer).map_err(Refused)
    }
}

/// Publishes a message of a worker in another process.
pub(super) fn serve(publish: &dyn Publish, request: &Parcel, bytes_max: usize) -> Result<Parcel, String> {
    let request: Publication = unpack(&request.bytes)?;
    let message = Outgoing {
        topic: request.topic,
        data: data_of(request.data, bytes_max).map_err(|error| error.to_string())?,
        depth: request.depth,
        cause: request.cause,
    };
    pack(&publish.publish(message).map_err(|Refused(error)| error)).map(Parcel::new)
}

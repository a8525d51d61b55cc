//! Headers, data and items in written form, and back.

use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::frame::{FrameError, WrittenCaller, WrittenCf, WrittenData, WrittenHeaders, WrittenItem};
use crate::event::{Caller, Data, Headers, RequestCf, TaskItem};
use crate::values::{Encoded, ValueError};

pub(crate) fn written_headers(headers: &HeaderMap) -> WrittenHeaders {
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), serde_bytes::ByteBuf::from(value.as_bytes()))
    };
    headers.iter().map(pair).collect()
}

pub(crate) fn headers_of(written: WrittenHeaders) -> Result<HeaderMap, FrameError> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let (name, value) = header_of(&name, value)?;
        headers
            .try_append(name, value)
            .map_err(|error| FrameError::invalid("header", error))?;
    }
    Ok(headers)
}

/// The headers of a response, with the limits of one that is made in this process: a cell may have been taken over.
pub(crate) fn response_headers_of(written: WrittenHeaders) -> Result<HeaderMap, FrameError> {
    let mut headers = Headers::default();
    for (name, value) in written {
        let (name, value) = header_of(&name, value)?;
        headers
            .append(name, value)
            .map_err(|error| FrameError::invalid("response", error))?;
    }
    Ok(headers.finish())
}

fn header_of(name: &str, value: serde_bytes::ByteBuf) -> Result<(HeaderName, HeaderValue), FrameError> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| FrameError::invalid("header", error))?;
    let value = HeaderValue::from_maybe_shared(bytes::Bytes::from(value.into_vec()))
        .map_err(|error| FrameError::invalid("header", error))?;
    Ok((name, value))
}

pub(crate) fn written_data(data: Data) -> Result<WrittenData, ValueError> {
    Ok(match data {
        Data::Empty => WrittenData::Empty,
        Data::Json(value) => WrittenData::Plain(encoded(&value)?),
        Data::Bytes(bytes) => WrittenData::Bytes(bytes.into()),
        Data::Cloned(bytes) => WrittenData::Cloned(bytes.into()),
    })
}

pub(crate) fn data_of(written: WrittenData, bytes_max: usize) -> Result<Data, FrameError> {
    Ok(match written {
        WrittenData::Empty => Data::Empty,
        WrittenData::Plain(value) => Data::Json(plain(value, bytes_max)?),
        WrittenData::Bytes(bytes) => Data::Bytes(bytes.into()),
        WrittenData::Cloned(bytes) => Data::Cloned(bytes.into()),
    })
}

pub(super) fn written_item(item: TaskItem) -> Result<WrittenItem, ValueError> {
    Ok(match item {
        TaskItem::Progress(value) => WrittenItem::Progress(encoded(&value)?),
        TaskItem::Result { name, data } => WrittenItem::Result {
            name,
            data: written_data(data)?,
        },
    })
}

pub(super) fn item_of(written: WrittenItem, bytes_max: usize) -> Result<TaskItem, FrameError> {
    Ok(match written {
        WrittenItem::Progress(value) => TaskItem::Progress(plain(value, bytes_max)?),
        WrittenItem::Result { name, data } => TaskItem::Result {
            name,
            data: data_of(data, bytes_max)?,
        },
    })
}

fn encoded(value: &Value) -> Result<Vec<u8>, ValueError> {
    Encoded::of(value).map(|value| value.into_bytes().into())
}

fn plain(value: Vec<u8>, bytes_max: usize) -> Result<Value, FrameError> {
    let value = Encoded::from_bytes(value.into()).read(bytes_max);
    value.map_err(|error| FrameError::invalid("value", error))
}

pub(super) fn written_cf(cf: RequestCf) -> WrittenCf {
    WrittenCf {
        http_protocol: cf.http_protocol.map(Into::into),
        tls_version: cf.tls_version.map(Into::into),
        tls_cipher: cf.tls_cipher,
        client_accept_encoding: cf.client_accept_encoding,
    }
}

pub(super) fn cf_of(written: WrittenCf) -> RequestCf {
    RequestCf {
        http_protocol: written.http_protocol.map(Into::into),
        tls_version: written.tls_version.map(Into::into),
        tls_cipher: written.tls_cipher,
        client_accept_encoding: written.client_accept_encoding,
    }
}

pub(super) fn written_caller(caller: Caller) -> WrittenCaller {
    WrittenCaller {
        worker: (*caller.worker).to_owned(),
        depth: caller.depth,
        time_left: caller
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now())),
        request_id: caller.request_id,
        // Properties that cannot be encoded are nested too deeply for a configuration.
        props: written_data(caller.props).unwrap_or(WrittenData::Empty),
        cf: caller.cf.map(|cf| serde_bytes::ByteBuf::from(&*cf)),
    }
}

pub(super) fn caller_of(written: WrittenCaller, bytes_max: usize) -> Result<Caller, FrameError> {
    let mut caller = Caller::new(written.worker);
    caller.depth = written.depth;
    caller.deadline = written.time_left.and_then(|left| Instant::now().checked_add(left));
    caller.request_id = written.request_id;
    caller.props = data_of(written.props, bytes_max)?;
    caller.cf = written.cf.map(|cf| cf.into_vec().into());
    Ok(caller)
}

//! Objects and buckets, as commands print them.

use std::fmt::Write as _;

use bytesize::ByteSize;
use chrono::{DateTime, SecondsFormat};
use isopod::bindings::r2::{R2Checksums, R2Object};
use serde_json::{Map, Value as Json, json};

use crate::output::one_line;

/// An object as JSON.
pub(super) fn object(object: &R2Object) -> Json {
    let mut http: Map<_, _> = object
        .http_metadata
        .texts()
        .filter_map(|(name, text)| Some((name.to_owned(), text?.into())))
        .collect();
    if let Some(ms) = object.http_metadata.cache_expiry {
        http.insert("expires".to_owned(), time(ms).into());
    }
    let custom = object.custom_metadata.iter().cloned();
    json!({
        "key": object.key,
        "size": object.size,
        "etag": object.etag,
        "version": object.version,
        "uploaded": uploaded(object),
        "storageClass": object.storage_class.to_string(),
        "checksums": checksums(&object.checksums),
        "httpMetadata": http,
        "customMetadata": custom.map(|(key, value)| (key, value.into())).collect::<Map<_, _>>(),
    })
}

fn checksums(checksums: &R2Checksums) -> Map<String, Json> {
    let all = [
        ("md5", &checksums.md5),
        ("sha1", &checksums.sha1),
        ("sha256", &checksums.sha256),
        ("sha384", &checksums.sha384),
        ("sha512", &checksums.sha512),
    ];
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let given = all
        .into_iter()
        .filter_map(|(name, sum)| Some((name.to_owned(), hex(sum.as_ref()?).into())));
    given.collect()
}

/// An object as several lines of text.
pub(super) fn lines(object: &R2Object) -> String {
    let mut lines = format!(
        "key       {}\nsize      {} ({} bytes)\nuploaded  {}\netag      {}\nclass     {}\n",
        one_line(&object.key),
        size(object.size),
        object.size,
        uploaded(object),
        object.etag,
        object.storage_class
    );
    for (name, text) in object.http_metadata.texts() {
        if let Some(text) = text {
            let _ = writeln!(lines, "{name}: {}", one_line(text));
        }
    }
    if let Some(ms) = object.http_metadata.cache_expiry {
        let _ = writeln!(lines, "expires: {}", time(ms));
    }
    for (key, value) in &object.custom_metadata {
        let _ = writeln!(lines, "{} = {}", one_line(key), one_line(value));
    }
    lines
}

/// A size as text, with its unit.
pub(super) fn size(bytes: u64) -> String {
    ByteSize(bytes).to_string()
}

/// The time of an upload.
pub(super) fn uploaded(object: &R2Object) -> String {
    time(i64::try_from(object.uploaded).unwrap_or(i64::MAX))
}

fn time(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms);
    time.map_or_else(
        || ms.to_string(),
        |time| time.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

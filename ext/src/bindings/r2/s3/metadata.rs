//! Metadata of an object on the service.
//!
//! HTTP metadata is stored as the service's own. All other metadata is JSON in one header, `x-amz-meta-isopod`, because
//! names of user metadata are case-insensitive there, and values are ASCII.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use object_store::{Attribute, Attributes, ObjectMeta};
use serde::{Deserialize, Serialize};

use super::super::object::{R2Algorithm, R2Checksums, R2HttpMetadata, R2Object, R2StorageClass};
use super::super::rules::hex;

const NAME: &str = "isopod";

/// The metadata in the JSON header.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    #[serde(rename = "v", skip_serializing_if = "String::is_empty")]
    version: String,
    #[serde(rename = "c", skip_serializing_if = "Vec::is_empty")]
    custom: Vec<(String, String)>,
    #[serde(rename = "x", skip_serializing_if = "Option::is_none")]
    cache_expiry: Option<i64>,
    #[serde(rename = "s", skip_serializing_if = "String::is_empty")]
    class: String,
    #[serde(rename = "d", skip_serializing_if = "BTreeMap::is_empty")]
    digests: BTreeMap<String, String>,
}

const ALGORITHMS: [(&str, R2Algorithm); 5] = [
    ("md5", R2Algorithm::Md5),
    ("sha1", R2Algorithm::Sha1),
    ("sha256", R2Algorithm::Sha256),
    ("sha384", R2Algorithm::Sha384),
    ("sha512", R2Algorithm::Sha512),
];

fn digest(checksums: &R2Checksums, algorithm: R2Algorithm) -> Option<&Vec<u8>> {
    match algorithm {
        R2Algorithm::Md5 => checksums.md5.as_ref(),
        R2Algorithm::Sha1 => checksums.sha1.as_ref(),
        R2Algorithm::Sha256 => checksums.sha256.as_ref(),
        R2Algorithm::Sha384 => checksums.sha384.as_ref(),
        R2Algorithm::Sha512 => checksums.sha512.as_ref(),
    }
}

/// Returns the attributes of an object to be written.
pub(super) fn attributes(object: &R2Object) -> Attributes {
    let http = &object.http_metadata;
    let mut attributes = Attributes::new();
    for (attribute, value) in [
        (Attribute::ContentType, &http.content_type),
        (Attribute::ContentLanguage, &http.content_language),
        (Attribute::ContentDisposition, &http.content_disposition),
        (Attribute::ContentEncoding, &http.content_encoding),
        (Attribute::CacheControl, &http.cache_control),
    ] {
        if let Some(value) = value {
            attributes.insert(attribute, value.clone().into());
        }
    }
    let digests = ALGORITHMS.into_iter().filter_map(|(name, algorithm)| {
        let digest = digest(&object.checksums, algorithm)?;
        Some((name.to_owned(), hex(digest)))
    });
    let kept = Kept {
        version: object.version.clone(),
        custom: object.custom_metadata.clone(),
        cache_expiry: http.cache_expiry,
        class: match object.storage_class {
            R2StorageClass::Standard => String::new(),
            class => class.to_string(),
        },
        digests: digests.collect(),
    };
    let json = serde_json::to_string(&kept).unwrap_or_default();
    attributes.insert(Attribute::Metadata(NAME.into()), ascii(&json).into());
    attributes
}

/// Escapes all non-ASCII characters of JSON.
fn ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // Such characters occur in strings only.
            '\u{7f}'.. => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(ascii, "\\u{unit:04x}");
                }
            }
            c => ascii.push(c),
        }
    }
    ascii
}

/// Converts an object of a list, without metadata.
pub(super) fn listed(key: String, meta: &ObjectMeta) -> R2Object {
    let etag = etag_of(meta.e_tag.as_deref());
    let uploaded = u64::try_from(meta.last_modified.timestamp_millis()).unwrap_or_default();
    let mut object = R2Object::new(key, meta.size, etag.clone()).uploaded(uploaded);
    if let Some(md5) = bytes_of(&etag).filter(|md5| md5.len() == 16) {
        object.checksums.set(R2Algorithm::Md5, md5);
    }
    object.version = etag;
    object
}

/// Converts an object with its metadata.
pub(super) fn object(key: String, meta: &ObjectMeta, attributes: &Attributes) -> R2Object {
    let mut object = listed(key, meta);
    let text = |attribute| attributes.get(&attribute).map(|value| value.to_string());
    let kept = attributes.get(&Attribute::Metadata(NAME.into()));
    let kept: Option<Kept> = kept.and_then(|json| serde_json::from_str(json).ok());
    let cache_expiry = kept.as_ref().and_then(|kept| kept.cache_expiry);
    object.http_metadata = R2HttpMetadata::default()
        .content_type(text(Attribute::ContentType))
        .content_language(text(Attribute::ContentLanguage))
        .content_disposition(text(Attribute::ContentDisposition))
        .content_encoding(text(Attribute::ContentEncoding))
        .cache_control(text(Attribute::CacheControl))
        .cache_expiry(cache_expiry);
    let Some(kept) = kept else {
        // Another program's object.
        let metadata = attributes.into_iter().filter_map(|(attribute, value)| match attribute {
            Attribute::Metadata(name) => Some((name.to_string(), value.to_string())),
            _ => None,
        });
        object.custom_metadata = metadata.collect();
        object.custom_metadata.sort_unstable();
        return object;
    };
    for (name, algorithm) in ALGORITHMS {
        if let Some(digest) = kept.digests.get(name).and_then(|digest| bytes_of(digest)) {
            object.checksums.set(algorithm, digest);
        }
    }
    if !kept.version.is_empty() {
        object.version = kept.version;
    }
    object.storage_class = R2StorageClass::parse(&kept.class).unwrap_or_default();
    object.custom_metadata = kept.custom;
    object
}

/// Returns an ETag without quotes.
pub(super) fn etag_of(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_round_trips() {
        let mut object = R2Object::new("k", 3, "0123456789abcdef0123456789abcdef").version("v");
        object
            .checksums
            .set(R2Algorithm::Md5, bytes_of(&object.etag).expect("digits"));
        object.checksums.set(R2Algorithm::Sha1, vec![1, 255]);
        let object = object
            .http_metadata(
                R2HttpMetadata::default()
                    .content_type("text/plain".to_owned())
                    .cache_expiry(-5_i64),
            )
            .custom_metadata(vec![
                ("Käse\n".to_owned(), "\u{1f600}\"\u{7f}".to_owned()),
                ("b".to_owned(), String::new()),
            ])
            .storage_class(R2StorageClass::InfrequentAccess);
        let kept = attributes(&object);
        let header = kept.get(&Attribute::Metadata(NAME.into())).expect("a header");
        assert!(header.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "{header:?}");
        let meta = ObjectMeta {
            location: "k".into(),
            last_modified: std::time::SystemTime::UNIX_EPOCH.into(),
            size: 3,
            e_tag: Some(format!("\"{}\"", object.etag)),
            version: None,
        };
        assert_eq!(super::object("k".to_owned(), &meta, &kept), object);
    }
}

//! The options of a script, in the form that `r2.js` passes.

use http::HeaderValue;
use serde::Deserialize;

use super::condition::{R2Conditions, R2Etag, etags};
use super::error::OpError;
use super::object::{R2Algorithm, R2Checksum, R2HttpMetadata, R2StorageClass};
use super::range::R2Range;
use super::rules::{R2Fault, check_key, check_metadata};
use super::store::{R2Get, R2Listing, R2NewUpload, R2Put};

/// Conditions, with ETags or the values of headers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OnlyIf {
    are_headers: bool,
    etag_matches: Option<String>,
    etag_does_not_match: Option<String>,
    uploaded_before: Option<f64>,
    uploaded_after: Option<f64>,
    seconds_granularity: bool,
}

impl OnlyIf {
    fn read(self) -> Result<R2Conditions, OpError> {
        let read = |header: &'static str, text: Option<String>| match text {
            None => Ok(None),
            Some(text) if self.are_headers => etags(header, &text).map(Some),
            Some(text) if text == "*" => Ok(Some(vec![R2Etag::Any])),
            Some(text) => Ok(Some(vec![R2Etag::Strong(text)])),
        };
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a date")]
        let time = |ms: Option<f64>| ms.map(|ms| ms as i64);
        Ok(R2Conditions::default()
            .etag_matches(read("if-match", self.etag_matches)?)
            .etag_does_not_match(read("if-none-match", self.etag_does_not_match)?)
            .uploaded_before(time(self.uploaded_before))
            .uploaded_after(time(self.uploaded_after))
            .seconds_granularity(self.seconds_granularity))
    }
}

/// A range: non-negative integers, or the value of a header.
#[derive(Deserialize)]
pub(super) struct Range {
    offset: Option<f64>,
    length: Option<f64>,
    suffix: Option<f64>,
    header: Option<String>,
}

impl Range {
    fn read(self) -> Option<R2Range> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was checked, and a larger one is beyond the end of any object"
        )]
        let whole = |number: f64| number as u64;
        match self {
            Self {
                header: Some(header), ..
            } => HeaderValue::from_str(&header).ok().map(R2Range::Header),
            Self {
                suffix: Some(suffix), ..
            } => Some(R2Range::Last(whole(suffix))),
            Self { offset, length, .. } => Some(R2Range::From {
                offset: offset.map_or(0, whole),
                length: length.map(whole),
            }),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetOptions {
    only_if: Option<OnlyIf>,
    range: Option<Range>,
}

impl GetOptions {
    pub(super) fn read(self, key: String) -> Result<R2Get, OpError> {
        check_key(&key)?;
        let conditions = self.only_if.map(OnlyIf::read).transpose()?;
        Ok(R2Get::new(key)
            .conditions(conditions.unwrap_or_default())
            .range(self.range.and_then(Range::read)))
    }
}

/// Metadata of an object that is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    http_metadata: R2HttpMetadata,
    custom_metadata: Vec<(String, String)>,
    storage_class: String,
}

impl About {
    /// Checks it, and returns the class of storage.
    fn check(&self) -> Result<R2StorageClass, OpError> {
        check_metadata(&self.http_metadata, &self.custom_metadata)?;
        Ok(R2StorageClass::parse(&self.storage_class).ok_or(R2Fault::StorageClass)?)
    }

    pub(super) fn for_upload(self, key: String) -> Result<R2NewUpload, OpError> {
        check_key(&key)?;
        let class = self.check()?;
        Ok(R2NewUpload::new(key)
            .http_metadata(self.http_metadata)
            .custom_metadata(self.custom_metadata)
            .storage_class(class))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutOptions {
    about: About,
    only_if: Option<OnlyIf>,
    checksum: Option<Checksum>,
}

#[derive(Deserialize)]
struct Checksum {
    algorithm: R2Algorithm,
    /// The checksum in hexadecimal, of the right length.
    digest: String,
}

impl PutOptions {
    pub(super) fn read(self, key: String) -> Result<R2Put, OpError> {
        check_key(&key)?;
        let conditions = self.only_if.map(OnlyIf::read).transpose()?;
        let class = self.about.check()?;
        let checksum = self.checksum.map(|checksum| R2Checksum {
            algorithm: checksum.algorithm,
            digest: bytes_of(&checksum.digest),
        });
        Ok(R2Put::new(key)
            .conditions(conditions.unwrap_or_default())
            .checksum(checksum)
            .http_metadata(self.about.http_metadata)
            .custom_metadata(self.about.custom_metadata)
            .storage_class(class))
    }
}

/// Decodes a hexadecimal text.
fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).unwrap_or_default();
    digits.chunks_exact(2).map(byte).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListOptions {
    prefix: String,
    delimiter: Option<String>,
    start_after: Option<String>,
    cursor: Option<String>,
    limit: Option<i32>,
}

impl ListOptions {
    pub(super) fn read(self) -> Result<R2Listing, OpError> {
        let limit = match self.limit {
            None => super::rules::LIST_LIMIT,
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| (1..=super::rules::LIST_LIMIT).contains(limit))
                .ok_or(R2Fault::ListLimit)?,
        };
        Ok(R2Listing::default()
            .prefix(self.prefix)
            .delimiter(self.delimiter)
            .start_after(self.start_after)
            .cursor(self.cursor)
            .limit(limit))
    }
}

//! Objects without their content.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An object without its content: key, size, times, checksums and metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct R2Object {
    /// The key.
    pub key: String,
    /// The identifier of this version, which every write changes.
    pub version: String,
    /// The size in bytes.
    pub size: u64,
    /// The MD5 of the content in hexadecimal. For a multipart upload, the MD5 of the parts' MD5s, a hyphen, and their number.
    pub etag: String,
    /// The time of the upload, in milliseconds since the Unix epoch.
    pub uploaded: u64,
    /// Checksums.
    pub checksums: R2Checksums,
    /// Headers of HTTP responses with the object.
    pub http_metadata: R2HttpMetadata,
    /// Custom metadata: at most 2,048 bytes.
    pub custom_metadata: Vec<(String, String)>,
    /// The class of storage.
    pub storage_class: R2StorageClass,
}

impl R2Object {
    /// Creates an object without metadata.
    pub fn new(key: impl Into<String>, size: u64, etag: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            size,
            etag: etag.into(),
            ..Self::default()
        }
    }
}

isopod_outcome::setters!(R2Object {
    version: impl Into<String>,
    uploaded: u64,
    checksums: R2Checksums,
    http_metadata: R2HttpMetadata,
    custom_metadata: Vec<(String, String)>,
    storage_class: R2StorageClass,
});

/// Headers of HTTP responses with an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct R2HttpMetadata {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Expires`, in milliseconds since the Unix epoch.
    pub cache_expiry: Option<i64>,
}

isopod_outcome::setters!(R2HttpMetadata {
    content_type: impl Into<Option<String>>,
    content_language: impl Into<Option<String>>,
    content_disposition: impl Into<Option<String>>,
    content_encoding: impl Into<Option<String>>,
    cache_control: impl Into<Option<String>>,
    cache_expiry: impl Into<Option<i64>>,
});

impl R2HttpMetadata {
    /// Returns the text fields, with the names of their headers.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        let texts = [
            ("content-type", self.content_type.as_deref()),
            ("content-language", self.content_language.as_deref()),
            ("content-disposition", self.content_disposition.as_deref()),
            ("content-encoding", self.content_encoding.as_deref()),
            ("cache-control", self.cache_control.as_deref()),
        ];
        texts.into_iter()
    }
}

/// A storage class. It is stored with an object, and has no other effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum R2StorageClass {
    /// For frequently read data.
    #[default]
    Standard,
    /// For rarely read data.
    InfrequentAccess,
}

impl R2StorageClass {
    /// Parses the name of a class; an empty name is the default.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "" | "Standard" => Some(Self::Standard),
            "InfrequentAccess" => Some(Self::InfrequentAccess),
            _ => None,
        }
    }
}

impl fmt::Display for R2StorageClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "Standard",
            Self::InfrequentAccess => "InfrequentAccess",
        })
    }
}

/// The algorithm of a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum R2Algorithm {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl R2Algorithm {
    /// Returns its name in the Web Cryptography API and in errors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }
}

impl fmt::Display for R2Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A required checksum of an object's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct R2Checksum {
    /// The algorithm.
    pub algorithm: R2Algorithm,
    /// The checksum.
    pub digest: Vec<u8>,
}

/// The checksums of an object: the MD5 unless it was a multipart upload, and the one that its upload gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct R2Checksums {
    /// MD5.
    #[serde(with = "serde_bytes", skip_serializing_if = "Option::is_none")]
    pub md5: Option<Vec<u8>>,
    /// SHA-1.
    #[serde(with = "serde_bytes", skip_serializing_if = "Option::is_none")]
    pub sha1: Option<Vec<u8>>,
    /// SHA-256.
    #[serde(with = "serde_bytes", skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Vec<u8>>,
    /// SHA-384.
    #[serde(with = "serde_bytes", skip_serializing_if = "Option::is_none")]
    pub sha384: Option<Vec<u8>>,
    /// SHA-512.
    #[serde(with = "serde_bytes", skip_serializing_if = "Option::is_none")]
    pub sha512: Option<Vec<u8>>,
}

impl R2Checksums {
    /// Sets the checksum of an algorithm.
    pub fn set(&mut self, algorithm: R2Algorithm, digest: Vec<u8>) {
        let member = match algorithm {
            R2Algorithm::Md5 => &mut self.md5,
            R2Algorithm::Sha1 => &mut self.sha1,
            R2Algorithm::Sha256 => &mut self.sha256,
            R2Algorithm::Sha384 => &mut self.sha384,
            R2Algorithm::Sha512 => &mut self.sha512,
        };
        *member = Some(digest);
    }
}

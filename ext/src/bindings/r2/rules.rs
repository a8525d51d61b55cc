//! The limits of the platform, with its errors: <https://developers.cloudflare.com/r2/platform/limits/>,
//! <https://developers.cloudflare.com/r2/api/error-codes/>.

use std::fmt::Write as _;

use super::object::{R2Algorithm, R2HttpMetadata};

/// Maximum length of a key in bytes of UTF-8.
const KEY_BYTES: usize = 1024;
/// Maximum size of custom metadata.
const METADATA_BYTES: usize = 2048;
/// Maximum size of HTTP metadata in bytes.
const HTTP_METADATA_BYTES: usize = 8 << 10;
/// Minimum size of a part, unless it is the last one.
#[cfg(feature = "sql")]
pub(super) const PART_BYTES_MIN: u64 = 5 << 20;
/// Maximum number of keys that are deleted at once.
pub(super) const DELETE_KEYS: usize = 1000;
/// Maximum number of objects in a list.
pub(super) const LIST_LIMIT: usize = 1000;

/// A violation of a limit or a rule of R2, with the platform's messages.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum R2Fault {
    /// The operation is not possible in the current state of the upload.
    #[error("We encountered an internal error. Please try again.")]
    Internal,
    /// The object is too large.
    #[error("Your proposed upload exceeds the maximum allowed object size.")]
    ObjectSize,
    /// A part other than the last is too small.
    #[error("Your proposed upload is smaller than the minimum allowed object size.")]
    PartSize,
    /// Too much metadata.
    #[error("Your metadata headers exceed the maximum allowed metadata size.")]
    MetadataSize,
    /// The key is too long.
    #[error("The specified object name is not valid.")]
    Key,
    /// The limit of the list is zero or too large.
    #[error("MaxKeys params must be positive integer <= 1000.")]
    ListLimit,
    /// There is no such upload in progress.
    #[error("The specified multipart upload does not exist.")]
    NoUpload,
    /// A part was not uploaded, or has been uploaded again.
    #[error("One or more of the specified parts could not be found.")]
    NoPart,
    /// Too many keys at once.
    #[error("At most {DELETE_KEYS} objects can be deleted at once.")]
    DeleteKeys,
    /// The cursor was not returned by a list.
    #[error("The specified cursor is not valid. Please use the cursor of an earlier list.")]
    Cursor,
    /// The storage class is unknown.
    #[error("The specified storage class is not valid: it should be \"Standard\" or \"InfrequentAccess\".")]
    StorageClass,
    /// The content does not match the checksum.
    #[error(
        "The {algorithm} checksum you specified did not match what we received.\nYou provided a {algorithm} checksum with value: \
         {given}\nActual {algorithm} was: {actual}", given = hex(given), actual = hex(actual)
    )]
    Digest {
        /// The algorithm.
        algorithm: R2Algorithm,
        /// The checksum that was given.
        given: Vec<u8>,
        /// The checksum of the content.
        actual: Vec<u8>,
    },
    /// The range is empty.
    #[error("The requested range is not satisfiable")]
    Range,
    /// Parts other than the last differ in size.
    #[error("There was a problem with the multipart upload.")]
    Upload,
    /// Too many objects are being read at once.
    #[error("Reduce your concurrent request rate: {0} objects are being read already (`transfers_max`).")]
    Transfers(usize),
}

impl R2Fault {
    /// Returns the platform's error number.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Internal => 10001,
            Self::PartSize => 10011,
            Self::MetadataSize => 10012,
            Self::Key => 10020,
            Self::ListLimit => 10022,
            Self::NoUpload => 10024,
            Self::NoPart => 10025,
            Self::DeleteKeys | Self::Cursor | Self::StorageClass => 10029,
            Self::Digest { .. } => 10037,
            Self::Range => 10039,
            Self::Upload => 10048,
            Self::Transfers(_) => 10058,
            Self::ObjectSize => 100_100,
        }
    }
}

/// Checks a key.
///
/// # Errors
/// It is longer than 1,024 bytes.
pub fn check_key(key: &str) -> Result<(), R2Fault> {
    match key.len() > KEY_BYTES {
        true => Err(R2Fault::Key),
        false => Ok(()),
    }
}

/// Checks the metadata of an object.
///
/// # Errors
/// The custom metadata exceeds 2,048 bytes (one byte per character in Latin-1 texts, two in others), or the HTTP metadata
/// exceeds 8 KiB.
pub fn check_metadata(http: &R2HttpMetadata, custom: &[(String, String)]) -> Result<(), R2Fault> {
    let custom: usize = custom.iter().map(|(key, value)| weight(key) + weight(value)).sum();
    let http: usize = http.texts().map(|(_, text)| text.map_or(0, str::len)).sum();
    match custom > METADATA_BYTES || http > HTTP_METADATA_BYTES {
        true => Err(R2Fault::MetadataSize),
        false => Ok(()),
    }
}

/// Returns the size of a text in metadata, as serialized by V8.
fn weight(text: &str) -> usize {
    let length: usize = text.chars().map(char::len_utf16).sum();
    match text.chars().all(|c| c <= '\u{ff}') {
        true => length,
        false => 2 * length,
    }
}

/// Encodes bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // workerd's transcript, tests/fixtures/bindings/r2.json, has the messages; these tests check the boundaries.

    #[test]
    fn keys_have_up_to_1024_bytes() {
        for key in ["", ".", "a/b", &"ü".repeat(512)] {
            assert_eq!(check_key(key), Ok(()), "{key}");
        }
        assert_eq!(check_key(&"ü".repeat(513)), Err(R2Fault::Key));
    }

    #[test]
    fn custom_metadata_has_up_to_2048_bytes() {
        let check = |value: String| check_metadata(&R2HttpMetadata::default(), &[("key".to_owned(), value)]);
        assert_eq!(check("ü".repeat(2045)), Ok(()));
        assert_eq!(check("ü".repeat(2046)), Err(R2Fault::MetadataSize));
        assert_eq!(check("€".repeat(1022)), Ok(()));
        assert_eq!(check("€".repeat(1023)), Err(R2Fault::MetadataSize));
    }

    #[test]
    fn http_metadata_has_up_to_8_kib() {
        let check = |length: usize| {
            let http = R2HttpMetadata::default().content_type("x".repeat(length));
            check_metadata(&http, &[])
        };
        assert_eq!(check(8 << 10), Ok(()));
        assert_eq!(check((8 << 10) + 1), Err(R2Fault::MetadataSize));
    }
}

//! The limits of the platform, with its errors:
//! <https://developers.cloudflare.com/kv/platform/limits/>.

/// Maximum length of a key in bytes of UTF-8.
pub(super) const KEY_BYTES: usize = 512;
/// Maximum length of a value, and of all values of a bulk read, in bytes.
pub(super) const VALUE_BYTES: usize = 25 << 20;
/// Maximum length of the metadata's JSON in bytes.
pub(super) const METADATA_BYTES: usize = 1024;
/// Minimum time until an entry expires, in seconds.
pub(super) const TTL_SECONDS: u64 = 60;
/// Minimum time for which a value may be cached elsewhere, in seconds. It is checked, and has no effect.
pub(super) const CACHE_TTL_SECONDS: f64 = 30.0;
/// Maximum number of keys in a list.
pub(super) const LIST_LIMIT: usize = 1000;

/// A violation of a limit or a rule of KV. The texts are the platform's.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KvFault {
    /// An empty key.
    #[error("Key names must not be empty")]
    EmptyKey,
    /// The key is `.` or `..`.
    #[error("Illegal key name \"{0}\". Please use a different name.")]
    IllegalKey(String),
    /// The key is too long.
    #[error("UTF-8 encoded length of {0} exceeds key length limit of {KEY_BYTES}.")]
    KeyLength(usize),
    /// The value is too long.
    #[error("Value length of {0} exceeds limit of {VALUE_BYTES}.")]
    ValueLength(usize),
    /// The metadata is too long.
    #[error("Metadata length of {0} exceeds limit of {METADATA_BYTES}.")]
    MetadataLength(usize),
    /// The metadata is not JSON.
    #[error("Metadata is not valid JSON")]
    Metadata,
    /// The time to live is zero or negative.
    #[error("Invalid expiration_ttl of {0}. Please specify integer greater than 0.")]
    TtlNotPositive(i64),
    /// The time to live is too short.
    #[error("Invalid expiration_ttl of {0}. Expiration TTL must be at least {TTL_SECONDS}.")]
    TtlTooShort(i64),
    /// The expiration is in the past.
    #[error(
        "Invalid expiration of {0}. Please specify integer greater than the current number of seconds since the UNIX epoch."
    )]
    ExpirationPast(i64),
    /// The expiration is too soon.
    #[error("Invalid expiration of {0}. Expiration times must be at least {TTL_SECONDS} seconds in the future.")]
    ExpirationTooSoon(i64),
    /// The cache time is too short.
    #[error("Invalid cache_ttl of {0}. Cache TTL must be at least 30.")]
    CacheTtl(i64),
    /// The list is limited to more keys than a list may have.
    #[error("Invalid key_count_limit of {0}. Please specify an integer less than {LIST_LIMIT}.")]
    ListLimit(i64),
    /// The cursor was not returned by a list.
    #[error("Invalid cursor. Please use the cursor of an earlier list.")]
    Cursor,
    /// The values of a bulk read are too long in total.
    #[error("Total size of request exceeds the limit of 25MB")]
    BulkSize,
}

impl KvFault {
    /// The HTTP status that the platform's error has.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::KeyLength(_) => 414,
            Self::ValueLength(_) | Self::MetadataLength(_) | Self::BulkSize => 413,
            _ => 400,
        }
    }
}

/// Checks a key.
///
/// # Errors
/// It is empty, `.`, `..`, or longer than 512 bytes.
pub fn check_key(key: &str) -> Result<(), KvFault> {
    match key {
        "" => Err(KvFault::EmptyKey),
        "." | ".." => Err(KvFault::IllegalKey(key.to_owned())),
        _ if key.len() > KEY_BYTES => Err(KvFault::KeyLength(key.len())),
        _ => Ok(()),
    }
}

/// Checks a value and its metadata.
///
/// # Errors
/// The value is longer than 25 MiB, or the metadata is longer than 1,024 bytes or not JSON.
pub fn check_entry(value: &[u8], metadata: Option<&str>) -> Result<(), KvFault> {
    if value.len() > VALUE_BYTES {
        return Err(KvFault::ValueLength(value.len()));
    }
    match metadata {
        Some(metadata) if metadata.len() > METADATA_BYTES => Err(KvFault::MetadataLength(metadata.len())),
        Some(metadata) if serde_json::from_str::<serde::de::IgnoredAny>(metadata).is_err() => Err(KvFault::Metadata),
        _ => Ok(()),
    }
}

/// Returns the time at which an entry that is stored `now` expires, in seconds since 1970. A time to live has precedence over a
/// time.
///
/// # Errors
/// It is less than 60 seconds from now.
pub fn expiration(now: u64, ttl: Option<i64>, expiration: Option<i64>) -> Result<Option<u64>, KvFault> {
    match (ttl, expiration) {
        (Some(ttl), _) => match u64::try_from(ttl) {
            Ok(0) | Err(_) => Err(KvFault::TtlNotPositive(ttl)),
            Ok(seconds) if seconds < TTL_SECONDS => Err(KvFault::TtlTooShort(ttl)),
            Ok(seconds) => Ok(Some(now + seconds)),
        },
        (None, Some(at)) => match u64::try_from(at) {
            Ok(seconds) if seconds >= now + TTL_SECONDS => Ok(Some(seconds)),
            Ok(seconds) if seconds > now => Err(KvFault::ExpirationTooSoon(at)),
            _ => Err(KvFault::ExpirationPast(at)),
        },
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The texts are those of workerd's transcript, tests/fixtures/bindings/kv.json; these are the boundaries.

    #[test]
    fn keys_have_1_to_512_bytes() {
        for key in ["a", "...", "a/b", "\0", &"k".repeat(512), &"ü".repeat(256)] {
            assert_eq!(check_key(key), Ok(()), "{key}");
        }
        assert_eq!(check_key(&"ü".repeat(257)), Err(KvFault::KeyLength(514)));
    }

    #[test]
    fn entries_expire_60_seconds_from_now_at_the_earliest() {
        let now = 1_000_000;
        assert_eq!(expiration(now, None, None), Ok(None));
        assert_eq!(expiration(now, Some(60), Some(1)), Ok(Some(now + 60)));
        assert_eq!(expiration(now, Some(59), None), Err(KvFault::TtlTooShort(59)));
        assert_eq!(expiration(now, None, Some(1_000_060)), Ok(Some(1_000_060)));
        assert_eq!(
            expiration(now, None, Some(1_000_059)),
            Err(KvFault::ExpirationTooSoon(1_000_059))
        );
        assert_eq!(
            expiration(now, None, Some(1_000_000)),
            Err(KvFault::ExpirationPast(1_000_000))
        );
        assert_eq!(expiration(now, None, Some(-1)), Err(KvFault::ExpirationPast(-1)));
    }

    #[test]
    fn metadata_is_json_of_1024_bytes_at_most() {
        let text = |len: usize| format!("\"{}\"", "m".repeat(len - 2));
        assert_eq!(check_entry(b"", Some(&text(1024))), Ok(()));
        assert_eq!(check_entry(b"", Some(&text(1025))), Err(KvFault::MetadataLength(1025)));
        assert_eq!(check_entry(b"", Some("{")), Err(KvFault::Metadata));
    }
}

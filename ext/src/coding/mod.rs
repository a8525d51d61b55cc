//! Content codings (RFC 9110, section 8.4): those that a message names, those that its reader accepts, and the codecs.
//!
//! A body may have several layers, listed in the order in which they were applied. If any of them is unknown, the body
//! is neither decoded nor encoded, and its label is left unchanged.

pub mod brotli;
pub(crate) mod decode;
pub(crate) mod encode;
mod window;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue};

/// Bodies with more layers are left unchanged; curl rejects as many.
const LAYERS_MAX: usize = 5;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Brotli,
    Zstd,
    Deflate,
}

impl Coding {
    /// The codings, in the order in which requests offer them.
    const ALL: [Self; 4] = [Self::Gzip, Self::Brotli, Self::Zstd, Self::Deflate];

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
        }
    }

    /// Parses a name. RFC 9110, section 8.4.1: names are case-insensitive, and `x-gzip` means `gzip`.
    fn named(name: &str) -> Option<Self> {
        let name = if name.eq_ignore_ascii_case("x-gzip") {
            "gzip"
        } else {
            name
        };
        Self::ALL
            .into_iter()
            .find(|coding| coding.name().eq_ignore_ascii_case(name))
    }
}

/// The content of a message's `Content-Encoding` lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Codings {
    /// The layers, in the order in which they were applied; empty if the body is not encoded.
    Known(Vec<Coding>),
    /// One of the codings is unknown, or there are too many.
    Unknown,
}

impl Codings {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut layers = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            let Ok(value) = value.to_str() else {
                return Self::Unknown;
            };
            for name in list(value) {
                match Coding::named(name) {
                    Some(coding) if layers.len() < LAYERS_MAX => layers.push(coding),
                    None if name.eq_ignore_ascii_case("identity") => {}
                    _ => return Self::Unknown,
                }
            }
        }
        Self::Known(layers)
    }

    /// The layers; none if the body is left unchanged.
    pub(crate) fn layers(self) -> Vec<Coding> {
        match self {
            Self::Known(layers) => layers,
            Self::Unknown => Vec::new(),
        }
    }
}

/// The non-empty elements of a list (RFC 9110, section 5.6.1).
fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// Returns true if a request's `Accept-Encoding` accepts a coding (RFC 9110, section 12.5.3). Without the header, all
/// are accepted.
fn accepts(headers: &HeaderMap, coding: Coding) -> bool {
    let mut values = headers.get_all(ACCEPT_ENCODING).iter().peekable();
    if values.peek().is_none() {
        return true;
    }
    let mut by_any = false;
    for element in values.filter_map(|value| value.to_str().ok()).flat_map(list) {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let accepted = parts.all(|parameter| !is_weight_of_zero(parameter));
        if Coding::named(name) == Some(coding) {
            return accepted;
        }
        if name == "*" {
            by_any = accepted;
        }
    }
    by_any
}

fn is_weight_of_zero(parameter: &str) -> bool {
    let Some((name, weight)) = parameter.split_once('=') else {
        return false;
    };
    name.trim_end().eq_ignore_ascii_case("q") && weight.trim().parse() == Ok(0.0)
}

/// Returns true if a request accepts all these layers.
pub(crate) fn accepts_all(headers: &HeaderMap, layers: &[Coding]) -> bool {
    layers.iter().all(|coding| accepts(headers, *coding))
}

/// The codings that `fetch` offers unless the script names some. In an event, those that its client accepts as well, so
/// that a response can be passed on unchanged; a client without the header may be unable to decode.
pub(crate) fn offered(client: Option<&HeaderMap>) -> HeaderValue {
    let is_offered = |coding: &Coding| {
        client.is_none_or(|headers| headers.contains_key(ACCEPT_ENCODING) && accepts(headers, *coding))
    };
    let names: Vec<_> = Coding::ALL.into_iter().filter(is_offered).map(Coding::name).collect();
    match names.is_empty() {
        true => HeaderValue::from_static("identity"),
        // Composed of the names above.
        false => HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("identity")),
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
    use http::{HeaderMap, HeaderName};

    use super::{Coding, Codings, accepts, offered};

    fn with(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    /// RFC 9110, section 8.4: "listed in the order in which they were applied"; section 5.3: lines of one name are one list.
    #[test]
    fn codings_are_read_in_order_from_all_lines() {
        use Coding::{Brotli, Deflate, Gzip, Zstd};
        let of = |values: &[&'static str]| Codings::of(&with(&CONTENT_ENCODING, values));
        assert_eq!(of(&[]), Codings::Known(vec![]));
        assert_eq!(of(&[" GZIP "]), Codings::Known(vec![Gzip]));
        assert_eq!(of(&["x-gzip"]), Codings::Known(vec![Gzip]));
        assert_eq!(of(&["identity"]), Codings::Known(vec![]));
        assert_eq!(of(&["gzip, identity,,br"]), Codings::Known(vec![Gzip, Brotli]));
        assert_eq!(of(&["deflate", "zstd"]), Codings::Known(vec![Deflate, Zstd]));
        assert_eq!(of(&["gzip, aes128gcm"]), Codings::Unknown);
        assert_eq!(of(&["gzip,gzip,gzip,gzip,gzip,gzip"]), Codings::Unknown);
    }

    /// RFC 9110, section 12.5.3.
    #[test]
    fn a_client_without_accepted_codings_accepts_all() {
        let accepts = |values: &[&'static str]| accepts(&with(&ACCEPT_ENCODING, values), Coding::Gzip);
        assert!(accepts(&[]));
        assert!(accepts(&["br, gzip;q=0.5"]));
        assert!(accepts(&["br", "x-gzip"]));
        assert!(accepts(&["*"]));
        assert!(!accepts(&[""]));
        assert!(!accepts(&["br"]));
        assert!(!accepts(&["identity"]));
        assert!(!accepts(&["*, gzip;q=0"]));
        assert!(!accepts(&["*;q=0"]));
    }

    #[test]
    fn a_request_offers_what_the_client_of_its_event_accepts() {
        assert_eq!(offered(None), "gzip, br, zstd, deflate");
        let for_client = |values: &[&'static str]| offered(Some(&with(&ACCEPT_ENCODING, values)));
        assert_eq!(for_client(&["br, deflate, gzip;q=0"]), "br, deflate");
        assert_eq!(for_client(&["*"]), "gzip, br, zstd, deflate");
        assert_eq!(for_client(&[]), "identity");
    }
}

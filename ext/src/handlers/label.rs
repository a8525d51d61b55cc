//! Makes a response's body match its `Content-Encoding`.
//!
//! <https://developers.cloudflare.com/workers/runtime-apis/response/>: with `encodeBody: "automatic"` a body is encoded
//! according to the header, with `"manual"` it is encoded already.

use std::rc::Rc;

use deno_core::{OpState, Resource, ResourceId};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, ETAG};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::{EventKey, events};
use crate::coding::encode::EncodedBody;
use crate::coding::{Coding, Codings, accepts_all};
use crate::fetch::keep_encoded;
use crate::quotas::{QuotaError, Usage};

/// The treatment of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// Unchanged: it is not encoded, or in an unknown coding.
    Plain,
    /// Unchanged: it is encoded already, or a part of an encoded body.
    Encoded(Vec<Coding>),
    /// To be encoded.
    Encode(Vec<Coding>),
}

impl Label {
    /// Determines the treatment of a response with a body, and removes its label if the client does not accept it.
    ///
    /// Also removes a `Content-Length` set by the script: the length is determined by the body (RFC 9112, section 6.3),
    /// and one copied from another response is that of another body, or of another form of it.
    pub(super) fn of(response: &mut Response<()>, request: Option<&HeaderMap>, manual: bool) -> Self {
        response.headers_mut().remove(CONTENT_LENGTH);
        let Codings::Known(layers) = Codings::of(response.headers()) else {
            return Self::Plain;
        };
        if layers.is_empty() {
            return Self::Plain;
        }
        // A range is one of the encoded body (RFC 9110, section 14).
        if manual || response.status() == StatusCode::PARTIAL_CONTENT {
            return Self::Encoded(layers);
        }
        if request.is_some_and(|request| !accepts_all(request, &layers)) {
            response.headers_mut().remove(CONTENT_ENCODING);
            weaken_etag(response.headers_mut());
            return Self::Plain;
        }
        Self::Encode(layers)
    }

    /// The stream to send. A response of `fetch` with an unchanged label is not decoded first.
    pub(super) fn stream(
        self,
        state: &OpState,
        key: EventKey,
        rid: ResourceId,
        body: Rc<dyn Resource>,
    ) -> Result<Rc<dyn Resource>, QuotaError> {
        match self {
            Self::Plain => Ok(body),
            Self::Encoded(layers) | Self::Encode(layers) if keep_encoded(state, rid, &layers) => Ok(body),
            Self::Encoded(_) => Ok(body),
            Self::Encode(layers) => {
                let cpu = events(state).borrow().cpu(key);
                Ok(Rc::new(EncodedBody::new(body, &layers, &Usage::of(state), cpu)?))
            }
        }
    }
}

/// A strong validator applies to one form of a body (RFC 9110, section 8.8.1), and this is another.
fn weaken_etag(headers: &mut HeaderMap) {
    let Some(etag) = headers.get_mut(ETAG) else { return };
    let is_strong = etag.as_bytes().starts_with(b"\"");
    if is_strong && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat()) {
        *etag = weak;
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, ETAG};
    use http::{HeaderMap, HeaderName, Response};

    use super::{Label, weaken_etag};
    use crate::coding::Coding::{Brotli, Gzip};

    fn label(status: u16, coding: &str, accepted: Option<&str>, manual: bool) -> (Label, Vec<HeaderName>) {
        let response = Response::builder().status(status);
        let response = response.header(CONTENT_ENCODING, coding).header(CONTENT_LENGTH, 7);
        let mut response = response.body(()).unwrap();
        let mut request = HeaderMap::new();
        if let Some(accepted) = accepted {
            request.insert("accept-encoding", accepted.parse().unwrap());
        }
        let label = Label::of(&mut response, Some(&request), manual);
        (label, response.headers().keys().cloned().collect())
    }

    fn labelled(label: Label) -> (Label, Vec<HeaderName>) {
        (label, vec![CONTENT_ENCODING])
    }

    #[test]
    fn a_body_is_encoded_as_its_label_says() {
        assert_eq!(label(200, "gzip", None, false), labelled(Label::Encode(vec![Gzip])));
        let both = Label::Encode(vec![Gzip, Brotli]);
        assert_eq!(label(404, "gzip, br", Some("*"), false), labelled(both));
    }

    #[test]
    fn a_body_is_left_alone_if_it_is_encoded_already_or_in_an_unknown_way() {
        assert_eq!(label(200, "gzip", Some(""), true), labelled(Label::Encoded(vec![Gzip])));
        assert_eq!(label(206, "gzip", None, false), labelled(Label::Encoded(vec![Gzip])));
        assert_eq!(label(200, "identity", None, false), labelled(Label::Plain));
        assert_eq!(label(200, "gzip, aes128gcm", Some("br"), false), labelled(Label::Plain));
    }

    /// RFC 9110, section 12.5.3.
    #[test]
    fn a_coding_that_the_client_refuses_is_removed() {
        assert_eq!(label(200, "gzip", Some("br"), false), (Label::Plain, vec![]));
        assert_eq!(label(200, "gzip, br", Some("br"), false), (Label::Plain, vec![]));
    }

    #[test]
    fn a_strong_validator_becomes_a_weak_one_with_the_label() {
        for (before, after) in [("\"a\"", "W/\"a\""), ("W/\"a\"", "W/\"a\""), ("odd", "odd")] {
            let mut headers = HeaderMap::from_iter([(ETAG, before.parse().unwrap())]);
            weaken_etag(&mut headers);
            assert_eq!(headers[ETAG], after);
        }
    }
}

//! A stored response: the rules for storing it, its lifetime, and its use for a request. Pure functions of headers and times.
//!
//! Sources: <https://developers.cloudflare.com/workers/runtime-apis/cache/> for the platform's rules, and RFC 9111, by
//! `http-cache-semantics`, for the others.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RANGE,
    SET_COOKIE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use isopod_assets::etag;
use isopod_assets::range::{Range, range_of};

const STATUS: HeaderName = HeaderName::from_static("cf-cache-status");
const HIT: HeaderValue = HeaderValue::from_static("HIT");

/// The head of a response to be stored, with the headers of its request.
pub(super) struct Offered {
    pub(super) request: HeaderMap,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// The error of storing a response that can never be stored, with workerd's messages.
#[derive(Clone, Copy, Debug, thiserror::Error, deno_error::JsError, PartialEq, Eq)]
#[class(type)]
pub enum CacheFault {
    /// It is a partial response.
    #[error("Cannot cache response to a range request (206 Partial Content).")]
    Part,
    /// It varies with every header.
    #[error("Cannot cache response with 'Vary: *' header.")]
    VaryAll,
}

/// Checks that storing a response is not an error.
pub(super) fn check(status: StatusCode, headers: &HeaderMap) -> Result<(), CacheFault> {
    let varies = headers.get_all(VARY).iter();
    match status {
        StatusCode::PARTIAL_CONTENT => Err(CacheFault::Part),
        _ if varies.into_iter().any(|vary| vary.as_bytes().contains(&b'*')) => Err(CacheFault::VaryAll),
        _ => Ok(()),
    }
}

/// A stored response.
#[derive(Debug)]
pub(super) struct Entry {
    policy: CachePolicy,
    request: Request<()>,
    status: StatusCode,
    pub(super) body: Bytes,
    /// True if the body is encoded, as its headers say.
    pub(super) is_encoded: bool,
    pub(super) fresh_for: Duration,
    /// The size of its headers.
    head_bytes: usize,
}

impl Entry {
    /// Creates an entry from a response; `None` if it may not be stored or would not be fresh.
    pub(super) fn new(offered: Offered, body: Bytes, is_encoded: bool, now: SystemTime) -> Option<Self> {
        let Offered {
            mut request,
            status,
            mut headers,
        } = offered;
        // The request's directives are for caches on the path.
        request.remove(CACHE_CONTROL);
        // A response with `private=set-cookie` may be stored without its cookies.
        if without_cookies(&mut headers) {
            headers.remove(SET_COOKIE);
        }
        if headers.contains_key(SET_COOKIE) {
            return None;
        }
        // The length of the stored body, which may have been transferred in another form. A response that cannot have a body
        // has no length: RFC 9110, 8.6.
        match status {
            StatusCode::NO_CONTENT => drop(headers.remove(CONTENT_LENGTH)),
            _ => drop(headers.insert(CONTENT_LENGTH, body.len().into())),
        }
        let head_bytes = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 64)
            .sum();
        let mut asked = Request::new(());
        *asked.headers_mut() = request;
        let mut answered = Response::new(());
        *answered.status_mut() = status;
        *answered.headers_mut() = headers;
        let policy = CachePolicy::new_options(&asked, &answered, now, CacheOptions::default());
        let fresh_for = policy.time_to_live(now);
        (policy.is_storable() && !fresh_for.is_zero()).then_some(Self {
            policy,
            request: asked,
            status,
            body,
            is_encoded,
            fresh_for,
            head_bytes,
        })
    }

    /// Returns its size in memory.
    pub(super) fn bytes(&self) -> usize {
        self.body.len() + 2 * self.head_bytes + size_of::<Self>()
    }

    /// Returns the response to a request with these headers; `None` if it is stale.
    pub(super) fn answer(&self, request: &HeaderMap, now: SystemTime) -> Option<Answer> {
        let BeforeRequest::Fresh(head) = self.policy.before_request(&self.request, now) else {
            return None;
        };
        let mut headers = head.headers;
        headers.insert(STATUS, HIT);
        let whole = Answer {
            status: self.status,
            body: self.body.clone(),
            headers,
        };
        Some(whole.for_request(request))
    }
}

/// Removes `private=set-cookie` from `Cache-Control`. Returns whether it was present.
fn without_cookies(headers: &mut HeaderMap) -> bool {
    let is_private = |directive: &str| {
        directive
            .replace([' ', '"'], "")
            .eq_ignore_ascii_case("private=set-cookie")
    };
    let values = headers.get_all(CACHE_CONTROL).iter();
    let directives: Vec<_> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|directive| directive.trim().to_owned())
        .collect();
    if !directives.iter().any(|directive| is_private(directive)) {
        return false;
    }
    let others: Vec<_> = directives
        .into_iter()
        .filter(|directive| !is_private(directive))
        .collect();
    headers.remove(CACHE_CONTROL);
    if let (false, Ok(value)) = (others.is_empty(), HeaderValue::from_str(&others.join(", "))) {
        headers.insert(CACHE_CONTROL, value);
    }
    true
}

/// The answer to a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// Applies the conditions and the range of a request: RFC 9110, 13.2.2.
    fn for_request(mut self, request: &HeaderMap) -> Self {
        if self.is_known(request) {
            self.status = StatusCode::NOT_MODIFIED;
            self.body = Bytes::new();
            return self;
        }
        let Some(range) = request.get(RANGE).filter(|_| self.status == StatusCode::OK) else {
            return self;
        };
        let length = self.body.len() as u64;
        match range_of(range, length) {
            Range::Whole => {}
            Range::Part(first, last) => {
                let part = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                self.body = self.body.slice(part(first)..=part(last));
                self.status = StatusCode::PARTIAL_CONTENT;
                set(
                    &mut self.headers,
                    CONTENT_RANGE,
                    &format!("bytes {first}-{last}/{length}"),
                );
                self.headers.insert(CONTENT_LENGTH, self.body.len().into());
            }
            Range::Outside => {
                self.body = Bytes::new();
                self.status = StatusCode::RANGE_NOT_SATISFIABLE;
                self.headers = HeaderMap::new();
                self.headers.insert(STATUS, HIT);
                set(&mut self.headers, CONTENT_RANGE, &format!("bytes */{length}"));
            }
        }
        self
    }

    /// Returns whether the client has the same representation.
    fn is_known(&self, request: &HeaderMap) -> bool {
        let text = |headers: &HeaderMap, name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok().map(str::to_owned))
        };
        if let Some(known) = request.get(IF_NONE_MATCH) {
            let own = text(&self.headers, ETAG);
            return own.is_some_and(|own| etag::names(known, own.strip_prefix("W/").unwrap_or(&own)));
        }
        let time = |headers: &HeaderMap, name| httpdate::parse_http_date(&text(headers, name)?).ok();
        match (time(request, IF_MODIFIED_SINCE), time(&self.headers, LAST_MODIFIED)) {
            (Some(since), Some(modified)) => modified <= since,
            _ => false,
        }
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use http::header::AGE;

    use super::*;

    fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
        let entry = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        entries.iter().map(entry).collect()
    }

    fn offered(status: u16, entries: &[(&'static str, &str)]) -> Offered {
        Offered {
            request: HeaderMap::new(),
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers(entries),
        }
    }

    fn stored(entries: &[(&'static str, &str)]) -> Option<Entry> {
        Entry::new(offered(200, entries), "0123456789".into(), false, SystemTime::now())
    }

    // Transcript of the platform's behavior: tests/fixtures/bindings/cache.json.

    #[test]
    fn an_entry_is_fresh_by_its_headers() {
        let entry = stored(&[("cache-control", "max-age=60"), ("age", "10")]).unwrap();
        let now = SystemTime::now();
        let answer = |seconds| entry.answer(&HeaderMap::new(), now + Duration::from_secs(seconds));
        assert_eq!(answer(20).unwrap().headers[AGE], "30");
        assert!(answer(51).is_none());
        assert!(stored(&[("cache-control", "no-store, max-age=60")]).is_none());
        assert!(stored(&[]).is_none());
    }

    #[test]
    fn cookies_are_not_stored() {
        assert!(stored(&[("cache-control", "max-age=60"), ("set-cookie", "a=1")]).is_none());
        let cookies = [
            ("cache-control", "Private=\"Set-Cookie\", max-age=60"),
            ("set-cookie", "a=1"),
        ];
        let entry = stored(&cookies).unwrap();
        let answer = entry.answer(&HeaderMap::new(), SystemTime::now()).unwrap();
        assert_eq!(answer.headers[CACHE_CONTROL], "max-age=60");
        assert!(!answer.headers.contains_key(SET_COOKIE));
    }

    #[test]
    fn partial_and_always_varying_responses_are_errors() {
        let check = |status, vary| check(StatusCode::from_u16(status).unwrap(), &headers(&[("vary", vary)]));
        assert_eq!(check(200, "accept"), Ok(()));
        assert_eq!(check(206, "accept"), Err(CacheFault::Part));
        assert_eq!(check(200, "accept, *"), Err(CacheFault::VaryAll));
    }

    #[test]
    fn conditions_and_ranges_are_applied() {
        let entry = stored(&[("cache-control", "max-age=60"), ("etag", "W/\"x\"")]).unwrap();
        let answer = |request: &[(&'static str, &str)]| {
            let answer = entry.answer(&headers(request), SystemTime::now()).unwrap();
            (answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap())
        };
        assert_eq!(answer(&[("if-none-match", "\"x\"")]), (304, String::new()));
        assert_eq!(
            answer(&[("if-none-match", "\"y\""), ("range", "bytes=0-1")]),
            (206, "01".to_owned())
        );
        assert_eq!(answer(&[("range", "bytes=8-20")]), (206, "89".to_owned()));
        assert_eq!(answer(&[("range", "bytes=10-")]), (416, String::new()));
        assert_eq!(answer(&[("range", "bytes=0-0,2-2")]), (200, "0123456789".to_owned()));
    }
}

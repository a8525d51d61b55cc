//! URL of a request, from target and host by the URL Standard. Routes and scripts see the same URL.

use std::ops::Range;

use http::{Method, Request, Version, header, uri::PathAndQuery};
use url::Url;

use crate::{dispatch::Scheme, ingress::Refusal};

/// A request's URL with the positions of host and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    url: String,
    host: Range<usize>,
    path: Range<usize>,
    /// True if path or query differs from the original.
    is_changed: bool,
}

impl Target {
    /// Builds the URL of a request with this scheme.
    ///
    /// # Errors
    ///
    /// Target and host do not form a URL.
    pub(crate) fn of<B>(request: &Request<B>, scheme: Scheme) -> Result<Self, Refusal> {
        let host = host(request)?;
        let path = path(request, scheme)?;
        if is_plain_host(host, scheme) && is_plain_path(path) {
            return Ok(Self::plain(scheme, host, path));
        }
        // A valid host contains no delimiter of other parts of a URL.
        let url = Url::parse(&format!("{scheme}://{host}{path}")).map_err(|_| Refusal::BadHost)?;
        let host = url.host_str().ok_or(Refusal::BadHost)?;
        let host_start = scheme.to_string().len() + 3;
        let path_start = url[..url::Position::BeforePath].len();
        let path_end = url[..url::Position::AfterPath].len();
        Ok(Self {
            host: host_start..host_start + host.len(),
            path: path_start..path_end,
            is_changed: url[url::Position::BeforePath..] != *path,
            url: url.into(),
        })
    }

    /// Builds the URL from normalized parts.
    fn plain(scheme: Scheme, host: &str, path: &str) -> Self {
        let scheme = match scheme {
            Scheme::Http => "http://",
            Scheme::Https => "https://",
        };
        let url = [scheme, host, path].concat();
        let path_start = url.len() - path.len();
        let host_len = host.rfind(':').unwrap_or(host.len());
        Self {
            host: path_start - host.len()..path_start - host.len() + host_len,
            path: path_start..path_start + path.find('?').unwrap_or(path.len()),
            is_changed: false,
            url,
        }
    }

    pub(crate) fn host(&self) -> &str {
        &self.url[self.host.clone()]
    }

    pub(crate) fn path(&self) -> &str {
        &self.url[self.path.clone()]
    }

    /// Returns path and query if they differ from the original.
    pub(crate) fn changed(&self) -> Option<PathAndQuery> {
        self.is_changed
            .then(|| self.url[self.path.start..].parse().ok())
            .flatten()
    }

    pub(crate) fn into_url(self) -> String {
        self.url
    }
}

/// Returns the host of a request. Header and target must agree, because servers in front may use the header, and routes and
/// scripts use the target.
fn host<B>(request: &Request<B>) -> Result<&str, Refusal> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (named, second) = (hosts.next(), hosts.next());
    let target = request.uri().authority().map(http::uri::Authority::as_str);
    if second.is_some() {
        return Err(Refusal::BadHost);
    }
    let host = match (named, target) {
        (None, None) if request.version() < Version::HTTP_11 => "localhost",
        (None, Some(target)) if request.version() != Version::HTTP_11 => target,
        (Some(named), Some(target)) if named.as_bytes().eq_ignore_ascii_case(target.as_bytes()) => target,
        (Some(named), None) => named.to_str().map_err(|_| Refusal::BadHost)?,
        _ => return Err(Refusal::BadHost),
    };
    if is_host(host.as_bytes()) {
        Ok(host)
    } else {
        Err(Refusal::BadHost)
    }
}

/// Returns whether a host has no character that ends the host of a URL or separates user information.
fn is_host(host: &[u8]) -> bool {
    let fits = |b: &u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(b);
    !host.is_empty() && host.iter().all(fits)
}

/// Returns the part of the URL after the host, before normalization (RFC 9112, section 3.3).
fn path<B>(request: &Request<B>, scheme: Scheme) -> Result<&str, Refusal> {
    let uri = request.uri();
    let is_http_1 = request.version() <= Version::HTTP_11;
    match uri.scheme_str() {
        // The scheme is the client's claim, but a plain connection is never `https`.
        Some(named) if is_http_1 && named != "http" && !(named == "https" && scheme == Scheme::Https) => {
            return Err(Refusal::BadTarget);
        }
        // Only CONNECT has an authority as its target.
        None if is_http_1 && uri.authority().is_some() => return Err(Refusal::BadTarget),
        _ => {}
    }
    match uri.path_and_query().map(PathAndQuery::as_str) {
        None => Ok("/"),
        Some("*") if request.method() == Method::OPTIONS => Ok(""),
        Some(path) if path.starts_with(['/', '?']) => Ok(path),
        Some(_) => Err(Refusal::BadTarget),
    }
}

/// Returns whether the URL Standard surely leaves a host and port unchanged. Cheaper than parsing.
fn is_plain_host(host: &str, scheme: Scheme) -> bool {
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let is_plain_port = port.is_none_or(|port| {
        let default = match scheme {
            Scheme::Http => "80",
            Scheme::Https => "443",
        };
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        is_number && (port == "0" || !port.starts_with('0')) && port != default && port.parse::<u16>().is_ok()
    });
    let is_plain_label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(fits) && !label.starts_with("xn--")
    };
    // A name that ends in a number is an IPv4 address, in one of several notations.
    let is_name = || {
        let last = name.rsplit('.').next().unwrap_or_default();
        last.starts_with(|first: char| first.is_ascii_lowercase()) && name.split('.').all(is_plain_label)
    };
    is_plain_port && (is_name() || name.parse::<std::net::Ipv4Addr>().is_ok())
}

/// Returns whether the URL Standard leaves a path and query unchanged.
fn is_plain_path(path: &str) -> bool {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!$&()*+,;=:@/%".contains(&byte);
    // Dots after a slash, also encoded ones, may be a segment that is removed.
    path.starts_with('/')
        && path.bytes().all(fits)
        && !path.contains("/.")
        && !path.match_indices('%').any(|(at, _)| {
            path.as_bytes()[at..]
                .get(..3)
                .is_some_and(|three| three.eq_ignore_ascii_case(b"%2e"))
        })
        && query.bytes().all(|byte| fits(byte) || byte == b'?')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(method: &str, target: &str, host: &str) -> Result<Target, Refusal> {
        let request = Request::builder().method(method).uri(target).header("host", host);
        let request = request.body(()).unwrap_or_else(|error| panic!("{target}: {error}"));
        Target::of(&request, Scheme::Http)
    }

    fn url(path: &str, host: &str) -> Option<String> {
        target("GET", path, host).ok().map(Target::into_url)
    }

    /// https://url.spec.whatwg.org/#path-state and #host-parsing
    #[test]
    fn the_url_is_what_the_standard_makes_of_target_and_host() {
        for (path, host, expected) in [
            ("/a/../b/x", "h", "http://h/b/x"),
            ("/a/%2e%2E/b/./x", "h", "http://h/b/x"),
            ("/../..", "h", "http://h/"),
            ("/a/..", "h", "http://h/"),
            ("/a/.%2e/", "h", "http://h/"),
            ("/a/%2", "h", "http://h/a/%2"),
            ("/a\\..\\b", "h", "http://h/b"),
            ("//a//b", "h", "http://h//a//b"),
            ("/caf\u{e9}", "h", "http://h/caf%C3%A9"),
            ("/?q=a'b", "h", "http://h/?q=a%27b"),
            ("/?q=/../x", "h", "http://h/?q=/../x"),
            ("/a?", "h", "http://h/a?"),
            ("/a/...", "h", "http://h/a/..."),
            ("http://h?x=1", "h", "http://h/?x=1"),
            ("http://h", "h", "http://h/"),
            ("HTTP://H/x", "h", "http://h/x"),
            ("/", "h:80", "http://h/"),
            ("/", "h:", "http://h/"),
            ("/", "h:0080", "http://h/"),
            ("/", "h:8080", "http://h:8080/"),
            ("/", "EXAMPLE.com.", "http://example.com./"),
            ("/", "0x7f.1", "http://127.0.0.1/"),
            ("/", "[::1]:8080", "http://[::1]:8080/"),
            ("/", "[0:0::1]", "http://[::1]/"),
            ("/", "127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ] {
            assert_eq!(url(path, host).as_deref(), Some(expected), "{path} {host}");
        }
        let all = target("OPTIONS", "*", "h").unwrap();
        assert_eq!((all.path(), all.changed().unwrap().as_str()), ("/", "/"));
        let dots = target("GET", "/a/../b?x", "H:81").unwrap();
        assert_eq!((dots.host(), dots.path()), ("h", "/b"));
        assert_eq!(dots.changed().unwrap().as_str(), "/b?x");
        assert_eq!(target("GET", "/b?x", "H:81").unwrap().changed(), None);
    }

    #[test]
    fn requests_without_a_valid_url_are_refused() {
        for host in [
            "h:99999",
            "h:x",
            "h:80:80",
            "[::1",
            "::1",
            "[::g]",
            "",
            "a b",
            "u@h",
            "h/x",
            "h?",
            "h#",
            "h\\",
            "a..%00",
            "1.2.3.4.5",
            "256.1.1.1",
            "xn--a",
        ] {
            let refused = Request::builder().uri("/").header("host", host).body(());
            let refused = refused.map_or(Err(Refusal::BadHost), |request| Target::of(&request, Scheme::Http));
            assert_eq!(refused, Err(Refusal::BadHost), "{host}");
        }
        for (method, path) in [
            ("GET", "*"),
            ("GET", "h:80"),
            ("GET", "ftp://h/"),
            ("GET", "https://h/"),
        ] {
            assert_eq!(
                target(method, path, if path == "h:80" { path } else { "h" }),
                Err(Refusal::BadTarget),
                "{path}"
            );
        }
    }

    #[test]
    fn plain_looking_objects_follow_the_standard() {
        let hosts = [
            "a",
            "a.b-c.d1",
            "localhost:1",
            "1.2.3.4",
            "1a.b",
            "a.",
            "a.1",
            "a.0x1",
            "xn--a.b",
            "A",
            "h:080",
            "h:443",
        ];
        let paths = [
            "/",
            "/a.b/c",
            "/a/.b",
            "/%2F",
            "/a%2eb",
            "/a?b/../c?d",
            "/*+,;=:@!$&()~_-",
            "/a'b",
            "/a|b",
            "//",
            "/a/.",
            "/;a=1",
        ];
        for (host, path) in hosts.iter().flat_map(|host| paths.iter().map(move |path| (host, path))) {
            if is_plain_host(host, Scheme::Http) && is_plain_path(path) {
                let text = format!("http://{host}{path}");
                let parsed = Url::parse(&text).unwrap();
                assert_eq!(parsed.as_str(), text);
                let plain = Target::plain(Scheme::Http, host, path);
                assert_eq!(
                    (plain.host(), plain.path()),
                    (parsed.host_str().unwrap(), parsed.path())
                );
            }
        }
        assert!(is_plain_host("localhost:8080", Scheme::Http) && is_plain_path("/api/users?id=1&b=c%20d"));
    }
}

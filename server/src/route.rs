//! Routing of requests to workers. The most specific route wins: first by host (exact, then the longest `*.suffix` or
//! `*suffix`, then any), within a host by path (literal before `:name` before `start*` before `*`).

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use url::Url;

/// A table from host and path to the names of workers.
///
/// ```
/// # mod isopod { pub use isopod_server as server; }
/// use isopod::server::Routes;
///
/// let routes = Routes::to("site")
///     .route("/api/*", "api")?
///     .route("*.example.com/:page", "pages")?;
/// assert_eq!(routes.find("other.org", "/api/users").as_deref(), Some("api"));
/// assert_eq!(routes.find("www.example.com:8080", "/about").as_deref(), Some("pages"));
/// assert_eq!(routes.find("other.org", "/").as_deref(), Some("site"));
/// # Ok::<(), isopod_server::RouteError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Routes {
    exact: HashMap<String, Paths>,
    /// Suffixes, the longest first. With a leading dot they match names below a domain, without it also the domain.
    suffixes: Vec<(String, Paths)>,
    any: Option<Paths>,
    fallback: Option<Arc<str>>,
}

/// The routes of one host, as a tree of path segments.
#[derive(Clone, Debug, Default)]
struct Paths {
    literal: HashMap<String, Self>,
    param: Option<Box<Self>>,
    here: Place,
    /// Routes by a prefix of the remaining path, the longest first.
    beginnings: Vec<(String, Place)>,
    below: Place,
}

/// Maximum number of parts of a path pattern, which bounds the depth of the tree.
const PARTS_MAX: usize = 256;

/// A route's pattern and worker, if any.
type Place = Option<(String, Arc<str>)>;

impl Paths {
    /// Returns the place of a path pattern, inserting it if new.
    fn insert(&mut self, path: &str) -> Result<&mut Place, &'static str> {
        let mut paths = self;
        if path.split('/').nth(PARTS_MAX + 1).is_some() {
            return Err("a path has at most 256 parts");
        }
        let mut segments = path.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            paths = match segment.as_bytes() {
                b"*" if segments.peek().is_none() => return Ok(&mut paths.below),
                b":" => return Err("a `:` needs a name"),
                [b':', ..] => paths.param.get_or_insert_default(),
                [start @ .., b'*'] if segments.peek().is_none() && !start.contains(&b'*') => {
                    return Ok(paths.beginning(&segment[..start.len()]));
                }
                literal if literal.contains(&b'*') => return Err("`*` is only allowed at the end of a path"),
                _ => paths.literal.entry(segment.to_owned()).or_default(),
            };
        }
        Ok(&mut paths.here)
    }

    /// Returns the place of all paths that continue with `start`, created if missing.
    fn beginning(&mut self, start: &str) -> &mut Place {
        let known = self.beginnings.iter().position(|(known, _)| known == start);
        let index = known.unwrap_or_else(|| {
            let index = self.beginnings.partition_point(|(known, _)| known.len() >= start.len());
            self.beginnings.insert(index, (start.to_owned(), None));
            index
        });
        &mut self.beginnings[index].1
    }

    /// Finds a route. Visits each node at most once, so the cost is bounded by the size of the table.
    fn find(&self, path: Option<&str>) -> Option<&Arc<str>> {
        let Some(path) = path else {
            return self.here.as_ref().map(|(_, worker)| worker);
        };
        let (segment, rest) = path
            .split_once('/')
            .map_or((path, None), |(segment, rest)| (segment, Some(rest)));
        let literal = self.literal.get(segment).and_then(|paths| paths.find(rest));
        let param = || {
            self.param
                .as_ref()
                .filter(|_| !segment.is_empty())
                .and_then(|paths| paths.find(rest))
        };
        let beginning = || {
            let mut beginnings = self.beginnings.iter();
            let (_, place) = beginnings.find(|(start, _)| path.starts_with(start.as_str()))?;
            place.as_ref().map(|(_, worker)| worker)
        };
        literal
            .or_else(param)
            .or_else(beginning)
            .or_else(|| self.below.as_ref().map(|(_, worker)| worker))
    }
}

/// An invalid route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The pattern is malformed.
    #[error(
        "the route `{pattern}` is not valid: {reason}; write `/path`, `/path/*`, `/path*`, `/:name`, `host/path`, `*.host/path` or `*host/path`"
    )]
    Invalid {
        /// The pattern as it was given.
        pattern: String,
        /// The reason.
        reason: String,
    },
    /// Two routes match the same requests.
    #[error("the route `{pattern}` matches the same requests as `{existing}`; remove one of them")]
    Duplicate {
        /// The later pattern.
        pattern: String,
        /// The earlier pattern.
        existing: String,
    },
}

impl Routes {
    /// Creates a table that routes all requests to one worker.
    pub fn to(worker: impl Into<Arc<str>>) -> Self {
        Self::default().fallback(worker)
    }

    /// Sets the worker for requests that no route matches.
    #[must_use]
    pub fn fallback(mut self, worker: impl Into<Arc<str>>) -> Self {
        self.fallback = Some(worker.into());
        self
    }

    /// Adds a route. `pattern` is a path: `/users`, `/users/:id`, `/api/*` (paths below `/api/`), `/api*` (paths that begin
    /// with `/api`). A host may precede it: `example.com/api/*`, `*.example.com/*` (hosts below the domain),
    /// `*example.com/*` (the domain as well).
    ///
    /// # Errors
    ///
    /// The pattern is malformed, or another one matches the same requests.
    pub fn route(mut self, pattern: &str, worker: impl Into<Arc<str>>) -> Result<Self, RouteError> {
        let slash = pattern.find('/').unwrap_or(pattern.len());
        let (host, path) = pattern.split_at(slash);
        let path = as_in_urls(if path.is_empty() { "/*" } else { path });
        let added = self.host(host).and_then(|paths| paths.insert(&path));
        let place = added.map_err(|reason| RouteError::Invalid {
            pattern: pattern.into(),
            reason: reason.into(),
        })?;
        if let Some((existing, _)) = place {
            return Err(RouteError::Duplicate {
                pattern: pattern.into(),
                existing: existing.clone(),
            });
        }
        *place = Some((pattern.into(), worker.into()));
        Ok(self)
    }

    /// Returns the worker for a host (case-insensitive, with or without a port) and a path.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<Arc<str>> {
        self.lookup(host, path).cloned()
    }

    /// Finds the worker for a host and a path as they are in a URL.
    pub(crate) fn lookup(&self, host: &str, path: &str) -> Option<&Arc<str>> {
        if self.exact.is_empty() && self.suffixes.is_empty() && self.any.is_none() {
            return self.fallback.as_ref();
        }
        let host = normalize(host);
        let exact = self.exact.get(host.as_ref());
        let suffixes = self
            .suffixes
            .iter()
            .filter(|(suffix, _)| is_below(&host, suffix))
            .map(|(_, paths)| paths);
        exact
            .into_iter()
            .chain(suffixes)
            .chain(&self.any)
            .find_map(|paths| paths.find(path.strip_prefix('/')))
            .or(self.fallback.as_ref())
    }

    /// Returns the paths of a host pattern, inserting it if new.
    fn host(&mut self, pattern: &str) -> Result<&mut Paths, &'static str> {
        const STAR: &str = "`*` is only allowed as the whole host or its first label";
        let pattern = normalize(pattern);
        if pattern.is_empty() || pattern == "*" {
            return Ok(self.any.get_or_insert_default());
        }
        let Some(suffix) = pattern.strip_prefix('*') else {
            return match pattern.contains('*') {
                true => Err(STAR),
                false => Ok(self.exact.entry(host_in_urls(&pattern)?).or_default()),
            };
        };
        if suffix.contains('*') {
            return Err(STAR);
        }
        let suffix = match suffix.strip_prefix('.') {
            Some(domain) => format!(".{}", host_in_urls(domain)?),
            None => host_in_urls(suffix)?,
        };
        let place = self
            .suffixes
            .iter()
            .position(|(known, _)| *known == suffix)
            .unwrap_or_else(|| {
                let place = self.suffixes.partition_point(|(known, _)| known.len() >= suffix.len());
                self.suffixes.insert(place, (suffix, Paths::default()));
                place
            });
        Ok(&mut self.suffixes[place].1)
    }
}

/// Returns whether a host is below a domain; without a leading dot in the suffix, the domain itself matches, too.
fn is_below(host: &str, suffix: &str) -> bool {
    let before = host.strip_suffix(suffix);
    before.is_some_and(|before| suffix.starts_with('.') || before.is_empty() || before.ends_with('.'))
}

/// Normalizes a pattern's path like a URL's, so that it can match requests normalized by the URL Standard.
fn as_in_urls(path: &str) -> String {
    match Url::parse("http://host") {
        Ok(mut url) => {
            url.set_path(path);
            url.path().to_owned()
        }
        Err(_) => path.to_owned(),
    }
}

/// Normalizes a pattern's host like a URL's: `bücher.example` is `xn--bcher-kva.example`.
fn host_in_urls(host: &str) -> Result<String, &'static str> {
    url::Host::parse(host)
        .map(|host| host.to_string())
        .map_err(|_| "its host is not valid in a URL")
}

/// Normalizes a host: without port and final dot, in lower case.
fn normalize(host: &str) -> Cow<'_, str> {
    let end = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    let host = host[..end].trim_end_matches('.');
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

#[cfg(test)]
mod tests {
    use super::{RouteError, Routes};

    #[test]
    fn the_most_specific_route_wins_whatever_the_order() {
        let routes = Routes::to("fallback")
            .route("*.example.com/*", "wild")
            .and_then(|routes| routes.route("/*", "any"))
            .and_then(|routes| routes.route("/:id", "param"))
            .and_then(|routes| routes.route("/users", "literal"))
            .and_then(|routes| routes.route("/:other/x", "deeper"))
            .and_then(|routes| routes.route("*.eu.example.com", "longer"))
            .and_then(|routes| routes.route("www.Example.com/api/*", "exact"))
            .unwrap();
        for (host, path, worker) in [
            ("localhost:80", "/users", "literal"),
            ("localhost", "/7", "param"),
            ("localhost", "/7/x", "deeper"),
            ("[::1]:80", "/7/y", "any"),
            ("localhost", "/", "any"),
            ("a.example.com", "/users", "wild"),
            ("a.eu.example.com.", "/", "longer"),
            ("WWW.example.com:8080", "/api/", "exact"),
            ("www.example.com", "/api/a/b", "exact"),
            ("www.example.com", "/other", "wild"),
            ("example.com", "/a/b/c", "any"),
        ] {
            assert_eq!(routes.find(host, path).as_deref(), Some(worker), "{host}{path}");
        }
        assert_eq!(Routes::default().find("localhost", "/"), None);
    }

    /// As Cloudflare documents route patterns.
    #[test]
    fn stars_at_an_end_match_what_begins_or_ends_so() {
        let routes = Routes::default()
            .route("*example.com/*", "domain")
            .and_then(|routes| routes.route("*.example.com/*", "below"))
            .and_then(|routes| routes.route("*.example.com/api*", "api"))
            .and_then(|routes| routes.route("*.example.com/api/v2*", "second"))
            .and_then(|routes| routes.route("*.example.com/api-*", "dash"))
            .and_then(|routes| routes.route("*.example.com/apis", "literal"))
            .and_then(|routes| routes.route("caf\u{e9}.example/caf\u{e9}*", "cafe"))
            .unwrap();
        for (host, path, worker) in [
            ("example.com", "/api", Some("domain")),
            ("notexample.com", "/api", None),
            ("a.example.com", "/", Some("below")),
            ("a.b.example.com", "/ap", Some("below")),
            ("a.example.com", "/api", Some("api")),
            ("a.example.com", "/api/", Some("api")),
            ("a.example.com", "/apiary/x", Some("api")),
            ("a.example.com", "/api/v1", Some("api")),
            ("a.example.com", "/api/v2", Some("second")),
            ("a.example.com", "/api/v20/x", Some("second")),
            ("a.example.com", "/api-x", Some("dash")),
            ("a.example.com", "/apis", Some("literal")),
            ("a.example.com", "/apis/x", Some("api")),
            ("xn--caf-dma.example", "/caf%C3%A9s", Some("cafe")),
        ] {
            assert_eq!(routes.find(host, path).as_deref(), worker, "{host}{path}");
        }
    }

    #[test]
    fn a_pattern_is_matched_as_urls_are_written() {
        let routes = Routes::default()
            .route("/caf\u{e9}/*", "cafe")
            .and_then(|routes| routes.route("/a/../b", "b"))
            .and_then(|routes| routes.route("b\u{fc}cher.example/", "books"))
            .and_then(|routes| routes.route("*.b\u{fc}cher.example/*", "shelves"))
            .unwrap();
        for (host, path, worker) in [
            ("localhost", "/caf%C3%A9/x", "cafe"),
            ("localhost", "/b", "b"),
            ("xn--bcher-kva.example", "/", "books"),
            ("a.xn--bcher-kva.example", "/", "shelves"),
        ] {
            assert_eq!(routes.find(host, path).as_deref(), Some(worker), "{host}{path}");
        }
    }

    #[test]
    fn a_route_that_cannot_work_is_refused_with_the_reason() {
        let refused =
            |first: &str, second: &str| Routes::default().route(first, "a").and_then(|r| r.route(second, "b"));
        assert!(matches!(refused("/:a", "/:b"), Err(RouteError::Duplicate { .. })));
        let deep = "/a".repeat(257);
        assert!(matches!(refused("/a*", "/a*"), Err(RouteError::Duplicate { .. })));
        assert!(matches!(refused("*a.b/", "*a.b/"), Err(RouteError::Duplicate { .. })));
        for pattern in [
            "/a*b", "/a**", "/*/b", "/a*/b", "/:", "a.*.com/", "**com/", "*c*m/", "a b/", &deep,
        ] {
            assert!(
                matches!(refused("/ok", pattern), Err(RouteError::Invalid { .. })),
                "{pattern}"
            );
        }
    }
}

//! Routes: the table gives the same result as trying each pattern.
//!
//! A text has one pattern per line, an empty line, and one request per line: a host and a path.

use std::cmp::Reverse;

use isopod_server::{RouteError, Routes};
use url::{Host, Url};

use crate::engine::Target;
use crate::mutate::mutated;

const WORDS: &[&str] = &[
    "/",
    "*",
    ":",
    ":id",
    "/*",
    "/:a/",
    "*.",
    "example.com",
    "www.",
    ".com",
    ":8080",
    "[::1]",
    "//",
    "/api/",
    "users",
    "\n",
    "\n\n",
    " ",
    "EXAMPLE",
    ".",
    "..",
    "%2f",
    "/x/x/x",
];

/// The quality of a match: the host first, then each part of the path. The least is the best.
type Fit = (HostFit, Vec<(u8, Reverse<usize>)>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HostFit {
    Exact,
    /// Longer is better, so it is reversed.
    Suffix(Reverse<usize>),
    Any,
}

/// The host without port and trailing dots, in lower case.
fn plain_host(host: &str) -> String {
    let host = match host.rfind(']') {
        Some(end) => &host[..=end],
        None => host.split(':').next().unwrap_or_default(),
    };
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// A pattern's host, normalized by the URL Standard: requests are matched by the host of their URL.
fn host_of_pattern(pattern: &str) -> String {
    let pattern = plain_host(pattern);
    let written = |host: &str| Host::parse(host).map_or_else(|_| host.to_owned(), |host| host.to_string());
    match (pattern.strip_prefix("*."), pattern.strip_prefix('*')) {
        (Some(domain), _) => format!("*.{}", written(domain)),
        (None, Some(domain)) => format!("*{}", written(domain)),
        (None, None) => written(&pattern),
    }
}

/// A pattern's path, normalized by the URL Standard.
fn path_of_pattern(pattern: &str) -> String {
    let mut url = Url::parse("http://host").expect("a URL");
    url.set_path(pattern);
    url.path().to_owned()
}

fn fit_host(pattern: &str, host: &str) -> Option<HostFit> {
    let (pattern, host) = (host_of_pattern(pattern), plain_host(host));
    match pattern.strip_prefix('*') {
        _ if pattern.is_empty() => Some(HostFit::Any),
        Some("") => Some(HostFit::Any),
        Some(suffix) => {
            // Without a dot, the domain itself matches as well, but no other whose name only ends the same.
            let fits = match suffix.starts_with('.') {
                true => host.ends_with(suffix),
                false => host == suffix || host.ends_with(&format!(".{suffix}")),
            };
            fits.then_some(HostFit::Suffix(Reverse(suffix.len())))
        }
        None => (pattern == host).then_some(HostFit::Exact),
    }
}

/// 0 for an equal part, 1 for a `:name`, 2 for `start*`, of which the longest is the best, 3 for `*`. The last two end
/// a pattern.
fn fit_path(pattern: &str, path: &str) -> Option<Vec<(u8, Reverse<usize>)>> {
    let path: Vec<_> = path.strip_prefix('/')?.split('/').collect();
    let pattern: Vec<_> = pattern.strip_prefix('/')?.split('/').collect();
    let mut fit = Vec::new();
    for (at, wanted) in pattern.iter().enumerate() {
        let part = path.get(at)?;
        let start = wanted.strip_suffix('*').filter(|_| at + 1 == pattern.len());
        match start {
            _ if wanted.starts_with(':') => {
                if part.is_empty() {
                    return None;
                }
                fit.push((1, Reverse(0)));
            }
            Some(start) => {
                let rank = if start.is_empty() { 3 } else { 2 };
                fit.push((rank, Reverse(start.len())));
                return path[at..].join("/").starts_with(start).then_some(fit);
            }
            None if wanted == part => fit.push((0, Reverse(0))),
            None => return None,
        }
    }
    (path.len() == pattern.len()).then_some(fit)
}

fn fit(pattern: &str, host: &str, path: &str) -> Option<Fit> {
    let (pattern_host, pattern_path) = pattern.split_at(pattern.find('/').unwrap_or(pattern.len()));
    let pattern_path = if pattern_path.is_empty() { "/*" } else { pattern_path };
    let path_fit = fit_path(&path_of_pattern(pattern_path), path)?;
    Some((fit_host(pattern_host, host)?, path_fit))
}

fn check(text: &str) {
    let (patterns, requests) = text.split_once("\n\n").unwrap_or((text, "localhost /"));
    let mut routes = Routes::to("nobody");
    let mut known = Vec::new();
    for pattern in patterns.lines() {
        match routes.clone().route(pattern, pattern) {
            Ok(more) => {
                routes = more;
                known.push(pattern);
            }
            Err(RouteError::Duplicate { existing, .. }) => assert!(known.contains(&existing.as_str())),
            Err(error) => assert!(error.to_string().contains(pattern)),
        }
    }
    for request in requests.lines() {
        let (host, path) = request.split_once(' ').unwrap_or((request, "/"));
        let best = known
            .iter()
            .filter_map(|pattern| Some((fit(pattern, host, path)?, *pattern)))
            .min();
        let expected = best.as_ref().map_or("nobody", |(_, pattern)| pattern);
        assert_eq!(
            routes.find(host, path).as_deref(),
            Some(expected),
            "{host} {path}: {best:?}"
        );
    }
}

#[test]
fn routes() {
    Target::new("routes").run(|corpus| mutated(corpus, WORDS), check);
}

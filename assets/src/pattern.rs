//! The patterns of `_headers`, `_redirects` and `run_worker_first`.

use regex::{Captures, Regex, RegexBuilder};

/// Maximum size of a compiled pattern.
const SIZE_MAX: usize = 1 << 20;

/// A path, or `https://` with a host and a path. `*` matches anything, and `:name` a part of a host or a path.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    has_host: bool,
}

impl Pattern {
    /// Parses a pattern. `None` if it is invalid: `*` and each name may occur once.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let has_host = text.starts_with("https://");
        let host_end = match text.strip_prefix("https://") {
            Some(rest) => text.len() - rest.len() + rest.find('/').unwrap_or(rest.len()),
            None => 0,
        };
        let mut regex = String::from("^");
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let at = text.len() - rest.len();
            let name = rest.strip_prefix(':').map(name_of).filter(|name| !name.is_empty());
            if first == '*' {
                regex.push_str("(?<splat>.*)");
                rest = &rest[1..];
            } else if let Some(name) = name {
                let part = if at < host_end { "[^/.]+" } else { "[^/]+" };
                regex.push_str(&format!("(?<{name}>{part})"));
                rest = &rest[1 + name.len()..];
            } else {
                regex.push_str(&regex::escape(&rest[..first.len_utf8()]));
                rest = &rest[first.len_utf8()..];
            }
        }
        regex.push('$');
        let regex = RegexBuilder::new(&regex)
            .dot_matches_new_line(true)
            .size_limit(SIZE_MAX)
            .build();
        Some(Self {
            regex: regex.ok()?,
            has_host,
        })
    }

    /// Parses a path in which `*` may occur several times and is the only special character.
    pub(crate) fn globs(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('*').map(regex::escape).collect();
        let regex = RegexBuilder::new(&format!("^{}$", parts.join(".*")))
            .dot_matches_new_line(true)
            .size_limit(SIZE_MAX)
            .build();
        Some(Self {
            regex: regex.ok()?,
            has_host: false,
        })
    }

    /// Returns the captured values, if the pattern matches.
    pub(crate) fn captures<'a>(&self, target: &'a Target) -> Option<Captures<'a>> {
        self.regex
            .captures(if self.has_host { &target.with_host } else { &target.path })
    }

    /// Replaces `:name` and `:splat` in a text by the captured values.
    pub(crate) fn fill(text: &str, captures: &Captures<'_>) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(':') {
            filled.push_str(before);
            let name = name_of(after);
            match captures.name(name).filter(|_| !name.is_empty()) {
                Some(value) => filled.push_str(value.as_str()),
                None => {
                    filled.push(':');
                    filled.push_str(name);
                }
            }
            rest = &after[name.len()..];
        }
        filled.push_str(rest);
        filled
    }
}

/// Returns the name at the start of a text: a letter, then letters, digits and underscores.
fn name_of(text: &str) -> &str {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return "";
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The URL that patterns are matched with.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) path: String,
    with_host: String,
}

impl Target {
    pub(crate) fn new(host: &str, path: &str) -> Self {
        Self {
            path: path.to_owned(),
            with_host: format!("https://{host}{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fills(pattern: &str, text: &str, host: &str, path: &str) -> Option<String> {
        let target = Target::new(host, path);
        let pattern = Pattern::new(pattern).expect("a pattern");
        pattern.captures(&target).map(|captures| Pattern::fill(text, &captures))
    }

    /// Source: https://developers.cloudflare.com/workers/static-assets/redirects/ and …/headers/.
    #[test]
    fn splats_and_placeholders_stand_for_parts() {
        let on = |pattern, text, path| fills(pattern, text, "a.example", path);
        assert_eq!(on("/blog/*", "/news/:splat", "/blog/x/y"), Some("/news/x/y".to_owned()));
        assert_eq!(on("/blog/*", "/news/:splat", "/blog"), None);
        assert_eq!(
            on("/movies/:title/:year", "/:year?q=:title:none", "/movies/up/2009"),
            Some("/2009?q=up:none".to_owned())
        );
        assert_eq!(on("/movies/:title", "x", "/movies/up/2009"), None);
        assert_eq!(on("/a.b", "x", "/aXb"), None, "a point is a point");
        let hosts = |host| fills("https://:sub.a.example/*", ":sub", host, "/x");
        assert_eq!(hosts("www.a.example"), Some("www".to_owned()));
        assert_eq!(hosts("a.www.a.example"), None);
        assert!(Pattern::new("/*/x/*").is_none() && Pattern::new("/:a/:a").is_none());
    }
}

//! The parser of URLs of files and of schemes that the standard does not know, with a list of path segments.
//! <https://url.spec.whatwg.org/#concept-basic-url-parser>

use std::borrow::Cow;

use deno_core::url::Host;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::record::{Url, is_drive, is_normalized_drive, is_special};

/// The characters that are encoded in each part, as in the crate `url`, which parses all other URLs.
const FRAGMENT: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');
const PATH: &AsciiSet = &FRAGMENT.add(b'#').add(b'?').add(b'{').add(b'}');
const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');
const SPECIAL_QUERY: &AsciiSet = &QUERY.add(b'\'');
const USERINFO: &AsciiSet = &PATH
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'=')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'|');

/// The result for a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A URL that this parser is for.
    Here(Url),
    /// A text for the crate `url`.
    Elsewhere,
    Invalid,
}

/// Parses a text against a base that this parser is for, if there is one.
pub(super) fn parse(input: &str, base: Option<&Url>) -> Parsed {
    let input = trimmed(input);
    let parsed = match (split_scheme(&input), base) {
        (Some((scheme, rest)), base) => match scheme.as_str() {
            "file" => file(rest, base.filter(|base| base.is_file())),
            scheme if is_special(scheme) || !rest.starts_with('/') => return Parsed::Elsewhere,
            _ => path_or_authority(
                Url {
                    scheme,
                    ..Url::default()
                },
                &rest[1..],
            ),
        },
        (None, None) => return Parsed::Elsewhere,
        (None, Some(base)) if base.is_file() => file(&input, Some(base)),
        (None, Some(base)) => relative(&input, base),
    };
    parsed.map_or(Parsed::Invalid, Parsed::Here)
}

/// The text of a relative reference against a special URL that is no file: any number of slashes in front of a host are two.
pub(super) fn with_two_slashes(input: &str) -> Option<String> {
    let input = trimmed(input);
    let rest = input.trim_start_matches(['/', '\\']);
    (input.len() - rest.len() > 2).then(|| format!("//{rest}"))
}

/// The scheme of a text, in lowercase.
pub(super) fn scheme(input: &str) -> Option<String> {
    Some(split_scheme(&trimmed(input))?.0)
}

/// Removes spaces and control characters around a URL, and breaks within it.
fn trimmed(input: &str) -> Cow<'_, str> {
    without_breaks(input.trim_matches(|at: char| at <= ' '))
}

/// Removes tabs and line breaks, which URLs may contain anywhere.
pub(super) fn without_breaks(input: &str) -> Cow<'_, str> {
    const BREAKS: [char; 3] = ['\t', '\n', '\r'];
    match input.contains(BREAKS) {
        true => input.replace(BREAKS, "").into(),
        false => input.into(),
    }
}

/// Splits a scheme, in lowercase, from what follows its colon.
pub(super) fn split_scheme(input: &str) -> Option<(String, &str)> {
    let (scheme, rest) = input.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|at| at.is_ascii_alphanumeric() || matches!(at, b'+' | b'-' | b'.'));
    is_scheme.then(|| (scheme.to_ascii_lowercase(), rest))
}

/// A reference without a scheme, against a URL of a scheme that is not special.
fn relative(input: &str, base: &Url) -> Option<Url> {
    let mut url = Url {
        fragment: None,
        ..base.clone()
    };
    match input.bytes().next() {
        Some(b'/') if input[1..].starts_with('/') => {
            let scheme = url.scheme;
            authority(
                Url {
                    scheme,
                    ..Url::default()
                },
                &input[2..],
            )
        }
        Some(b'/') => {
            url.path.clear();
            url.query = None;
            Some(path(url, &input[1..]))
        }
        None | Some(b'?' | b'#') => Some(after_path(url, input)),
        Some(_) => {
            url.query = None;
            url.shorten_path();
            Some(path(url, input))
        }
    }
}

/// Parses the rest after `scheme:/`.
fn path_or_authority(url: Url, rest: &str) -> Option<Url> {
    match rest.strip_prefix('/') {
        Some(rest) => authority(url, rest),
        None => Some(path(url, rest)),
    }
}

/// Parses the rest after `scheme://`.
fn authority(mut url: Url, rest: &str) -> Option<Url> {
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = match authority.rsplit_once('@') {
        Some((_, "")) => return None,
        Some((credentials, host)) => {
            let (username, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            url.username = encoded_userinfo(username);
            url.password = encoded_userinfo(password);
            host
        }
        None => authority,
    };
    let (host, port) = split_port(host);
    url.host = Some(match (host, port) {
        ("", Some(_)) => return None,
        (host, _) => opaque_host(host)?,
    });
    url.set_port(parsed_port(port.unwrap_or_default()).ok()?);
    Some(path_start(url, rest))
}

/// Splits a port from a host, whose address may have colons in brackets.
pub(super) fn split_port(host: &str) -> (&str, Option<&str>) {
    let mut is_in_brackets = false;
    for (index, byte) in host.bytes().enumerate() {
        match byte {
            b'[' => is_in_brackets = true,
            b']' => is_in_brackets = false,
            b':' if !is_in_brackets => return (&host[..index], Some(&host[index + 1..])),
            _ => {}
        }
    }
    (host, None)
}

/// A port is too large, or no number.
#[derive(Debug)]
pub(super) struct NoPort;

pub(super) fn parsed_port(digits: &str) -> Result<Option<u16>, NoPort> {
    match digits {
        "" => Ok(None),
        digits if digits.bytes().all(|at| at.is_ascii_digit()) => digits.parse().map(Some).map_err(|_| NoPort),
        _ => Err(NoPort),
    }
}

/// The host of a scheme that is not special.
pub(super) fn opaque_host(host: &str) -> Option<String> {
    match host {
        "" => Some(String::new()),
        host => Host::parse_opaque(host).ok().map(|host| host.to_string()),
    }
}

/// The host of a file: none stands for the machine itself.
pub(super) fn file_host(host: &str) -> Option<String> {
    let host = match host {
        "" => return Some(String::new()),
        host => Host::parse(host).ok()?.to_string(),
    };
    Some(if host == "localhost" { String::new() } else { host })
}

/// Parses the rest after `file:`, or a reference against a file.
fn file(rest: &str, base: Option<&Url>) -> Option<Url> {
    let mut url = Url {
        scheme: "file".to_owned(),
        host: Some(String::new()),
        ..Url::default()
    };
    let is_slash = |at: Option<u8>| matches!(at, Some(b'/' | b'\\'));
    let mut bytes = rest.bytes();
    if is_slash(bytes.next()) {
        if is_slash(bytes.next()) {
            return after_file_slashes(url, &rest[2..]);
        }
        if let Some(base) = base {
            url.host.clone_from(&base.host);
            if let Some(drive) = base.path.first()
                && !starts_with_drive(&rest[1..])
                && is_normalized_drive(drive)
            {
                url.path.push(drive.clone());
            }
        }
        return Some(path(url, &rest[1..]));
    }
    let Some(base) = base else {
        return Some(path(url, rest));
    };
    url.host.clone_from(&base.host);
    url.path.clone_from(&base.path);
    if matches!(rest.bytes().next(), None | Some(b'?' | b'#')) {
        url.query.clone_from(&base.query);
        return Some(after_path(url, rest));
    }
    match starts_with_drive(rest) {
        true => url.path.clear(),
        false => url.shorten_path(),
    }
    Some(path(url, rest))
}

/// Parses the rest after `file://`: a host, or a drive in its place.
fn after_file_slashes(mut url: Url, rest: &str) -> Option<Url> {
    let (host, after) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
    if is_drive(host) {
        return Some(path(url, rest));
    }
    url.host = Some(file_host(host)?);
    Some(path_start(url, after))
}

/// A drive, and nothing or a new part after it.
fn starts_with_drive(text: &str) -> bool {
    text.get(..2).is_some_and(is_drive) && matches!(text.as_bytes().get(2), None | Some(b'/' | b'\\' | b'?' | b'#'))
}

/// Parses the rest after a host.
fn path_start(url: Url, rest: &str) -> Url {
    match rest.bytes().next() {
        Some(b'/') => path(url, &rest[1..]),
        Some(b'\\') if url.is_special() => path(url, &rest[1..]),
        // The path of a special URL has one segment at least.
        _ if url.is_special() => path(url, rest),
        _ => after_path(url, rest),
    }
}

/// A path without its first slash, and what follows it.
fn path(mut url: Url, text: &str) -> Url {
    let (segments, rest) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
    push_segments(&mut url, segments);
    after_path(url, rest)
}

/// Adds the segments of a path, which has no slash in front.
pub(super) fn push_segments(url: &mut Url, text: &str) {
    let is_special = url.is_special();
    let mut segments = text.split(|at| at == '/' || (is_special && at == '\\')).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if is_double_dot(segment) {
            url.shorten_path();
            if is_last {
                url.path.push(String::new());
            }
        } else if is_single_dot(segment) {
            if is_last {
                url.path.push(String::new());
            }
        } else if url.is_file() && url.path.is_empty() && is_drive(segment) {
            url.path.push(format!("{}:", &segment[..1]));
        } else {
            url.path.push(utf8_percent_encode(segment, PATH).to_string());
        }
    }
}

fn is_single_dot(segment: &str) -> bool {
    segment == "." || segment.eq_ignore_ascii_case("%2e")
}

fn is_double_dot(segment: &str) -> bool {
    let dots = ["..", ".%2e", "%2e.", "%2e%2e"];
    dots.iter().any(|dots| segment.eq_ignore_ascii_case(dots))
}

/// A query and a fragment, or one of them, or none.
fn after_path(mut url: Url, rest: &str) -> Url {
    let (query, fragment) = match rest.split_once('#') {
        Some((query, fragment)) => (query, Some(fragment)),
        None => (rest, None),
    };
    if let Some(query) = query.strip_prefix('?') {
        url.query = Some(encoded_query(&url, query));
    }
    url.fragment = fragment.map(encoded_fragment);
    url
}

pub(super) fn encoded_query(url: &Url, query: &str) -> String {
    let set = if url.is_special() { SPECIAL_QUERY } else { QUERY };
    utf8_percent_encode(query, set).to_string()
}

pub(super) fn encoded_fragment(fragment: &str) -> String {
    utf8_percent_encode(fragment, FRAGMENT).to_string()
}

pub(super) fn encoded_userinfo(text: &str) -> String {
    utf8_percent_encode(text, USERINFO).to_string()
}

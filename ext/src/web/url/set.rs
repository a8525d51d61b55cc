//! The setters of `URL`, for the URLs that `parse` is for.
//! <https://url.spec.whatwg.org/#api>

use std::borrow::Cow;

use super::parse;
use super::record::{Url, is_special};

/// A part that can be set, by its number in deno_web.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Hash,
    Host,
    Hostname,
    Password,
    Pathname,
    Port,
    Protocol,
    Search,
    Username,
}

impl Part {
    pub(super) fn of(number: u8) -> Option<Self> {
        const PARTS: [Part; 9] = [
            Part::Hash,
            Part::Host,
            Part::Hostname,
            Part::Password,
            Part::Pathname,
            Part::Port,
            Part::Protocol,
            Part::Search,
            Part::Username,
        ];
        PARTS.get(usize::from(number)).copied()
    }
}

/// Sets a part. A value that it cannot have changes nothing.
pub(super) fn set(url: &mut Url, part: Part, value: &str) {
    match part {
        Part::Hash => url.fragment = text_after(value, '#').map(|text| parse::encoded_fragment(&text)),
        Part::Search => url.query = text_after(value, '?').map(|text| parse::encoded_query(url, &text)),
        Part::Host | Part::Hostname => {
            set_host(url, &parse::without_breaks(value), part == Part::Host);
        }
        Part::Pathname => set_path(url, &parse::without_breaks(value)),
        Part::Protocol => set_scheme(url, &parse::without_breaks(value)),
        Part::Port | Part::Username | Part::Password if url.is_without_authority() => {}
        Part::Port if value.is_empty() => url.port = None,
        Part::Port => set_port(url, &parse::without_breaks(value)),
        Part::Username => url.username = parse::encoded_userinfo(value),
        Part::Password => url.password = parse::encoded_userinfo(value),
    }
}

/// The text of a query or fragment, none if it is empty. The character in front may be there.
fn text_after(value: &str, mark: char) -> Option<Cow<'_, str>> {
    let text = value.strip_prefix(mark).unwrap_or(value);
    (!value.is_empty()).then(|| parse::without_breaks(text))
}

/// Returns nothing if the value is no host.
fn set_host(url: &mut Url, value: &str, is_with_port: bool) -> Option<()> {
    let is_end = |at: char| matches!(at, '/' | '?' | '#') || (at == '\\' && url.is_special());
    let value = &value[..value.find(is_end).unwrap_or(value.len())];
    if url.is_file() {
        url.host = Some(parse::file_host(value)?);
        return Some(());
    }
    let (host, port) = parse::split_port(value);
    match port {
        Some(_) if host.is_empty() || !is_with_port => return None,
        None if host.is_empty() && (url.has_credentials() || url.port.is_some()) => return None,
        _ => {}
    }
    url.host = Some(parse::opaque_host(host)?);
    if let Some(port) = port.filter(|port| !port.is_empty()) {
        set_port(url, port);
    }
    Some(())
}

/// Sets the port to the number at the start of a text, if there is one.
fn set_port(url: &mut Url, value: &str) {
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    if let Ok(Some(port)) = parse::parsed_port(&value[..digits]) {
        url.set_port(Some(port));
    }
}

fn set_path(url: &mut Url, value: &str) {
    url.path.clear();
    let is_special = url.is_special();
    let rest = value.strip_prefix(|at: char| at == '/' || (at == '\\' && is_special));
    match rest {
        Some(rest) => parse::push_segments(url, rest),
        // A URL without a host and without a path would have another meaning.
        None if is_special || !value.is_empty() || url.host.is_none() => parse::push_segments(url, value),
        None => {}
    }
}

fn set_scheme(url: &mut Url, value: &str) {
    let value = format!("{value}:");
    let Some((scheme, _)) = parse::split_scheme(&value) else {
        return;
    };
    let is_kept = is_special(&scheme) != url.is_special()
        || (scheme == "file" && (url.has_credentials() || url.port.is_some()))
        || (url.is_file() && url.host.as_deref() == Some(""));
    if !is_kept {
        url.scheme = scheme;
        url.set_port(url.port);
    }
}

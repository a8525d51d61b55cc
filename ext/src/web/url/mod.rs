//! URLs that the crate `url` parses otherwise than the standard: those of files, those of schemes that the standard does not know
//! with a path that begins with a slash, and references with more than two slashes in front of a host.
//!
//! All other URLs are parsed by that crate, also in the ops of deno_web, whose `URL` calls these ops first (`urls.js`).

mod parse;
mod record;
mod set;
#[cfg(test)]
mod tests;

use deno_core::url::quirks;
use deno_core::{OpState, op2, url};

use self::parse::Parsed;
use self::record::{Components, Url};
use self::set::Part;

/// Results of an op for deno_web's `URL`: there is a serialization, or the text is no URL.
const SERIALIZED: u32 = 1;
const INVALID: u32 = 2;
/// The op of deno_web is to be called.
const ELSEWHERE: u32 = 3;

/// The value that deno_web has for no port.
const NO_PORT: u32 = 65_536;

struct Serialization(String);

/// The serialization of the last URL.
#[op2]
#[string]
pub(super) fn op_isopod_url_serialization(state: &mut OpState) -> String {
    state
        .try_take::<Serialization>()
        .map_or_else(String::new, |serialization| serialization.0)
}

/// Parses a URL without a base, and fills in where its components are.
#[op2(fast)]
#[smi]
pub(super) fn op_isopod_url_parse(state: &mut OpState, #[string] href: &str, #[buffer] out: &mut [u32]) -> u32 {
    match parse::parse(href, None) {
        Parsed::Here(url) => fill(state, url.serialized(), out),
        Parsed::Elsewhere => ELSEWHERE,
        Parsed::Invalid => INVALID,
    }
}

/// The same with a base.
#[op2(fast)]
#[smi]
pub(super) fn op_isopod_url_parse_with_base(
    state: &mut OpState,
    #[string] href: &str,
    #[string] base: &str,
    #[buffer] out: &mut [u32],
) -> u32 {
    match based(href, base) {
        Based::Here(url) => fill(state, url.serialized(), out),
        Based::There(url) => {
            let parts = components(&url);
            fill(state, (url.into(), parts), out)
        }
        Based::Elsewhere => ELSEWHERE,
        Based::Invalid => INVALID,
    }
}

/// Sets a part of a URL, by the number that deno_web has for it.
#[op2(fast)]
#[smi]
pub(super) fn op_isopod_url_set(
    state: &mut OpState,
    #[string] href: &str,
    #[smi] part: u8,
    #[string] value: &str,
    #[buffer] out: &mut [u32],
) -> u32 {
    let (Parsed::Here(mut url), Some(part)) = (parse::parse(href, None), Part::of(part)) else {
        return ELSEWHERE;
    };
    set::set(&mut url, part, value);
    fill(state, url.serialized(), out)
}

/// The result for a text and a base.
enum Based {
    Here(Url),
    /// A URL that the crate has parsed.
    There(url::Url),
    Elsewhere,
    Invalid,
}

fn based(href: &str, base: &str) -> Based {
    let here = |parsed| match parsed {
        Parsed::Here(url) => Based::Here(url),
        Parsed::Elsewhere => Based::Elsewhere,
        Parsed::Invalid => Based::Invalid,
    };
    match parse::parse(base, None) {
        Parsed::Invalid => Based::Invalid,
        Parsed::Here(base) => here(parse::parse(href, Some(&base))),
        // Most URLs, whose base deno_web's op parses: here it is parsed for the few that are not left to that op.
        Parsed::Elsewhere => {
            let parsed = || url::Url::parse(base);
            let is_special = parse::scheme(base).is_some_and(|scheme| record::is_special(&scheme));
            if let Some(href) = is_special.then(|| parse::with_two_slashes(href)).flatten() {
                let joined = parsed().and_then(|base| base.join(&href));
                return joined.map_or(Based::Invalid, Based::There);
            }
            match parse::parse(href, None) {
                Parsed::Here(_) if parsed().is_err() => Based::Invalid,
                other => here(other),
            }
        }
    }
}

fn components(url: &url::Url) -> Components {
    let parts = quirks::internal_components(url);
    Components {
        scheme_end: parts.scheme_end,
        username_end: parts.username_end,
        host_start: parts.host_start,
        host_end: parts.host_end,
        port: parts.port,
        path_start: parts.path_start,
        query_start: parts.query_start.unwrap_or_default(),
        fragment_start: parts.fragment_start.unwrap_or_default(),
    }
}

fn fill(state: &mut OpState, (serialization, parts): (String, Components), out: &mut [u32]) -> u32 {
    let values = [
        parts.scheme_end,
        parts.username_end,
        parts.host_start,
        parts.host_end,
        parts.port.map_or(NO_PORT, u32::from),
        parts.path_start,
        parts.query_start,
        parts.fragment_start,
    ];
    for (place, value) in out.iter_mut().zip(values) {
        *place = value;
    }
    state.put(Serialization(serialization));
    SERIALIZED
}

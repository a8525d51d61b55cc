//! Domain names: `node:punycode`, `url.domainToASCII` and `url.domainToUnicode`.
//!
//! The ops are reentrant: an argument may be an object whose `toString` calls other ops.

use std::borrow::Cow;

use deno_core::op2;
use deno_core::url::Host;

/// The start of an encoded label: RFC 5890, section 2.3.2.1.
const PREFIX: &str = "xn--";

/// An error of `node:punycode`: <https://nodejs.org/api/punycode.html>.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[class(range)]
pub(super) enum PunycodeError {
    #[error("Invalid input")]
    Invalid,
    #[error("Illegal input >= 0x80 (not a basic code point)")]
    NotBasic,
}

/// Maps the labels of a domain, or of the domain of an e-mail address.
fn map_labels(
    address: &str,
    map: impl Fn(&str) -> Result<Cow<'_, str>, PunycodeError>,
) -> Result<String, PunycodeError> {
    let domain = address.find('@').map_or(0, |at| at + 1);
    let mut mapped = address[..domain].to_owned();
    for (index, label) in address[domain..]
        .split(['.', '\u{3002}', '\u{FF0E}', '\u{FF61}'])
        .enumerate()
    {
        if index > 0 {
            mapped.push('.');
        }
        mapped.push_str(&map(label)?);
    }
    Ok(mapped)
}

fn decode(label: &str) -> Result<String, PunycodeError> {
    // RFC 3492, section 6.2: the code points before the last delimiter are basic ones.
    if label.rsplit_once('-').is_some_and(|(basic, _)| !basic.is_ascii()) {
        return Err(PunycodeError::NotBasic);
    }
    idna::punycode::decode_to_string(label).ok_or(PunycodeError::Invalid)
}

#[op2(reentrant)]
#[string]
pub(super) fn op_node_idna_punycode_to_ascii(#[string] domain: &str) -> Result<String, PunycodeError> {
    map_labels(domain, |label| match label.is_ascii() {
        true => Ok(label.into()),
        false => idna::punycode::encode_str(label)
            .map(|encoded| format!("{PREFIX}{encoded}").into())
            .ok_or(PunycodeError::Invalid),
    })
}

#[op2(reentrant)]
#[string]
pub(super) fn op_node_idna_punycode_to_unicode(#[string] domain: &str) -> Result<String, PunycodeError> {
    map_labels(domain, |label| match label.strip_prefix(PREFIX) {
        Some(encoded) => decode(&encoded.to_lowercase()).map(Cow::Owned),
        None => Ok(label.into()),
    })
}

#[op2(reentrant)]
#[string]
pub(super) fn op_node_idna_punycode_decode(#[string] text: &str) -> Result<String, PunycodeError> {
    decode(text)
}

#[op2(reentrant)]
#[string]
pub(super) fn op_node_idna_punycode_encode(#[string] text: &str) -> String {
    idna::punycode::encode_str(text).unwrap_or_default()
}

#[op2(reentrant)]
#[string]
pub(super) fn op_node_idna_to_ascii(#[string] domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_default()
}

/// Returns the host of a URL with this domain; empty if it is invalid: <https://url.spec.whatwg.org/#concept-host-parser>.
#[op2(reentrant)]
#[string]
pub(super) fn op_node_idna_domain_to_ascii(#[string] domain: &str) -> String {
    let host: String = domain
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .take_while(|c| !matches!(c, '/' | '\\' | '?' | '#'))
        .collect();
    Host::parse(&host).map_or_else(|_| String::new(), |host| host.to_string())
}

#[op2(reentrant)]
#[string]
pub(super) fn op_node_idna_domain_to_unicode(#[string] domain: &str) -> String {
    idna::domain_to_unicode(domain).0
}

//! A URL with a list of path segments, and its serialization.
//! <https://url.spec.whatwg.org/#concept-url>

use std::fmt::Write as _;

/// A URL whose path is a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: String,
    pub(super) username: String,
    pub(super) password: String,
    /// The host as it is serialized. An empty host is not the same as none.
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) path: Vec<String>,
    pub(super) query: Option<String>,
    pub(super) fragment: Option<String>,
}

/// The places of the parts in a serialization, in the order in which deno_web's `URL` has them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Components {
    pub(super) scheme_end: u32,
    pub(super) username_end: u32,
    pub(super) host_start: u32,
    pub(super) host_end: u32,
    pub(super) port: Option<u16>,
    pub(super) path_start: u32,
    /// 0: there is none.
    pub(super) query_start: u32,
    pub(super) fragment_start: u32,
}

/// The default ports of the special schemes.
/// <https://url.spec.whatwg.org/#special-scheme>
const SPECIAL: [(&str, Option<u16>); 6] = [
    ("ftp", Some(21)),
    ("file", None),
    ("http", Some(80)),
    ("https", Some(443)),
    ("ws", Some(80)),
    ("wss", Some(443)),
];

/// A scheme whose URLs have backslashes for slashes, and a host.
pub(super) fn is_special(scheme: &str) -> bool {
    SPECIAL.iter().any(|(name, _)| *name == scheme)
}

/// A letter and a colon, or the bar that stands for one in old URLs.
pub(super) fn is_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':' | b'|'] if letter.is_ascii_alphabetic())
}

/// A letter and a colon.
pub(super) fn is_normalized_drive(text: &str) -> bool {
    is_drive(text) && text.ends_with(':')
}

impl Url {
    pub(super) fn is_file(&self) -> bool {
        self.scheme == "file"
    }

    pub(super) fn is_special(&self) -> bool {
        is_special(&self.scheme)
    }

    pub(super) fn has_credentials(&self) -> bool {
        !self.username.is_empty() || !self.password.is_empty()
    }

    /// The URL has no place for a username, a password and a port.
    pub(super) fn is_without_authority(&self) -> bool {
        self.is_file() || self.host.as_deref().is_none_or(str::is_empty)
    }

    /// Sets the port, which is none if it is the scheme's default.
    pub(super) fn set_port(&mut self, port: Option<u16>) {
        let default = SPECIAL.iter().find(|(name, _)| *name == self.scheme);
        self.port = port.filter(|_| default.is_none_or(|(_, default)| *default != port));
    }

    /// Removes the last segment of the path, unless it is the drive of a file.
    pub(super) fn shorten_path(&mut self) {
        match self.path.as_slice() {
            [drive] if self.is_file() && is_normalized_drive(drive) => {}
            _ => drop(self.path.pop()),
        }
    }

    /// Serializes the URL.
    pub(super) fn serialized(&self) -> (String, Components) {
        let mut text = format!("{}:", self.scheme);
        let end = |text: &String| u32::try_from(text.len()).unwrap_or(u32::MAX);
        let mut parts = Components {
            scheme_end: end(&text) - 1,
            port: self.port,
            ..Components::default()
        };
        if let Some(host) = &self.host {
            text.push_str("//");
            text.push_str(&self.username);
            parts.username_end = end(&text);
            if !self.password.is_empty() {
                text.push(':');
                text.push_str(&self.password);
            }
            if self.has_credentials() {
                text.push('@');
            }
            parts.host_start = end(&text);
            text.push_str(host);
            parts.host_end = end(&text);
            if let Some(port) = self.port {
                // Writing to a `String` cannot fail.
                let _ = write!(text, ":{port}");
            }
        } else {
            // Otherwise the path would be read as a host.
            if let [first, _, ..] = self.path.as_slice()
                && first.is_empty()
            {
                text.push_str("/.");
            }
            parts.username_end = end(&text);
            parts.host_start = end(&text);
            parts.host_end = end(&text);
        }
        parts.path_start = end(&text);
        for segment in &self.path {
            text.push('/');
            text.push_str(segment);
        }
        if let Some(query) = &self.query {
            parts.query_start = end(&text);
            text.push('?');
            text.push_str(query);
        }
        if let Some(fragment) = &self.fragment {
            parts.fragment_start = end(&text);
            text.push('#');
            text.push_str(fragment);
        }
        (text, parts)
    }
}

//! Conversion between keys of objects and paths of the service.
//!
//! A path equals the key, so that other programs find the objects, except for parts that the service's client does not
//! accept. `%`, control characters, and the segments `.` and `..` are encoded as `%` and two digits, and an empty segment as
//! `%`.

use std::fmt::Write as _;

use object_store::path::Path;

/// Returns the path of a key.
pub(super) fn path(prefix: &str, key: &str) -> Result<Path, object_store::path::Error> {
    let segments: Vec<_> = key.split('/').map(segment).collect();
    Path::parse(format!("{prefix}{}", segments.join("/")))
}

/// Returns the common prefix of the paths of all keys with a prefix.
pub(super) fn prefix(prefix: &str, of_keys: &str) -> String {
    // The last segment may be incomplete.
    let (folders, last) = match of_keys.rsplit_once('/') {
        Some((folders, last)) => (Some(folders), last),
        None => (None, of_keys),
    };
    let mut all = prefix.to_owned();
    if let Some(folders) = folders {
        let folders: Vec<_> = folders.split('/').map(segment).collect();
        all.push_str(&folders.join("/"));
        all.push('/');
    }
    all.push_str(&escaped(last));
    all
}

/// Returns the key, or prefix of keys, of a path.
pub(super) fn key(prefix: &str, path: &str) -> Option<String> {
    let segments: Option<Vec<_>> = path.strip_prefix(prefix)?.split('/').map(unescaped).collect();
    Some(segments?.join("/"))
}

fn segment(text: &str) -> String {
    match text {
        "" => "%".to_owned(),
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        text => escaped(text),
    }
}

/// Encodes characters that a path must not have.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '%' | '\0'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(escaped, "%{:02X}", c as u32);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

fn unescaped(segment: &str) -> Option<String> {
    if segment == "%" {
        return Some(String::new());
    }
    let mut parts = segment.split('%');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        text.push(char::from(u8::from_str_radix(digits, 16).ok()?));
        text.push_str(rest);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_equals_the_key_except_for_unsupported_parts() {
        for (of_key, expected) in [
            ("a/b c/ü.txt", "p/a/b c/ü.txt"),
            ("100%", "p/100%25"),
            ("/a//b/", "p/%/a/%/b/%"),
            ("a/./..", "p/a/%2E/%2E%2E"),
            ("a\n", "p/a%0A"),
            ("", "p/%"),
        ] {
            let path = path("p/", of_key).expect("a path");
            assert_eq!(path.as_ref(), expected);
            assert_eq!(key("p/", path.as_ref()).as_deref(), Some(of_key));
        }
        assert_eq!(key("p/", "other/a"), None);
        assert_eq!(key("", "100%"), None, "another program's object");
    }

    #[test]
    fn the_beginning_of_keys_is_that_of_their_paths() {
        assert_eq!(prefix("p/", "a//b%"), "p/a/%/b%25");
        assert_eq!(prefix("", ""), "");
        assert_eq!(prefix("", "a/"), "a/");
    }
}

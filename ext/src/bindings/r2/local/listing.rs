//! Lists of objects.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::Connection;

use super::super::rules::R2Fault;
use super::super::store::{R2Listing, R2Page};
use super::schema::{OBJECT, object};
use crate::storage::sqlite::Failed;

/// The place at which a list begins or continues.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// At this key.
    At(String),
    /// After this key.
    After(String),
    /// After all keys with this prefix.
    AfterAll(String),
}

impl Place {
    fn cursor(&self) -> String {
        let (kind, text) = match self {
            Self::At(text) => ('a', text),
            Self::After(text) => ('k', text),
            Self::AfterAll(text) => ('p', text),
        };
        URL_SAFE_NO_PAD.encode(format!("{kind}{text}"))
    }

    fn of_cursor(cursor: &str) -> Result<Self, R2Fault> {
        let text = URL_SAFE_NO_PAD.decode(cursor).ok();
        let text = text
            .and_then(|text| String::from_utf8(text).ok())
            .ok_or(R2Fault::Cursor)?;
        match text.split_at_checked(1) {
            Some(("a", text)) => Ok(Self::At(text.to_owned())),
            Some(("k", text)) => Ok(Self::After(text.to_owned())),
            Some(("p", text)) => Ok(Self::AfterAll(text.to_owned())),
            _ => Err(R2Fault::Cursor),
        }
    }

    /// Returns the first key that may follow, and whether it is excluded; `None` if no key can follow.
    fn first(&self) -> Option<(String, bool)> {
        match self {
            Self::At(key) => Some((key.clone(), false)),
            Self::After(key) => Some((key.clone(), true)),
            Self::AfterAll(prefix) => Some((after_all(prefix)?, false)),
        }
    }
}

/// Returns the least text greater than all texts with this prefix, if any.
fn after_all(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            // There are no characters between these two.
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(last as u32 + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// Returns a page of a list.
pub(super) fn list(db: &Connection, listing: &R2Listing) -> Result<Result<R2Page, R2Fault>, Failed> {
    let R2Listing { prefix, limit, .. } = listing;
    let mut place = match start(listing) {
        Ok(place) => place,
        Err(fault) => return Ok(Err(fault)),
    };
    let delimiter = listing.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let mut select = db.prepare_cached(&format!("SELECT {OBJECT} FROM objects WHERE key >= ?1 ORDER BY key"))?;
    let mut page = R2Page::default();
    // Another query skips a group of keys.
    'groups: while let Some((first, is_left_out)) = place.first() {
        let mut rows = select.query([&first])?;
        while let Some(row) = rows.next()? {
            let key: String = row.get(0)?;
            if !key.starts_with(prefix) {
                return Ok(Ok(page));
            }
            if is_left_out && key == first {
                continue;
            }
            if page.objects.len() + page.prefixes.len() == *limit {
                page.cursor = Some(place.cursor());
                return Ok(Ok(page));
            }
            let end = delimiter.and_then(|delimiter| Some(key[prefix.len()..].find(delimiter)? + delimiter.len()));
            match end {
                Some(end) => {
                    let group = key[..prefix.len() + end].to_owned();
                    page.prefixes.push(group.clone());
                    place = Place::AfterAll(group);
                    continue 'groups;
                }
                None => {
                    page.objects.push(object(row)?);
                    place = Place::After(key);
                }
            }
        }
        break;
    }
    Ok(Ok(page))
}

/// Returns the place at which a list begins, the last of the given ones.
fn start(listing: &R2Listing) -> Result<Place, R2Fault> {
    let mut start = Place::At(listing.prefix.clone());
    let cursor = listing.cursor.as_deref().map(Place::of_cursor).transpose()?;
    let others = [listing.start_after.clone().map(Place::After), cursor];
    for other in others.into_iter().flatten() {
        // Without a first key, no key follows.
        if other.first().is_none_or(|first| Some(first) > start.first()) {
            start = other;
        }
    }
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_continues_after_a_group_at_the_next_text() {
        for (prefix, expected) in [
            ("a/", Some("a0")),
            ("a\u{10ffff}", Some("b")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("\u{10ffff}", None),
            ("", None),
        ] {
            assert_eq!(after_all(prefix).as_deref(), expected, "{prefix:?}");
        }
    }

    #[test]
    fn a_cursor_encodes_its_position() {
        for place in [
            Place::At(String::new()),
            Place::After("ü".to_owned()),
            Place::AfterAll("a/".to_owned()),
        ] {
            assert_eq!(Place::of_cursor(&place.cursor()), Ok(place));
        }
        for cursor in ["", "?", "YQ=="] {
            assert_eq!(Place::of_cursor(cursor), Err(R2Fault::Cursor), "{cursor}");
        }
    }
}

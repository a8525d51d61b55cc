//! Conditions on the current object: <https://developers.cloudflare.com/r2/api/workers/workers-api-reference/>, and as
//! headers <https://www.rfc-editor.org/rfc/rfc9110#section-13>.

use super::object::R2Object;

/// An ETag in a condition.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum R2Etag {
    /// Any ETag.
    Any,
    /// This ETag.
    Strong(String),
    /// A weak ETag, which matches in `If-None-Match` and never in `If-Match`.
    Weak(String),
}

/// Conditions on the current object of a key. All must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct R2Conditions {
    /// It has one of these ETags.
    pub etag_matches: Option<Vec<R2Etag>>,
    /// It has none of these ETags.
    pub etag_does_not_match: Option<Vec<R2Etag>>,
    /// It was uploaded before this time, in milliseconds since 1970. Ignored if it has one of `etag_matches`.
    pub uploaded_before: Option<i64>,
    /// It was uploaded after this time, in milliseconds since 1970. Ignored if it has none of `etag_does_not_match`.
    pub uploaded_after: Option<i64>,
    /// Times are compared in whole seconds.
    pub seconds_granularity: bool,
}

isopod_outcome::setters!(R2Conditions {
    etag_matches: impl Into<Option<Vec<R2Etag>>>,
    etag_does_not_match: impl Into<Option<Vec<R2Etag>>>,
    uploaded_before: impl Into<Option<i64>>,
    uploaded_after: impl Into<Option<i64>>,
    seconds_granularity: bool,
});

impl R2Conditions {
    /// Returns whether the conditions hold for the object of a key, or for a key without an object.
    #[must_use]
    pub fn hold(&self, object: Option<&R2Object>) -> bool {
        match object {
            Some(object) => self.hold_for(&object.etag, object.uploaded),
            None => self.etag_matches.is_none() && self.uploaded_after.is_none(),
        }
    }

    fn hold_for(&self, etag: &str, uploaded: u64) -> bool {
        let time = |ms: i64| match self.seconds_granularity {
            true => ms.div_euclid(1000),
            false => ms,
        };
        let uploaded = time(i64::try_from(uploaded).unwrap_or(i64::MAX));
        let has = |etags: &[R2Etag], weakly: bool| {
            etags.iter().any(|one| match one {
                R2Etag::Any => true,
                R2Etag::Strong(one) => one == etag,
                R2Etag::Weak(one) => weakly && one == etag,
            })
        };
        let matches = self.etag_matches.as_deref().map(|etags| has(etags, false));
        let differs = self.etag_does_not_match.as_deref().map(|etags| !has(etags, true));
        let is_before = self.uploaded_before.is_none_or(|before| uploaded < time(before));
        let is_after = self.uploaded_after.is_none_or(|after| uploaded > time(after));
        matches.unwrap_or(true)
            && differs.unwrap_or(true)
            && (is_before || matches == Some(true))
            && (is_after || differs == Some(true))
    }
}

/// The reason why a header is not a list of ETags, with workerd's messages.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum EtagsFault {
    #[error("Invalid ETag in {0} header")]
    None(&'static str),
    #[error("Unclosed double quote for Etag")]
    Unclosed,
    #[error("Weak etags must start with W/ and their value must be quoted")]
    Weak,
    #[error("Comma was expected to separate etags. {0}")]
    Comma(&'static str),
}

/// Parses the value of `If-Match` or `If-None-Match`. Empty elements are skipped, and a wildcard stands for all.
pub(super) fn etags(header: &'static str, value: &str) -> Result<Vec<R2Etag>, EtagsFault> {
    let mut etags = Vec::new();
    let mut rest = value;
    let mut needs_comma = false;
    while let Some(at) = rest.find([',', '"', '*', 'W']) {
        let (found, from) = (rest.as_bytes()[at], &rest[at..]);
        if found == b',' {
            (needs_comma, rest) = (false, &from[1..]);
            continue;
        }
        if needs_comma {
            return Err(EtagsFault::Comma(match found {
                b'*' => "Encountered a wildcard character '*' instead.",
                b'"' => {
                    "Encountered a double quote character '\"' instead. This would otherwise indicate the start of a new \
                     strong etag."
                }
                _ => {
                    "Encountered a weak quotation character 'W' instead. This would otherwise indicate the start of a new \
                     weak etag."
                }
            }));
        }
        let (is_weak, quoted) = match found {
            b'*' => return Ok(vec![R2Etag::Any]),
            b'"' => (false, from),
            _ => (
                true,
                from.strip_prefix("W/")
                    .filter(|quoted| quoted.starts_with('"'))
                    .ok_or(EtagsFault::Weak)?,
            ),
        };
        let (etag, after) = quoted[1..].split_once('"').ok_or(EtagsFault::Unclosed)?;
        etags.push(match is_weak {
            true => R2Etag::Weak(etag.to_owned()),
            false => R2Etag::Strong(etag.to_owned()),
        });
        (needs_comma, rest) = (true, after);
    }
    match etags.is_empty() {
        true => Err(EtagsFault::None(header)),
        false => Ok(etags),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strong(etag: &str) -> R2Etag {
        R2Etag::Strong(etag.to_owned())
    }

    /// Source: RFC 9110, 8.8.3 and 13.1.1, with its examples.
    #[test]
    fn lists_of_etags_are_read() {
        let of = |value| etags("if-match", value);
        assert_eq!(of("\"xyzzy\""), Ok(vec![strong("xyzzy")]));
        assert_eq!(
            of("\"xyzzy\", \"r2d2xxxx\", \"c3piozzzz\""),
            Ok(vec![strong("xyzzy"), strong("r2d2xxxx"), strong("c3piozzzz")])
        );
        assert_eq!(
            of("W/\"a,b\" ,, \"\""),
            Ok(vec![R2Etag::Weak("a,b".to_owned()), strong("")])
        );
        assert_eq!(of(" * "), Ok(vec![R2Etag::Any]));
        assert_eq!(of(""), Err(EtagsFault::None("if-match")));
        assert_eq!(of("W"), Err(EtagsFault::Weak));
    }

    #[test]
    fn an_etag_takes_precedence_over_a_time() {
        let object = R2Object::new("k", 1, "a").uploaded(5_400);
        let hold = |conditions: R2Conditions| conditions.hold(Some(&object));
        let none = R2Conditions::default;
        assert!(hold(none().uploaded_before(5_401)) && !hold(none().uploaded_before(5_400)));
        assert!(hold(none().uploaded_after(5_399)) && !hold(none().uploaded_after(5_400)));
        let seconds = none().seconds_granularity(true);
        assert!(hold(seconds.clone().uploaded_after(4_999)) && !hold(seconds.clone().uploaded_after(5_000)));
        assert!(hold(seconds.clone().uploaded_before(6_000)) && !hold(seconds.uploaded_before(5_999)));
        assert!(hold(none().etag_matches(vec![strong("a")]).uploaded_before(0)));
        assert!(hold(
            none().etag_does_not_match(vec![strong("b")]).uploaded_after(9_999)
        ));
        assert!(!hold(none().etag_does_not_match(vec![strong("a")]).uploaded_after(0)));
    }

    #[test]
    fn a_missing_object_matches_nothing() {
        let none = R2Conditions::default;
        assert!(none().hold(None));
        assert!(none().etag_does_not_match(vec![R2Etag::Any]).hold(None));
        assert!(none().uploaded_before(0).hold(None));
        assert!(!none().etag_matches(vec![R2Etag::Any]).hold(None));
        assert!(!none().uploaded_after(0).hold(None));
    }
}

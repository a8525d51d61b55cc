//! `_headers`: <https://developers.cloudflare.com/workers/static-assets/headers/>.

use std::collections::HashSet;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::pattern::{Pattern, Target};
use crate::{LINE_MAX, Mistake};

/// Maximum number of rules.
const RULES_MAX: usize = 100;

/// The rules of a `_headers` file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    pattern: Pattern,
    unset: Vec<HeaderName>,
    set: Vec<(HeaderName, String)>,
}

impl Headers {
    /// Parses a file. Lines with a mistake, and lines below a pattern with one, are skipped.
    pub(crate) fn read(text: &str, mistakes: &mut Vec<Mistake>) -> Self {
        let mut headers = Self::default();
        // False below a pattern with a mistake.
        let mut is_in_rule = false;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let added = if line.len() > LINE_MAX {
                Err("it is longer than 2,000 bytes")
            } else if line.starts_with('/') || line.starts_with("https://") {
                let added = headers.begin(line);
                is_in_rule = added.is_ok();
                added
            } else {
                match headers.rules.last_mut().filter(|_| is_in_rule) {
                    Some(rule) => rule.add(line),
                    None => Err("it belongs to no path"),
                }
            };
            if let Err(reason) = added {
                mistakes.push(Mistake {
                    file: "_headers",
                    line: index + 1,
                    reason: reason.to_owned(),
                });
            }
        }
        headers
    }

    fn begin(&mut self, pattern: &str) -> Result<(), &'static str> {
        if self.rules.len() == RULES_MAX {
            return Err("there are more than 100 rules");
        }
        let pattern = Pattern::new(pattern).ok_or("`*` and each placeholder may be there once")?;
        self.rules.push(Rule {
            pattern,
            unset: Vec::new(),
            set: Vec::new(),
        });
        Ok(())
    }

    /// Applies the rules to a response. Values of several rules for a header are joined.
    pub(crate) fn apply(&self, target: &Target, headers: &mut HeaderMap) {
        let mut set = HashSet::new();
        for rule in &self.rules {
            let Some(captures) = rule.pattern.captures(target) else {
                continue;
            };
            for name in &rule.unset {
                headers.remove(name);
            }
            for (name, value) in &rule.set {
                // A placeholder's value may be invalid in a header.
                let Ok(value) = HeaderValue::from_str(&Pattern::fill(value, &captures)) else {
                    continue;
                };
                if set.insert(name) {
                    headers.insert(name, value);
                } else {
                    headers.append(name, value);
                }
            }
        }
    }
}

impl Rule {
    fn add(&mut self, line: &str) -> Result<(), &'static str> {
        const NAME: &str = "it should be a name, a colon and a value, or `!` and a name";
        if let Some(name) = line.strip_prefix('!') {
            self.unset.push(name.trim().parse().map_err(|_| NAME)?);
            return Ok(());
        }
        let (name, value) = line.split_once(':').ok_or(NAME)?;
        let name: HeaderName = name.trim().parse().map_err(|_| NAME)?;
        let value = value.trim();
        if value.is_empty() || HeaderValue::from_str(value).is_err() {
            return Err(NAME);
        }
        match self.set.iter_mut().find(|(known, _)| *known == name) {
            // https://developers.cloudflare.com/workers/static-assets/headers/#attach-a-header: joined with a comma.
            Some((_, joined)) => {
                joined.push_str(", ");
                joined.push_str(value);
            }
            None => self.set.push((name, value.to_owned())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: https://developers.cloudflare.com/workers/static-assets/headers/.
    #[test]
    fn every_rule_that_matches_is_applied() {
        let text = "/*\n  X-All: 1\n  Cache-Control: no-store\n\n# comment\n/a/:name\n  X-All: 2\n  X-Name: is :name\n  ! ETag\n\
                    https://b.example/*\n  X-Host: b\n";
        let mut mistakes = Vec::new();
        let rules = Headers::read(text, &mut mistakes);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let applied = |host, path| {
            let mut headers = HeaderMap::new();
            headers.insert("etag", HeaderValue::from_static("\"x\""));
            headers.insert("cache-control", HeaderValue::from_static("public"));
            rules.apply(&Target::new(host, path), &mut headers);
            let shown = headers
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            let mut shown: Vec<_> = shown.collect();
            shown.sort();
            shown
        };
        assert_eq!(
            applied("a.example", "/x"),
            ["cache-control: no-store", "etag: \"x\"", "x-all: 1"]
        );
        assert_eq!(
            applied("a.example", "/a/b"),
            ["cache-control: no-store", "x-all: 1", "x-all: 2", "x-name: is b"]
        );
        assert!(applied("b.example", "/").contains(&"x-host: b".to_owned()));
    }

    #[test]
    fn a_line_with_a_mistake_is_skipped_and_reported() {
        let mut mistakes = Vec::new();
        Headers::read(
            "X-A: 1\n/a\n  nothing\n  bad name: x\n  X-Good: 1\n/*/*\n  X-B: 1",
            &mut mistakes,
        );
        assert_eq!(
            mistakes.iter().map(|mistake| mistake.line).collect::<Vec<_>>(),
            [1, 3, 4, 6, 7]
        );
    }
}

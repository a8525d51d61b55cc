//! The folder of expected failures: `reasons.toml`, and for each folder of tests a file with the failures of each reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::results::Outcome;

/// The name of the failure of a whole test among its subtests.
const WHOLE: &str = "(the test as a whole)";

/// The reason of failures without a recorded one.
const NO_REASON: &str = "none";

/// Failed subtests by test and reason.
type Failures = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// A reason for failures.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    name: String,
    /// The reason in words.
    text: String,
    /// Patterns of `test: subtest` with `*` for any text, for failures that are recorded.
    #[serde(default)]
    subtests: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Reasons {
    reason: Vec<Reason>,
}

/// The expected failures.
#[derive(Debug)]
pub(crate) struct Expected {
    reasons: Vec<Reason>,
    failures: Failures,
}

/// A difference between expected and actual results.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// A subtest that was expected to pass failed with this message.
    Failed(String, String),
    /// A subtest that was expected to fail passed or is missing.
    Passed(String),
    /// A failure is expected without a reason.
    Unexplained(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(subtest, message) => write!(f, "FAILED {subtest}\n       {message}"),
            Self::Passed(subtest) => write!(f, "PASSED, and was expected to fail: {subtest}"),
            Self::Unexplained(subtest) => write!(f, "WITHOUT A REASON in reasons.toml: {subtest}"),
        }
    }
}

impl Expected {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("reasons.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let reasons: Reasons = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let mut failures = Failures::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let text = fs::read_to_string(&path)?;
                let read: Failures = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
                failures.extend(read);
            }
        }
        Ok(Self {
            reasons: reasons.reason,
            failures,
        })
    }

    /// Writes the failures of each folder of tests.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let mut files: BTreeMap<&str, BTreeMap<&String, _>> = BTreeMap::new();
        for (test, failures) in &self.failures {
            let top = test.split('/').next().unwrap_or_default();
            files.entry(top).or_default().insert(test, failures);
        }
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                fs::remove_file(path)?;
            }
        }
        for (top, failures) in files {
            let mut text = serde_json::to_string_pretty(&failures)?;
            text.push('\n');
            fs::write(folder.join(format!("{top}.json")), text)?;
        }
        Ok(())
    }

    /// Returns the differences of the chosen tests.
    pub(crate) fn compare(
        &self,
        outcomes: &BTreeMap<String, Outcome>,
        is_chosen: impl Fn(&str) -> bool,
    ) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (test, outcome) in outcomes {
            let expected = self.failures.get(test);
            let is_expected = |subtest: &str| {
                expected.is_some_and(|reasons| reasons.values().any(|subtests| subtests.contains(subtest)))
            };
            for (subtest, message) in failed(outcome) {
                if !is_expected(subtest) {
                    differences.push(Difference::Failed(format!("{test}: {subtest}"), message.clone()));
                }
            }
        }
        for (test, reasons) in self.failures.iter().filter(|(test, _)| is_chosen(test)) {
            for (reason, subtests) in reasons {
                let is_known = self.reasons.iter().any(|known| known.name == *reason);
                for subtest in subtests {
                    let name = format!("{test}: {subtest}");
                    let outcome = outcomes.get(test);
                    if !outcome.is_some_and(|outcome| failed(outcome).any(|(failed, _)| failed == subtest)) {
                        differences.push(Difference::Passed(name));
                    } else if !is_known {
                        differences.push(Difference::Unexplained(name));
                    }
                }
            }
        }
        differences
    }

    /// Returns the reasons in words and their numbers of failures, most first.
    pub(crate) fn reasons(&self) -> Vec<(String, usize)> {
        let of = |reason: &Reason| {
            let failures = self.failures.values().filter_map(|reasons| reasons.get(&reason.name));
            (reason.text.clone(), failures.map(BTreeSet::len).sum())
        };
        let mut reasons: Vec<_> = self.reasons.iter().map(of).filter(|(_, count)| *count > 0).collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons
    }

    /// Replaces the failures of the chosen tests by those that occurred. They keep their reasons; new ones get the first whose
    /// pattern matches.
    pub(crate) fn record(&mut self, outcomes: &BTreeMap<String, Outcome>, is_chosen: impl Fn(&str) -> bool) {
        let known = self.failures.clone();
        self.failures.retain(|test, _| !is_chosen(test));
        for (test, outcome) in outcomes {
            for (subtest, _) in failed(outcome) {
                let kept = known.get(test).and_then(|reasons| {
                    let mut having = reasons.iter().filter(|(_, subtests)| subtests.contains(subtest));
                    having.next().map(|(reason, _)| reason.clone())
                });
                let kept = kept.filter(|reason| self.reasons.iter().any(|known| known.name == *reason));
                let reason = kept.unwrap_or_else(|| self.reason(&format!("{test}: {subtest}")));
                let reasons = self.failures.entry(test.clone()).or_default();
                reasons.entry(reason).or_default().insert(subtest.to_owned());
            }
        }
    }

    fn reason(&self, name: &str) -> String {
        let matches = |reason: &&Reason| reason.subtests.iter().any(|pattern| is_match(pattern, name));
        let found = self.reasons.iter().find(matches);
        found.map_or(NO_REASON, |reason| &reason.name).to_owned()
    }
}

/// The failures of a test, with their messages.
fn failed(outcome: &Outcome) -> impl Iterator<Item = (&str, &String)> {
    let whole = outcome.error.iter().map(|error| (WHOLE, error));
    whole.chain(outcome.failed.iter().map(|(name, message)| (name.as_str(), message)))
}

/// Matches a pattern in which `*` stands for any text.
fn is_match(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(after) = name.strip_prefix(first) else {
        return false;
    };
    let mut ends = (0..=after.len()).filter(|end| after.is_char_boundary(*end));
    ends.any(|end| is_match(rest, &after[end..]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Difference, Expected, Failures, Reason, is_match};
    use crate::results::Outcome;

    fn expected() -> Expected {
        let reason = Reason {
            name: "large".to_owned(),
            text: "Too large.".to_owned(),
            subtests: vec!["*: *big*".to_owned()],
        };
        Expected {
            reasons: vec![reason],
            failures: Failures::new(),
        }
    }

    fn outcomes(failed: &[&str]) -> BTreeMap<String, Outcome> {
        let failed = failed.iter().map(|name| ((*name).to_owned(), "why".to_owned()));
        let outcome = Outcome {
            error: None,
            passed: 1,
            failed: failed.collect(),
        };
        BTreeMap::from([("url/a.any.js".to_owned(), outcome)])
    }

    #[test]
    fn recorded_failures_are_expected() {
        let mut expected = expected();
        let found = outcomes(&["a big one"]);
        let failed = Difference::Failed("url/a.any.js: a big one".to_owned(), "why".to_owned());
        assert_eq!(expected.compare(&found, |_| true), [failed]);
        expected.record(&found, |_| true);
        assert_eq!(expected.compare(&found, |_| true), []);
    }

    #[test]
    fn a_pass_that_was_expected_to_fail_is_a_difference() {
        let mut expected = expected();
        expected.record(&outcomes(&["a big one"]), |_| true);
        let passed = Difference::Passed("url/a.any.js: a big one".to_owned());
        assert_eq!(expected.compare(&outcomes(&[]), |_| true), [passed]);
        assert_eq!(expected.compare(&BTreeMap::new(), |test| !test.starts_with("url/")), []);
    }

    #[test]
    fn a_failure_without_a_reason_is_a_difference() {
        let mut expected = expected();
        let found = outcomes(&["a small one"]);
        expected.record(&found, |_| true);
        let unexplained = Difference::Unexplained("url/a.any.js: a small one".to_owned());
        assert_eq!(expected.compare(&found, |_| true), [unexplained]);
    }

    #[test]
    fn stars_match_any_text() {
        assert!(is_match("a*c*", "abcd"));
        assert!(is_match("*", ""));
        assert!(!is_match("a*c", "abcd"));
        assert!(!is_match("a", "ab"));
    }
}

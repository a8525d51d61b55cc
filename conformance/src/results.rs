//! Outcomes of tests and their numbers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The outcome of a test.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// An error of the test as a whole.
    pub(crate) error: Option<String>,
    pub(crate) passed: usize,
    /// The messages of failed subtests, by name.
    pub(crate) failed: BTreeMap<String, String>,
}

/// An outcome as `harness.js` reports it.
#[derive(Deserialize)]
pub(crate) struct Reported {
    #[serde(default)]
    error: Option<String>,
    subtests: Vec<Subtest>,
}

#[derive(Deserialize)]
struct Subtest {
    name: String,
    passed: bool,
    #[serde(default)]
    message: Option<String>,
}

impl Outcome {
    /// An outcome without results.
    pub(crate) fn failed(error: String) -> Self {
        Self {
            error: Some(error),
            ..Self::default()
        }
    }
}

impl From<Reported> for Outcome {
    fn from(reported: Reported) -> Self {
        let mut outcome = Self {
            error: reported.error,
            ..Self::default()
        };
        for subtest in reported.subtests {
            match subtest.passed {
                true => outcome.passed += 1,
                false => {
                    let message = subtest.message.unwrap_or_default();
                    outcome.failed.insert(subtest.name, message);
                }
            }
        }
        outcome
    }
}

/// Numbers of subtests.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

/// The numbers of each top-level folder.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary(BTreeMap<String, Counts>);

/// Counts the subtests of each folder. A test that failed as a whole counts as one more that failed.
pub(crate) fn summarize(outcomes: &BTreeMap<String, Outcome>) -> Summary {
    let mut summary = Summary::default();
    for (name, outcome) in outcomes {
        let folder = name.split('/').next().unwrap_or_default();
        let counts = summary.0.entry(folder.to_owned()).or_default();
        counts.passed += outcome.passed;
        counts.failed += outcome.failed.len() + usize::from(outcome.error.is_some());
    }
    summary
}

impl Summary {
    /// The folders and their numbers.
    pub(crate) fn folders(&self) -> impl Iterator<Item = (&str, &Counts)> {
        self.0.iter().map(|(folder, counts)| (folder.as_str(), counts))
    }

    /// The number of all failed subtests.
    pub(crate) fn failed(&self) -> usize {
        self.0.values().map(|counts| counts.failed).sum()
    }

    /// The number of all passed subtests.
    pub(crate) fn passed(&self) -> usize {
        self.0.values().map(|counts| counts.passed).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24}{:>9}{:>9}", "", "passed", "failed")?;
        for (folder, counts) in &self.0 {
            writeln!(f, "{folder:<24}{:>9}{:>9}", counts.passed, counts.failed)?;
        }
        writeln!(f, "{:<24}{:>9}{:>9}", "all", self.passed(), self.failed())
    }
}

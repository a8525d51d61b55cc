//! `run_worker_first`: the requests that a worker answers before its assets.

use crate::pattern::{Pattern, Target};

/// Maximum number of rules, and of bytes of a rule.
const RULES_MAX: usize = 100;

/// The requests that go to the worker even if there is an asset for them. Default: none.
#[derive(Clone, Debug, Default)]
pub struct WorkerFirst(Kind);

#[derive(Clone, Debug, Default)]
enum Kind {
    #[default]
    Never,
    Always,
    Rules {
        worker: Vec<Pattern>,
        assets: Vec<Pattern>,
    },
}

/// The destination of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goes {
    ToWorker,
    ToAssets,
    /// To an asset if there is one, else to the worker.
    Either,
}

/// An invalid list of rules.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct RulesError(String);

impl WorkerFirst {
    /// Selects all requests.
    #[must_use]
    pub fn always() -> Self {
        Self(Kind::Always)
    }

    /// Selects the requests whose paths match one of these rules, such as `/api/*`, and none that begins with `!`, such as
    /// `!/api/docs/*`.
    ///
    /// # Errors
    /// There are more than 100 rules, one is longer than 100 bytes or does not begin with `/` or `!/`, or none is for the worker.
    pub fn rules<S: AsRef<str>>(rules: &[S]) -> Result<Self, RulesError> {
        if rules.len() > RULES_MAX {
            return Err(RulesError(format!(
                "there are {} rules; at most {RULES_MAX} are allowed",
                rules.len()
            )));
        }
        let (mut worker, mut assets) = (Vec::new(), Vec::new());
        for rule in rules.iter().map(AsRef::as_ref) {
            let (pattern, list) = match rule.strip_prefix('!') {
                Some(pattern) => (pattern, &mut assets),
                None => (rule, &mut worker),
            };
            if rule.len() > RULES_MAX {
                return Err(RulesError(format!(
                    "the rule {rule:?} is longer than {RULES_MAX} bytes"
                )));
            }
            if !pattern.starts_with('/') {
                return Err(RulesError(format!("the rule {rule:?} does not begin with `/` or `!/`")));
            }
            list.push(Pattern::globs(pattern).ok_or_else(|| RulesError(format!("the rule {rule:?} is no pattern")))?);
        }
        if worker.is_empty() {
            return Err(RulesError("there is no rule for the worker".to_owned()));
        }
        Ok(Self(Kind::Rules { worker, assets }))
    }

    pub(crate) fn decide(&self, target: &Target) -> Goes {
        let matches = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.captures(target).is_some());
        match &self.0 {
            Kind::Never => Goes::Either,
            Kind::Always => Goes::ToWorker,
            Kind::Rules { assets, .. } if matches(assets) => Goes::ToAssets,
            Kind::Rules { worker, .. } if matches(worker) => Goes::ToWorker,
            Kind::Rules { .. } => Goes::Either,
        }
    }

    /// Returns whether there are rules. Paths without an asset are then handled by the assets too.
    pub(crate) fn has_rules(&self) -> bool {
        matches!(self.0, Kind::Rules { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: https://developers.cloudflare.com/workers/static-assets/binding/#run_worker_first.
    #[test]
    fn negative_rules_go_before_positive_ones() {
        let first = WorkerFirst::rules(&["/api/*", "/a/*/b/*", "!/api/docs/*"]).unwrap();
        for (path, goes) in [
            ("/api/users", Goes::ToWorker),
            ("/api/docs/x", Goes::ToAssets),
            ("/api", Goes::Either),
            ("/a/1/b/2", Goes::ToWorker),
            ("/", Goes::Either),
        ] {
            assert_eq!(first.decide(&Target::new("h", path)), goes, "{path}");
        }
    }

    #[test]
    fn an_invalid_list_is_refused() {
        for (rules, expected) in [
            (vec!["api/*".to_owned()], "does not begin with"),
            (vec!["!/x".to_owned()], "no rule for the worker"),
            (vec![format!("/{}", "x".repeat(100))], "longer than 100"),
            (vec!["/x".to_owned(); 101], "101 rules"),
        ] {
            let error = WorkerFirst::rules(&rules).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}

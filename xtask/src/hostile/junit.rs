//! Reads which tests passed from the JUnit report of cargo-nextest.

use std::collections::BTreeMap;

use super::case::Test;

/// Test results by binary and path.
#[derive(Debug, Default)]
pub(super) struct Results(BTreeMap<(String, String), bool>);

impl Results {
    pub(super) fn parse(text: &str) -> Self {
        // Quotes and angle brackets in test output are escaped, so a search for the element's name is enough.
        let cases = text.split("<testcase ").skip(1).filter_map(|case| {
            let case = case.split("</testcase>").next()?;
            let head = case.split('>').next()?;
            let attribute = |name: &str| Some(head.split_once(&format!("{name}=\""))?.1.split('"').next()?.to_owned());
            // A test that passed when retried has neither.
            let failed = case.contains("<failure") || case.contains("<error");
            Some((
                (
                    attribute("classname")?,
                    attribute(" name").or_else(|| attribute("name"))?,
                ),
                !failed,
            ))
        });
        Self(cases.collect())
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns true if the test passed, `None` if it did not run.
    pub(super) fn of(&self, test: &Test) -> Option<bool> {
        let is = |binary: &str, path: &str| {
            let package = binary.split("::").next().unwrap_or(binary);
            package == test.package && path.rsplit("::").next() == Some(&test.name)
        };
        let mut found = self
            .0
            .iter()
            .filter(|((binary, path), _)| is(binary, path))
            .map(|(_, passed)| *passed);
        let first = found.next()?;
        Some(first && found.all(|passed| passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<testsuites><testsuite name="a::it" tests="2">
        <testcase name="x::holds" classname="a::it" timestamp="t" time="0.1">
        </testcase>
        <testcase name="x::breaks" classname="a::it" time="0.1">
            <failure message="no" type="test failure">&lt;testcase </failure>
            <system-out>text</system-out>
        </testcase>
        <testcase name="bare" classname="b" time="0.1">
        </testcase>
    </testsuite></testsuites>"#;

    #[test]
    fn passes_failures_and_skipped_tests_are_distinguished() {
        let results = Results::parse(REPORT);
        let of = |package: &str, name: &str| {
            results.of(&Test {
                package: package.to_owned(),
                name: name.to_owned(),
                nightly: false,
            })
        };
        assert_eq!(of("a", "holds"), Some(true));
        assert_eq!(of("a", "breaks"), Some(false));
        assert_eq!(of("b", "bare"), Some(true));
        assert_eq!((of("b", "holds"), of("a", "olds")), (None, None));
    }
}

//! The scenarios of `tests/hostile.toml`, and the tests that name the scenarios they cover.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::case::Test;
use super::junit::Results;
use crate::tidy::files::{self, File};
use crate::workspace::Workspace;

const REGISTRY: &str = "tests/hostile.toml";

/// One scenario.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) number: u64,
    pub(super) part: String,
    pub(super) scenario: String,
    pub(super) promise: Promise,
    pub(super) tests: Vec<Test>,
}

#[derive(Debug)]
pub(super) enum Promise {
    /// The guaranteed result.
    Kept(String),
    /// The planned result; the tests do not cover all of it yet.
    Open(String),
    /// No guarantee, with the reason.
    None(String),
}

/// All scenarios, in order.
#[derive(Debug)]
pub(super) struct Rows(pub(super) Vec<Row>);

impl Rows {
    pub(super) fn read(workspace: &Workspace) -> Result<Self> {
        let files = files::all(workspace)?;
        Self::of(&workspace.read(REGISTRY)?, &files)
    }

    fn of(registry: &str, files: &[File]) -> Result<Self> {
        let registry: toml::Table = registry.parse().context(REGISTRY)?;
        let mut tests = marked(files)?;
        let rows = registry.get("row").and_then(toml::Value::as_array);
        let rows = rows.with_context(|| format!("{REGISTRY} has no rows"))?;
        let rows: Vec<_> = rows.iter().map(|row| Row::of(row, &mut tests)).collect::<Result<_>>()?;
        if let Some((number, tests)) = tests.first_key_value() {
            bail!("{} covers row {number}, which is not in {REGISTRY}", tests[0].name);
        }
        Ok(Self(rows))
    }

    /// The tests of all rows, without duplicates.
    pub(super) fn tests(&self) -> impl Iterator<Item = &Test> {
        let all: std::collections::BTreeSet<_> = self.0.iter().flat_map(|row| &row.tests).collect();
        all.into_iter()
    }

    /// Returns the problems: failed tests, and guarantees without a test.
    pub(super) fn failed(&self, results: &Results) -> Vec<String> {
        let failed = self.tests().filter(|test| results.of(test) == Some(false));
        let mut found: Vec<_> = failed.map(|test| format!("{} failed", test.name)).collect();
        let missing = self.tests().filter(|test| !test.nightly && results.of(test).is_none());
        found.extend(missing.map(|test| format!("{} did not run", test.name)));
        let shown = |row: &&Row| row.tests.is_empty() && matches!(row.promise, Promise::Kept(_));
        found.extend(
            self.0
                .iter()
                .filter(shown)
                .map(|row| format!("no test covers row {}", row.number)),
        );
        found
    }
}

impl Row {
    fn of(row: &toml::Value, tests: &mut BTreeMap<u64, Vec<Test>>) -> Result<Self> {
        let text = |key: &str| row.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        let number = row.get("number").and_then(toml::Value::as_integer);
        let number = number.and_then(|number| u64::try_from(number).ok());
        let number = number.with_context(|| format!("{REGISTRY}: a row without a number"))?;
        let lacks = |key: &str| format!("{REGISTRY}: row {number} lacks `{key}`");
        Ok(Self {
            number,
            part: text("part").with_context(|| lacks("part"))?,
            scenario: text("scenario").with_context(|| lacks("scenario"))?,
            promise: match (text("not_promised"), text("expected"), text("open")) {
                (Some(why), None, None) => Promise::None(why),
                (None, Some(expected), None) => Promise::Kept(expected),
                (None, None, Some(expected)) => Promise::Open(expected),
                _ => bail!("{}", lacks("exactly one of expected, open, not_promised")),
            },
            tests: tests.remove(&number).unwrap_or_default(),
        })
    }
}

/// The tests that name scenarios, by scenario number.
fn marked(files: &[File]) -> Result<BTreeMap<u64, Vec<Test>>> {
    let mut tests: BTreeMap<u64, Vec<Test>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.is(&["rs"])) {
        let lines: Vec<_> = file.text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(numbers) = numbers(line) else { continue };
            let test = named(file, &lines[at + 1..], files)
                .with_context(|| format!("{}:{}: `{line}` is not followed by a test", file.path, at + 1))?;
            for number in numbers {
                tests.entry(number).or_default().push(test.clone());
            }
        }
    }
    tests.values_mut().for_each(|tests| tests.sort());
    Ok(tests)
}

/// The numbers in a line such as `// row 8` or `// rows 8, 10`.
fn numbers(line: &str) -> Option<Vec<u64>> {
    let rest = line.strip_prefix("// row")?;
    let rest = rest.strip_prefix('s').unwrap_or(rest).strip_prefix(' ')?;
    rest.split(", ").map(|number| number.parse().ok()).collect()
}

/// The test that follows: a function, or an entry `name: …` of a macro that generates functions.
fn named(file: &File, after: &[&str], files: &[File]) -> Option<Test> {
    let mut nightly = false;
    for line in after {
        nightly |= line.starts_with("#[ignore");
        if line.starts_with("#[") || line.starts_with("//") {
            continue;
        }
        let (name, made) = match line.split_once("fn ") {
            Some((_, rest)) => (rest.split('(').next()?, false),
            None => (line.split_once(": ")?.0, true),
        };
        let word = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        // Tests generated by a nightly macro are nightly as well.
        let nightly = nightly || made && file.text.contains("#[ignore = \"nightly");
        return word.then(|| Test {
            package: package(file, files).unwrap_or_default(),
            name: name.to_owned(),
            nightly,
        });
    }
    None
}

/// The name of the package that contains the file.
fn package(file: &File, files: &[File]) -> Option<String> {
    let manifest = format!("{}/Cargo.toml", file.top());
    let manifest = files.iter().find(|file| file.path == manifest)?;
    let manifest: toml::Table = manifest.text.parse().ok()?;
    Some(manifest.get("package")?.get("name")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::files::file;

    const REGISTRY: &str = "[[row]]\nnumber = 8\npart = \"script\"\nscenario = \"s\"\nexpected = \"e\"\n\
        [[row]]\nnumber = 9\npart = \"script\"\nscenario = \"s\"\nnot_promised = \"n\"\n";

    fn files(source: &str) -> Vec<File> {
        vec![
            file("tests/Cargo.toml", "[package]\nname = \"p\"\n"),
            file("tests/it/a.rs", source),
        ]
    }

    fn names(rows: &Rows) -> Vec<(&str, bool)> {
        rows.tests().map(|test| (test.name.as_str(), test.nightly)).collect()
    }

    #[test]
    fn tests_are_found_by_the_line_above_them() {
        let source = "// row 8\n#[test]\n#[ignore = \"nightly: long\"]\nfn long() {}\n\n// rows 8, 9\n#[test]\nfn short() {}\n\
            m! {\n    // row 8\n    made: \"/x\",\n}\n#[test]\nfn other() {}\n";
        let rows = Rows::of(REGISTRY, &files(source)).expect("rows");
        assert_eq!(names(&rows), [("long", true), ("made", true), ("short", false)]);
        assert_eq!((rows.0[0].tests.len(), rows.0[1].tests.len()), (3, 1));
        assert_eq!(rows.0[0].tests[0].package, "p");
    }

    #[test]
    fn missing_rows_and_misplaced_marks_are_errors() {
        let unknown = Rows::of(REGISTRY, &files("// row 7\n#[test]\nfn a() {}\n")).unwrap_err();
        assert!(unknown.to_string().contains("covers row 7"), "{unknown:#}");
        let lost = Rows::of(REGISTRY, &files("// row 8\nlet x = 1;\n")).unwrap_err();
        assert!(lost.to_string().contains("tests/it/a.rs:1"), "{lost:#}");
    }

    #[test]
    fn a_promise_without_a_test_and_a_test_without_a_result_are_reported() {
        let rows = Rows::of(REGISTRY, &files("")).expect("rows");
        assert_eq!(rows.failed(&Results::default()), ["no test covers row 8"]);
        let rows = Rows::of(REGISTRY, &files("// row 8\n#[test]\nfn a() {}\n")).expect("rows");
        assert_eq!(rows.failed(&Results::default()), ["a did not run"]);
        let failed = Results::parse("<testcase name=\"a::a\" classname=\"p::it\"><failure/></testcase>");
        assert_eq!(rows.failed(&failed), ["a failed"]);
        let open = REGISTRY.replace("expected", "open");
        assert_eq!(Rows::of(&open, &files("")).expect("rows").failed(&failed), [""; 0]);
    }
}

//! The tests of a folder, with their declarations.
//! <https://web-platform-tests.org/writing-tests/testharness.html>

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// A test: a file with one of its variants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    /// The path relative to the folder of all tests, with `/`.
    pub(crate) path: String,
    /// The query that selects subtests of the file, with `?`, or an empty string.
    pub(crate) variant: String,
    /// Paths of scripts to be evaluated before the file.
    pub(crate) scripts: Vec<String>,
    /// True if the test may take a minute.
    pub(crate) is_long: bool,
}

impl Test {
    /// The path and the variant.
    pub(crate) fn name(&self) -> String {
        format!("{}{}", self.path, self.variant)
    }
}

/// The supported scopes. A test must name one of them.
const SCOPES: &[&str] = &["worker", "dedicatedworker", "sharedworker", "serviceworker", "jsshell"];

/// Finds the tests for any scope, or for workers.
pub(crate) fn find(folder: &Path) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(at) = folders.pop() {
        let listed = folder.join(&at);
        for entry in fs::read_dir(&listed).with_context(|| listed.display().to_string())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = match at.as_str() {
                "" => name,
                at => format!("{at}/{name}"),
            };
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.ends_with(".any.js") {
                let text = fs::read_to_string(entry.path()).with_context(|| path.clone())?;
                tests.extend(declared(&path, &text));
            }
        }
    }
    tests.sort_by_key(Test::name);
    Ok(tests)
}

/// Returns the tests that a file declares: one for each variant.
fn declared(path: &str, text: &str) -> Vec<Test> {
    let mut scripts = Vec::new();
    let mut variants = Vec::new();
    let mut scopes = None;
    let mut is_long = false;
    for line in text
        .lines()
        .take_while(|line| line.starts_with("//") || line.is_empty())
    {
        let Some((key, value)) = line
            .strip_prefix("// META:")
            .and_then(|meta| meta.trim().split_once('='))
        else {
            continue;
        };
        match key {
            "script" => scripts.push(resolved(path, value)),
            "variant" => variants.push(value.to_owned()),
            "timeout" => is_long = value == "long",
            "global" => scopes = Some(value),
            _ => {}
        }
    }
    let is_for_workers = |named: &str| named.split(',').any(|scope| SCOPES.contains(&scope.trim()));
    if scopes.is_some_and(|named| !is_for_workers(named)) {
        return Vec::new();
    }
    if variants.is_empty() {
        variants.push(String::new());
    }
    let test = |variant| Test {
        path: path.to_owned(),
        variant,
        scripts: scripts.clone(),
        is_long,
    };
    variants.into_iter().map(test).collect()
}

/// Returns the path of a script that a file names.
fn resolved(path: &str, named: &str) -> String {
    if let Some(absolute) = named.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut parts: Vec<_> = path.split('/').collect();
    parts.pop();
    for part in named.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::{Test, declared, resolved};

    #[test]
    fn scripts_are_resolved_from_the_file_or_the_root() {
        assert_eq!(resolved("url/a.any.js", "/common/b.js"), "common/b.js");
        assert_eq!(resolved("url/x/a.any.js", "../b.js"), "url/b.js");
        assert_eq!(resolved("url/a.any.js", "./resources/b.js"), "url/resources/b.js");
    }

    #[test]
    fn a_file_has_a_test_for_each_variant() {
        let text = "// META: script=b.js\n// META: timeout=long\n// META: variant=?1\n// META: variant=?2\n\n// META: x=y\nrun();";
        let test = |variant: &str| Test {
            path: "url/a.any.js".to_owned(),
            variant: variant.to_owned(),
            scripts: vec!["url/b.js".to_owned()],
            is_long: true,
        };
        assert_eq!(declared("url/a.any.js", text), [test("?1"), test("?2")]);
    }

    #[test]
    fn files_for_windows_alone_are_left_out() {
        assert_eq!(declared("a.any.js", "// META: global=window\n"), []);
        assert_eq!(declared("a.any.js", "// META: global=window, worker\n").len(), 1);
    }
}

//! Configuration files: any text results in a configuration, or in a list of errors with their positions.

use std::collections::BTreeMap;
use std::path::Path;

use isopod_cli::config::{ConfigError, Fault, Located, Overrides, Problem, load};
use tempfile::TempDir;

use crate::engine::Target;
use crate::mutate::mutated;

/// Occurs only in the password of a database URL.
const PASSWORD: &str = "hunter2";
const DATABASE: &str = "postgres://me:hunter2@db.example/app";

const WORDS: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    "=",
    "\"",
    "'",
    "\"\"\"",
    "[[",
    "]]",
    "true",
    "null",
    "inf",
    "1979-05-27",
    "# ",
    "// ",
    "/*",
    "*/",
    "main",
    "name",
    "workers",
    "routes",
    "limits",
    "env",
    "vars",
    "secrets",
    "databases",
    "crons",
    "listen",
    "network",
    "30s",
    "0ms",
    "128 MiB",
    "-5 KiB",
    "a.ts",
    "../a.ts",
    "*.example.com/*",
    "/:id",
    "unix:",
    ":0",
    "[::1]:80",
    "10.0.0.0/8",
    "* * * * *",
    "orders.>",
    "per_request",
    DATABASE,
    "${X}",
    "\\u0000",
    "\\ud800",
];

struct Folder {
    folder: TempDir,
    file: &'static str,
}

impl Folder {
    fn new(file: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for script in ["a.ts", "b.ts", ".dev.vars", "src/index.ts"] {
            let path = folder.path().join(script);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, "").expect("a file");
        }
        Self { folder, file }
    }

    fn check(&self, text: &str) {
        let path = self.folder.path().join(self.file);
        std::fs::write(&path, text).expect("a file");
        let located = match self.file {
            "isopod.toml" => Located::Isopod(path.clone()),
            _ => Located::Wrangler(path.clone()),
        };
        let environment = BTreeMap::from([("X".to_owned(), "x".to_owned())]);
        match load(&located, &Overrides::default(), &environment) {
            Ok(mut config) => {
                let notes = format!("{:?}", std::mem::take(&mut config.notes));
                assert!(!format!("{config:?}").contains(PASSWORD), "a password is shown");
                assert!(
                    is_broken_up(text) || !notes.contains(PASSWORD),
                    "a note shows a password"
                );
            }
            Err(ConfigError::Invalid { problems }) => {
                assert!(!problems.is_empty(), "wrong, and nothing that is");
                problems.iter().for_each(|problem| check_problem(problem, &path, text));
            }
            // A missing env file, or the file itself.
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// Returns true if a mutation has broken up a URL so that its password is no longer recognizable as one.
fn is_broken_up(text: &str) -> bool {
    text.matches(PASSWORD).count() != text.matches(DATABASE).count()
}

fn check_problem(problem: &Problem, path: &Path, text: &str) {
    let told = problem.to_string();
    let shown = match &problem.fault {
        Fault::Syntax { message } | Fault::Conflict { message } => message,
        Fault::WrongType { found, .. } => found,
        Fault::BadValue { value, .. } => value,
        Fault::UnknownKey { key } => key,
        _ => "",
    };
    let frame = problem.place.as_ref().map_or("", |place| &place.frame);
    assert!(
        is_broken_up(text) || !shown.contains(PASSWORD) && !frame.contains(PASSWORD),
        "a password is shown: {told}"
    );
    let needs_place = matches!(
        problem.fault,
        Fault::Syntax { .. } | Fault::UnknownKey { .. } | Fault::WrongType { .. } | Fault::BadValue { .. }
    );
    let Some(place) = &problem.place else {
        assert!(!needs_place, "nobody knows where: {told}");
        return;
    };
    assert_eq!(place.file, path, "{told}");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = place.line.checked_sub(1).and_then(|line| text.split('\n').nth(line));
    let line = line.unwrap_or_else(|| panic!("the file has no line {}: {told}", place.line));
    assert!(
        (1..=line.chars().count() + 1).contains(&place.column),
        "line {} has no column {}: {told}",
        place.line,
        place.column
    );
}

fn fuzz(target: &'static str, file: &'static str) {
    let folder = Folder::new(file);
    Target::new(target).run(|corpus| mutated(corpus, WORDS), |text| folder.check(text));
}

#[test]
fn isopod_toml() {
    fuzz("isopod_toml", "isopod.toml");
}

#[test]
fn wrangler_toml() {
    fuzz("wrangler_toml", "wrangler.toml");
}

#[test]
fn wrangler_jsonc() {
    fuzz("wrangler_jsonc", "wrangler.jsonc");
}

//! The integration tests once more, with every worker in a process of its own, and some of them with every worker in a sandbox.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace::Workspace;
use crate::{setup, shell, test, v8};

/// The list of these tests, and of those that are left out, each with the reason.
const LIST: &str = "tests/in-cells.toml";

/// The content of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// Prefixes of the names of the tests that run in CI.
    tests: Vec<String>,
    /// Prefixes of the names of further tests, which take longer.
    slow: Vec<String>,
    /// Prefixes of the names of the tests that run with every worker in a sandbox, in CI as well.
    sandboxes: Vec<String>,
    /// Prefixes of the names of tests that are left out, by reason.
    excluded: BTreeMap<String, Vec<String>>,
}

impl List {
    fn read(workspace: &Workspace) -> Result<Self> {
        let text = std::fs::read_to_string(workspace.root.join(LIST)).context(LIST)?;
        toml::from_str(&text).context(LIST)
    }

    /// Returns all prefixes of tests that run.
    fn all(&self) -> Vec<String> {
        self.tests.iter().chain(&self.slow).cloned().collect()
    }

    /// Returns the filter of cargo-nextest for tests with these prefixes.
    fn filter(&self, wanted: &[String]) -> String {
        let begins = |names: &mut dyn Iterator<Item = &String>| {
            let each: Vec<_> = names.map(|name| format!("test(/^{name}/)")).collect();
            each.join(" or ")
        };
        let mut filter = format!("binary(it) and ({})", begins(&mut wanted.iter()));
        let excluded = begins(&mut self.excluded.values().flatten());
        if !excluded.is_empty() {
            filter += &format!(" and not ({excluded})");
        }
        filter
    }
}

/// The place of every worker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum In {
    /// Processes that open files and sockets themselves.
    Processes,
    Sandboxes,
}

/// Sets up, then runs the tests with these prefixes; without prefixes, all of the list.
pub(crate) fn command(workspace: &Workspace, place: In, wanted: &[String]) -> Result<()> {
    v8::make_ready(workspace)?;
    setup::for_tests(workspace)?;
    test::programs(workspace)?;
    let list = List::read(workspace)?;
    let wanted = match (wanted.is_empty(), place) {
        (true, In::Processes) => list.all(),
        (true, In::Sandboxes) => list.sandboxes.clone(),
        (false, _) => wanted.to_vec(),
    };
    run(workspace, place, &list.filter(&wanted))
}

/// Runs the tests that run in CI. Everything must be set up.
pub(crate) fn in_ci(workspace: &Workspace) -> Result<()> {
    let list = List::read(workspace)?;
    run(workspace, In::Processes, &list.filter(&list.tests))?;
    run(workspace, In::Sandboxes, &list.filter(&list.sandboxes))
}

fn run(workspace: &Workspace, place: In, filter: &str) -> Result<()> {
    let isolation = match place {
        In::Processes => "process",
        In::Sandboxes => "sandbox",
    };
    if !test::has_nextest() {
        bail!("the tests in cells are chosen by filters of cargo-nextest: `cargo install cargo-nextest --locked`");
    }
    let mut command = shell::command("cargo", &workspace.root);
    command
        .env("ISOPOD_BIN", test::program(workspace))
        .env("ISOPOD_ISOLATION", isolation);
    command.args(["nextest", "run", "--workspace", "--profile", test::AGAIN]);
    shell::run(command.args(["-E", filter]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excluded_tests_are_in_no_selection() {
        let list = List {
            tests: vec!["a::".to_owned()],
            slow: vec!["e::".to_owned()],
            sandboxes: vec!["a::".to_owned()],
            excluded: BTreeMap::from([("slow".to_owned(), vec!["a::b".to_owned(), "c".to_owned()])]),
        };
        assert_eq!(list.all(), ["a::", "e::"]);
        for chosen in ["a::", "d"] {
            assert_eq!(
                list.filter(&[chosen.to_owned()]),
                format!("binary(it) and (test(/^{chosen}/)) and not (test(/^a::b/) or test(/^c/))")
            );
        }
    }

    #[test]
    fn the_list_is_read_and_its_tests_are_there() {
        let workspace = Workspace::find().unwrap();
        let list = List::read(&workspace).unwrap();
        let others = list.sandboxes.iter().chain(list.excluded.values().flatten());
        for name in list.all().iter().chain(others) {
            let module = name.split("::").next().unwrap_or_default();
            let path = workspace.root.join("tests/it").join(module);
            let file = path.with_extension("rs");
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(path.is_dir() || !text.is_empty(), "{name}: there is no such module");
            if let (Some(test), false) = (name.rsplit("::").next(), path.is_dir()) {
                assert!(text.contains(test), "{name}: there is no such test");
            }
        }
    }
}

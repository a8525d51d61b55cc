//! The rule `cycle`: no two files of a crate import each other, directly or indirectly.
//!
//! Files in a cycle can only be understood together. Imports of a module from its own children do not count, because it
//! declares and re-exports them. An import counts for the file that defines the item, not for one that re-exports it.
//! Test code does not count.

mod graph;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use self::graph::Graph;
use super::Finding;
use super::files::File;

/// Files that may be in a cycle. An entry that is in none is an error.
const ALLOWED: &[&str] = &[];

/// Checks the sources of every crate.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    check_except(files, ALLOWED)
}

fn check_except(files: &[File], allowed: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_cycles = BTreeSet::new();
    for (root, files) in crates(files) {
        let graph = match Graph::read(root, &files) {
            Ok(graph) => graph,
            Err((path, error)) => {
                findings.push(finding(path, format!("cannot be parsed: {error}")));
                continue;
            }
        };
        for cycle in graph.cycles() {
            in_cycles.extend(cycle.iter().map(|path| (*path).to_owned()));
            if !cycle.iter().all(|path| allowed.contains(path)) {
                findings.push(finding(cycle[0].to_owned(), message(&graph, &cycle)));
            }
        }
    }
    let stale = allowed.iter().filter(|path| !in_cycles.contains(**path));
    findings.extend(stale.map(|path| {
        let message = "is in no cycle any more; remove it from the list of exceptions in xtask";
        finding((*path).to_owned(), message.to_owned())
    }));
    findings
}

/// The files below each crate's `src`, by the path of that folder.
fn crates(files: &[File]) -> BTreeMap<&str, Vec<&File>> {
    let mut crates = BTreeMap::<_, Vec<_>>::new();
    for file in files.iter().filter(|file| file.is(&["rs"]) && !file.is_test()) {
        if let Some((root, _)) = file.path.split_once("/src/") {
            crates.entry(root).or_default().push(file);
        }
    }
    crates
}

/// Names every file of a cycle, and a shortest cycle with the imports at each step.
fn message(graph: &Graph, cycle: &[&str]) -> String {
    let around = graph.shortest(cycle);
    let steps = around.iter().zip(around.iter().cycle().skip(1)).map(|(from, to)| {
        let names: Vec<_> = graph.names(from, to).map(|name| format!("`{name}`")).collect();
        format!("{from} imports {} from {to}", names.join(", "))
    });
    let steps = steps.collect::<Vec<_>>().join("; ");
    if around.len() == cycle.len() {
        format!("files import each other in a cycle: {steps}")
    } else {
        format!(
            "{} files import each other in cycles ({}), for example: {steps}",
            cycle.len(),
            cycle.join(", ")
        )
    }
}

fn finding(path: String, message: String) -> Finding {
    Finding {
        path,
        line: 0,
        rule: "cycle",
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::file;
    use super::*;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        except(files, &[])
    }

    fn except(files: &[(&str, &str)], allowed: &[&str]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| file(path, text)).collect();
        let findings = check_except(&files, allowed).into_iter();
        findings
            .map(|finding| format!("{}: {}", finding.path, finding.message))
            .collect()
    }

    const TWO: &[(&str, &str)] = &[
        ("a/src/lib.rs", "mod x; mod y;"),
        ("a/src/x.rs", "use crate::y::{Y, other as _}; pub struct X;"),
        ("a/src/y.rs", "use super::x::X; pub struct Y; pub fn other() {}"),
    ];

    #[test]
    fn two_files_and_their_imports_are_named() {
        assert_eq!(
            messages(TWO),
            [
                "a/src/x.rs: files import each other in a cycle: a/src/x.rs imports `Y`, `other` from a/src/y.rs; \
                 a/src/y.rs imports `X` from a/src/x.rs"
            ]
        );
    }

    #[test]
    fn a_larger_cycle_shows_its_shortest_part() {
        let found = messages(&[
            ("a/src/main.rs", "mod v; mod x; mod y; mod z;"),
            ("a/src/v.rs", "use crate::x::X;"),
            ("a/src/x.rs", "use crate::y::Y; pub struct X;"),
            ("a/src/y.rs", "use crate::z::Z; pub struct Y;"),
            ("a/src/z.rs", "use crate::{x::X, y::Y}; pub struct Z;"),
        ]);
        assert_eq!(
            found,
            [
                "a/src/x.rs: 3 files import each other in cycles (a/src/x.rs, a/src/y.rs, a/src/z.rs), for example: \
                 a/src/y.rs imports `Z` from a/src/z.rs; a/src/z.rs imports `Y` from a/src/y.rs"
            ]
        );
    }

    #[test]
    fn one_way_is_no_cycle() {
        let files = [
            ("a/src/lib.rs", "mod x; mod y; pub use x::X;"),
            ("a/src/x.rs", "use crate::y::Y; pub struct X;"),
            ("a/src/y.rs", "pub struct Y;"),
            ("b/src/lib.rs", "mod y;"),
            ("b/src/y.rs", "use crate::X;"),
        ];
        assert!(messages(&files).is_empty());
    }

    #[test]
    fn parent_and_child_are_left_aside() {
        let files = [
            ("a/src/lib.rs", "mod x; pub struct Root; use x::y::Y;"),
            ("a/src/x/mod.rs", "mod y; use self::y::Y; pub struct X;"),
            ("a/src/x/y.rs", "use super::X; use crate::Root; pub struct Y;"),
        ];
        assert!(messages(&files).is_empty());
    }

    // The folder `room` and `x` import each other, through a child that uses its parent.
    #[test]
    fn a_cycle_through_a_parent_is_found() {
        let found = messages(&[
            ("a/src/lib.rs", "mod room; mod x;"),
            ("a/src/room/mod.rs", "pub mod y; use crate::x::X; pub struct Room;"),
            ("a/src/room/y.rs", "use super::Room; pub struct Y;"),
            ("a/src/x.rs", "use crate::room::y::Y; pub struct X;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    // `x` imports an item of its sibling from their parent.
    #[test]
    fn a_reexport_counts_for_the_file_that_defines_it() {
        let found = messages(&[
            ("a/src/lib.rs", "mod room;"),
            (
                "a/src/room/mod.rs",
                "mod x; mod y; pub use y::*; pub use x::X as Renamed;",
            ),
            ("a/src/room/x.rs", "use super::Y; pub struct X;"),
            ("a/src/room/y.rs", "use crate::room::Renamed; pub struct Y;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("x.rs imports `Y` from") && found[0].contains("y.rs imports `Renamed` from"));
    }

    #[test]
    fn paths_in_code_count() {
        let found = messages(&[
            ("a/src/lib.rs", "mod x; mod y;"),
            ("a/src/x.rs", "use crate::y; pub fn f() { g!(1, y::f()) }"),
            ("a/src/y.rs", "pub fn f() -> crate::x::X { crate::x::f() }"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("x.rs imports `f` from") && found[0].contains("y.rs imports `X`, `f` from"));
    }

    #[test]
    fn test_code_does_not_count() {
        let files = [
            ("a/src/lib.rs", "mod x; mod y; #[cfg(all(test, unix))] mod z;"),
            (
                "a/src/x.rs",
                "#[cfg(test)] mod tests { use crate::y::Y; } pub struct X;",
            ),
            ("a/src/y.rs", "use crate::x::X; use crate::z::Z; pub struct Y;"),
            ("a/src/z.rs", "use crate::y::Y; pub struct Z;"),
        ];
        assert!(messages(&files).is_empty());
    }

    #[test]
    fn an_exception_covers_a_whole_cycle_and_must_be_needed() {
        assert!(except(TWO, &["a/src/x.rs", "a/src/y.rs"]).is_empty());
        assert_eq!(except(TWO, &["a/src/x.rs"]).len(), 1);
        assert_eq!(
            except(&TWO[..2], &["a/src/x.rs"]),
            ["a/src/x.rs: is in no cycle any more; remove it from the list of exceptions in xtask"]
        );
    }
}

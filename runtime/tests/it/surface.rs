//! `docs/interfaces.md`: the table of interfaces, members and modules that a worker has or lacks.
//!
//! It is made from a worker's globals and two tables: `surface/differences.json`, the partial and missing features with
//! reasons, and `surface/node.json`, the names of Node.js's modules. A change of one of them is written with
//! `ISOPOD_UPDATE_DOCS=1 cargo nextest run -p isopod-runtime surface`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use crate::common::{call, script};

/// Modules with more names, which are constants, show their number.
const NAMES_MAX: usize = 200;

type Names = BTreeMap<String, Vec<String>>;

#[derive(Deserialize)]
struct Surface {
    functions: Vec<String>,
    interfaces: Names,
    modules: Names,
}

/// Notes by name: of an interface, of a member as `Interface.member`, of a module as `node:name` or `node:name.export`.
#[derive(Deserialize)]
struct Differences {
    partly: BTreeMap<String, String>,
    no: BTreeMap<String, String>,
    /// Why a module that is there lacks some of Node.js's names.
    lacks: BTreeMap<String, String>,
}

fn surface(modules: &[&str]) -> Surface {
    let source = include_str!("surface/look.js");
    let seen = call(script(source), "look", vec![json!(modules)]).unwrap();
    serde_json::from_value(seen).unwrap()
}

/// The name before the last dot, and the part after it. A module's name may contain dots nowhere else.
fn split(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('.') {
        Some((owner, member)) if owner != "WebAssembly" || !member.starts_with(char::is_uppercase) => {
            (owner, Some(member))
        }
        _ => (name, None),
    }
}

impl Surface {
    /// Returns true if an interface, an object, a global function, a module or a member of one of them is there.
    fn has(&self, name: &str) -> bool {
        let called = |list: &[String], name: &str| list.iter().any(|item| item == name || *item == format!("{name}()"));
        if let Some(module) = name.strip_prefix("node:") {
            return match module.split_once('.') {
                None => self.modules.contains_key(module),
                Some((module, export)) => self.modules.get(module).is_some_and(|list| called(list, export)),
            };
        }
        let (owner, member) = split(name);
        match member {
            None => self.interfaces.contains_key(name) || called(&self.functions, name),
            Some(member) => self
                .interfaces
                .get(owner)
                .is_some_and(|list| called(list, member) || called(list, &format!("{owner}.{member}"))),
        }
    }
}

fn code(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

impl Differences {
    /// The notes about an owner's members, as the last column of its row.
    fn notes(&self, owner: &str) -> String {
        let of = |notes: &BTreeMap<String, String>, word: &str| -> Vec<String> {
            let is_own = |name: &&String| {
                *name == owner
                    || name
                        .strip_prefix(owner)
                        .is_some_and(|rest| rest.strip_prefix('.').is_some_and(|member| !member.contains('.')))
                        && split(name).0 == owner
            };
            let own = notes.iter().filter(|(name, _)| is_own(name));
            own.map(|(name, text)| match name == owner {
                true => format!("{word}: {text}"),
                false => format!("{word} `{}`: {text}", &name[owner.len() + 1..]),
            })
            .collect()
        };
        let mut notes = of(&self.partly, "partly");
        notes.extend(of(&self.no, "no"));
        notes.join("; ")
    }
}

/// The names that Node.js has in a module, and a worker has not.
fn missing<'a>(exports: &'a [String], of_node: Option<&'a String>) -> impl Iterator<Item = &'a str> {
    let names = of_node.into_iter().flat_map(|names| names.split(' '));
    names.filter(move |name| !name.is_empty() && !exports.iter().any(|there| there == name))
}

fn page(surface: &Surface, differences: &Differences, of_node: &BTreeMap<String, String>) -> String {
    let mut page = include_str!("surface/head.txt").to_owned();
    _ = writeln!(
        page,
        "## Interfaces\n\n| name | there | partly, or not |\n|---|---|---|"
    );
    for (name, members) in &surface.interfaces {
        let shown = if members.is_empty() {
            "yes".to_owned()
        } else {
            code(members)
        };
        _ = writeln!(page, "| `{name}` | {shown} | {} |", differences.notes(name));
    }
    _ = writeln!(page, "| functions and values | {} | |", code(&surface.functions));
    let is_absent = |name: &&String| !name.starts_with("node:") && split(name).1.is_none();
    for name in differences.no.keys().filter(is_absent) {
        _ = writeln!(page, "| `{name}` | no | {} |", differences.no[name]);
    }
    _ = writeln!(
        page,
        "\n## Modules of Node.js\n\n| name | there | partly, or not |\n|---|---|---|"
    );
    for (name, exports) in &surface.modules {
        let notes = differences.notes(&format!("node:{name}"));
        let missing: Vec<_> = missing(exports, of_node.get(name))
            .map(|export| format!("`{export}`"))
            .collect();
        let missing = match (missing.as_slice(), differences.lacks.get(&format!("node:{name}"))) {
            ([], _) => String::new(),
            (missing, Some(reason)) => format!("no {}: {reason}", missing.join(", ")),
            (missing, None) => format!("no {}", missing.join(", ")),
        };
        let notes: Vec<_> = [notes, missing].into_iter().filter(|text| !text.is_empty()).collect();
        let shown = if differences.no.contains_key(&format!("node:{name}")) {
            "names only".to_owned()
        } else if exports.len() > NAMES_MAX {
            format!("{} names", exports.len())
        } else {
            code(exports)
        };
        _ = writeln!(page, "| `node:{name}` | {shown} | {} |", notes.join("; "));
    }
    page
}

#[test]
fn the_table_of_interfaces_is_what_a_worker_has() {
    let of_node: BTreeMap<String, String> = serde_json::from_str(include_str!("surface/node.json")).unwrap();
    let differences: Differences = serde_json::from_str(include_str!("surface/differences.json")).unwrap();
    let names: Vec<_> = of_node.keys().map(String::as_str).collect();
    let surface = surface(&names);
    let absent: Vec<_> = differences.partly.keys().filter(|name| !surface.has(name)).collect();
    assert!(absent.is_empty(), "said to be there partly, and not there: {absent:?}");
    let is_noted = |name: &&String| !name.starts_with("node:") || name.contains('.');
    let there: Vec<_> = differences
        .no
        .keys()
        .filter(is_noted)
        .filter(|name| surface.has(name))
        .collect();
    assert!(there.is_empty(), "said not to be there, and there: {there:?}");
    let unexplained: Vec<_> = surface
        .modules
        .iter()
        .filter(|(name, exports)| missing(exports, of_node.get(*name)).next().is_some())
        .map(|(name, _)| format!("node:{name}"))
        .filter(|name| !differences.no.contains_key(name) && !differences.lacks.contains_key(name))
        .collect();
    assert!(
        unexplained.is_empty(),
        "names are missing without a reason: {unexplained:?}"
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/interfaces.md");
    let made = page(&surface, &differences, &of_node);
    if std::env::var_os("ISOPOD_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == made,
        "docs/interfaces.md is out of date; write it anew with ISOPOD_UPDATE_DOCS=1"
    );
}

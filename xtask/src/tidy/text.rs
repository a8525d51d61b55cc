//! Rules about the content of single files.

use super::Finding;
use super::files::{File, Line};

/// Maximum number of lines of a source file.
const LINES_MAX: usize = 500;
/// Files that may be longer, each with a reason.
const LONGER: &[&str] = &[];

/// Markers of unfinished work. Split in two, so that this file does not contain them.
const UNFINISHED: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
];
const MACHINE_PATHS: &[&str] = &[concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/t", "mp/")];

/// The public registries. Any other is specific to a machine.
const REGISTRIES: &[&str] = &[
    "registry.npmjs.org",
    "crates.io",
    "static.crates.io",
    "index.crates.io",
    "pypi.org",
];
const PRIVATE_HOSTS: &[&str] = &["registry", "index", "mirror", "artifactory", "nexus", "proxy"];

/// Applies every rule of this module to one file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(length(file));
    findings.extend(module_docs(file));
    for (rule, look) in RULES {
        findings.extend(file.lines().filter(|line| !line.allows(rule)).filter_map(|line| {
            let message = look(file, &line)?;
            Some(Finding {
                path: file.path.clone(),
                line: line.number,
                rule,
                message,
            })
        }));
    }
    findings
}

type Look = fn(&File, &Line<'_>) -> Option<String>;

const RULES: &[(&str, Look)] = &[
    ("unfinished", unfinished),
    ("machine-path", machine_path),
    ("registry-host", registry_host),
    ("unsafe", unsafe_code),
    ("environment", environment),
    ("sleep", sleep),
];

fn length(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    let too_long =
        file.is(&["rs", "js", "mjs", "ts", "py"]) && lines > LINES_MAX && !LONGER.contains(&file.path.as_str());
    let message = format!("{lines} lines; the maximum is {LINES_MAX}: split it");
    too_long.then(|| Finding {
        path: file.path.clone(),
        line: 0,
        rule: "length",
        message,
    })
}

/// Checks that every Rust source file starts with module docs.
fn module_docs(file: &File) -> Option<Finding> {
    let source = file.is(&["rs"]) && file.path.contains("/src/") && !file.is_test();
    let first = file
        .text
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with("#!["))?;
    let message = "has no module docs (`//!`): say what the module is for".to_owned();
    (source && !first.starts_with("//!")).then(|| Finding {
        path: file.path.clone(),
        line: 1,
        rule: "module-docs",
        message,
    })
}

fn unfinished(file: &File, line: &Line<'_>) -> Option<String> {
    let found = UNFINISHED.iter().find(|word| line.text.contains(*word))?;
    (file.is(&["rs"]) && !line.is_comment()).then(|| format!("`{found}…)` is unfinished work"))
}

fn machine_path(_: &File, line: &Line<'_>) -> Option<String> {
    let starts_a_path = |at: usize| {
        let before = line.text[..at].chars().next_back();
        before.is_none_or(|c| c.is_whitespace() || "\"'`(=:".contains(c))
    };
    let found = MACHINE_PATHS
        .iter()
        .find(|path| line.text.match_indices(*path).any(|(at, _)| starts_a_path(at)))?;
    (!line.in_test).then(|| format!("`{found}` is a path specific to one machine"))
}

fn registry_host(_: &File, line: &Line<'_>) -> Option<String> {
    let hosts = line.text.split("://").skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || ".-".contains(c)))
            .unwrap_or(rest.len());
        &rest[..end]
    });
    let mut private = hosts.filter(|host| host.contains('.') && !REGISTRIES.contains(host));
    let host = private.find(|host| host.split(['.', '-']).any(|part| PRIVATE_HOSTS.contains(&part)))?;
    (!line.in_test).then(|| format!("`{host}` is a registry specific to one machine"))
}

fn unsafe_code(file: &File, line: &Line<'_>) -> Option<String> {
    let after = line.text.split(concat!("un", "safe")).nth(1)?;
    let opens = [" {", " fn", " impl", " extern", " trait", "(", "{"]
        .iter()
        .any(|what| after.starts_with(what));
    // Functions called from C take pointers.
    let may = matches!(file.top(), "runtime" | "capi") || file.path.starts_with("examples/plugin-host/");
    (file.is(&["rs"]) && opens && !line.is_comment() && !may)
        .then(|| "`unsafe` is only allowed in the runtime and in C interfaces".to_owned())
}

fn environment(file: &File, line: &Line<'_>) -> Option<String> {
    let reads = ["env::var(", "env::var_os(", "env::vars(", "env::vars_os("]
        .iter()
        .any(|call| line.text.contains(call));
    // `snapshot` runs in build scripts, whose input from cargo is environment variables.
    let may =
        matches!(file.top(), "cli" | "xtask" | "examples" | "snapshot") || file.name() == "build.rs" || line.in_test;
    (file.is(&["rs"]) && reads && !may && !line.is_comment())
        .then(|| "only programs read environment variables; make it a setting".to_owned())
}

fn sleep(file: &File, line: &Line<'_>) -> Option<String> {
    (file.is(&["rs"]) && line.in_test && line.text.contains(concat!("thread::", "sleep")) && !line.is_comment())
        .then(|| "tests wait for conditions, not for the clock".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::files::file;
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        check(&file(path, text)).iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn sound_files_have_no_findings() {
        assert!(rules("server/src/lib.rs", "//! Docs.\n\nfn f() {}\n").is_empty());
        assert!(
            rules(
                "docs/a.md",
                "See https://registry.npmjs.org/hono and the folder `a/work/b`."
            )
            .is_empty()
        );
    }

    #[test]
    fn a_file_of_501_lines_is_too_long() {
        assert!(rules("ext/src/a.js", &"x\n".repeat(500)).is_empty());
        assert_eq!(rules("ext/src/a.js", &"x\n".repeat(501)), ["length"]);
    }

    #[test]
    fn source_without_module_docs_is_found() {
        assert_eq!(rules("ext/src/a.rs", "use std::fmt;\n"), ["module-docs"]);
    }

    #[test]
    fn unfinished_markers_are_found() {
        for word in UNFINISHED {
            assert_eq!(
                rules("ext/src/a.rs", &format!("//! A.\nfn f() {{ {word}) }}\n")),
                ["unfinished"],
                "{word}"
            );
        }
    }

    #[test]
    fn machine_paths_are_found_outside_tests_only() {
        for path in MACHINE_PATHS {
            assert_eq!(
                rules("docs/a.md", &format!("run `{path}x`")),
                ["machine-path"],
                "{path}"
            );
            assert!(
                rules("server/tests/a.rs", &format!("let a = \"{path}x\";")).is_empty(),
                "{path}"
            );
        }
    }

    #[test]
    fn a_private_registry_is_found() {
        assert_eq!(
            rules("docs/a.md", "from https://npm-mirror.corp.example/x"),
            ["registry-host"]
        );
        assert_eq!(
            rules(
                "examples/a/package-lock.json",
                "\"https://registry.corp.example/a.tgz\""
            ),
            ["registry-host"]
        );
    }

    #[test]
    fn unsafe_code_is_for_the_runtime_and_for_interfaces_of_c() {
        let text = format!("//! A.\n{} {{ x() }}\n", concat!("un", "safe"));
        assert_eq!(rules("server/src/a.rs", &text), ["unsafe"]);
        assert!(rules("runtime/src/a.rs", &text).is_empty());
        assert!(rules("capi/src/a.rs", &text).is_empty());
        assert!(rules("server/src/a.rs", "//! A.\n#![deny(unsafe_code)]\n").is_empty());
    }

    #[test]
    fn libraries_do_not_read_the_environment() {
        let text = "//! A.\nlet a = std::env::var(\"A\");\n";
        assert_eq!(rules("server/src/a.rs", text), ["environment"]);
        assert!(rules("cli/src/a.rs", text).is_empty());
    }

    #[test]
    fn tests_do_not_sleep() {
        let line = concat!("std::thread::", "sleep(d);");
        assert_eq!(
            rules(
                "server/src/a.rs",
                &format!("//! A.\n#[cfg(test)]\nmod tests {{\n{line}\n}}\n")
            ),
            ["sleep"]
        );
        assert!(rules("server/src/a.rs", &format!("//! A.\n{line}\n")).is_empty());
        assert!(
            rules(
                "tests/a.rs",
                &format!("// tidy:allow(sleep): it is what is tested\n{line}\n")
            )
            .is_empty()
        );
    }
}

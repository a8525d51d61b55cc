//! A soak of one minute, and a soak of a program that is not a server.

use std::path::PathBuf;
use std::process::{Command, Output};

/// The program `isopod`, built into the same folder as the soak.
fn program() -> PathBuf {
    let beside = || PathBuf::from(env!("CARGO_BIN_EXE_isopod-soak")).with_file_name("isopod");
    let program = std::env::var_os("ISOPOD_BIN").map_or_else(beside, PathBuf::from);
    assert!(
        program.is_file(),
        "{} is not there: `cargo xtask test` builds it, then runs the tests",
        program.display()
    );
    program
}

fn soak(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isopod-soak"));
    command.args(arguments).output().expect("a program that starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
#[ignore = "nightly: takes a minute, and the machine for itself"]
fn a_minute_of_mixed_load_passes() {
    let program = program();
    let program = program.to_str().expect("a path in UTF-8");
    // A load that a development build can handle.
    let ended = soak(&["--minutes", "1", "--seed", "1", "--rate", "40", "--program", program]);
    let (said, told) = (text(&ended.stdout), text(&ended.stderr));
    assert!(ended.status.success(), "{told}\n{said}");
    assert!(said.contains("PASS"), "{said}");
    for action in ["SQL", "misdeed", "burst", "leaves", "deployment"] {
        assert!(said.contains(action), "it did no {action}:\n{said}");
    }
}

#[test]
fn without_a_server_there_is_no_verdict() {
    let ended = soak(&["--minutes", "0.1", "--program", "/bin/false"]);
    assert_eq!(ended.status.code(), Some(2), "{}", text(&ended.stdout));
    assert!(
        text(&ended.stderr).contains("isopod serve ended with"),
        "{}",
        text(&ended.stderr)
    );
}

#[test]
fn a_seed_determines_the_plan() {
    let plan = |seed| text(&soak(&["--plan", "200", "--seed", seed]).stdout);
    assert_eq!(plan("3").lines().count(), 200);
    assert_eq!(plan("3"), plan("3"));
    assert_ne!(plan("3"), plan("4"));
}

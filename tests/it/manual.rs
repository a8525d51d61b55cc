//! `isopod help`, `isopod completions` and `isopod man`.

use crate::program::isopod;

#[test]
fn help_is_a_subcommand_too() {
    let ended = isopod(&["help", "run"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("Usage: isopod run"), "{}", ended.stdout);
}

#[test]
fn completions_know_the_subcommands_in_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = isopod(&["completions", shell]);
        assert_eq!(ended.code, Some(0), "{shell}: {}", ended.stderr);
        for word in ["serve", "allow-env", "completions"] {
            assert!(ended.stdout.contains(word), "{shell} lacks {word}");
        }
    }
    let ended = isopod(&["completions", "tcsh"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("bash") && ended.stderr.contains("zsh"),
        "{}",
        ended.stderr
    );
}

#[test]
fn the_manual_page_is_in_section_1_and_tells_of_every_subcommand() {
    let ended = isopod(&["man"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(".TH isopod 1"), "{}", ended.stdout);
    for name in ["RUN", "EVAL", "SERVE", "CHECK", "SCHEMA", "COMPLETIONS"] {
        assert!(ended.stdout.contains(&format!(".SH \"ISOPOD {name}\"")), "no {name}");
    }
    assert!(!isopod(&["--help"]).stdout.contains("manual page"));
}

//! Env files: any text is read, and the simplest lines are read literally.

use isopod_cli::config::read_env_file;

use crate::engine::Target;
use crate::mutate::mutated;

const WORDS: &[&str] = &[
    "=",
    "\"",
    "'",
    "`",
    "#",
    "export ",
    "\\n",
    "$",
    "${A}",
    "\r\n",
    "\n",
    "A",
    " = ",
    "\\\"",
    "-----BEGIN",
];

/// `NAME=value` of letters and digits only.
fn plain_line(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (plain(name) && plain(value) && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, value))
}

#[test]
fn env_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(".env");
    let check = |text: &str| {
        std::fs::write(&path, text).expect("a file");
        let read = read_env_file(&path).expect("any text is an env file");
        assert!(!read.contains_key(""), "a value without a name");
        let lines: Option<Vec<_>> = text.lines().filter(|line| !line.is_empty()).map(plain_line).collect();
        // Later lines take precedence.
        for (at, (name, value)) in lines.iter().flatten().enumerate() {
            let last = lines.iter().flatten().skip(at + 1).all(|(later, _)| later != name);
            if last {
                assert_eq!(read.get(*name).map(|secret| secret.reveal()), Some(*value), "{name}");
            }
        }
    };
    Target::new("env_file").run(|corpus| mutated(corpus, WORDS), check);
}

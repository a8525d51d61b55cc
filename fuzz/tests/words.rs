//! Configuration values written as text: reading, printing and reading again gives the same value.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use isopod_cli::config::{DatabaseUrl, Listen, NetworkRule, RoutePattern, TopicPattern};
use isopod_ext::fetch::Rule;

use crate::engine::Target;
use crate::mutate::mutated;

const WORDS: &[&str] = &[
    "unix:",
    "localhost",
    ":",
    "[::1]",
    "/",
    "*",
    "*.",
    "https://",
    "sqlite:",
    ":memory:",
    "postgres://",
    "@",
    "//",
    "10.0.0.0/8",
    "/33",
    "fd00::/8",
    ".",
    "..",
    " ",
    "?",
    "#",
    ":65536",
    "+80",
    "%",
    "0.0.0.0",
    "::ffff:",
    "255",
];

fn same_again<T: FromStr<Err = String> + Display + Debug + PartialEq>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let printed = value.to_string();
    assert_eq!(
        printed.parse::<T>().as_ref(),
        Ok(&value),
        "{text:?}, printed as {printed:?}"
    );
}

fn check(text: &str) {
    same_again::<Listen>(text);
    same_again::<RoutePattern>(text);
    same_again::<NetworkRule>(text);
    same_again::<TopicPattern>(text);
    match text.parse::<DatabaseUrl>() {
        // It is printed without its password, and therefore differs.
        Ok(DatabaseUrl::Postgres(_)) | Err(_) => {}
        Ok(_) => same_again::<DatabaseUrl>(text),
    }
    // The guard has to accept the rules that the configuration accepts.
    if let Ok(rule) = text.parse::<NetworkRule>() {
        let text = rule.to_string();
        assert!(
            text.parse::<Rule>().is_ok(),
            "{text:?} is a rule of the configuration and none of the guard's"
        );
    }
}

#[test]
fn words() {
    Target::new("words").run(|corpus| mutated(corpus, WORDS), check);
}

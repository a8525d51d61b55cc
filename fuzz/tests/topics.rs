//! Topics and patterns: the parser accepts exactly its grammar, and matching gives the same result as an exhaustive
//! search.
//!
//! A text is a pattern and a topic, separated by a space.

use isopod_host::bus::{Pattern, Topic};

use crate::engine::Target;
use crate::mutate::mutated;

const WORDS: &[&str] = &[
    "*", ">", ".", "..", "a", "b", "orders", "isopod", ".*.", ".>", "-", "_", " ", "é",
];

fn plain(segment: &str) -> bool {
    !segment.is_empty()
        && segment
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn is_topic(text: &str) -> bool {
    text.split('.').all(plain)
}

fn is_pattern(text: &str) -> bool {
    let body = text.strip_suffix(".>").or((text == ">").then_some("*")).unwrap_or(text);
    body.split('.').all(|segment| segment == "*" || plain(segment))
}

/// Matches by recursion on segments.
fn matches(pattern: &[&str], topic: &[&str]) -> bool {
    match (pattern, topic) {
        ([], []) => true,
        ([">"], [_, ..]) => true,
        (["*", pattern @ ..], [_, topic @ ..]) => matches(pattern, topic),
        ([wanted, pattern @ ..], [segment, topic @ ..]) => wanted == segment && matches(pattern, topic),
        _ => false,
    }
}

fn check(text: &str) {
    let (pattern, topic) = text.split_once(' ').unwrap_or((text, "a"));
    let (parsed, under) = (pattern.parse::<Pattern>(), topic.parse::<Topic>());
    assert_eq!(parsed.is_ok(), is_pattern(pattern), "{pattern:?}");
    assert_eq!(under.is_ok(), is_topic(topic), "{topic:?}");
    assert_eq!(pattern.parse::<Topic>().is_ok(), is_topic(pattern), "{pattern:?}");
    let (Ok(parsed), Ok(under)) = (parsed, under) else {
        return;
    };
    assert_eq!(parsed.to_string(), pattern);
    // The recursion is as deep as the topic is long.
    if pattern.len() < 4000 {
        let (wanted, given): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), topic.split('.').collect());
        assert_eq!(parsed.matches(&under), matches(&wanted, &given), "{text:?}");
    }
}

#[test]
fn topics() {
    Target::new("topics").run(|corpus| mutated(corpus, WORDS), check);
}

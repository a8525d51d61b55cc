//! Headers set by scripts, of requests and responses: sent unchanged or rejected, and never as more than one header.
//!
//! A text has a status and a URL in its first line and a header in each further one, with the prefix `COUNT*` for many
//! of them. A character is a byte, and a non-Latin-1 one is two.

use std::time::Duration;

use deno_core::url::Url;
use http::HeaderMap;
use isopod_ext::fuzzing::{Pairs, request_headers, response_head};

use crate::engine::Target;
use crate::mutate::mutated;

const WORDS: &[&str] = &[
    ":",
    ": ",
    "\r",
    "\r\n",
    "\0",
    "host: x",
    "content-length: 1",
    "authorization: x",
    "Transfer-Encoding: chunked",
    "40000*",
    "25000*",
    "user:pw@",
    "http://",
    "x",
    "é",
    "\u{80}",
    "\u{100}",
    "200 ",
    "101 ",
    "599 ",
    "connection: x",
    "🦀",
    " ",
    "(",
    "\t",
];

fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend(u32::from(c).to_be_bytes().into_iter().skip_while(|byte| *byte == 0)),
        }
    }
    bytes
}

/// The headers of a text, as names and values.
fn pairs(lines: &str) -> Pairs {
    const MANY: usize = 50_000;
    let mut pairs = Pairs::new();
    for line in lines.split('\n').filter(|line| !line.is_empty()) {
        let (count, line) = match line.split_once('*') {
            Some((count, rest)) if count.parse::<usize>().is_ok() => (count.parse().unwrap_or(MANY), rest),
            _ => (1, line),
        };
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        for at in 0..count.min(MANY.saturating_sub(pairs.len())) {
            // Half of them under one name, half under different ones.
            let name = if at % 2 == 0 {
                name.to_owned()
            } else {
                format!("{name}{at}")
            };
            pairs.push((bytes(&name), bytes(value)));
        }
    }
    pairs
}

/// Returns true if this could be sent as two headers, or as a header and a body.
fn splits(value: &[u8]) -> bool {
    value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

fn all_from(map: &HeaderMap, pairs: &Pairs, ours: &[&str]) {
    for (name, value) in map {
        assert!(!splits(value.as_bytes()), "{name}: {value:?}");
        let given = pairs.iter().any(|(known, its)| {
            known.eq_ignore_ascii_case(name.as_str().as_bytes()) && trim(its) == trim(value.as_bytes())
        });
        assert!(given || ours.contains(&name.as_str()), "nobody gave {name}: {value:?}");
    }
}

fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

fn check(text: &str) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (status, url) = first.split_once(' ').unwrap_or((first, "http://example.com/"));
    let pairs = pairs(rest);
    if let Ok(mut url) = url.parse::<Url>()
        && let Ok(map) = request_headers(&mut url, pairs.clone())
    {
        assert_eq!((map.get("host"), map.get("content-length")), (None, None));
        // Credentials are in their header, and no longer where a log or redirect would reveal them.
        assert_eq!((url.username(), url.password()), ("", None), "{url}");
        if pairs.len() < 100 {
            all_from(&map, &pairs, &["authorization"]);
        }
    }
    let Ok(status) = status.parse::<u16>() else { return };
    match response_head(status, pairs.clone()) {
        Ok(head) => {
            assert_eq!(head.status().as_u16(), status);
            assert!((200..600).contains(&status));
            assert_eq!(head.headers().len(), pairs.len());
            if pairs.len() < 100 {
                all_from(head.headers(), &pairs, &[]);
            }
        }
        Err(why) => assert!(!why.is_empty()),
    }
}

#[test]
fn headers() {
    // Some have tens of thousands.
    let target = Target::slow("headers", 40, Duration::from_secs(5));
    target.run(|corpus| mutated(corpus, WORDS), check);
}

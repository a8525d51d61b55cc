//! The nesting depth of JSON, without parsing it: some parsers, and dropping their results, use stack for every level.
//! Pure.

/// Maximum depth; the same limit as in `serde_json`.
pub(super) const MAX: usize = 127;

/// The length of JSON, with or without comments, up to and including the first bracket nested deeper than `max`. The
/// result for other text is arbitrary.
pub(super) fn first_beyond(json: &[u8], max: usize) -> Option<usize> {
    let mut depth: usize = 0;
    let mut bytes = json.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'/' if bytes.peek() == Some(&b'/') => bytes.by_ref().take_while(|byte| *byte != b'\n').for_each(drop),
            b'/' if bytes.peek() == Some(&b'*') => {
                // The star that opens a comment does not close it.
                let mut last = bytes.next().map(|_| 0);
                for byte in bytes.by_ref() {
                    if last == Some(b'*') && byte == b'/' {
                        break;
                    }
                    last = Some(byte);
                }
            }
            b'[' | b'{' => {
                depth += 1;
                if depth > max {
                    return Some(json.len() - bytes.len());
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::first_beyond;

    #[test]
    fn brackets_in_strings_and_comments_nest_nothing() {
        for (json, expected) in [
            ("[[1], {\"a\": [2]}]", Some(13)),
            ("[[1], [2], [3]]", None),
            ("[\"[[\\\"[[\", 1]", None),
            ("[ // [[\n [1] /* [[ */]", None),
            ("/*/ [[[ */ [[1]]", None),
            ("[[[", Some(3)),
        ] {
            assert_eq!(first_beyond(json.as_bytes(), 2), expected, "{json}");
        }
    }
}

//! The stack that the parser needs for code.
//!
//! The parser, and everything that walks its tree, use stack for every level of nesting without a limit, and a stack
//! overflow aborts the process. A level takes at least one token, so the number of tokens bounds the depth: the work
//! runs on a thread whose stack has room for that many levels. That reserves address space only; memory is used for
//! actual levels.
//!
//! To bound their number, code with more tokens than [`LEVELS_MAX`] is scanned first, see [`levels`].

/// Maximum levels to parse. V8's own parser has stack for about as many, and the time that TypeScript takes grows
/// faster than its levels.
pub(super) const LEVELS_MAX: usize = 5_000;
/// Stack per token at most. Measured in a development build to be less than a quarter of this, see `tests/deep.rs`.
const LEVEL_BYTES: usize = 16 << 10;
/// Stack in addition to that of levels.
pub(super) const BASE_BYTES: usize = 1 << 20;
/// Maximum stack size: far more than `LEVELS_MAX` levels need, because [`levels`] is an estimate.
const STACK_BYTES_MAX: usize = 1 << 30;

/// The bytes of stack with which `source` can be parsed. `None`: it may be nested deeper than the limit.
pub(super) fn stack_for(source: &str) -> Option<usize> {
    let tokens = tokens(source);
    if tokens > LEVELS_MAX && levels(source) > LEVELS_MAX {
        return None;
    }
    let stack = tokens.saturating_mul(LEVEL_BYTES).saturating_add(BASE_BYTES);
    Some(stack.min(STACK_BYTES_MAX))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}

/// An upper bound of the number of tokens: words, and every other byte that is not a space.
fn tokens(source: &str) -> usize {
    let mut in_word = false;
    let starts = source.bytes().filter(|byte| {
        let was_in_word = std::mem::replace(&mut in_word, is_word(*byte));
        let goes_on = in_word && was_in_word;
        !goes_on && !byte.is_ascii_whitespace()
    });
    starts.count()
}

/// The content between two matching brackets.
#[derive(Default)]
struct Group {
    closed_by: u8,
    /// Tokens since the last comma or semicolon that may nest: operators, calls, members.
    chain: usize,
    /// Tokens that may nest beyond those: statements within statements, and everything before a `<`, which may be a
    /// tag, a type list or a comparison.
    kept: usize,
}

/// A conservative estimate of the depth: brackets, and within each, tokens that may nest without brackets. A data table
/// of a megabyte counts as shallow, ten thousand `!` do not. Ends as soon as it is above [`LEVELS_MAX`], and takes time that is
/// linear in the code.
fn levels(source: &str) -> usize {
    let bytes = source.as_bytes();
    let mut groups = vec![Group::default()];
    let (mut total, mut deepest) = (0_usize, 0);
    // The last byte of code, to tell a regular expression from a division, and the last word.
    let mut last = b';';
    let mut last_word: &[u8] = b"";
    let mut line_is_new = true;
    // The open brackets, by what closes them.
    let mut open = [0_usize; 256];
    // The end of the line in which a quote is not closed, by quote: no other one is looked for there.
    let mut unclosed = [0_usize; 256];
    let mut at = 0;
    while let Some(&byte) = bytes.get(at).filter(|_| deepest <= LEVELS_MAX) {
        let rest = &bytes[at..];
        let group = groups.last_mut().expect("the outermost is never closed");
        let before = group.chain + group.kept;
        let mut length = 1;
        match byte {
            b'\n' => line_is_new = true,
            _ if byte.is_ascii_whitespace() => {}
            b'/' if rest.starts_with(b"//") => length = until(rest, b"\n"),
            b'/' if rest.starts_with(b"/*") => length = until(rest, b"*/"),
            b'/' if !is_word(last) && !b")]}".contains(&last) => {
                length = quoted(bytes, at, &mut unclosed);
                group.chain += 1;
            }
            b'"' | b'\'' => {
                length = quoted(bytes, at, &mut unclosed);
                group.chain += usize::from(last == b'`');
            }
            b'(' | b'[' | b'{' => {
                let closed_by = match byte {
                    b'(' => b')',
                    b'[' => b']',
                    _ => b'}',
                };
                total += 1;
                open[usize::from(closed_by)] += 1;
                groups.push(Group {
                    closed_by,
                    ..Group::default()
                });
                deepest = deepest.max(total);
                last = byte;
                line_is_new = false;
                at += 1;
                continue;
            }
            b')' | b']' | b'}' => {
                let is_open = open[usize::from(byte)] > 0;
                let opened = is_open.then(|| groups.iter().rposition(|group| group.closed_by == byte));
                if let Some(opened) = opened.flatten() {
                    for closed in groups.drain(opened..) {
                        total -= closed.chain + closed.kept + 1;
                        open[usize::from(closed.closed_by)] -= 1;
                    }
                    let outer = groups.last_mut().expect("the outermost is never closed");
                    outer.chain += 1;
                    total += 1;
                }
                deepest = deepest.max(total);
                last = byte;
                line_is_new = false;
                at += 1;
                continue;
            }
            b',' | b';' => group.chain = 0,
            b'<' => {
                group.kept += group.chain + 1;
                group.chain = 0;
            }
            _ if is_word(byte) => {
                length = rest.iter().take_while(|byte| is_word(**byte)).count();
                let word = &rest[..length];
                match word {
                    b"if" | b"else" | b"for" | b"while" | b"do" | b"with" => group.kept += 1,
                    _ if line_is_new && begins_statement(word, last, last_word) => group.chain = 0,
                    // A name by itself does not nest; a word before another one does.
                    _ => group.chain += usize::from(is_word(last)),
                }
                last_word = word;
            }
            _ => group.chain += 1,
        }
        total = total - before + group.chain + group.kept;
        deepest = deepest.max(total);
        if !byte.is_ascii_whitespace() && !(byte == b'/' && (rest.starts_with(b"//") || rest.starts_with(b"/*"))) {
            last = byte;
            line_is_new = false;
        }
        at += length;
    }
    deepest
}

/// Returns whether a word at the beginning of a line begins a statement, after this byte of code and this word.
fn begins_statement(word: &[u8], last: u8, last_word: &[u8]) -> bool {
    /// Words that an operand follows, and `as const`.
    const OPERATORS: [&[u8]; 13] = [
        b"as",
        b"await",
        b"case",
        b"delete",
        b"extends",
        b"in",
        b"instanceof",
        b"keyof",
        b"new",
        b"of",
        b"typeof",
        b"void",
        b"yield",
    ];
    let follows_operator = is_word(last) && OPERATORS.contains(&last_word);
    match word {
        b"const" | b"var" | b"export" => !follows_operator,
        // `import.meta` and, in scripts, `let` may be operands.
        b"let" | b"import" => !follows_operator && (is_word(last) || b";{})]\"'`".contains(&last)),
        // Each begins an operand as well, but none after a bracket that closes another.
        b"function" | b"class" | b"async" => b";{}".contains(&last),
        _ => false,
    }
}

/// The length up to and including `end`, or the whole length without it.
fn until(bytes: &[u8], end: &[u8]) -> usize {
    let found = bytes.windows(end.len()).skip(2).position(|window| window == end);
    found.map_or(bytes.len(), |at| at + 2 + end.len())
}

/// The length of the quoted string at a position, which ends on its line; one without a closing quote.
fn quoted(bytes: &[u8], start: usize, unclosed: &mut [usize; 256]) -> usize {
    let quote = bytes[start];
    if start < unclosed[usize::from(quote)] {
        return 1;
    }
    let mut escaped = false;
    let mut end = bytes.len();
    for (at, &byte) in bytes.iter().enumerate().skip(start + 1) {
        match byte {
            b'\n' => {
                end = at;
                break;
            }
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == quote => return at - start + 1,
            _ => {}
        }
    }
    unclosed[usize::from(quote)] = end;
    1
}

#[cfg(test)]
mod tests {
    use super::{levels, tokens};

    #[test]
    fn the_estimate_of_tokens_is_an_upper_bound() {
        assert_eq!(tokens("const a = f(1, 'x y');"), 13);
        assert_eq!(tokens("((("), 3);
        assert_eq!(tokens(""), 0);
    }

    #[test]
    fn every_kind_of_nesting_counts_as_deep() {
        for (before, after) in [
            ("(", ")"),
            ("[", "]"),
            ("!", ""),
            ("- ", ""),
            ("typeof ", ""),
            ("a=>", ""),
            ("a?b:", ""),
            ("a=", ""),
            ("new ", ""),
            ("if(a)", ""),
            ("if(a)b;else ", ""),
            ("for(;;)", ""),
            ("a:", ""),
            ("a.", ""),
            ("a()+", ""),
            ("`${", "}`"),
            ("<a>", "</a>"),
            ("<a>;", ""),
            ("A<", ">"),
            ("A<B,", ">"),
            ("keyof ", ""),
            ("class extends ", "{}"),
            ("{a:", "}"),
            ("function(){return ", "}"),
            ("import.meta+\n", ""),
            ("import.meta+typeof\n", ""),
            ("!\nfunction(){}+\n", ""),
            ("class extends\n", "{}"),
        ] {
            let code = format!("x = {}1{}", before.repeat(1000), after.repeat(1000));
            assert!(levels(&code) >= 1000, "{before}: {}", levels(&code));
        }
        let assertions = format!("x = 1 {}", "as\nconst ".repeat(1000));
        assert!(levels(&assertions) >= 1000, "{}", levels(&assertions));
    }

    #[test]
    fn the_time_is_linear_in_the_code() {
        // Each of these would take hours if every quote or bracket were searched for to the end.
        for code in [
            r"'\".repeat(4 << 20),
            r"/\".repeat(4 << 20),
            format!("{}{}", "(".repeat(4_000), "]".repeat(8 << 20)),
        ] {
            levels(&code);
        }
    }

    #[test]
    fn sequences_count_as_shallow() {
        for line in [
            "  { id: 1, name: \"one\", tags: [\"a\", \"b\"], size: -1.5 },\n",
            "const a = b(c, d) + e['f'];\n",
            "const a = b(c, d) + e['f']\n",
            "export const schema = z.object({ a: z.string().min(1), b: /[(\"]+/g })\n",
            "  [1, 2, 3],\n",
            "/* (((( */ a(); // ((((\n",
            "a(\"((((\", '\\'((', /\\((/);\n",
        ] {
            let code = format!("const x = [\n{}];", line.repeat(1000));
            assert!(levels(&code) < 50, "{line}: {}", levels(&code));
        }
        // As in the compiler of TypeScript, one of whose functions has thousands without a semicolon between them.
        for line in [
            "function a(b, c) {\n  return b + c;\n}\n",
            "async function a(b) {\n  await b;\n}\n",
            "class A extends B {\n  c() {}\n}\n",
        ] {
            let code = format!("function outer() {{\n{}}}", line.repeat(3000));
            assert!(levels(&code) < 50, "{line}: {}", levels(&code));
        }
    }
}

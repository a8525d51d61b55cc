//! The stack that the parser needs for code.
//!
//! The parser, and everything that walks its tree, use stack for every level of nesting without a limit, and a stack
//! overflow aborts the process. A level takes at least one token, so the number of tokens bounds the depth: the work
//! runs on a thread whose stack has room for that many levels. That reserves address space only; memory is used for
//! actual levels.
//!
//! To bound their number, code with more tokens than [`LEVELS_MAX`] is scanned first, see [`estimate`].

mod lexer;

use self::lexer::{Lexer, Token, is_space, is_word};

/// Maximum levels to parse. V8's own parser has stack for about as many, and the time that TypeScript takes grows
/// faster than its levels.
pub(super) const LEVELS_MAX: usize = 5_000;
/// Stack per token at most. Measured in a development build to be less than a quarter of this, see `tests/deep.rs`.
const LEVEL_BYTES: usize = 16 << 10;
/// Stack in addition to that of levels.
pub(super) const BASE_BYTES: usize = 1 << 20;
/// Maximum stack size: far more than `LEVELS_MAX` levels need, because their number is an [`estimate`].
const STACK_BYTES_MAX: usize = 1 << 30;

/// The most tokens for which [`STACK_BYTES_MAX`] suffices however they nest.
const TOKENS_MAX: usize = STACK_BYTES_MAX / (LEVEL_BYTES / 4);

/// The bytes of stack with which `source` can be parsed. `None`: it may be nested deeper than the limit. `has_tags` says whether tags
/// may occur, as in JSX.
pub(super) fn stack_for(source: &str, has_tags: bool) -> Option<usize> {
    let tokens = tokens(source);
    if tokens > LEVELS_MAX {
        let estimate = estimate(source, has_tags);
        if estimate.levels > LEVELS_MAX || (tokens > TOKENS_MAX && !estimate.is_sure) {
            return None;
        }
    }
    let stack = tokens.saturating_mul(LEVEL_BYTES).saturating_add(BASE_BYTES);
    Some(stack.min(STACK_BYTES_MAX))
}

/// An upper bound of the number of tokens: words, and every other character that is not a space.
fn tokens(source: &str) -> usize {
    let (mut in_word, mut count) = (false, 0);
    for (at, byte) in source.bytes().enumerate() {
        // The other bytes of a character are those of its first one.
        if (0x80..0xc0).contains(&byte) {
            continue;
        }
        let char = match byte.is_ascii() {
            true => char::from(byte),
            false => source[at..].chars().next().unwrap_or_default(),
        };
        let was_in_word = std::mem::replace(&mut in_word, is_word(char));
        let goes_on = in_word && was_in_word;
        count += usize::from(!goes_on && !is_space(char));
    }
    count
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

/// An estimate of the depth of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Estimate {
    levels: usize,
    /// False if the code may be deeper, because it was not certain where its texts and regular expressions are.
    is_sure: bool,
}

/// A conservative estimate of the depth: brackets, and within each, tokens that may nest without brackets. A data table
/// of a megabyte counts as shallow, ten thousand `!` do not. Ends as soon as it is above [`LEVELS_MAX`], and takes time that is
/// linear in the code.
fn estimate(source: &str, has_tags: bool) -> Estimate {
    let mut lexer = Lexer::new(source, has_tags);
    let mut groups = vec![Group::default()];
    let (mut total, mut deepest) = (0_usize, 0);
    // The first byte of the last token, and the last word.
    let mut last = b';';
    let mut last_word: &[u8] = b"";
    // The open brackets, by what closes them.
    let mut open = [0_usize; 256];
    while deepest <= LEVELS_MAX
        && let Some((token, is_first)) = lexer.next()
    {
        let group = groups.last_mut().expect("the outermost is never closed");
        let before = group.chain + group.kept;
        match token {
            Token::Open(closed_by) => {
                open[usize::from(closed_by)] += 1;
                groups.push(Group {
                    closed_by,
                    ..Group::default()
                });
                total += 1;
                deepest = deepest.max(total);
                last = match closed_by {
                    b'}' => BRACE,
                    _ => b'(',
                };
                continue;
            }
            Token::Close(byte) => {
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
                continue;
            }
            Token::Separator(_) => group.chain = 0,
            Token::Less => {
                group.kept += group.chain + 1;
                group.chain = 0;
            }
            Token::Word(word) => {
                match word {
                    b"if" | b"else" | b"for" | b"while" | b"do" | b"with" => group.kept += 1,
                    _ if is_first && begins_statement(word, last, last_word) => group.chain = 0,
                    // A name by itself does not nest; a word before another one does.
                    _ => group.chain += usize::from(last == WORD),
                }
                last_word = word;
            }
            Token::Text => {}
            Token::Template | Token::Mark(_) => group.chain += 1,
        }
        total = total - before + group.chain + group.kept;
        deepest = deepest.max(total);
        last = match token {
            Token::Word(_) => WORD,
            Token::Text | Token::Template => TEXT,
            Token::Separator(byte) | Token::Mark(byte) => byte,
            _ => b'<',
        };
    }
    Estimate {
        levels: deepest,
        is_sure: lexer.is_sure(),
    }
}

/// Stand-ins for the first byte of words, and of strings and templates.
const WORD: u8 = b'a';
const TEXT: u8 = b'"';

/// An opening brace.
const BRACE: u8 = b'{';

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
    // A name of a member.
    if last == b'.' || last == b'#' {
        return false;
    }
    let follows_operator = last == WORD && OPERATORS.contains(&last_word);
    match word {
        b"const" | b"var" | b"export" => !follows_operator,
        // `import.meta` and, in scripts, `let` may be operands.
        b"let" | b"import" => !follows_operator && [WORD, b';', BRACE, b'}', b')', b']', TEXT].contains(&last),
        // Each begins an operand as well, but none after a bracket that closes another.
        b"function" | b"class" | b"async" => [b';', BRACE, b'}'].contains(&last),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{estimate, tokens};

    fn levels(code: &str) -> usize {
        estimate(code, false).levels
    }

    #[test]
    fn the_estimate_of_tokens_is_an_upper_bound() {
        assert_eq!(tokens("const a = f(1, 'x y');"), 13);
        assert_eq!(tokens("((("), 3);
        assert_eq!(tokens(""), 0);
        // Spaces are not only those of ASCII.
        for space in ["\u{a0}", "\u{feff}", "\u{2003}", "\u{3000}", "\u{2028}"] {
            assert_eq!(tokens(&format!("typeof{space}").repeat(100)), 100, "{space:?}");
        }
    }

    /// Code in which a nested part looks as if it were text, or text as if it were brackets.
    #[test]
    fn nesting_is_not_hidden() {
        let deep = format!("{}1{}", "(".repeat(1000), ")".repeat(1000));
        for (before, after) in [
            ("`'`;", "//'"),
            ("`\"`;", "//\""),
            ("`${`'`}'`;", "//'"),
            ("a = /'/;", "//'"),
            ("a = /[/']/;", "//'"),
            ("() => { return /'/;", "//'}"),
            ("let a\n/'/;", "//'"),
            ("while (a) { break\n/'/;", "//'\n}"),
            ("import 'a'\n/'/;", "//'"),
            ("type A = B[]\n/'/;", "//'"),
            ("debugger // \n/'/;", "//'"),
            ("if (a) /'/;", "//'"),
            ("for await (a of b) /'/;", "//'"),
            ("{}\n/'/;", "//'"),
            ("a = b /2;'/';", "//'"),
            ("a.return /2;/'/;", "//'"),
            ("a\n++/'/.b;", "//'"),
            ("a ++/2;'/';", "//'"),
            ("a /*\u{2028}*/ ++/'/.b;", "//'"),
            ("[...typeof /'/,", "//'\n]"),
            ("1./2;'/';", "//'"),
            ("a! / 2;'/';", "//'"),
            ("return\u{a0}/'/;", "//'"),
            ("// \r", ""),
            ("// \u{2028}", ""),
            ("// \u{2029}", ""),
            ("#!'\n", "//'"),
            ("\u{feff}#!'\n", "//'"),
            ("'\\\n';", "//'"),
            ("'\\\r\n';", "//'"),
            ("a <!-- '\n", "//'"),
            ("--> '\n", "//'"),
        ] {
            let found = estimate(&format!("{before}{deep}{after}"), false);
            assert!(found.levels >= 1000 || !found.is_sure, "{before}: {found:?}");
        }
        // A closing bracket in a text closes nothing.
        for text in ["`)`", "')'", "/)/", "/[)]/", "/\\)/", "`${1})`"] {
            let found = estimate(&format!("x = {}1", format!("({text}+").repeat(1000)), false);
            assert!(found.levels >= 1000, "{text}: {found:?}");
        }
        let tags = estimate("a = <a>'</a>; (((((1))))) //'", true);
        assert!(!tags.is_sure);
    }

    #[test]
    fn it_is_sure_of_ordinary_code() {
        for code in [
            "const a = (b + c) / 2 / d[1] / 3, e = 'it\\'s', f = \"\\\"\"",
            "if (/[/'\"]/.test(a)) { return a.replace(/\\//g, `${b}/${`x${1}`}`) / 2 }",
            "while (i-- > 0) x = i++ / 2, y = --z / 2",
            "a = b => /'/.test(b) ? 1.5e+3 / 2 : .5 / 2n",
            "class A { #b = 1; c() { return this.#b / this.if(1) / a.return } }",
            "const a = <T>(b: T): Array<T> => b!.c! / 2",
            "'a\\\nb'; /* ' */ a // '\n `\\`'`",
            "x = { return: 1, if: 2 }.if; y = [...a] / 1",
        ] {
            let found = estimate(code, false);
            assert!(found.is_sure, "{code}");
        }
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
            ("a.\nconst.\n", "b"),
            ("a?.\nfunction?.\n", "b"),
            ("a``", ""),
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

//! The tokens of JavaScript and TypeScript, as far as nesting needs them.
//!
//! Whether a slash divides or begins a regular expression, and whether a bracket belongs to text between tags, is for a parser to say.
//! Where this lexer has to guess, it is no longer sure, and all that follows may be wrong.

/// A token, or the beginning of one that has parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// An opening bracket, by the byte that closes it.
    Open(u8),
    /// A closing bracket.
    Close(u8),
    /// A comma or a semicolon.
    Separator(u8),
    Less,
    /// A name or keyword; or a number.
    Word(&'a [u8]),
    /// A string.
    Text,
    /// A template, without what it contains.
    Template,
    /// An operator or part of one, or a regular expression.
    Mark(u8),
}

/// The meaning of a slash after the last token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slash {
    /// It divides what ends with the token.
    Divides,
    /// It begins a regular expression.
    Begins,
    /// A parser would know.
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    /// The parentheses after `if`, `for`, `while` and `with`, which a statement follows.
    Head,
    Round,
    Square,
    Curly,
    /// `${`, which a template goes on after.
    Substitution,
}

impl Bracket {
    const fn closed_by(self) -> u8 {
        match self {
            Self::Head | Self::Round => b')',
            Self::Square => b']',
            Self::Curly | Self::Substitution => b'}',
        }
    }
}

/// Keywords after which an operand begins.
const BEFORE_OPERANDS: [&[u8]; 13] = [
    b"case",
    b"default",
    b"delete",
    b"do",
    b"else",
    b"extends",
    b"in",
    b"instanceof",
    b"new",
    b"return",
    b"throw",
    b"typeof",
    b"void",
];

/// Words that are keywords in some places.
const BEFORE_OPERANDS_AT_TIMES: [&[u8]; 3] = [b"await", b"of", b"yield"];

const HEADS: [&[u8]; 4] = [b"for", b"if", b"while", b"with"];

/// Returns whether a character is part of a name, keyword or number. Others that are not ASCII are errors wherever they matter.
pub(super) fn is_word(char: char) -> bool {
    match char.is_ascii() {
        true => char.is_ascii_alphanumeric() || char == '_' || char == '$',
        false => !is_space(char),
    }
}

/// Returns whether a parser takes a character for space, or for the end of a line.
pub(super) fn is_space(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\u{200b}' | '\u{feff}')
}

fn is_line_end(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// The tokens of code. Takes time that is linear in its length.
pub(super) struct Lexer<'a> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// True if tags may occur, and text between them.
    has_tags: bool,
    is_sure: bool,
    open: Vec<Bracket>,
    /// A line has begun since the last token.
    line_is_new: bool,
    slash: Slash,
    /// The last token is a dot before a name, or the `#` of one.
    names: bool,
    /// The last token is `for`, `if`, `while` or `with`, or the `await` of `for await`.
    is_head: bool,
    /// The last token ended at `${`, which is the next one.
    is_substituted: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a str, has_tags: bool) -> Self {
        let mut lexer = Self {
            source,
            bytes: source.as_bytes(),
            at: 0,
            has_tags,
            is_sure: true,
            open: Vec::new(),
            line_is_new: true,
            slash: Slash::Begins,
            names: false,
            is_head: false,
            is_substituted: false,
        };
        if source.trim_start_matches('\u{feff}').starts_with("#!") {
            lexer.skip_line();
        }
        lexer
    }

    /// Returns whether all tokens so far are what a parser takes them for.
    pub(super) const fn is_sure(&self) -> bool {
        self.is_sure
    }

    /// Returns the next token, and whether it is the first of its line.
    pub(super) fn next(&mut self) -> Option<(Token<'a>, bool)> {
        if std::mem::take(&mut self.is_substituted) {
            return Some((Token::Open(Bracket::Substitution.closed_by()), false));
        }
        self.skip_space();
        let &byte = self.bytes.get(self.at)?;
        let is_first = std::mem::take(&mut self.line_is_new);
        let (names, is_head) = (std::mem::take(&mut self.names), std::mem::take(&mut self.is_head));
        let next = self.bytes.get(self.at + 1).copied().unwrap_or_default();
        let slash = std::mem::replace(&mut self.slash, Slash::Begins);
        let start = self.at;
        self.at += 1;
        let token = match byte {
            b'0'..=b'9' => self.number(start),
            b'.' if next.is_ascii_digit() => self.number(start),
            b'.' if self.rest().starts_with(b"..") => {
                self.at += 2;
                Token::Mark(b'.')
            }
            b'.' | b'#' => {
                self.names = true;
                Token::Mark(byte)
            }
            _ if !byte.is_ascii() || is_word(char::from(byte)) => self.word(start, names, is_head),
            b'"' | b'\'' => {
                self.slash = Slash::Divides;
                self.text(byte);
                Token::Text
            }
            b'`' => {
                self.template();
                Token::Template
            }
            b'/' => {
                match slash {
                    Slash::Begins => self.regular_expression(),
                    Slash::Divides if !is_first => {}
                    // At the beginning of a line, it may follow the end of a statement without a semicolon.
                    Slash::Divides | Slash::Unknown => self.is_sure = false,
                }
                Token::Mark(byte)
            }
            b'(' | b'[' | b'{' => {
                let bracket = match byte {
                    b'(' if is_head => Bracket::Head,
                    b'(' => Bracket::Round,
                    b'[' => Bracket::Square,
                    _ => Bracket::Curly,
                };
                self.open.push(bracket);
                Token::Open(bracket.closed_by())
            }
            b')' | b']' | b'}' => {
                self.close(byte);
                Token::Close(byte)
            }
            b',' | b';' => Token::Separator(byte),
            b'<' => {
                let is_comment = self.rest().starts_with(b"!--");
                let is_tag = self.has_tags && slash != Slash::Divides;
                self.is_sure &= !is_comment && !is_tag;
                Token::Less
            }
            // Also the end of type arguments, and of a tag.
            b'>' => {
                self.slash = Slash::Unknown;
                Token::Mark(byte)
            }
            b'=' if next == b'>' => {
                self.at += 1;
                Token::Mark(byte)
            }
            b'+' | b'-' if next == byte => {
                self.at += 1;
                // A comment in scripts, after whose beginning anything follows.
                self.is_sure &= !(is_first && byte == b'-' && self.rest().first() == Some(&b'>'));
                if !is_first {
                    self.slash = slash;
                }
                Token::Mark(byte)
            }
            // The assertion of TypeScript, after an operand.
            b'!' if next != b'=' && !is_first => {
                self.slash = slash;
                Token::Mark(byte)
            }
            _ => Token::Mark(byte),
        };
        Some((token, is_first))
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    fn skip_space(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'\n' | b'\r' => {
                    self.line_is_new = true;
                    self.at += 1;
                }
                b'\t' | b' ' | 0x0b | 0x0c => self.at += 1,
                b'/' if self.rest().starts_with(b"//") => self.skip_line(),
                b'/' if self.rest().starts_with(b"/*") => {
                    let text = &self.source[self.at + 2..];
                    let length = text.find("*/");
                    self.is_sure &= length.is_some();
                    let length = length.unwrap_or(text.len());
                    self.line_is_new |= text[..length].contains(is_line_end);
                    self.at = (self.at + length + 4).min(self.bytes.len());
                }
                _ if byte.is_ascii() => return,
                _ => match self.source[self.at..].chars().next() {
                    Some(other) if is_space(other) => {
                        self.line_is_new |= is_line_end(other);
                        self.at += other.len_utf8();
                    }
                    _ => return,
                },
            }
        }
    }

    /// Goes to the end of the line, of which there are four kinds.
    fn skip_line(&mut self) {
        let end = self.source[self.at..].find(is_line_end);
        self.at = end.map_or(self.bytes.len(), |end| self.at + end);
    }

    fn skip_char(&mut self) {
        let next = self.source[self.at..].chars().next();
        self.at += next.map_or(0, char::len_utf8);
    }

    fn word(&mut self, start: usize, is_name: bool, after_head: bool) -> Token<'a> {
        let end = self.source[start..].find(|char| !is_word(char));
        self.at = end.map_or(self.bytes.len(), |length| start + length);
        let word = &self.bytes[start..self.at];
        self.slash = match is_name {
            true => Slash::Divides,
            false if BEFORE_OPERANDS.contains(&word) => Slash::Begins,
            false if BEFORE_OPERANDS_AT_TIMES.contains(&word) => Slash::Unknown,
            false => Slash::Divides,
        };
        self.is_head = !is_name && (HEADS.contains(&word) || (after_head && word == b"await"));
        Token::Word(word)
    }

    fn number(&mut self, start: usize) -> Token<'a> {
        let digits = |at: usize| {
            let is_digit = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
            at + self.bytes[at..].iter().take_while(is_digit).count()
        };
        let mut end = digits(start);
        if self.bytes.get(end) == Some(&b'.') {
            end = digits(end + 1);
        }
        // Of an exponent, not of hexadecimal digits.
        let is_decimal = !matches!(self.bytes.get(start + 1), Some(b'x' | b'X'));
        if is_decimal && matches!(self.bytes[end - 1], b'e' | b'E') && matches!(self.bytes.get(end), Some(b'+' | b'-'))
        {
            end = digits(end + 1);
        }
        self.at = end;
        self.slash = Slash::Divides;
        Token::Word(&self.bytes[start..end])
    }

    /// Goes to the end of a string, which may have several lines only if each of the others ends in a backslash.
    fn text(&mut self, quote: u8) {
        while let Some(found) = memchr::memchr3(quote, b'\\', b'\n', self.rest()) {
            let carriage_return = memchr::memchr(b'\r', &self.rest()[..found]);
            if let Some(end) = carriage_return {
                self.at += end;
                self.is_sure = false;
                return;
            }
            self.at += found + 1;
            match self.bytes[self.at - 1] {
                b'\\' if self.rest().starts_with(b"\r\n") => self.at += 2,
                b'\\' => self.skip_char(),
                b'\n' => break,
                _ => return,
            }
        }
        // Between tags, or no string.
        self.is_sure = false;
    }

    /// Goes to the end of a part of a template.
    fn template(&mut self) {
        while let Some(found) = memchr::memchr3(b'`', b'\\', b'$', self.rest()) {
            self.at += found + 1;
            match self.bytes[self.at - 1] {
                b'\\' => self.skip_char(),
                b'`' => {
                    self.slash = Slash::Divides;
                    return;
                }
                _ if self.rest().first() == Some(&b'{') => {
                    self.at += 1;
                    self.open.push(Bracket::Substitution);
                    self.is_substituted = true;
                    self.slash = Slash::Begins;
                    return;
                }
                _ => {}
            }
        }
        self.at = self.bytes.len();
        self.is_sure = false;
    }

    /// Goes to the end of a regular expression, which has one line.
    fn regular_expression(&mut self) {
        let start = self.at;
        let mut in_class = false;
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                // What follows it does not end the expression, unless it ends the line.
                b'\\' if matches!(self.rest(), [b'\\' | b'/' | b'[' | b']', ..]) => self.at += 1,
                b'[' => in_class = true,
                b']' => in_class = false,
                b'/' if !in_class => {
                    self.is_sure &= !self.source[start..self.at].contains(is_line_end);
                    self.word(self.at, true, false);
                    return;
                }
                b'\n' | b'\r' => break,
                _ => {}
            }
        }
        self.is_sure = false;
    }

    fn close(&mut self, byte: u8) {
        let closed = self.open.pop();
        match closed {
            Some(bracket) if bracket.closed_by() == byte => {}
            // Text between tags, or no code.
            _ => self.is_sure = false,
        }
        self.slash = match closed {
            Some(Bracket::Round | Bracket::Square) => Slash::Divides,
            Some(Bracket::Head) => Slash::Begins,
            // A block or an object.
            Some(Bracket::Curly) | None => Slash::Unknown,
            Some(Bracket::Substitution) => {
                self.template();
                self.slash
            }
        };
    }
}

//! Splits SQL into tokens, as far as checking and rewriting need it: words, names, strings, parameters, and the rest.

use std::ops::Range;

/// The dialect: the databases differ in quoting, comments and parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// An unquoted word: a keyword or a name.
    Word,
    /// A quoted name or a string (which SQLite accepts as a name in many places), without its quotes.
    Quoted(String),
    /// `?`, or with a number `?1` (and `$1` in PostgreSQL).
    Param(Option<usize>),
    /// `??`, PostgreSQL's operator `?`, because `?` is a parameter.
    QuestionMark,
    /// A named parameter.
    NamedParam,
    /// Any other single character.
    Sign(u8),
    /// A number.
    Number,
}

/// An error of splitting a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LexError {
    /// A quote, comment or dollar quote is never closed.
    Unclosed,
    /// A NUL, which would end the statement for the database but not for the lexer.
    Nul,
}

/// The tokens of `sql` with their positions, without comments and white space.
pub(super) fn tokens(sql: &str, dialect: Dialect) -> Result<Vec<(Token, Range<usize>)>, LexError> {
    let mut lexer = Lexer {
        bytes: sql.as_bytes(),
        at: 0,
        dialect,
    };
    let mut found = Vec::new();
    while let Some(token) = lexer.next()? {
        found.push(token);
    }
    Ok(found)
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    dialect: Dialect,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<Option<(Token, Range<usize>)>, LexError> {
        self.skip_space()?;
        let start = self.at;
        let Some(first) = self.peek(0) else { return Ok(None) };
        let postgres = self.dialect == Dialect::Postgres;
        let token = match first {
            0 => return Err(LexError::Nul),
            b'\'' => self.quoted(b'\'', false)?,
            b'e' | b'E' if postgres && self.peek(1) == Some(b'\'') => {
                self.at += 1;
                self.quoted(b'\'', true)?
            }
            b'"' => self.quoted(b'"', false)?,
            b'`' if !postgres => self.quoted(b'`', false)?,
            b'[' if !postgres => self.bracketed()?,
            b'?' if postgres && self.peek(1) == Some(b'?') => {
                self.at += 2;
                Token::QuestionMark
            }
            b'?' => self.numbered(),
            b'$' if postgres && self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) => self.numbered(),
            b'$' if postgres => self.dollar_quoted()?,
            b':' | b'@' | b'#' | b'$' if !postgres && self.peek(1).is_some_and(is_word) => {
                self.at += 1;
                self.skip_word();
                Token::NamedParam
            }
            b'0'..=b'9' => {
                self.skip_word();
                Token::Number
            }
            byte if is_word(byte) => {
                self.skip_word();
                Token::Word
            }
            byte => {
                self.at += 1;
                Token::Sign(byte)
            }
        };
        Ok(Some((token, start..self.at)))
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn skip_space(&mut self) -> Result<(), LexError> {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0c), _) => self.at += 1,
                (Some(b'-'), Some(b'-')) => {
                    let rest = &self.bytes[self.at..];
                    let is_end = |byte: &u8| *byte == b'\n' || (*byte == b'\r' && self.dialect == Dialect::Postgres);
                    self.at += rest.iter().position(is_end).unwrap_or(rest.len());
                }
                (Some(b'/'), Some(b'*')) => self.block_comment()?,
                _ => return Ok(()),
            }
        }
    }

    /// PostgreSQL's block comments nest, SQLite's do not.
    fn block_comment(&mut self) -> Result<(), LexError> {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) if depth == 0 || self.dialect == Dialect::Postgres => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(LexError::Unclosed),
            }
        }
    }

    /// Scans up to the closing quote. A doubled quote, or in PostgreSQL's `E''` one after a backslash, is part of the
    /// text.
    fn quoted(&mut self, quote: u8, backslash: bool) -> Result<Token, LexError> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.peek(0).ok_or(LexError::Unclosed)? {
                0 => return Err(LexError::Nul),
                b'\\' if backslash => self.at += 2,
                byte if byte == quote && self.peek(1) == Some(quote) => {
                    text.push(quote);
                    self.at += 2;
                }
                byte if byte == quote => {
                    self.at += 1;
                    return Ok(Token::Quoted(String::from_utf8_lossy(&text).into_owned()));
                }
                byte => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn bracketed(&mut self) -> Result<Token, LexError> {
        let rest = &self.bytes[self.at + 1..];
        let end = rest.iter().position(|byte| *byte == b']').ok_or(LexError::Unclosed)?;
        self.at += end + 2;
        Ok(Token::Quoted(String::from_utf8_lossy(&rest[..end]).into_owned()))
    }

    /// Scans `$tag$ … $tag$`, in which the tag may be empty.
    fn dollar_quoted(&mut self) -> Result<Token, LexError> {
        let rest = &self.bytes[self.at..];
        let tag_end = rest[1..]
            .iter()
            .position(|byte| *byte == b'$' || !is_word(*byte))
            .map(|end| end + 1);
        let Some(tag_end) = tag_end.filter(|end| rest[*end] == b'$') else {
            self.at += 1;
            return Ok(Token::Sign(b'$'));
        };
        let tag = &rest[..=tag_end];
        let body = &rest[tag.len()..];
        let end = body
            .windows(tag.len())
            .position(|window| window == tag)
            .ok_or(LexError::Unclosed)?;
        self.at += tag.len() + end + tag.len();
        Ok(Token::Quoted(String::new()))
    }

    fn numbered(&mut self) -> Token {
        self.at += 1;
        let start = self.at;
        while self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        // A number too large for `usize` is above every limit.
        Token::Param((!digits.is_empty()).then(|| digits.parse().unwrap_or(usize::MAX)))
    }

    fn skip_word(&mut self) {
        while self.peek(0).is_some_and(in_word) {
            self.at += 1;
        }
    }
}

/// Returns true if a word can continue with this byte.
pub(super) fn in_word(byte: u8) -> bool {
    is_word(byte) || byte == b'$'
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

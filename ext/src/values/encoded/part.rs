//! A part of an encoded value, described for errors.

use serde_path_to_error::{Path, Segment};

use super::token::{Token, Tokens};
use crate::values::place::shown_text;

/// Describes the part at a path, if there is one.
pub(super) fn at(bytes: &[u8], path: &Path) -> Option<String> {
    let mut tokens = Tokens::new(bytes);
    let mut found = tokens.next().ok()?;
    for segment in path {
        found = match (found, segment) {
            (Token::List, Segment::Seq { index }) => {
                for _ in 0..*index {
                    skip_one(&mut tokens)?;
                }
                tokens.next().ok()?
            }
            (Token::Map, Segment::Map { key } | Segment::Enum { variant: key }) => value_of(&mut tokens, key)?,
            _ => return None,
        };
    }
    Some(match found {
        Token::Null => "null".to_owned(),
        Token::Bool(flag) => flag.to_string(),
        Token::Integer(number) => format!("the number {number}"),
        Token::Unsigned(number) => format!("the number {number}"),
        Token::Float(number) => format!("the number {number}"),
        Token::BigInt(_) => "a bigint".to_owned(),
        Token::Text(text) => shown_text(text),
        Token::Bytes(_) => "a Uint8Array".to_owned(),
        Token::List => {
            let mut count = 0;
            while skip_one(&mut tokens)? != Token::End {
                count += 1;
            }
            format!("an array of {count}")
        }
        Token::Map => "an object".to_owned(),
        Token::Function(_) => "a function".to_owned(),
        Token::End => return None,
    })
}

/// Goes to the value of a key.
fn value_of<'b>(tokens: &mut Tokens<'b>, key: &str) -> Option<Token<'b>> {
    loop {
        match skip_one(tokens)? {
            Token::End => return None,
            Token::Text(name) if name == key => return tokens.next().ok(),
            _ => skip_one(tokens)?,
        };
    }
}

/// Skips a value, and returns the token that it begins with.
fn skip_one<'b>(tokens: &mut Tokens<'b>) -> Option<Token<'b>> {
    let token = tokens.next().ok()?;
    tokens.skip(token).ok()?;
    Some(token)
}

//! Strict parser of chunked framing, by the grammar of RFC 9112, section 7.1.
//!
//! hyper parses chunks leniently: it accepts `5 \r\n` as a size, and any extension. Another server on the path may see a
//! different end of the body, so violations of the grammar are errors here before hyper sees them.

use std::io;

/// Position in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The first digit of a size.
    Size,
    /// After at least one digit.
    Digits,
    /// White space before the semicolon of an extension.
    BeforeExtension,
    Extension(Extension),
    SizeLf,
    /// Bytes of data are left.
    Data,
    DataCr,
    DataLf,
    /// The start of a trailer field, or of the empty line at the end.
    Line,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

/// Position in `; name = value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Value,
    Quoted,
    Escaped,
    AfterValue,
}

/// A chunked body that is being read.
#[derive(Debug)]
pub(crate) struct Chunks {
    at: At,
    /// The size of the chunk so far, and then its remaining bytes.
    left: u64,
}

impl Chunks {
    pub(crate) const fn new() -> Self {
        Self { at: At::Size, left: 0 }
    }

    /// Returns whether the whole body has been read.
    pub(crate) fn is_ended(&self) -> bool {
        self.at == At::End
    }

    /// Consumes bytes of the body and returns their number: all, unless the body ends within them.
    ///
    /// # Errors
    ///
    /// A byte violates the grammar.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() && self.at != At::End {
            if self.at == At::Data {
                let len = usize::try_from(self.left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len() - taken);
                taken += len;
                self.left -= len as u64;
                if self.left == 0 {
                    self.at = At::DataCr;
                }
            } else {
                self.at = self.step(bytes[taken]).ok_or_else(bad_chunk)?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Returns the position after this byte; `None` if it is not allowed.
    fn step(&mut self, byte: u8) -> Option<At> {
        Some(match (self.at, byte) {
            (At::Size | At::Digits, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16)?;
                self.left = self.left.checked_mul(16)?.checked_add(digit.into())?;
                At::Digits
            }
            (At::Digits | At::BeforeExtension, b' ' | b'\t') => At::BeforeExtension,
            (At::Digits | At::BeforeExtension, b';') => At::Extension(Extension::BeforeName),
            (At::Digits, b'\r') => At::SizeLf,
            (At::Extension(extension), _) => extension.step(byte)?,
            (At::SizeLf, b'\n') if self.left > 0 => At::Data,
            (At::SizeLf, b'\n') => At::Line,
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size,
            (At::Line, b'\r') => At::EndLf,
            (At::Line, _) if is_token(byte) => At::Trailer,
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::Trailer, _) if is_text(byte) => At::Trailer,
            (At::TrailerLf, b'\n') => At::Line,
            (At::EndLf, b'\n') => At::End,
            _ => return None,
        })
    }
}

impl Extension {
    fn step(self, byte: u8) -> Option<At> {
        let next = match (self, byte) {
            (Self::Name | Self::AfterName | Self::Value | Self::AfterValue, b'\r') => return Some(At::SizeLf),
            (Self::Name | Self::AfterName | Self::Value | Self::AfterValue, b';') => Self::BeforeName,
            (Self::Name | Self::AfterName, b'=') => Self::BeforeValue,
            (Self::BeforeName | Self::BeforeValue, b' ' | b'\t') => self,
            (Self::Name | Self::AfterName, b' ' | b'\t') => Self::AfterName,
            (Self::Value | Self::AfterValue, b' ' | b'\t') => Self::AfterValue,
            (Self::BeforeName | Self::Name, _) if is_token(byte) => Self::Name,
            (Self::BeforeValue, b'"') => Self::Quoted,
            (Self::BeforeValue | Self::Value, _) if is_token(byte) => Self::Value,
            (Self::Quoted, b'"') => Self::AfterValue,
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted | Self::Escaped, _) if is_text(byte) => Self::Quoted,
            _ => return None,
        };
        Some(At::Extension(next))
    }
}

/// `tchar` of RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns whether a byte is allowed in a field's value: no control characters except tab.
const fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

fn bad_chunk() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the chunks of the body are malformed")
}

#[cfg(test)]
mod tests {
    use super::Chunks;

    fn read(body: &[u8]) -> Option<usize> {
        let mut chunks = Chunks::new();
        let taken = chunks.take(body).ok()?;
        chunks.is_ended().then_some(taken)
    }

    #[test]
    fn text_of_the_grammar_is_parsed_in_pieces_of_any_size() {
        for body in [
            "0\r\n\r\n",
            "000\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "A\r\n0123456789\r\n0\r\n\r\n",
            "5;a\r\nhello\r\n0;b=c;d=\"e; \\\" f\"\r\n\r\n",
            // RFC 9112, section 7.1.1: bad white space around an extension's signs must be accepted.
            "5 ; a = b \t\r\nhello\r\n0\r\n\r\n",
            "0\r\nx-sum: 1\r\ny:\r\n\r\n",
        ] {
            assert_eq!(read(format!("{body}GET /").as_bytes()), Some(body.len()), "{body:?}");
            let mut chunks = Chunks::new();
            for byte in body.bytes() {
                assert_eq!(chunks.take(&[byte]).unwrap(), 1, "{body:?}");
            }
            assert!(chunks.is_ended(), "{body:?}");
        }
    }

    #[test]
    fn text_outside_of_the_grammar_is_refused() {
        for body in [
            "5 \r\nhello\r\n0\r\n\r\n",
            "5\t\r\nhello\r\n0\r\n\r\n",
            " 5\r\nhello\r\n0\r\n\r\n",
            "5 5\r\nhello\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "\r\n5\r\nhello\r\n0\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello!\r\n0\r\n\r\n",
            "10000000000000000\r\n",
            "5;\r\nhello\r\n0\r\n\r\n",
            "5;=b\r\nhello\r\n0\r\n\r\n",
            "5;a=\r\nhello\r\n0\r\n\r\n",
            "5;a=\"b\r\n\"\r\nhello\r\n0\r\n\r\n",
            "5;a\nb\r\nhello\r\n0\r\n\r\n",
            "5;a\0\r\nhello\r\n0\r\n\r\n",
            "0\r\nx: 1\n\r\n\r\n",
            "0\r\n x: 1\r\n\r\n",
            "0\r\nx: 1\r\n y\r\n\r\n",
            "0\r\nx: 1\0\r\n\r\n",
            "0\r\n\n",
        ] {
            assert_eq!(read(body.as_bytes()), None, "{body:?}");
        }
    }
}

//! `gzip` (RFC 1952): a header, deflated data, and a trailer of a checksum and a length.

use std::io;

use flate2::Crc;

use super::deflate;
use super::{Codec, Step, trailing, truncated};

/// Magic number, method, no flags, no time, no extra flags, unknown system (section 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

const TRAILER_BYTES: usize = 8;

// Bits of the header's flags (section 2.3.1).
const HAS_HEADER_CRC: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

fn corrupt(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("corrupt gzip data: {what}"))
}

/// The state of a decoder.
enum Place {
    /// In the fixed part of the header, with the number of bytes read.
    Header([u8; HEADER.len()], usize),
    /// In the two bytes of the extra field's length.
    ExtraLength([u8; 2], usize),
    /// In the extra field, with the number of bytes left.
    Extra(usize),
    /// In the file's name, which ends with a zero.
    Name,
    /// In the comment, which ends with a zero.
    Comment,
    /// In the header's checksum.
    HeaderCrc([u8; 2], usize),
    Data,
    Trailer([u8; TRAILER_BYTES], usize),
    End,
}

pub(super) struct Decoder {
    place: Place,
    flags: u8,
    header_crc: Crc,
    inner: deflate::Decoder,
    crc: Crc,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Header([0; HEADER.len()], 0),
            flags: 0,
            header_crc: Crc::new(),
            inner: deflate::Decoder::new(false),
            crc: Crc::new(),
        }
    }

    /// The next optional part of the header after the current one.
    fn part_after(&self, flag: u8) -> Place {
        let next = |bit: u8| bit > flag && self.flags & bit != 0;
        if next(HAS_EXTRA) {
            Place::ExtraLength([0; 2], 0)
        } else if next(HAS_NAME) {
            Place::Name
        } else if next(HAS_COMMENT) {
            Place::Comment
        } else if self.flags & HAS_HEADER_CRC != 0 {
            Place::HeaderCrc([0; 2], 0)
        } else {
            Place::Data
        }
    }

    /// Consumes one byte of the header.
    fn header(&mut self, byte: u8) -> io::Result<()> {
        if !matches!(self.place, Place::HeaderCrc(..)) {
            self.header_crc.update(&[byte]);
        }
        let next = match &mut self.place {
            Place::Header(read, at) => {
                read[*at] = byte;
                *at += 1;
                if read[..(*at).min(3)] != HEADER[..(*at).min(3)] {
                    return Err(corrupt("wrong magic number"));
                }
                if *at < read.len() {
                    return Ok(());
                }
                self.flags = read[3];
                if self.flags & RESERVED != 0 {
                    return Err(corrupt("reserved flags are set"));
                }
                // Below the flags of all following parts.
                self.part_after(HAS_HEADER_CRC)
            }
            Place::ExtraLength(read, at) => {
                read[*at] = byte;
                *at += 1;
                if *at < read.len() {
                    return Ok(());
                }
                match u16::from_le_bytes(*read) {
                    0 => self.part_after(HAS_EXTRA),
                    length => Place::Extra(length.into()),
                }
            }
            Place::Extra(left) => {
                *left -= 1;
                if *left > 0 {
                    return Ok(());
                }
                self.part_after(HAS_EXTRA)
            }
            Place::Name if byte == 0 => self.part_after(HAS_NAME),
            Place::Comment if byte == 0 => self.part_after(HAS_COMMENT),
            Place::HeaderCrc(read, at) => {
                read[*at] = byte;
                *at += 1;
                if *at < read.len() {
                    return Ok(());
                }
                let low = self.header_crc.sum().to_le_bytes();
                if low[..2] != *read {
                    return Err(corrupt("wrong header checksum"));
                }
                Place::Data
            }
            Place::Name | Place::Comment | Place::Data | Place::Trailer(..) | Place::End => return Ok(()),
        };
        self.place = next;
        Ok(())
    }

    fn check(&self, trailer: [u8; TRAILER_BYTES]) -> io::Result<()> {
        if trailer[..4] != self.crc.sum().to_le_bytes() {
            return Err(corrupt("wrong checksum"));
        }
        // The length modulo 2^32, as in `amount`.
        if trailer[4..] != self.crc.amount().to_le_bytes() {
            return Err(corrupt("wrong length"));
        }
        Ok(())
    }
}

impl Codec for Decoder {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        let mut used = 0;
        loop {
            match &mut self.place {
                Place::End if used == input.len() => return Ok(Step { used, written: 0 }),
                Place::End => return Err(trailing()),
                Place::Data => {
                    let step = self.inner.step(&input[used..], output)?;
                    self.crc.update(&output[..step.written]);
                    if self.inner.has_ended() {
                        self.place = Place::Trailer([0; TRAILER_BYTES], 0);
                    }
                    used += step.used;
                    if step.written > 0 || used == input.len() || step == Step::default() {
                        return Ok(Step { used, ..step });
                    }
                }
                Place::Trailer(read, at) => {
                    let Some(byte) = input.get(used) else {
                        return Ok(Step { used, written: 0 });
                    };
                    used += 1;
                    read[*at] = *byte;
                    *at += 1;
                    if *at == read.len() {
                        let trailer = *read;
                        self.check(trailer)?;
                        self.place = Place::End;
                    }
                }
                _ => {
                    let Some(byte) = input.get(used) else {
                        return Ok(Step { used, written: 0 });
                    };
                    used += 1;
                    self.header(*byte)?;
                }
            }
        }
    }

    fn finish(&mut self, _output: &mut [u8]) -> io::Result<usize> {
        match self.place {
            Place::End => Ok(0),
            _ => Err(truncated()),
        }
    }
}

pub(super) struct Encoder {
    inner: deflate::Encoder,
    crc: Crc,
    /// The unwritten part of the header, or at the end of the trailer.
    frame: Vec<u8>,
    ended: bool,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            inner: deflate::Encoder::new(false),
            crc: Crc::new(),
            frame: HEADER.to_vec(),
            ended: false,
        }
    }

    fn write_frame(&mut self, output: &mut [u8]) -> usize {
        let length = self.frame.len().min(output.len());
        output[..length].copy_from_slice(&self.frame[..length]);
        self.frame.drain(..length);
        length
    }
}

impl Codec for Encoder {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        if !self.frame.is_empty() {
            let written = self.write_frame(output);
            return Ok(Step { used: 0, written });
        }
        let step = self.inner.step(input, output)?;
        self.crc.update(&input[..step.used]);
        Ok(step)
    }

    fn finish(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if !self.frame.is_empty() {
            return Ok(self.write_frame(output));
        }
        if self.ended {
            return Ok(0);
        }
        match self.inner.finish(output)? {
            0 => {
                self.ended = true;
                self.frame.extend(self.crc.sum().to_le_bytes());
                self.frame.extend(self.crc.amount().to_le_bytes());
                Ok(self.write_frame(output))
            }
            written => Ok(written),
        }
    }
}

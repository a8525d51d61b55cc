//! Checks a V8 archive without linking it: finds truncated, empty and foreign files.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, bail};

const MAGIC: &[u8] = b"!<arch>\n";
const THIN_MAGIC: &[u8] = b"!<thin>\n";
const MEMBER_HEADER: usize = 60;

/// A function of the v8 crate's C interface. An archive without this symbol is not V8.
const SYMBOL: &[u8] = b"v8__V8__Initialize";

/// The contents of an intact archive.
#[derive(Debug, PartialEq)]
pub(crate) struct Summary {
    members: usize,
    bytes: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB, {} object files", self.bytes / 1_000_000, self.members)
    }
}

/// A file's compression, detected from its first bytes and not from its name.
#[derive(Debug, PartialEq)]
pub(crate) enum Packing {
    /// Uncompressed, or an unknown format.
    Plain,
    /// gzip, as in published archives.
    Gzip,
    /// xz.
    Xz,
}

/// Detects a file's compression.
pub(crate) fn packing(path: &Path) -> Result<Packing> {
    let mut start = [0; 6];
    let mut file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    match file.read_exact(&mut start) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Packing::Plain),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
    Ok(match start {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Packing::Xz,
        _ => Packing::Plain,
    })
}

/// Walks all members of an uncompressed archive.
///
/// # Errors
/// Names the problem: not an archive, truncated (and where), or without V8.
pub(crate) fn inspect(path: &Path) -> Result<Summary> {
    walk(path).with_context(|| format!("{} is not a usable archive of V8", path.display()))
}

fn walk(path: &Path) -> Result<Summary> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let mut magic = [0; MAGIC.len()];
    if bytes < MAGIC.len() as u64 {
        bail!("it has only {bytes} bytes");
    }
    reader.read_exact(&mut magic)?;
    if magic == THIN_MAGIC {
        bail!("it is a thin archive, which only refers to object files elsewhere; a complete one is needed");
    }
    if magic != MAGIC {
        bail!("it does not begin with `!<arch>`: another file was saved under this name, perhaps an error page");
    }
    let mut at = MAGIC.len() as u64;
    let mut members = 0;
    let mut has_symbol = false;
    while at < bytes {
        let mut header = [0; MEMBER_HEADER];
        if bytes - at < MEMBER_HEADER as u64 {
            bail!("it is truncated at byte {at}, within the header of a member");
        }
        reader.read_exact(&mut header)?;
        let size = member_size(&header).with_context(|| format!("the member's header at byte {at} is damaged"))?;
        let end = at + MEMBER_HEADER as u64 + size;
        if end > bytes {
            bail!("it is truncated: a member should end at byte {end}, the file does at {bytes}");
        }
        let name = &header[..16];
        let is_index = [&b"/ "[..], b"/SYM64/ ", b"__.SYMDEF", b"#1/"]
            .iter()
            .any(|index| name.starts_with(index));
        if is_index && members == 0 {
            let mut index = vec![0; usize::try_from(size)?];
            reader.read_exact(&mut index)?;
            // Members can be missing without another trace: the index still refers to them.
            if name.starts_with(b"/ ") && last_offset(&index).is_some_and(|offset| offset >= bytes) {
                bail!("it is truncated: its symbol table refers to places beyond its end");
            }
            // The suffix is compared: offsets precede the first name, and macOS puts an underscore before each.
            has_symbol |= index.split(|byte| *byte == 0).any(|name| name.ends_with(SYMBOL));
        } else if !is_index && !name.starts_with(b"// ") {
            members += 1;
        }
        // Members start at even offsets.
        at = end + end % 2;
        reader.seek(SeekFrom::Start(at))?;
    }
    if !has_symbol {
        bail!("its symbol table does not name `{}`", String::from_utf8_lossy(SYMBOL));
    }
    Ok(Summary { members, bytes })
}

fn member_size(header: &[u8; MEMBER_HEADER]) -> Option<u64> {
    if &header[58..] != b"`\n" {
        return None;
    }
    std::str::from_utf8(&header[48..58]).ok()?.trim_end().parse().ok()
}

/// The highest offset in a symbol table: a count, then that many offsets, all 32 bits, big-endian.
fn last_offset(index: &[u8]) -> Option<u64> {
    let mut numbers = index
        .chunks_exact(4)
        .map(|number| u32::from_be_bytes([number[0], number[1], number[2], number[3]]));
    let count = usize::try_from(numbers.next()?).ok()?;
    numbers.take(count).max().map(u64::from)
}

/// Archives for tests.
#[cfg(test)]
pub(crate) mod samples {
    /// A member with its header.
    fn member(name: &str, data: &[u8]) -> Vec<u8> {
        let mut member = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, data.len()).into_bytes();
        member.extend(data);
        member.resize(member.len() + member.len() % 2, b'\n');
        member
    }

    /// A small archive: one function in one object file.
    pub(crate) fn holding(function: &[u8]) -> Vec<u8> {
        let index = |offset: u32| {
            member(
                "/",
                &[&1u32.to_be_bytes()[..], &offset.to_be_bytes(), function, b"\0"].concat(),
            )
        };
        let offset = u32::try_from(super::MAGIC.len() + index(0).len()).unwrap();
        [super::MAGIC.to_vec(), index(offset), member("binding.o/", b"code!")].concat()
    }

    /// A small archive that passes for V8.
    pub(crate) fn v8() -> Vec<u8> {
        holding(super::SYMBOL)
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{holding, v8};
    use super::*;

    fn inspect_bytes(bytes: &[u8]) -> Result<Summary, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        inspect(file.path()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_sound_archive_is_summarised() {
        let bytes = v8();
        assert_eq!(
            inspect_bytes(&bytes).unwrap(),
            Summary {
                members: 1,
                bytes: bytes.len() as u64
            }
        );
    }

    #[test]
    fn an_archive_cut_anywhere_is_refused() {
        let bytes = v8();
        // The last byte is padding that some tools omit.
        for length in 0..bytes.len() - 1 {
            let cut = inspect_bytes(&bytes[..length]);
            assert!(cut.is_err(), "cut after {length} of {} bytes: {cut:?}", bytes.len());
        }
    }

    #[test]
    fn an_error_page_is_not_an_archive() {
        let error = inspect_bytes(b"<html>404 Not Found</html>").unwrap_err();
        assert!(error.contains("does not begin with `!<arch>`"), "{error}");
    }

    #[test]
    fn an_archive_of_something_else_is_refused() {
        let error = inspect_bytes(&holding(b"zlib_version")).unwrap_err();
        assert!(error.contains("does not name `v8__V8__Initialize`"), "{error}");
    }
}

//! Puts an archive in place: unpacked and checked under a temporary name first, then renamed, so that a partial file is
//! never visible.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::archive::{self, Packing, Summary};
use crate::shell;

/// Suffix of a file that is still being written.
const PARTIAL: &str = "partial";

/// The known checksums of an archive.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Checksums {
    /// Checksum of the compressed file.
    pub(crate) packed: Option<String>,
    /// Checksum of the archive itself.
    pub(crate) unpacked: Option<String>,
}

/// Fetches an archive with `fetch`, unpacks and checks it, and moves it to `place`. On an error, `place` is unchanged.
/// The checksum of the installed archive is written next to it, for [`check_thoroughly`].
pub(crate) fn put(
    place: &Path,
    checksums: &Checksums,
    fetch: impl FnOnce(&Path) -> Result<PathBuf>,
) -> Result<Summary> {
    let folder = place.parent().context("the archive's path has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    // Two commands started together would write the same partial files. The lock ends with the process, and its holder
    // may remove what an interrupted process left.
    let lock = File::create(folder.join(".isopod-lock"))?;
    lock.lock()
        .context("waiting for another `cargo xtask` that prepares V8")?;
    let partials = Partials {
        fetched: with_suffix(place, "fetched.partial"),
        unpacked: with_suffix(place, PARTIAL),
    };
    partials.clear();

    let packed = fetch(&partials.fetched)?;
    verify(&packed, checksums.packed.as_deref())?;
    unpack(&packed, &partials.unpacked)?;
    let checksum = verify(&partials.unpacked, checksums.unpacked.as_deref())?;
    let summary = archive::inspect(&partials.unpacked)
        .with_context(|| format!("the content of {} cannot be used", packed.display()))?;
    fs::rename(&partials.unpacked, place)
        .with_context(|| format!("the archive cannot be moved to {}", place.display()))?;
    fs::write(record(place), format!("{checksum}\n"))?;
    Ok(summary)
}

/// Reads the whole installed archive, and compares it with the checksum recorded when it was installed.
pub(crate) fn check_thoroughly(place: &Path) -> Result<Summary> {
    if !place.exists() {
        bail!(
            "V8 is not installed: {} does not exist; run `cargo xtask v8`",
            place.display()
        );
    }
    let remedy = || {
        format!(
            "the installed V8 is damaged; delete {} and run `cargo xtask v8`",
            place.display()
        )
    };
    if archive::packing(place)? != Packing::Plain {
        let unpacked = tempfile_beside(place);
        let result = unpack(place, &unpacked).and_then(|()| archive::inspect(&unpacked));
        // A temporary copy.
        let _ = fs::remove_file(&unpacked);
        return result.with_context(remedy);
    }
    let summary = archive::inspect(place).with_context(remedy)?;
    if let Ok(recorded) = fs::read_to_string(record(place)) {
        verify(place, Some(recorded.trim())).with_context(remedy)?;
    }
    Ok(summary)
}

/// Reads the output of `sha256sum` as checksums by name. A name may be followed by `(unpacked)`.
pub(crate) fn checksums_for(sums: &str, name: &str) -> Checksums {
    let unpacked = name
        .strip_suffix(".xz")
        .or_else(|| name.strip_suffix(".gz"))
        .unwrap_or(name);
    let of = |wanted: &str| {
        sums.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let (sum, name) = (words.next()?, words.next()?);
            (name.trim_start_matches('*') == wanted).then(|| sum.to_ascii_lowercase())
        })
    };
    Checksums {
        packed: of(name),
        unpacked: of(unpacked),
    }
}

struct Partials {
    fetched: PathBuf,
    unpacked: PathBuf,
}

impl Partials {
    fn clear(&self) {
        for path in [&self.fetched, &self.unpacked] {
            // Usually there is none.
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Partials {
    fn drop(&mut self) {
        self.clear();
    }
}

fn unpack(from: &Path, to: &Path) -> Result<()> {
    let (program, package) = match archive::packing(from)? {
        Packing::Plain => {
            fs::copy(from, to).with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))?;
            return Ok(());
        }
        Packing::Gzip => ("gzip", "gzip"),
        Packing::Xz => ("xz", "xz-utils"),
    };
    let program = shell::need(program, package)?;
    let output = File::create(to).with_context(|| format!("{} cannot be written", to.display()))?;
    let status = Command::new(program)
        .arg("-dc")
        .stdin(File::open(from)?)
        .stdout(Stdio::from(output))
        .status()?;
    if !status.success() {
        bail!(
            "{} cannot be unpacked: it is damaged or truncated, or the disk is full; fetch it again",
            from.display()
        );
    }
    Ok(())
}

fn verify(path: &Path, expected: Option<&str>) -> Result<String> {
    let found = sha256(path)?;
    match expected {
        Some(expected) if expected != found => bail!(
            "{} has the SHA-256 {found}, not {expected}: it is damaged or another build; fetch it again",
            path.display()
        ),
        _ => Ok(found),
    }
}

/// The SHA-256 from the system's own tool, many times as fast as a library in a debug build.
fn sha256(path: &Path) -> Result<String> {
    let mut command = match shell::find("sha256sum") {
        Some(program) => Command::new(program),
        None => {
            let mut command = Command::new(shell::need("shasum", "coreutils")?);
            command.args(["-a", "256"]);
            command
        }
    };
    // From standard input: a backslash or line break in the name would change the output's format.
    let output = command.stdin(File::open(path)?).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let sum = text
        .split_whitespace()
        .next()
        .filter(|sum| output.status.success() && sum.len() == 64);
    sum.map(str::to_owned)
        .ok_or_else(|| io::Error::other("no checksum was printed"))
        .with_context(|| format!("the checksum of {} cannot be computed", path.display()))
}

fn record(place: &Path) -> PathBuf {
    with_suffix(place, "sha256")
}

fn tempfile_beside(place: &Path) -> PathBuf {
    with_suffix(place, &format!("check-{}.{PARTIAL}", std::process::id()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v8::archive::samples;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_packed_archive_is_placed_unpacked_and_passes_the_thorough_check() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, place) = (folder.path().join("v8.a"), folder.path().join("there/v8_a_gz"));
        fs::write(&plain, samples::v8()).unwrap();
        assert!(Command::new("gzip").arg("-k").arg(&plain).status().unwrap().success());
        let packed = folder.path().join("v8.a.gz");

        put(&place, &Checksums::default(), |_| Ok(packed)).unwrap();
        assert_eq!(fs::read(&place).unwrap(), samples::v8());
        assert_eq!(
            names(place.parent().unwrap()),
            [".isopod-lock", "v8_a_gz", "v8_a_gz.sha256"]
        );
        check_thoroughly(&place).unwrap();

        // One bit in a member's code: the walk cannot detect it, the recorded checksum does.
        let mut bytes = samples::v8();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        fs::write(&place, bytes).unwrap();
        let error = format!("{:#}", check_thoroughly(&place).unwrap_err());
        assert!(error.contains("delete") && error.contains("SHA-256"), "{error}");
    }

    #[test]
    fn a_bad_archive_leaves_the_existing_one() {
        let folder = tempfile::tempdir().unwrap();
        let (bad, place) = (folder.path().join("bad.a"), folder.path().join("there/v8_a_gz"));
        fs::write(&bad, &samples::v8()[..100]).unwrap();
        fs::create_dir(place.parent().unwrap()).unwrap();
        fs::write(&place, "what was there before").unwrap();

        let error = put(&place, &Checksums::default(), |_| Ok(bad)).unwrap_err();
        assert!(format!("{error:#}").contains("truncated"), "{error:#}");
        assert_eq!(fs::read_to_string(&place).unwrap(), "what was there before");
        assert_eq!(names(place.parent().unwrap()), [".isopod-lock", "v8_a_gz"]);
    }

    #[test]
    fn a_wrong_checksum_is_refused_with_both_sums() {
        let folder = tempfile::tempdir().unwrap();
        let (file, place) = (folder.path().join("v8.a"), folder.path().join("there/v8_a_gz"));
        fs::write(&file, samples::v8()).unwrap();
        let checksums = Checksums {
            packed: Some("0".repeat(64)),
            unpacked: None,
        };
        let error = put(&place, &checksums, |_| Ok(file)).unwrap_err().to_string();
        assert!(
            error.contains(&"0".repeat(64)) && error.contains("fetch it again"),
            "{error}"
        );
        assert!(!place.exists());
    }

    #[test]
    fn checksums_are_found_for_both_forms() {
        let sums = "AA11  v8.a (unpacked)\nbb22 *v8.a.xz\ncc33  other\n";
        let expected = Checksums {
            packed: Some("bb22".into()),
            unpacked: Some("aa11".into()),
        };
        assert_eq!(checksums_for(sums, "v8.a.xz"), expected);
    }
}

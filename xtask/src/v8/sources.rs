//! The sources of a V8 archive, and their order.

use std::fmt;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::archive::{self, Packing, Summary};
use super::place::{self, Checksums};
use super::wanted::Wanted;
use super::{FOLDER_VARIABLE, build};
use crate::shell;

/// Limit for connecting to the release site, in seconds.
const CONNECT_SECONDS: &str = "10";
/// A download slower than this for 30 seconds is aborted.
const SLOWEST_BYTES_PER_SECOND: &str = "1000";

/// A source of archives.
#[derive(Debug, PartialEq)]
pub(crate) enum Source {
    /// Already installed.
    Place,
    /// A folder named by the user.
    Folder(PathBuf),
    /// The repository's folder of archives.
    Repository(PathBuf),
    /// The release site, or the mirror named by the user.
    Network,
    /// A build of the crate's source.
    Build,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place => f.write_str("cargo's folder"),
            Self::Folder(folder) => write!(f, "{FOLDER_VARIABLE}={}", folder.display()),
            Self::Repository(_) => f.write_str("the repository (third_party/v8)"),
            Self::Network => f.write_str("the release site"),
            Self::Build => write!(
                f,
                "a build from source (about {} minutes)",
                build::ESTIMATE.as_secs() / 60
            ),
        }
    }
}

/// A source's answer. A damaged archive is an error instead, so that the user is told.
#[derive(Debug)]
pub(crate) enum Answer {
    /// V8 is installed.
    Ready(Summary),
    /// The source has no archive, for this reason.
    Absent(String),
}

/// The order of sources: cheaper and more explicit ones first.
pub(crate) fn order(folder: Option<PathBuf>, repository: PathBuf) -> Vec<Source> {
    let mut order = vec![Source::Place];
    order.extend(folder.map(Source::Folder));
    order.extend([Source::Repository(repository), Source::Network, Source::Build]);
    order
}

/// The repository's folder of archives.
pub(crate) fn repository(root: &Path) -> PathBuf {
    root.join("third_party/v8")
}

/// Checks for an installed archive. A damaged one counts as absent, and the next source replaces it.
pub(crate) fn from_place(place: &Path) -> Result<Answer> {
    if !place.exists() {
        return Ok(Answer::Absent("not installed yet".into()));
    }
    // The build script of every profile and checkout would unpack it again; once is enough.
    if archive::packing(place)? != Packing::Plain {
        let packed = place.to_path_buf();
        return match place::put(place, &Checksums::default(), |_| Ok(packed)) {
            Ok(summary) => Ok(Answer::Ready(summary)),
            Err(error) => Ok(replace(&error)),
        };
    }
    Ok(archive::inspect(place).map_or_else(|error| replace(&error), Answer::Ready))
}

fn replace(error: &anyhow::Error) -> Answer {
    shell::say(&format!("{error:#}\nit will be replaced"));
    Answer::Absent(format!("{error:#}"))
}

/// Installs the archive from the folder named by the user.
pub(crate) fn from_folder(folder: &Path, wanted: &Wanted, place: &Path) -> Result<Answer> {
    if !folder.is_dir() {
        bail!(
            "{FOLDER_VARIABLE} names {}, which is not a folder; correct or unset it",
            folder.display()
        );
    }
    from_archives(folder, wanted, place)
        .with_context(|| format!("the archive in {FOLDER_VARIABLE} cannot be used; correct or unset the variable"))
}

/// Installs the archive from the repository's folder.
pub(crate) fn from_repository(folder: &Path, wanted: &Wanted, place: &Path) -> Result<Answer> {
    from_archives(folder, wanted, place)
        .context("the archive in third_party/v8 cannot be used; `git checkout third_party/v8` restores it")
}

/// Installs the archive from a folder, verified by the folder's `SHA256SUMS` if there is one.
fn from_archives(folder: &Path, wanted: &Wanted, place: &Path) -> Result<Answer> {
    let names = wanted.names_in_a_folder();
    let Some(name) = names.iter().find(|name| folder.join(name).is_file()) else {
        return Ok(Answer::Absent(format!(
            "it has no archive of {wanted} ({}, .a.xz or .a.gz)",
            names[0]
        )));
    };
    let checksums = match fs::read_to_string(folder.join("SHA256SUMS")) {
        Ok(sums) => place::checksums_for(&sums, name),
        Err(_) => Checksums::default(),
    };
    let file = folder.join(name);
    shell::say(&format!("taking V8 from {}", file.display()));
    place::put(place, &checksums, |_| Ok(file)).map(Answer::Ready)
}

/// Downloads the published archive. An unreachable site counts as absent, not as an error.
pub(crate) fn from_network(wanted: &Wanted, place: &Path) -> Result<Answer> {
    let Some(curl) = shell::find("curl") else {
        return Ok(Answer::Absent("`curl` is not installed".into()));
    };
    let url = wanted.url();
    shell::say(&format!("downloading {url}"));
    let mut absent = None;
    let result = place::put(place, &Checksums::default(), |partial| {
        let progress = if std::io::stderr().is_terminal() {
            "--progress-bar"
        } else {
            "--no-progress-meter"
        };
        let mut command = Command::new(curl);
        command.args([
            "--fail",
            "--location",
            "--connect-timeout",
            CONNECT_SECONDS,
            "--speed-time",
            "30",
        ]);
        command
            .args(["--speed-limit", SLOWEST_BYTES_PER_SECOND, progress, "--output"])
            .arg(partial)
            .arg(&url);
        let status = command.status()?;
        if !status.success() {
            let reason = explain(status.code(), &url);
            absent = Some(reason.clone());
            bail!(reason);
        }
        Ok(partial.to_path_buf())
    });
    match (absent, result) {
        (Some(reason), _) => Ok(Answer::Absent(reason)),
        (None, result) => result
            .map(Answer::Ready)
            .context("the downloaded archive cannot be used"),
    }
}

/// The meaning of curl's exit codes for this download.
fn explain(code: Option<i32>, url: &str) -> String {
    let what = match code {
        Some(5 | 6) => "its host name cannot be resolved",
        Some(7) => "it refuses connections",
        Some(22) => "it has no such file; set RUSTY_V8_MIRROR to a mirror that has it",
        Some(23) => "the download cannot be written; is the disk full?",
        Some(28) => "it does not respond, or too slowly",
        Some(35 | 60) => "the TLS connection failed",
        _ => "the download was interrupted",
    };
    format!("{what} ({url}); {FOLDER_VARIABLE} can name a folder that has the archive")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v8::archive::samples;
    use crate::workspace::Workspace;

    fn wanted(releases: &str) -> Wanted {
        Wanted::for_test("150.4.0", "x86_64-unknown-linux-gnu", releases)
    }

    #[test]
    fn sources_are_asked_cheapest_first() {
        let (folder, repository) = (PathBuf::from("archives"), PathBuf::from("third_party/v8"));
        let expected = [
            Source::Place,
            Source::Repository(repository.clone()),
            Source::Network,
            Source::Build,
        ];
        assert_eq!(order(None, repository.clone()), expected);
        let expected = [
            Source::Place,
            Source::Folder(folder.clone()),
            Source::Repository(repository.clone()),
            Source::Network,
            Source::Build,
        ];
        assert_eq!(order(Some(folder), repository), expected);
    }

    #[test]
    fn an_archive_in_the_folder_is_placed() {
        let (folder, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let wanted = wanted("https://example.org");
        fs::write(folder.path().join(&wanted.names_in_a_folder()[0]), samples::v8()).unwrap();
        let place = wanted.place(home.path());
        let answer = from_folder(folder.path(), &wanted, &place).unwrap();
        assert!(matches!(answer, Answer::Ready(_)), "{answer:?}");
        assert!(matches!(from_place(&place).unwrap(), Answer::Ready(_)));
    }

    #[test]
    fn a_folder_with_another_version_only_is_passed_over() {
        let (folder, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let wanted = wanted("https://example.org");
        let other = wanted.names_in_a_folder()[0].replace("150.4.0", "149.0.0");
        fs::write(folder.path().join(other), samples::v8()).unwrap();
        let answer = from_folder(folder.path(), &wanted, &wanted.place(home.path())).unwrap();
        assert!(
            matches!(&answer, Answer::Absent(reason) if reason.contains("150.4.0")),
            "{answer:?}"
        );
    }

    #[test]
    fn a_damaged_archive_in_the_folder_is_an_error_that_names_the_variable() {
        let (folder, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let wanted = wanted("https://example.org");
        let place = wanted.place(home.path());
        fs::write(folder.path().join(&wanted.names_in_a_folder()[0]), &samples::v8()[..70]).unwrap();
        let error = format!("{:#}", from_folder(folder.path(), &wanted, &place).unwrap_err());
        assert!(
            error.contains(FOLDER_VARIABLE) && error.contains("truncated"),
            "{error}"
        );
        assert!(!place.exists());
    }

    #[test]
    fn the_repository_has_the_archive_that_the_lock_file_asks_for() {
        let workspace = Workspace::find().unwrap();
        let wanted = Wanted::of(&workspace).unwrap();
        if wanted.target != "x86_64-unknown-linux-gnu" {
            return;
        }
        let folder = repository(&workspace.root);
        let name = wanted
            .names_in_a_folder()
            .into_iter()
            .find(|name| folder.join(name).is_file());
        let name = name.unwrap_or_else(|| panic!("{} has no archive of {wanted}", folder.display()));
        let sums = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
        let sums = place::checksums_for(&sums, &name);
        assert!(sums.packed.is_some() && sums.unpacked.is_some(), "{sums:?}");
    }

    #[test]
    fn a_damaged_archive_in_the_repository_is_an_error_that_says_how_to_restore_it() {
        let (folder, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let wanted = wanted("https://example.org");
        fs::write(folder.path().join(&wanted.names_in_a_folder()[0]), &samples::v8()[..70]).unwrap();
        let error = from_repository(folder.path(), &wanted, &wanted.place(home.path())).unwrap_err();
        assert!(
            format!("{error:#}").contains("git checkout third_party/v8"),
            "{error:#}"
        );
    }

    #[test]
    fn a_damaged_archive_in_its_place_is_to_be_replaced() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("v8_a_gz");
        fs::write(&place, "<html>").unwrap();
        assert!(matches!(from_place(&place).unwrap(), Answer::Absent(_)));
    }

    #[test]
    fn an_unreachable_site_is_skipped() {
        let home = tempfile::tempdir().unwrap();
        // Nothing listens on port 9 of this loopback address.
        let wanted = wanted("http://127.0.0.9:9");
        let place = wanted.place(home.path());
        let answer = from_network(&wanted, &place).unwrap();
        assert!(
            matches!(&answer, Answer::Absent(reason) if reason.contains(FOLDER_VARIABLE)),
            "{answer:?}"
        );
        let left: Vec<_> = fs::read_dir(place.parent().unwrap())
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        assert_eq!(left, [".isopod-lock"]);
    }
}

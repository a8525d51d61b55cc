//! Follows `docs/embedding.md`: creates the files of its first program outside of the workspace, runs its commands, and
//! compares their output.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

const PAGE: &str = "docs/embedding.md";
/// The section to follow.
const SECTION: &str = "## A first program";

/// The instructions of the page.
#[derive(Debug, Default, PartialEq, Eq)]
struct Steps {
    /// Paths and contents.
    files: Vec<(String, String)>,
    /// Commands, each with the output on the page, if any.
    commands: Vec<(String, Option<String>)>,
}

/// Follows the page.
pub(crate) fn follow(workspace: &Workspace) -> Result<()> {
    let steps = steps(&workspace.read(PAGE)?)?;
    let folder = folder(workspace)?;
    for (path, content) in &steps.files {
        write(&folder.join(path), content)?;
    }
    // The reviewed versions: without a lock file, cargo would select the newest.
    let lock = workspace.read("Cargo.lock")?;
    write(&folder.join("Cargo.lock"), &lock)?;
    for (command, expected) in &steps.commands {
        run(workspace, &folder, command, expected.as_deref())?;
    }
    Ok(())
}

/// Creates an empty folder, next to which `isopod` is the clone, as the page requires. It is always the same one, so that
/// its build is reused.
fn folder(workspace: &Workspace) -> Result<PathBuf> {
    let parent = workspace.target.join("embedding");
    let folder = parent.join("program");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let clone = parent.join("isopod");
    if !clone.exists() {
        std::os::unix::fs::symlink(&workspace.root, clone)?;
    }
    Ok(folder)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(path.parent().context("a file has a folder")?)?;
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

fn run(workspace: &Workspace, folder: &Path, command: &str, expected: Option<&str>) -> Result<()> {
    let mut shell = shell::command("sh", folder);
    // The workspace's target folder and debug information, to share the dependencies built with the same features.
    shell.args(["-ec", command]).env("CARGO_TARGET_DIR", &workspace.target);
    if std::env::var_os("CARGO_PROFILE_DEV_DEBUG").is_none() {
        shell.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    }
    let output = shell
        .stderr(Stdio::inherit())
        .output()
        .context("`sh` cannot be started")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{PAGE}: `{}` failed ({})\n{printed}", command.trim_end(), output.status);
    }
    if let Some(expected) = expected
        && printed != expected
    {
        bail!(
            "{PAGE}: `{}` printed\n{printed}instead of\n{expected}",
            command.trim_end()
        );
    }
    Ok(())
}

/// Reads the section. A block after a line that ends with a path and a colon is that file, a block of `sh` is a command,
/// and a block of `text` its output.
fn steps(page: &str) -> Result<Steps> {
    let section = page
        .split_once(SECTION)
        .map(|(_, rest)| rest.split("\n## ").next().unwrap_or(rest))
        .with_context(|| format!("{PAGE} has no section `{SECTION}`"))?;
    let mut steps = Steps::default();
    let (mut before, mut lines) = ("", section.lines());
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            if !line.trim().is_empty() {
                before = line;
            }
            continue;
        };
        let block: String = lines
            .by_ref()
            .take_while(|line| *line != "```")
            .flat_map(|line| [line, "\n"])
            .collect();
        match (language, file_name(before)) {
            ("sh", _) => steps.commands.push((block, None)),
            ("text", _) => {
                let command = steps.commands.last_mut().context("an output follows a command")?;
                command.1 = Some(block);
            }
            (_, Some(name)) => steps.files.push((name.to_owned(), block)),
            (language, None) => bail!("{PAGE}: a block of {language} in `{SECTION}` has no file name before it"),
        }
    }
    if steps.files.is_empty() || steps.commands.is_empty() {
        bail!("{PAGE}: `{SECTION}` has no files or no commands");
    }
    Ok(steps)
}

/// The path `src/main.rs` from a line that ends with "`src/main.rs`:".
fn file_name(line: &str) -> Option<&str> {
    let (_, name) = line.strip_suffix("`:")?.rsplit_once('`')?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_commands() {
        let page = "# A\n## A first program\n\nIn a folder, `a/b.toml`:\n\n```toml\nx = 1\n```\n\nThen:\n\n```sh\nrun\n```\n```text\n3\n```\n\n## Next\n```rust\n```\n";
        assert_eq!(
            steps(page).unwrap(),
            Steps {
                files: vec![("a/b.toml".to_owned(), "x = 1\n".to_owned())],
                commands: vec![("run\n".to_owned(), Some("3\n".to_owned()))],
            }
        );
    }

    #[test]
    fn invalid_pages() {
        assert!(steps("# A\n").is_err());
        let nameless = "## A first program\n```rust\nfn main() {}\n```\n```sh\nrun\n```\n";
        assert!(steps(nameless).unwrap_err().to_string().contains("no file name"));
    }
}

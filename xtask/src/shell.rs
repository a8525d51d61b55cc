//! Runs other programs. Each command is printed before it runs; errors name the failure and the remedy.

use std::env;
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a program with its output on the terminal; an exit code other than zero is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    eprintln!("{}", dim(&format!("$ {shown}")));
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a program quietly and returns what it printed.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!(
            "`{shown}` failed ({})\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Finds a program on the search path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Finds a program, or returns an error that names the package to install.
pub(crate) fn need(program: &str, package: &str) -> Result<PathBuf> {
    find(program).with_context(|| {
        format!("`{program}` is not installed; install the package `{package}` (Debian: `apt-get install {package}`)")
    })
}

/// Creates a command that runs in a folder, without the variables that cargo sets for this package. Some build scripts
/// rerun when these change, so builds started here and by hand would invalidate each other.
pub(crate) fn command(program: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    for (name, _) in env::vars_os().filter(|(name, _)| is_about_this_package(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
}

fn is_about_this_package(variable: &str) -> bool {
    ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_CRATE_", "CARGO_BIN_"]
        .iter()
        .any(|start| variable.starts_with(start))
}

/// Prints the heading of a step.
pub(crate) fn heading(text: &str) {
    eprintln!("\n{}", paint("1", &format!("== {text}")));
}

/// Prints a line about progress.
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// Dims text on a terminal.
pub(crate) fn dim(text: &str) -> String {
    paint("2", text)
}

/// Colors text if the output is a terminal and `NO_COLOR` is not set.
pub(crate) fn paint(code: &str, text: &str) -> String {
    if std::io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

fn cannot_start(command: &Command) -> String {
    format!(
        "`{}` cannot be started; is it installed?",
        command.get_program().to_string_lossy()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_program_is_reported_with_its_output() {
        let error = capture(Command::new("sh").args(["-c", "echo broken >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit status: 3") && error.contains("broken"), "{error}");
    }

    #[test]
    fn a_nested_cargo_gets_no_variables_of_this_package() {
        // Set by cargo for tests as well.
        assert!(env::var_os("CARGO_PKG_NAME").is_some());
        let variables = capture(&mut command("env", Path::new("."))).unwrap();
        assert!(
            variables.contains("PATH=") && !variables.contains("CARGO_PKG_"),
            "{variables}"
        );
    }

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let error = need("no-such-program-anywhere", "the-package").unwrap_err().to_string();
        assert!(error.contains("apt-get install the-package"), "{error}");
    }
}

//! The files that the rules check.

use anyhow::Result;

use crate::shell;
use crate::workspace::Workspace;

/// Files of others, which are kept as they are.
const VENDORED: &str = "node/vendor/";

/// A text file of the repository.
pub(crate) struct File {
    /// Path from the repository's root, separated by `/`.
    pub(crate) path: String,
    /// Content.
    pub(crate) text: String,
}

/// A line, with the context that rules need.
pub(crate) struct Line<'a> {
    /// Line number, from 1.
    pub(crate) number: usize,
    /// Text without the line break.
    pub(crate) text: &'a str,
    /// True in test code.
    pub(crate) in_test: bool,
    above: &'a str,
}

impl Line<'_> {
    /// Returns true if this line or the one above allows breaking a rule, with a reason.
    pub(crate) fn allows(&self, rule: &str) -> bool {
        let marker = format!("tidy:allow({rule}): ");
        [self.text, self.above]
            .iter()
            .any(|text| text.split_once(&marker).is_some_and(|(_, why)| !why.trim().is_empty()))
    }

    /// Returns true if the line holds only a comment.
    pub(crate) fn is_comment(&self) -> bool {
        self.text.trim_start().starts_with("//")
    }
}

impl File {
    /// Returns true if the name has one of these extensions, given without the dot.
    pub(crate) fn is(&self, extensions: &[&str]) -> bool {
        self.path
            .rsplit_once('.')
            .is_some_and(|(_, extension)| extensions.contains(&extension))
    }

    /// Returns true if the file is for tests or benchmarks only.
    pub(crate) fn is_test(&self) -> bool {
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        folder
            .split('/')
            .any(|part| matches!(part, "tests" | "benches" | "fixtures"))
            || name == "tests.rs"
            || name.ends_with("_tests.rs")
    }

    /// The file name without its folder.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The first folder of the path, which is the crate.
    pub(crate) fn top(&self) -> &str {
        self.path.split('/').next().unwrap_or(&self.path)
    }

    /// The lines of the file. By convention, a Rust file's test module extends to its end.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut in_test = self.is_test();
        let mut above = "";
        self.text.lines().enumerate().map(move |(index, text)| {
            let opens_test_module = above.trim() == "#[cfg(test)]" && text.contains("mod ") && text.ends_with('{');
            in_test |= opens_test_module;
            let line = Line {
                number: index + 1,
                text,
                in_test,
                above,
            };
            above = text;
            line
        })
    }
}

/// Every text file that git tracks, or would track after `git add`.
pub(crate) fn all(workspace: &Workspace) -> Result<Vec<File>> {
    let mut git = shell::command("git", &workspace.root);
    let listed = shell::capture(git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    let is_own = |path: &&str| !path.is_empty() && !path.starts_with(VENDORED);
    let mut paths: Vec<_> = listed.split('\0').filter(is_own).collect();
    paths.sort_unstable();
    paths.dedup();
    // git also lists deleted files that are not committed yet. Files that are not UTF-8 are not text.
    let read = |path: &str| std::fs::read_to_string(workspace.root.join(path)).ok();
    Ok(paths
        .into_iter()
        .filter_map(|path| {
            Some(File {
                path: path.to_owned(),
                text: read(path)?,
            })
        })
        .collect())
}

#[cfg(test)]
pub(crate) fn file(path: &str, text: &str) -> File {
    File {
        path: path.into(),
        text: text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_module_goes_to_the_end_of_its_file() {
        let file = file(
            "pool/src/lib.rs",
            "fn f() {}\n#[cfg(test)]\nfn helper() {}\n#[cfg(test)]\nmod tests {\n}\n",
        );
        let in_test: Vec<_> = file.lines().map(|line| line.in_test).collect();
        assert_eq!(in_test, [false, false, false, false, true, true]);
    }

    #[test]
    fn an_allowance_needs_a_reason() {
        let file = file("a.rs", "// tidy:allow(r): because\nx\ny // tidy:allow(r): \n");
        let allowed: Vec<_> = file.lines().map(|line| line.allows("r")).collect();
        assert_eq!(allowed, [true, true, false]);
    }
}

//! The files of a folder that may be served.

use std::path::{Component, Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Files with rules, which are not served themselves.
const RULES: [&str; 3] = ["_headers", "_redirects", ".assetsignore"];

/// A folder. Hidden files (except `.well-known`), `node_modules`, files with rules, those that `.assetsignore` names, and links
/// that lead out of the folder are not served.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    ignored: Gitignore,
}

impl Folder {
    pub(crate) fn open(root: &Path) -> std::io::Result<Self> {
        let root = std::fs::canonicalize(root)?;
        let mut ignored = GitignoreBuilder::new(&root);
        let file = root.join(".assetsignore");
        if file.is_file()
            && let Some(error) = ignored.add(&file)
        {
            return Err(std::io::Error::other(error));
        }
        let ignored = ignored.build().map_err(std::io::Error::other)?;
        Ok(Self { root, ignored })
    }

    /// Reads a file with rules.
    pub(crate) fn rules(&self, name: &str) -> std::io::Result<String> {
        match std::fs::read_to_string(self.root.join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            read => read,
        }
    }

    /// Returns the file at a decoded path of a URL, if there is one that may be served.
    pub(crate) fn find(&self, path: &str) -> Option<PathBuf> {
        let relative = Path::new(path.strip_prefix('/')?);
        let is_plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        // A path that ends with a slash, or has a point in it, is not that of a file.
        let is_canonical = relative.iter().map(|part| part.len() + 1).sum::<usize>() == path.len();
        if !is_plain || !is_canonical || path.contains('\0') || !is_public(relative) {
            return None;
        }
        let file = self.root.join(relative);
        if self.ignored.matched_path_or_any_parents(&file, false).is_ignore() {
            return None;
        }
        // Where links lead to counts as well.
        let real = std::fs::canonicalize(&file).ok()?;
        let is_inside = real.strip_prefix(&self.root).is_ok_and(is_public);
        (is_inside && real.is_file()).then_some(real)
    }
}

/// `.well-known` is public by RFC 8615.
fn is_public(relative: &Path) -> bool {
    let is_rules = RULES.iter().any(|name| relative == Path::new(name));
    !is_rules
        && relative
            .iter()
            .all(|part| part == ".well-known" || (part != "node_modules" && !part.to_string_lossy().starts_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_files_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        for file in [
            "site/a b/c.txt",
            "site/.env",
            "site/.well-known/security.txt",
            "site/node_modules/x.js",
            "site/_headers",
            "site/sub/_headers",
            "site/drafts/x.md",
            "site/notes.md",
            "site/keep.md",
            "outside.txt",
        ] {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        std::fs::write(site.join(".assetsignore"), "*.md\n!keep.md\n/drafts\n").unwrap();
        std::os::unix::fs::symlink("../outside.txt", site.join("link.txt")).unwrap();
        std::os::unix::fs::symlink(".env", site.join("env.txt")).unwrap();
        std::os::unix::fs::symlink("a b/c.txt", site.join("inside.txt")).unwrap();
        let folder = Folder::open(&site).unwrap();
        for (path, is_found) in [
            ("/a b/c.txt", true),
            ("/inside.txt", true),
            ("/.well-known/security.txt", true),
            ("/sub/_headers", true),
            ("/keep.md", true),
            ("/a b", false),
            ("/a b/c.txt/", false),
            ("/a b/./c.txt", false),
            ("/a b/../a b/c.txt", false),
            ("/../outside.txt", false),
            ("//outside.txt", false),
            ("/.env", false),
            ("/env.txt", false),
            ("/link.txt", false),
            ("/node_modules/x.js", false),
            ("/_headers", false),
            ("/.assetsignore", false),
            ("/notes.md", false),
            ("/drafts/x.md", false),
            ("/a\0b", false),
            ("/", false),
        ] {
            assert_eq!(folder.find(path).is_some(), is_found, "{path}");
        }
    }
}

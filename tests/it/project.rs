//! Folders of scripts: fixtures, and temporary ones for files that tests write.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder or file under `fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// A temporary folder.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let project = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        files.iter().for_each(|(name, text)| project.write(name, text));
        project
    }

    /// A copy of a fixture.
    pub(crate) fn copy_of(name: &str) -> Self {
        let project = Self::new(&[]);
        for entry in std::fs::read_dir(fixture(name)).expect("a fixture of that name") {
            let path = entry.expect("an entry").path();
            std::fs::copy(&path, project.path().join(path.file_name().expect("a name"))).expect("a file to copy");
        }
        project
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder to write to");
        std::fs::write(path, text).expect("a file to write to");
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder
            .path()
            .join(name)
            .to_str()
            .expect("a path in UTF-8")
            .to_owned()
    }
}

//! The served folder: written once, and changed by deployments.

use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

const FILES: [(&str, &str); 4] = [
    ("isopod.toml", include_str!("../project/isopod.toml")),
    ("good.js", include_str!("../project/good.js")),
    ("endless.js", include_str!("../project/endless.js")),
    // Also used by the tests, one misbehavior at a time.
    ("hostile.js", include_str!("../../tests/fixtures/hostile/worker.js")),
];

/// Number of the project's workers; events are counted for each.
pub(crate) const THREADS: usize = 8;

/// The temporary folder of a soak.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder can be made")?;
        let project = Self { folder };
        std::fs::create_dir(project.path().join(".isopod"))?;
        for (name, text) in FILES {
            project.write(name, text)?;
        }
        project.deploy(0)?;
        project.mend(true)?;
        Ok(project)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a version that answers with its number.
    pub(crate) fn deploy(&self, version: u64) -> Result<()> {
        let text = format!("export default {{ fetch: () => new Response(\"{version}\") }};\n");
        self.write("deployed.js", &text)
    }

    /// Writes a version that can start, or one that cannot.
    pub(crate) fn mend(&self, sound: bool) -> Result<()> {
        let text = if sound {
            "export default { fetch: () => new Response(\"mended\") };\n"
        } else {
            "throw new Error(\"broken on purpose\");\n"
        };
        self.write("mending.js", text)
    }

    /// Writes atomically: readers see the old text or the new one.
    fn write(&self, name: &str, text: &str) -> Result<()> {
        let (path, beside) = (self.path().join(name), self.path().join(".isopod/next"));
        std::fs::write(&beside, text).with_context(|| format!("{} cannot be written", beside.display()))?;
        std::fs::rename(&beside, &path).with_context(|| format!("{} cannot be written", path.display()))
    }
}

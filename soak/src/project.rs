//! The served folder: written once, and changed by deployments.

use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

const FILES: [(&str, &str); 3] = [
    ("good.js", include_str!("../project/good.js")),
    ("endless.js", include_str!("../project/endless.js")),
    // Also used by the tests, one misbehavior at a time.
    ("hostile.js", include_str!("../../tests/fixtures/hostile/worker.js")),
];

const CONFIGURATION: &str = include_str!("../project/isopod.toml");

/// The workers of the project that have processes of their own if asked for: their outcomes are the same there.
const IN_CELLS: [&str; 6] = ["echo", "stream", "timers", "relay", "fresh", "alone"];

/// Number of threads, each of which hosts a worker with a database once the load begins. With plain workers there are more.
pub(crate) const THREADS: usize = 8;

/// The temporary folder of a soak.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    /// Writes a project with this many plain workers, each on a thread of its own, and half of all workers in cells if asked for.
    pub(crate) fn new(plain: u64, cells: bool) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder can be made")?;
        let project = Self { folder };
        std::fs::create_dir(project.path().join(".isopod"))?;
        for (name, text) in FILES {
            project.write(name, text)?;
        }
        project.write("isopod.toml", &configuration(plain, cells))?;
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

fn configuration(plain: u64, cells: bool) -> String {
    let in_cell = if cells { "isolation = \"process\"\n" } else { "" };
    let mut text = CONFIGURATION.to_owned();
    for worker in IN_CELLS {
        let head = format!("[workers.{worker}]\n");
        text = text.replace(&head, &format!("{head}{in_cell}"));
    }
    if plain > 0 {
        let threads = format!("threads = {THREADS}\n");
        let workers_max = plain + 4 * THREADS as u64;
        text = text.replacen(&threads, "", 1) + &format!("\n[pool]\nworkers_max = {workers_max}\n");
    }
    let routes: String = (0..plain)
        .map(|i| format!("  {{ host = \"plain-{i}.soak\", worker = \"plain-{i}\" }},\n"))
        .collect();
    text = text.replacen("\n]\n", &format!("\n{routes}]\n"), 1);
    for i in 0..plain {
        let isolation = if i % 2 == 0 { in_cell } else { "" };
        text += &format!("\n[workers.plain-{i}]\nmain = \"good.js\"\n{isolation}");
    }
    text
}

//! The build itself: a patched copy of the source, gn, ninja, and a check of the result.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result};

use super::patch::Edit;
use super::plan::Plan;
use super::toolchain::{self, Crates};
use crate::shell;
use crate::v8::archive::Summary;
use crate::v8::place::{self, Checksums};

/// Memory that one compiler needs at most, in KiB.
const COMPILER_KIB: usize = 3 * 1024 * 1024;

/// Copies the source once, then applies the edits. Unchanged files are not touched, so that ninja continues an
/// interrupted build.
pub(crate) fn prepare(plan: &Plan, edits: &[Edit], crates: &Crates) -> Result<()> {
    shell::heading("source");
    let tree = plan.tree();
    if !tree.exists() {
        // Renamed when complete.
        let partial = plan.folder.join("source.partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        let mut copy = shell::command("cp", &plan.folder);
        shell::run(copy.args(["-R", "-p"]).arg(&plan.source).arg(&partial))?;
        fs::rename(&partial, &tree)?;
    }
    for edit in edits {
        write_if_changed(&tree.join(edit.file), edit.text(&crates.temporal).as_bytes())?;
    }
    write_if_changed(&tree.join("v8/tools/cluster_files.py"), &fs::read(&plan.clusters)?)?;
    let icu = fs::read(&crates.icu_data).with_context(|| format!("{} cannot be read", crates.icu_data.display()))?;
    write_if_changed(&tree.join("third_party/icu/common/icudtl.dat"), &icu)
}

/// Generates, compiles, checks and installs. ninja reports the progress.
pub(crate) fn run(plan: &Plan, place: &Path) -> Result<Summary> {
    shell::heading("compile");
    let out = plan.folder.join("out");
    generate(plan, &out)?;
    let mut ninja = shell::command("ninja", &plan.folder);
    ninja
        .env("NINJA_STATUS", "[%f/%t, %e s] ")
        .arg("-C")
        .arg(&out)
        .args(["-j", &jobs().to_string()]);
    // Continue after a failure, to see all failures at once; the rest is needed anyway.
    shell::run(ninja.args(["-k", "0", "rusty_v8"]))
        .context("V8 does not compile; see the first error above. The same command continues from there")?;
    let archive = out.join("obj/librusty_v8.a");
    place::put(place, &Checksums::default(), |_| Ok(archive)).context("the build's result is not V8")
}

fn generate(plan: &Plan, out: &Path) -> Result<()> {
    let mut args = String::new();
    for (name, value) in plan.gn_args() {
        writeln!(args, "{name} = {value}")?;
    }
    fs::create_dir_all(out)?;
    write_if_changed(&out.join("args.gn"), args.as_bytes())?;
    let mut gn = shell::command(toolchain::gn(plan), &plan.tree());
    shell::run(
        gn.arg("gen")
            .arg(out)
            .arg("--script-executable=python3")
            .arg(format!("--root={}", plan.tree().display())),
    )
}

/// One compiler per processor, or fewer if memory is scarce.
fn jobs() -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available_kib(&text));
    memory
        .map_or(processors, |kib| processors.min(kib / COMPILER_KIB))
        .max(1)
}

fn available_kib(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes).with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_kib() {
        assert_eq!(available_kib("MemTotal: 9 kB\nMemAvailable:    4096 kB\n"), Some(4096));
        assert_eq!(available_kib("MemTotal: 9 kB\n"), None);
    }

    #[test]
    fn names_of_clusters_are_those_of_the_files_that_are_written() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("v8/cluster_files.py");
        let folder = tempfile::tempdir().unwrap();
        let mut sources: Vec<_> = (0..5).map(|i| format!("../src/heap/{i}.cc")).collect();
        sources.extend((0..3).map(|i| format!("../src/maglev/{i}.cc")));
        sources.push("../src/heap/x-tsa.cc".to_owned());
        let python = |mode: &[&str]| {
            let mut python = shell::command("python3", folder.path());
            python
                .arg(&script)
                .args(mode)
                .args(["--prefix", "p", "--cluster-size", "4", "--small-cluster-size", "2"]);
            shell::capture(python.args(["--small-cluster-dirs", "src/maglev"]).args(&sources)).unwrap()
        };
        let names = python(&["--compute-filenames"]);
        python(&["--generate", "--output-dir", "gen", "--include-prefix", "../../"]);
        let texts: Vec<_> = names
            .lines()
            .map(|name| fs::read_to_string(folder.path().join("gen").join(name)).unwrap())
            .collect();
        let sizes: Vec<_> = texts.iter().map(|text| text.lines().count()).collect();
        assert_eq!(
            sizes,
            [4, 1, 1, 2, 1],
            "four of heap, its fifth, the one that stands alone, then maglev by twos"
        );
        assert!(
            texts[0].starts_with("#include \"../../../src/heap/0.cc\"\n"),
            "{}",
            texts[0]
        );
    }
}

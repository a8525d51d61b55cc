//! Results that are kept between runs: a line of JSON for each test, written when it has ended.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::results::Outcome;

/// The results of one runtime.
pub(crate) struct Cache {
    file: File,
    lines: BTreeMap<String, Line>,
}

/// A test's result, and a key of what it depends on.
#[derive(Serialize, Deserialize)]
struct Line {
    test: String,
    key: u64,
    outcome: Outcome,
}

impl Cache {
    /// Opens the file of a runtime in a folder. A line that was not written to its end is left out.
    pub(crate) fn open(folder: &Path, runtime: &str) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let path = folder.join(format!("{}.jsonl", runtime.replace(' ', "-")));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Line>(line).ok())
            .map(|line| (line.test.clone(), line));
        let lines = lines.collect();
        let mut file = File::options().append(true).create(true).open(&path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        Ok(Self { file, lines })
    }

    pub(crate) fn get(&self, test: &str, key: u64) -> Option<Outcome> {
        let line = self.lines.get(test).filter(|line| line.key == key)?;
        Some(line.outcome.clone())
    }

    /// Adds the result of a test in place of an older one.
    pub(crate) fn add(&mut self, test: String, key: u64, outcome: &Outcome) -> Result<()> {
        let outcome = outcome.clone();
        let line = Line { test, key, outcome };
        writeln!(self.file, "{}", serde_json::to_string(&line)?)?;
        self.lines.insert(line.test.clone(), line);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Cache;
    use crate::results::Outcome;

    #[test]
    fn results_are_kept_until_what_they_depend_on_changes() {
        let folder = tempfile::tempdir().unwrap();
        let outcome = Outcome::failed("why".to_owned());
        let mut cache = Cache::open(folder.path(), "Deno 1").unwrap();
        cache.add("a".to_owned(), 1, &outcome).unwrap();
        drop(cache);
        let path = folder.path().join("Deno-1.jsonl");
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{{\"test\":\"b")).unwrap();
        let mut cache = Cache::open(folder.path(), "Deno 1").unwrap();
        assert_eq!(cache.get("a", 1).unwrap().error.as_deref(), Some("why"));
        assert!(cache.get("a", 2).is_none() && cache.get("b", 1).is_none());
        cache.add("b".to_owned(), 1, &outcome).unwrap();
        let cache = Cache::open(folder.path(), "Deno 1").unwrap();
        assert!(cache.get("b", 1).is_some());
        assert!(Cache::open(folder.path(), "Deno 2").unwrap().get("a", 1).is_none());
    }
}

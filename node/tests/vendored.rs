//! The scripts of `vendor` are those of `deno_node`, unchanged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => list(&path, files),
            false => files.push(path),
        }
    }
}

#[test]
fn vendored_scripts_are_unchanged() {
    let vendor = Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor");
    let sums = fs::read_to_string(vendor.join("SHA256SUMS")).unwrap();
    let expected: BTreeMap<_, _> = sums
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
        .collect();
    let mut files = Vec::new();
    list(&vendor, &mut files);
    let mut found = BTreeMap::new();
    for path in files {
        let name = path.strip_prefix(&vendor).unwrap().to_string_lossy().replace('\\', "/");
        if name == "SHA256SUMS" || name == "LICENSE" {
            continue;
        }
        let content = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&content).into_owned();
        assert!(
            text.contains("MIT license") || text.contains("Permission is hereby granted"),
            "{name} names no license"
        );
        let sum = Sha256::digest(&content)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        found.insert(name, sum);
    }
    assert_eq!(found, expected);
}

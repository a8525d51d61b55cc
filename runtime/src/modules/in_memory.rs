//! Modules that are not files: the same search for extensions as on disk, on a map. Pure.

use std::collections::BTreeMap;

use url::Url;

use super::disk::{EXTENSIONS, REPLACED_EXTENSIONS};
use super::options::MemoryModule;

pub(super) fn find(modules: &BTreeMap<Url, MemoryModule>, url: &Url) -> Option<Url> {
    if modules.is_empty() {
        return None;
    }
    let with_path = |path: String| {
        let mut candidate = url.clone();
        candidate.set_path(&path);
        modules.contains_key(&candidate).then_some(candidate)
    };
    if modules.contains_key(url) {
        return Some(url.clone());
    }
    let path = url.path();
    let replaced = REPLACED_EXTENSIONS
        .iter()
        .filter_map(|(written, real)| path.strip_suffix(written).map(|stem| (stem, real)))
        .flat_map(|(stem, real)| real.iter().map(move |extension| format!("{stem}{extension}")));
    let folder = path.strip_suffix('/').unwrap_or(path);
    let added = EXTENSIONS.iter().map(|extension| format!("{path}{extension}"));
    let index = EXTENSIONS.iter().map(|extension| format!("{folder}/index{extension}"));
    replaced.chain(added).chain(index).find_map(with_path)
}

//! The script's modules as files, which `node:fs` shows in `/bundle`.

use std::sync::Arc;

use deno_core::url::Url;
use isopod_node::Bundle;

use super::ScriptLoader;

impl Bundle for ScriptLoader {
    /// The modules that the script's version has loaded, except those outside of the folder of the main module.
    fn names(&self) -> Vec<String> {
        let Ok(folder) = self.script.entry.join("./") else {
            return Vec::new();
        };
        let mut files = self.files.borrow_mut();
        for url in self.script.loader.known() {
            if let Some(name) = name_of(&folder, &url)
                && self.content_of(&url).is_some()
            {
                files.insert(name, url);
            }
        }
        files.keys().cloned().collect()
    }

    fn content(&self, name: &str) -> Option<Arc<[u8]>> {
        self.content_of(self.files.borrow().get(name)?)
    }
}

impl ScriptLoader {
    /// The content of a loaded module. Nothing is read for it.
    fn content_of(&self, url: &Url) -> Option<Arc<[u8]>> {
        let loader = &self.script.loader;
        if let Some(content) = loader.content_in_memory(url) {
            return Some(content);
        }
        // Before the cache, which has the facades of CommonJS modules.
        match loader.registered(url) {
            Some(module) => Some(Arc::clone(module.original.as_ref().unwrap_or(&module.code)).into()),
            None => self.script.module_cache.content(url),
        }
    }
}

/// The path of a module in a folder; `None` if it is not in it.
fn name_of(folder: &Url, url: &Url) -> Option<String> {
    let is_there = url.scheme() == folder.scheme() && url.host() == folder.host();
    let path = url.path().strip_prefix(folder.path()).filter(|_| is_there)?;
    let name = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    let is_path = |name: &str| name.split('/').all(|part| !matches!(part, "" | "." | "..")) && !name.contains('\0');
    is_path(&name).then(|| name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_path_from_the_folder() {
        let folder = Url::parse("file:///project/src/").unwrap();
        let name = |url| name_of(&folder, &Url::parse(url).unwrap());
        assert_eq!(name("file:///project/src/a/b%20c.txt").as_deref(), Some("a/b c.txt"));
        for elsewhere in [
            "file:///project/package.json",
            "file:///project/src/",
            "file:///project/src/a//b.js",
            "file:///project/src/a/%2E%2E%2Fb.js",
            "isopod:///project/src/a.js",
        ] {
            assert_eq!(name(elsewhere), None, "{elsewhere}");
        }
    }
}

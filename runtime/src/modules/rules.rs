//! Rules that determine the types of modules by their paths, before their extensions do. Pure.

use std::path::{Path, PathBuf};

use url::Url;

use super::kind::{Format, ModuleKind, RequestedType, Treatment, treatment};
use super::options::ModuleRule;

/// The rules of a script.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<ModuleRule>,
    /// The folder that paths are relative to.
    root: Option<PathBuf>,
}

impl Rules {
    pub(super) const fn new(rules: Vec<ModuleRule>, root: Option<PathBuf>) -> Self {
        Self { rules, root }
    }

    pub(super) fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// The processing of a module, by the requested type, a rule or the extension. `is_main` is true for the script's main module.
    pub(super) fn treatment(&self, url: &Url, requested: RequestedType<'_>, is_main: bool) -> Treatment {
        let by_extension = treatment(url, requested, is_main);
        let is_by_extension = matches!(requested, RequestedType::Unspecified | RequestedType::Other(_));
        if is_main || !is_by_extension {
            return by_extension;
        }
        match (self.kind(url), by_extension) {
            // Which format code has is known from its extension, if that is one of code, or else from its content.
            (Some(ModuleKind::JavaScript), Treatment::JavaScript(_) | Treatment::Transpile(..)) | (None, _) => {
                by_extension
            }
            (Some(ModuleKind::JavaScript), _) => Treatment::JavaScript(Format::Unmarked),
            (Some(ModuleKind::Json), _) => Treatment::Json,
            (Some(ModuleKind::Text), _) => Treatment::Text,
            (Some(ModuleKind::Bytes), _) => Treatment::Bytes,
            (Some(ModuleKind::Wasm), _) => Treatment::Wasm,
        }
    }

    /// Returns true if a rule says that this file has text, bytes or JSON.
    pub(super) fn has_data(&self, path: &Path) -> bool {
        matches!(
            self.kind_of(path),
            Some(ModuleKind::Text | ModuleKind::Bytes | ModuleKind::Json)
        )
    }

    fn kind(&self, url: &Url) -> Option<ModuleKind> {
        match url.to_file_path() {
            Ok(path) => self.kind_of(&path),
            Err(()) => self.kind_of(Path::new(url.path())),
        }
    }

    /// The type that the first matching rule says.
    fn kind_of(&self, path: &Path) -> Option<ModuleKind> {
        if self.rules.is_empty() {
            return None;
        }
        let below = self.root.as_ref().and_then(|root| path.strip_prefix(root).ok());
        let path = below.unwrap_or(path).to_str()?.replace('\\', "/");
        let path = path.trim_start_matches('/');
        let matches = |glob: &String| fast_glob::glob_match(glob.trim_start_matches("./"), path);
        let rule = self.rules.iter().find(|rule| rule.globs.iter().any(matches))?;
        Some(rule.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_counts_before_the_extension() {
        let rule = |kind, glob: &str| ModuleRule {
            kind,
            globs: vec![glob.to_owned()],
        };
        let rules = [
            rule(ModuleKind::Text, "**/*.raw.js"),
            rule(ModuleKind::JavaScript, "**/*.js"),
            rule(ModuleKind::Bytes, "./assets/**"),
            rule(ModuleKind::JavaScript, "**/*.es"),
            rule(ModuleKind::Text, "**/*.svg"),
        ];
        let rules = Rules::new(rules.into(), Some("/app".into()));
        for (path, expected) in [
            ("/app/a.raw.js", Treatment::Text),
            ("/app/a.js", Treatment::JavaScript(Format::Unmarked)),
            ("/app/a.cjs", Treatment::JavaScript(Format::CommonJs)),
            ("/app/a.es", Treatment::JavaScript(Format::Unmarked)),
            ("/app/assets/a.svg", Treatment::Bytes),
            ("/app/src/assets/a.svg", Treatment::Text),
            ("/elsewhere/a.svg", Treatment::Text),
            ("/app/a.txt", Treatment::Text),
            ("/app/a.none", Treatment::Unknown),
        ] {
            let url = Url::from_file_path(path).unwrap();
            let found = rules.treatment(&url, RequestedType::Unspecified, false);
            assert_eq!(found, expected, "{path}");
            assert_eq!(rules.treatment(&url, RequestedType::Json, false), Treatment::Json);
        }
    }
}

//! Aliases of modules, as bundlers have them. They are consulted before everything else. Pure.

use std::collections::BTreeMap;

use url::Url;

use super::error::ModuleError;
use super::helpers;

/// Substitutes for imported names.
#[derive(Debug)]
pub(super) struct Aliases {
    alias: BTreeMap<String, String>,
    /// The URL that substitutes are resolved from; that of the importer if there is none.
    from: Option<Url>,
}

impl Aliases {
    /// # Errors
    ///
    /// A name is a path, or empty.
    pub(super) fn new(alias: BTreeMap<String, String>, from: Option<Url>) -> Result<Self, ModuleError> {
        let is_name = |name: &str| !name.is_empty() && !name.starts_with(['.', '/']) && !name.ends_with('/');
        if let Some(name) = alias.keys().find(|name| !is_name(name)) {
            return Err(ModuleError::InvalidAlias {
                name: name.clone(),
                reason: "it should be the name of a module, not a path",
            });
        }
        Ok(Self { alias, from })
    }

    /// The substitute for a specifier, and the URL that it is resolved from. An alias stands for a module, and for all those below it:
    /// that of `a` also for `a/b`.
    pub(super) fn apply<'a>(&'a self, specifier: &str, referrer: &'a Url) -> Option<(String, &'a Url)> {
        // Imports of the transpiler are not subject to the script's aliases.
        if self.alias.is_empty() || specifier.starts_with(helpers::PREFIX) {
            return None;
        }
        let rest_after = |name: &str| {
            let rest = specifier.strip_prefix(name)?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        };
        // Of several, the one that says most, which is the last in alphabetical order.
        let aliases = self.alias.iter().rev();
        let (substitute, rest) = aliases
            .filter_map(|(name, substitute)| Some((substitute, rest_after(name)?)))
            .next()?;
        Some((format!("{substitute}{rest}"), self.from.as_ref().unwrap_or(referrer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_stands_for_a_module_and_those_below_it() {
        let alias = [("a", "b"), ("a/c", "file:///c.js"), ("@x/y", "@z/y")];
        let alias = alias.map(|(name, substitute)| (name.to_owned(), substitute.to_owned()));
        let aliases = Aliases::new(alias.into(), None).unwrap();
        let referrer = Url::parse("file:///main.js").unwrap();
        let apply = |specifier| aliases.apply(specifier, &referrer).map(|(applied, _)| applied);
        for (specifier, expected) in [
            ("a", Some("b")),
            ("a/d", Some("b/d")),
            ("a/c", Some("file:///c.js")),
            ("@x/y/z", Some("@z/y/z")),
            ("ab", None),
            ("./a", None),
            ("@x", None),
        ] {
            assert_eq!(apply(specifier).as_deref(), expected, "{specifier}");
        }
        for name in ["", "./a", "/a", "a/"] {
            let alias = [(name.to_owned(), String::new())];
            assert!(Aliases::new(alias.into(), None).is_err(), "{name}");
        }
    }
}

//! Aliases of modules, as bundlers have them. They are consulted before everything else. Pure.

use std::borrow::Cow;
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

    /// The specifier that is meant, and the URL that it is resolved from. An alias stands for a module, and for all those below it: that of
    /// `a` also for `a/b`.
    pub(super) fn apply<'a>(&'a self, specifier: &'a str, referrer: &'a Url) -> (Cow<'a, str>, &'a Url) {
        match self.substitute(specifier) {
            Some(substitute) => (substitute.into(), self.from.as_ref().unwrap_or(referrer)),
            None => (specifier.into(), referrer),
        }
    }

    fn substitute(&self, specifier: &str) -> Option<String> {
        // Imports of the transpiler are not subject to the script's aliases.
        if self.alias.is_empty() || specifier.starts_with(helpers::PREFIX) {
            return None;
        }
        // Of several, the one that says most, which is the last in alphabetical order.
        self.alias.iter().rev().find_map(|(name, substitute)| {
            let rest = specifier.strip_prefix(name.as_str())?;
            let is_below = rest.is_empty() || rest.starts_with('/');
            is_below.then(|| format!("{substitute}{rest}"))
        })
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
        let apply = |specifier| aliases.apply(specifier, &referrer).0;
        for (specifier, expected) in [
            ("a", "b"),
            ("a/d", "b/d"),
            ("a/c", "file:///c.js"),
            ("@x/y/z", "@z/y/z"),
            ("ab", "ab"),
            ("./a", "./a"),
            ("@x", "@x"),
        ] {
            assert_eq!(apply(specifier), expected, "{specifier}");
        }
        for name in ["", "./a", "/a", "a/"] {
            let alias = [(name.to_owned(), String::new())];
            assert!(Aliases::new(alias.into(), None).is_err(), "{name}");
        }
    }
}

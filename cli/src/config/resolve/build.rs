//! The aliases and constants of a worker's modules.

use std::collections::BTreeMap;

use isopod::modules::{LoaderOptions, ModuleError};

use crate::config::document::KeyPath;
use crate::config::modules::Modules;
use crate::config::problem::Fault;
use crate::config::reading::Reading;

impl Reading<'_> {
    /// Checks the aliases and constants in the table at `path`, removes invalid ones, and resolves paths.
    pub(in crate::config) fn modules(&mut self, path: &KeyPath, mut modules: Modules) -> Modules {
        self.keep_valid(&path.key("alias"), &mut modules.alias, |options, entry| {
            options.alias = entry
        });
        self.keep_valid(&path.key("define"), &mut modules.define, |options, entry| {
            options.define = entry
        });
        modules.in_folder(self.source.folder())
    }

    fn keep_valid(
        &mut self,
        path: &KeyPath,
        table: &mut BTreeMap<String, String>,
        set: impl Fn(&mut LoaderOptions, BTreeMap<String, String>),
    ) {
        table.retain(|name, value| {
            let mut options = LoaderOptions::in_memory([]);
            set(&mut options, [(name.clone(), value.clone())].into());
            let Err(error) = options.check() else { return true };
            let (reason, remedy) = match error {
                ModuleError::InvalidAlias { reason, .. } => (reason.to_owned(), "for example `lodash = \"lodash-es\"`"),
                ModuleError::InvalidDefine { reason, .. } => (reason.to_owned(), "for example `VERSION = '\"1.2\"'`"),
                other => (other.to_string(), "remove it"),
            };
            let key = path.key(name);
            let fault = Fault::BadValue {
                key: key.to_string(),
                value: format!("{value:?}"),
                reason,
            };
            self.tell(&key, fault, remedy);
            false
        });
    }
}

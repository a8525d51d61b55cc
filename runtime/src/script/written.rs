//! Scripts in written form, for workers in processes of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use deno_core::url::Url;
use isopod_ext::bindings::{Binding, WrittenBinding};
use isopod_ext::cache::CacheLimits;
use isopod_ext::fetch::{FetchConfig, Network, WrittenFetch};
use isopod_ext::remote::{Remote, binding_of, cache_of};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{Console, Script, ScriptError};
use crate::module_loader::{CodeCache, ModuleCache};
use crate::modules::{ImportMapText, Jsx, Loader, LoaderLimits, LoaderOptions, MemoryModule, ModuleRule, Reach};
use crate::{Compatibility, Isolation, Limits};

/// A [`Script`] in written form: everything that a worker in another process needs to start. It contains the modules in
/// memory; the worker's process reads the files itself.
#[derive(Clone, Serialize, Deserialize)]
pub struct WrittenScript {
    name: String,
    entry: String,
    root: Option<PathBuf>,
    ceiling: Option<PathBuf>,
    memory: Vec<(String, ByteBuf)>,
    main: Option<PathBuf>,
    /// The base of the import map, and its text.
    import_map: Option<(String, String)>,
    conditions: Vec<String>,
    jsx: Jsx,
    reach: Reach,
    is_sandbox: bool,
    node_env: String,
    alias: BTreeMap<String, String>,
    define: BTreeMap<String, String>,
    rules: Vec<ModuleRule>,
    loader_limits: LoaderLimits,
    bindings: Vec<(String, WrittenBinding)>,
    limits: Limits,
    enforced: bool,
    fetch: WrittenFetch,
    cache: CacheLimits,
    compatibility: Compatibility,
}

/// The reason why a script's workers cannot have processes of their own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotCross {
    /// A binding has no written form.
    #[error(
        "the binding {name:?} ({kind}) is not available to a worker in a process of its own: set `isolation` to \"thread\", \
         or remove the binding"
    )]
    Binding {
        /// The binding's name.
        name: String,
        /// The binding's kind.
        kind: &'static str,
    },
    /// A custom resolver of host names has no written form.
    #[error("a custom resolver is not available to a worker in a process of its own: set `isolation` to \"thread\"")]
    Resolver,
    /// A command has no pool.
    #[error("a command is a process of its own already: leave `isolation` out")]
    Command,
}

impl Script {
    /// The binding of a name.
    #[must_use]
    pub fn binding(&self, name: &str) -> Option<&Arc<dyn Binding>> {
        self.bindings.get(name)
    }

    /// Checks that the script's workers can run in processes of their own.
    pub(super) fn can_cross(&self, isolation: Isolation) -> Result<(), CannotCross> {
        self.written_for(isolation).map(drop)
    }

    /// Answers a question about the files of its modules by a worker in a sandbox. Takes any bytes. Blocks.
    ///
    /// # Errors
    /// The bytes are not a question.
    pub fn serve_modules(&self, asked: &[u8]) -> Result<Vec<u8>, String> {
        self.loader.answer(asked)
    }

    /// The bindings.
    pub fn bindings(&self) -> impl Iterator<Item = &Arc<dyn Binding>> {
        self.bindings.values()
    }

    /// The written form.
    ///
    /// # Errors
    /// [`CannotCross`]: a part has none.
    pub fn written(&self) -> Result<WrittenScript, CannotCross> {
        self.written_for(Isolation::Process)
    }

    /// The written form for a worker with this isolation. For a sandbox it omits the folders of files that bindings use, the
    /// addresses of databases, and the key of the process's servers.
    ///
    /// # Errors
    /// [`CannotCross`]: a part has none.
    pub fn written_for(&self, isolation: Isolation) -> Result<WrittenScript, CannotCross> {
        let is_sandbox = isolation == Isolation::Sandbox;
        if self.command.is_some() || !matches!(self.console, Console::Tracing) {
            return Err(CannotCross::Command);
        }
        let written = |binding: &Arc<dyn Binding>| match binding.written() {
            Some(WrittenBinding::Sql { .. }) if is_sandbox => Some(WrittenBinding::Database),
            Some(WrittenBinding::Objects { script, class, key, .. }) if is_sandbox => Some(WrittenBinding::Objects {
                script,
                class,
                key,
                // A sandbox has no files.
                folder: PathBuf::new(),
            }),
            written => written,
        };
        let bindings = self.bindings.iter().map(|(name, binding)| match written(binding) {
            Some(written) => Ok((name.clone(), written)),
            None => Err(CannotCross::Binding {
                name: name.clone(),
                kind: binding.kind(),
            }),
        });
        let bindings = bindings.collect::<Result<_, _>>()?;
        let options = &self.options;
        let memory = options.memory.iter();
        let memory = memory.map(|(url, module)| (url.to_string(), ByteBuf::from(module.content.to_vec())));
        let import_map = options.import_map.as_ref();
        Ok(WrittenScript {
            name: (*self.name).to_owned(),
            entry: self.entry.to_string(),
            root: options.root.clone(),
            ceiling: options.ceiling.clone(),
            memory: memory.collect(),
            main: options.main.clone(),
            import_map: import_map.map(|map| (map.base.to_string(), map.json.clone())),
            conditions: options.conditions.clone(),
            jsx: options.jsx.clone(),
            reach: match is_sandbox {
                true => Reach {
                    withheld: Vec::new(),
                    ..options.reach.clone()
                },
                false => options.reach.clone(),
            },
            is_sandbox,
            node_env: options.node_env.clone(),
            alias: options.alias.clone(),
            define: options.define.clone(),
            rules: options.rules.clone(),
            loader_limits: options.limits.clone(),
            bindings,
            limits: self.limits.clone(),
            enforced: self.enforced,
            fetch: match is_sandbox {
                true => self.fetch.written_for_sandbox(),
                false => self.fetch.written().ok_or(CannotCross::Resolver)?,
            },
            cache: self.cache.limits(),
            compatibility: self.compatibility,
        })
    }
}

impl WrittenScript {
    /// Recreates the script in the process of its worker. Its bindings send `remote` the calls that they cannot answer
    /// themselves.
    ///
    /// # Errors
    /// [`ScriptError`]: the folder of its modules does not exist, or a part is damaged.
    pub fn script(self, remote: &Arc<dyn Remote>) -> Result<Script, ScriptError> {
        let written = self;
        let url =
            |text: &str| Url::parse(text).map_err(|error| ScriptError::Written(format!("the URL {text:?}: {error}")));
        let mut memory = BTreeMap::new();
        for (name, content) in written.memory {
            memory.insert(url(&name)?, MemoryModule::from(content));
        }
        let import_map = match written.import_map {
            Some((base, json)) => Some(ImportMapText {
                base: url(&base)?,
                json,
            }),
            None => None,
        };
        let options = LoaderOptions {
            root: written.root,
            ceiling: written.ceiling,
            memory,
            main: written.main,
            import_map,
            conditions: written.conditions,
            jsx: written.jsx,
            reach: written.reach,
            node_env: written.node_env,
            alias: written.alias,
            define: written.define,
            rules: written.rules,
            node: written.compatibility.node,
            limits: written.loader_limits,
        };
        let loader = match written.is_sandbox {
            true => Loader::elsewhere(options.clone(), Arc::clone(remote))?,
            false => Loader::new(options.clone())?,
        };
        let entry = loader.resolve_entry(&written.entry)?;
        let mut bindings = BTreeMap::new();
        for (name, binding) in written.bindings {
            let binding = binding_of(binding, &name, remote);
            let binding = binding.map_err(|error| ScriptError::Written(format!("the binding {name:?}: {error}")))?;
            bindings.insert(name, binding);
        }
        let mut fetch =
            FetchConfig::try_from(written.fetch).map_err(|error| ScriptError::Written(error.to_string()))?;
        if written.is_sandbox {
            fetch.network = Network::elsewhere(Arc::clone(remote));
        }
        Ok(Script {
            name: written.name.into(),
            entry,
            loader,
            options,
            isolation: Some(Isolation::Thread),
            bindings,
            code_cache: CodeCache::new(written.limits.code_cache_bytes),
            module_cache: ModuleCache::new(written.limits.module_cache_bytes),
            limits: written.limits,
            enforced: written.enforced,
            fetch,
            cache: cache_of(written.cache, remote),
            console: Console::Tracing,
            command: None,
            compatibility: written.compatibility,
            uses_node: OnceLock::new(),
            wasm_types: Arc::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use isopod_ext::remote::{Parcel, ParcelFuture, Target};

    use super::*;

    /// A remote that answers nothing.
    struct Nothing;

    impl Remote for Nothing {
        fn ask(&self, _target: Target, _parcel: Parcel) -> ParcelFuture {
            Box::pin(std::future::ready(Err("nothing".to_owned())))
        }

        fn ask_now(&self, _target: Target, _parcel: Parcel) -> Result<Parcel, String> {
            Err("nothing".to_owned())
        }
    }

    #[test]
    fn a_written_script_is_read_back_unchanged() {
        let script = Script::builder("s")
            .source("import './other.js';")
            .module("./other.js", "export {};")
            .text("A", "a")
            .secret("B", "b")
            .json("C", serde_json::json!({ "d": [1, null] }))
            .limits(Limits::default().memory_bytes(64 << 20))
            .build()
            .unwrap();
        let json = serde_json::to_string(&script.written().unwrap()).unwrap();
        let remote: Arc<dyn Remote> = Arc::new(Nothing);
        let back = serde_json::from_str::<WrittenScript>(&json)
            .unwrap()
            .script(&remote)
            .unwrap();
        assert_eq!(format!("{back:?}"), format!("{script:?}"));
        assert_eq!(back.limits(), script.limits());
        assert_eq!(back.options.memory.len(), 2);
    }

    #[test]
    fn a_binding_without_a_written_form_is_named() {
        #[derive(Debug)]
        struct Local;
        impl isopod_ext::bindings::Binding for Local {
            fn kind(&self) -> &'static str {
                "local"
            }
            fn install(
                &self,
                _name: &str,
                _worker: &isopod_ext::bindings::NewWorker<'_>,
                _state: &mut deno_core::OpState,
            ) -> isopod_ext::bindings::EnvValue<'_> {
                isopod_ext::bindings::EnvValue::text("")
            }
        }
        let script = Script::builder("s").source("").binding("L", Arc::new(Local));
        let error = script.isolation(Isolation::Process).build().unwrap_err();
        assert!(error.to_string().contains("\"L\" (local)"), "{error}");
    }
}

//! The project of a command: the root of its modules, and the settings of its `isopod.toml` that apply to commands.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use isopod::modules::MemoryModule;
use isopod::{Script, ScriptBuilder};
use isopod_runtime::modules::source_extension;
use url::Url;

use super::watch::Watched;
use crate::config::{CommandSettings, Var};
use crate::scripts;

/// Code to run.
pub(super) enum Entry {
    /// A script file.
    File(PathBuf),
    /// Code that is not in a file, treated as a file of this name in the current folder.
    Text { name: &'static str, code: String },
}

#[derive(Args)]
pub(super) struct ProjectArguments {
    /// Folder that modules are read from. Default: that of the nearest isopod.toml or package.json, else the script's own
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// Import map; overrides the one in isopod.toml
    #[arg(long, value_name = "FILE")]
    import_map: Option<PathBuf>,
}

impl ProjectArguments {
    /// Builds the script with its project's settings.
    pub(super) fn script(&self, entry: Entry) -> Result<ScriptBuilder> {
        let (main, memory) = match entry {
            Entry::File(file) => (std::path::absolute(file)?, None),
            Entry::Text { name, code } => {
                let here = std::env::current_dir().context("cannot determine the current folder")?;
                let main = here.join(format!("{name}.{}", source_extension(&code)));
                let url =
                    Url::from_file_path(&main).map_err(|()| anyhow!("{} is not an absolute path", main.display()))?;
                (main, Some((url, MemoryModule::from(code.as_str()))))
            }
        };
        let name = main.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut builder = Script::builder(name).file(&main);
        let settings = CommandSettings::of(&main)?;
        if let Some(root) = self.root.as_ref().or(settings.root.as_ref()) {
            builder = builder.root(root);
        }
        for (name, var) in settings.vars {
            builder = match var {
                Var::Text(text) => builder.text(name, text),
                Var::Json(value) => builder.json(name, value),
            };
        }
        let import_map = self.import_map.as_ref().or(settings.import_map.as_ref());
        let import_map = import_map.map(|file| scripts::import_map(file)).transpose()?;
        let (modules, jsx) = (settings.modules, settings.jsx);
        Ok(builder.modules(move |mut options| {
            options.import_map = import_map;
            options.memory.extend(memory);
            scripts::build(options, modules, jsx)
        }))
    }
}

impl ProjectArguments {
    /// Returns the files of a script's project to watch.
    pub(super) fn watched(&self, main: &Path) -> Result<Watched> {
        let main = std::path::absolute(main)?;
        let configuration = CommandSettings::file_for(&main);
        let root = configuration.as_deref().unwrap_or(&main).parent();
        let root = root.unwrap_or(&main).to_owned();
        // An unreadable one is reported when the script is built.
        let settings = CommandSettings::of(&main).unwrap_or_default();
        let import_map = self.import_map.clone().or(settings.import_map);
        let import_map = import_map.map(std::path::absolute).transpose()?;
        // A new isopod.toml beside the script would change its settings.
        let configuration = configuration.unwrap_or_else(|| root.join("isopod.toml"));
        let files = [main, configuration].into_iter().chain(import_map).collect();
        Ok(Watched { root, files })
    }
}

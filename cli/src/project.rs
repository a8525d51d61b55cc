//! The arguments by which a command finds the configuration that it works on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::config::{Config, Overrides};
use crate::serve::Source;

/// Arguments that name a configuration.
#[derive(Args)]
pub(crate) struct ProjectArguments {
    /// Folder or configuration file; may be repeated, as for `isopod serve`
    #[arg(long, value_name = "PATH", default_value = ".")]
    project: Vec<PathBuf>,
    /// Environment of a wrangler file
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// File of NAME=value lines for vars and secrets; may be repeated
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
}

impl ProjectArguments {
    /// Reads the configuration.
    pub(crate) fn read(self, environment: &BTreeMap<String, String>) -> Result<Config> {
        let overrides = Overrides {
            environment: self.env,
            env_files: self.env_file,
            ..Overrides::default()
        };
        Source::find(&self.project, overrides, environment)?.read()
    }
}

//! Inputs for reading the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;

use crate::config::{self, Config, Located, Overrides};

/// The process's environment variables.
pub(crate) type Environment = BTreeMap<String, String>;

/// Locations of the configurations, and their overrides.
pub(crate) struct Source {
    located: Vec<Located>,
    overrides: Overrides,
    environment: Environment,
}

impl Source {
    pub(crate) fn find(paths: &[PathBuf], overrides: Overrides, environment: &Environment) -> Result<Self> {
        let located = paths
            .iter()
            .map(|path| config::discover(path))
            .collect::<Result<_, _>>()?;
        let overrides = overrides.or(Overrides::from_environment(environment)?);
        Ok(Self {
            located,
            overrides,
            environment: environment.clone(),
        })
    }

    pub(crate) fn read(&self) -> Result<Config> {
        Ok(config::load_together(
            &self.located,
            &self.overrides,
            &self.environment,
        )?)
    }
}

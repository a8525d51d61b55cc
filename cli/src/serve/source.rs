//! Inputs for reading the configuration.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::config::{self, Config, Located, Overrides};

/// The process's environment variables.
pub(crate) type Environment = BTreeMap<String, String>;

/// Location of the configuration, and its overrides.
pub(crate) struct Source {
    located: Located,
    overrides: Overrides,
    environment: Environment,
}

impl Source {
    pub(crate) fn find(path: &Path, overrides: Overrides, environment: &Environment) -> Result<Self> {
        let located = config::discover(path)?;
        let overrides = overrides.or(Overrides::from_environment(environment)?);
        Ok(Self {
            located,
            overrides,
            environment: environment.clone(),
        })
    }

    pub(crate) fn read(&self) -> Result<Config> {
        Ok(config::load(&self.located, &self.overrides, &self.environment)?)
    }
}

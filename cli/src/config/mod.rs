//! Configuration: combines `isopod.toml` or `wrangler.toml`/`.json`/`.jsonc`, env files, flags and environment variables
//! into one [`Config`].
//!
//! ```no_run
//! # use isopod_cli::config::{Overrides, discover, load};
//! # fn main() -> Result<(), isopod_cli::config::ConfigError> {
//! let environment = std::env::vars().collect();
//! let located = discover("examples/hello".as_ref())?;
//! let config = load(&located, &Overrides::from_environment(&environment)?, &environment)?;
//! println!("{} workers", config.workers.len());
//! # Ok(())
//! # }
//! ```
//!
//! Data flow: [`discover`] finds the file; `document` parses it into a tree with places; `check` validates the tree against
//! the schema derived from `file` (or `wrangler`) and collects all problems; serde creates the typed file; `resolve` applies
//! defaults, looks up paths and secrets, and checks what a schema cannot express. Each type of binding has a file in
//! `bindings` with its part of all this.
//!
//! This module starts nothing and does not read the environment: variables are passed in.

mod bindings;
mod check;
mod command;
mod cron;
mod discover;
mod document;
mod engines;
mod env_file;
mod file;
mod modules;
mod others;
mod overrides;
mod place;
mod pool;
mod problem;
mod reading;
mod resolve;
mod schema;
mod sections;
mod settings;
mod source;
mod storage;
mod text;
mod together;
mod values;
mod wrangler;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;

pub use bindings::{
    Assets, AssetsPlace, Bound, Configured, Consumer, Events, KvNamespace, LateAssets, Materials, OpenAssets,
    OpenQueues, Producer, Queue, R2Bucket, Service, SqlDatabase,
};
pub use command::CommandSettings;
pub use cron::Cron;
pub use discover::{Located, discover};
pub use env_file::read_env_file;
pub use file::Var;
pub use modules::{Jsx, ModuleRule, ModuleType, Modules};
pub use overrides::Overrides;
pub(crate) use overrides::threads;
pub use place::Place;
pub use pool::{OsScheduling, Pool};
pub use problem::{ConfigError, Fault, Note, Problem, Weight};
pub use schema::schema;
pub use sections::{
    Ingress, Isolation, Limits, Log, LogFormat, LogLevel, Mode, Network, Policy, Recycle, Sandbox, Sessions, Shutdown,
    Tls,
};
pub(crate) use settings::BoundAs;
pub use settings::{Admin, Config, Route, Worker};
pub use storage::{Engine, Kept, QueueKey, QueueServer, Server, Shown, StorageOverrides, UsedServer};
pub use together::load_together;
pub use values::{
    DatabaseUrl, Listen, NetworkRule, ProxyAddress, RoutePattern, S3Url, Secret, StorageUrl, TopicPattern,
};

use document::{KeyPath, Node};
use env_file::Lookup;
use file::File;
use others::Together;
use reading::Reading;
use source::Source;

/// Loads the file found by [`discover`], with `overrides` applied, and secrets looked up in `environment` and the env files.
///
/// Scripts and wrangler files do not name secrets: every line of an env file becomes one.
///
/// # Errors
///
/// [`ConfigError::Invalid`] with all problems; [`ConfigError::Read`] if a file cannot be read.
pub fn load(
    located: &Located,
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
) -> Result<Config, ConfigError> {
    load_one(located, overrides, environment, &Together::default())
}

/// Loads one of several configurations that are served together.
fn load_one(
    located: &Located,
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
    together: &Together,
) -> Result<Config, ConfigError> {
    match located {
        Located::Script(main) => load_script(main, overrides, environment, together),
        Located::Isopod(path) => load_isopod(&Source::read(path)?, overrides, environment, together),
        Located::Wrangler(path) => wrangler::load(&Source::read(path)?, overrides, environment, together),
        Located::Files(folder) => load_files(folder, overrides, environment, together),
    }
}

/// Returns the configuration of a static site: all defaults.
fn load_files(
    folder: &Path,
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
    together: &Together,
) -> Result<Config, ConfigError> {
    no_environments(overrides)?;
    // No file is read. The folder takes the place of one, so that relative paths refer to it.
    let source = Source::new(&folder.join("index.html"), String::new());
    let lookup = Lookup::new(environment, &overrides.env_files)?;
    let file = File {
        assets: Some(Assets::of_folder(folder.to_owned())),
        ..File::default()
    };
    finish(
        Reading::new(&source, &Node::empty(), &lookup, together),
        file,
        overrides,
    )
}

fn load_script(
    main: &Path,
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
    together: &Together,
) -> Result<Config, ConfigError> {
    let lookup = Lookup::new(environment, &overrides.env_files)?;
    // A script alone is a configuration with only `main`. The script's path takes the place of the file's.
    let source = Source::new(main, String::new());
    let mut file = File::default();
    file.worker.main = main.file_name().map(Into::into);
    file.worker.env_values = lookup.file_values();
    no_environments(overrides)?;
    let config = finish(
        Reading::new(&source, &Node::empty(), &lookup, together),
        file,
        overrides,
    )?;
    Ok(Config {
        files: overrides.env_files.clone(),
        ..config
    })
}

fn load_isopod(
    source: &Source,
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
    together: &Together,
) -> Result<Config, ConfigError> {
    let node = Node::from_toml(source).map_err(invalid)?;
    no_environments(overrides)?;
    let file: File = typed(source, &node, problems_of::<File>(source, &node, &[]))?;
    let of_file = file.env_files.iter().map(|path| source.folder().join(path));
    let env_files: Vec<_> = of_file.chain(overrides.env_files.iter().cloned()).collect();
    let lookup = Lookup::new(environment, &env_files)?;
    let config = finish(Reading::new(source, &node, &lookup, together), file, overrides)?;
    Ok(Config {
        files: [vec![source.path().to_owned()], env_files].concat(),
        ..config
    })
}

/// Returns all problems of the document under the schema of `T`. A misspelled key may have been meant for one of
/// `elsewhere`, the keys already removed.
fn problems_of<T: schemars::JsonSchema>(source: &Source, node: &Node, elsewhere: &[&str]) -> Vec<Problem> {
    check::check(source, node, &schema::schema_of::<T>(), elsewhere)
}

/// Returns the typed file if there are no problems.
fn typed<T: DeserializeOwned>(source: &Source, node: &Node, mut problems: Vec<Problem>) -> Result<T, ConfigError> {
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.line, place.column)));
        return Err(invalid(problems));
    }
    serde_json::from_value(node.to_json()).map_err(|error| {
        let fault = Fault::Syntax {
            message: format!("cannot be read as a configuration: {error}"),
        };
        invalid(vec![
            Problem::new(fault).at(source.place(&node.locate(&KeyPath::default()))),
        ])
    })
}

fn finish(reading: Reading<'_>, file: File, overrides: &Overrides) -> Result<Config, ConfigError> {
    reading.resolve(file, overrides).map_err(invalid)
}

fn no_environments(overrides: &Overrides) -> Result<(), ConfigError> {
    let Some(name) = &overrides.environment else {
        return Ok(());
    };
    let message = format!("environment `{name}` was asked for, and only wrangler files have environments");
    Err(invalid(vec![
        Problem::new(Fault::Conflict { message }).remedy("leave `--env` out, or name another file"),
    ]))
}

fn invalid(problems: Vec<Problem>) -> ConfigError {
    ConfigError::Invalid { problems }
}

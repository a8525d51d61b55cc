//! Settings from flags and environment variables.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::DeserializeOwned;

use super::ConfigError;
use super::pool::THREADS_MAX;
use super::problem::{Fault, Problem};
use super::sections::{Isolation, LogFormat, LogLevel, Mode};
use super::storage::StorageOverrides;
use super::values::Listen;

/// Settings that override the file. The default overrides nothing.
///
/// Flags override environment variables, and both override the file: `flags.or(Overrides::from_environment(&environment)?)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Addresses that replace the file's `listen`, if not empty. `ISOPOD_LISTEN`, comma-separated.
    pub listen: Vec<Listen>,
    /// Number of worker threads; 0 means as many as workers need. `ISOPOD_THREADS`.
    pub threads: Option<usize>,
    /// Level of detail in error responses. `ISOPOD_MODE`.
    pub mode: Option<Mode>,
    /// Isolation of workers without one of their own. `ISOPOD_ISOLATION`.
    pub isolation: Option<Isolation>,
    /// Environment (`env.NAME`) of a wrangler file. `ISOPOD_ENV`.
    pub environment: Option<String>,
    /// Env files in addition to the file's, later ones winning. `ISOPOD_ENV_FILE`, comma-separated.
    pub env_files: Vec<PathBuf>,
    /// Address of the admin listener. `ISOPOD_ADMIN`.
    pub admin: Option<Listen>,
    /// Minimum severity of logged lines. `ISOPOD_LOG`.
    pub log_level: Option<LogLevel>,
    /// Format of log lines. `ISOPOD_LOG_FORMAT`.
    pub log_format: Option<LogFormat>,
    /// Engines for the data of bindings. `ISOPOD_STORAGE_KV`, `ISOPOD_STORAGE_QUEUES`, `ISOPOD_STORAGE_R2`, `ISOPOD_STORAGE_ASSETS`,
    /// `ISOPOD_STORAGE_CRONS`,
    /// `ISOPOD_STORAGE_EVENTS`.
    pub storage: StorageOverrides,
}

impl Overrides {
    /// Reads the `ISOPOD_…` variables. An empty variable counts as unset.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] with every invalid variable.
    pub fn from_environment(environment: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut reader = Reader {
            environment,
            problems: Vec::new(),
        };
        let overrides = Self {
            listen: reader.parse("ISOPOD_LISTEN", parse_list),
            threads: reader.parse("ISOPOD_THREADS", |text| threads(text).map(Some)),
            mode: reader.parse("ISOPOD_MODE", |text| {
                constant(text, "\"development\" or \"production\"")
            }),
            isolation: reader.parse("ISOPOD_ISOLATION", |text| {
                constant(text, "\"thread\", \"process\" or \"sandbox\"")
            }),
            environment: reader.parse("ISOPOD_ENV", |text| Ok(Some(text.to_owned()))),
            env_files: reader.parse("ISOPOD_ENV_FILE", parse_list),
            admin: reader.parse("ISOPOD_ADMIN", |text| text.parse().map(Some)),
            log_level: reader.parse("ISOPOD_LOG", |text| {
                constant(text, "\"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\"")
            }),
            log_format: reader.parse("ISOPOD_LOG_FORMAT", |text| constant(text, "\"pretty\" or \"json\"")),
            storage: StorageOverrides {
                kv: reader.secret("ISOPOD_STORAGE_KV"),
                queues: reader.secret("ISOPOD_STORAGE_QUEUES"),
                r2: reader.secret("ISOPOD_STORAGE_R2"),
                assets: reader.secret("ISOPOD_STORAGE_ASSETS"),
                crons: reader.secret("ISOPOD_STORAGE_CRONS"),
                events: reader.secret("ISOPOD_STORAGE_EVENTS"),
            },
        };
        if reader.problems.is_empty() {
            Ok(overrides)
        } else {
            Err(ConfigError::Invalid {
                problems: reader.problems,
            })
        }
    }

    /// Fills settings that are not set from `under`.
    #[must_use]
    pub fn or(self, under: Self) -> Self {
        Self {
            listen: if self.listen.is_empty() {
                under.listen
            } else {
                self.listen
            },
            threads: self.threads.or(under.threads),
            mode: self.mode.or(under.mode),
            isolation: self.isolation.or(under.isolation),
            environment: self.environment.or(under.environment),
            env_files: if self.env_files.is_empty() {
                under.env_files
            } else {
                self.env_files
            },
            admin: self.admin.or(under.admin),
            log_level: self.log_level.or(under.log_level),
            log_format: self.log_format.or(under.log_format),
            storage: self.storage.or(under.storage),
        }
    }
}

struct Reader<'a> {
    environment: &'a BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn parse<T: Default>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        self.read(name, parse, |text| format!("{text:?}"))
    }

    /// Reads a value that may contain a password.
    fn secret<T: FromStr<Err = String>>(&mut self, name: &str) -> Option<T> {
        self.read(name, |text| text.parse().map(Some), |_| "(not shown)".to_owned())
    }

    fn read<T: Default>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
        shown: impl Fn(&str) -> String,
    ) -> T {
        let Some(text) = self.environment.get(name).filter(|text| !text.is_empty()) else {
            return T::default();
        };
        parse(text).unwrap_or_else(|reason| {
            let fault = Fault::BadValue {
                key: name.to_owned(),
                value: shown(text),
                reason,
            };
            self.problems
                .push(Problem::new(fault).remedy("change or unset this environment variable"));
            T::default()
        })
    }
}

/// Parses the number of worker threads of a flag or variable.
///
/// # Errors
///
/// A description of the allowed values.
pub(crate) fn threads(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|threads| *threads <= THREADS_MAX)
        .ok_or_else(|| format!("should be a whole number from 0 (as many as workers need) to {THREADS_MAX}"))
}

fn parse_list<T: FromStr<Err: Display>>(text: &str) -> Result<Vec<T>, String> {
    text.split(',')
        .map(|item| item.trim().parse().map_err(|error: T::Err| error.to_string()))
        .collect()
}

/// Parses a name of an enum, like the file's values.
fn constant<T: DeserializeOwned>(text: &str, allowed: &str) -> Result<Option<T>, String> {
    match T::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text)) {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(format!("should be {allowed}")),
    }
}

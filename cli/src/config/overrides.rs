//! What is said outside of the file: by flags, and by environment variables.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::DeserializeOwned;

use super::ConfigError;
use super::file::THREADS_MAX;
use super::problem::{Fault, Problem};
use super::sections::{LogFormat, LogLevel, Mode};
use super::values::Listen;

/// What goes before the file. The default overrides nothing.
///
/// Flags go before environment variables, and both before the file:
/// `flags.or(Overrides::from_environment(&environment)?)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Where to listen, instead of the file's `listen`; empty: as the file says. `ISOPOD_LISTEN`, with commas between.
    pub listen: Vec<Listen>,
    /// Worker threads; 0: one for each core. `ISOPOD_THREADS`.
    pub threads: Option<usize>,
    /// What error responses tell. `ISOPOD_MODE`.
    pub mode: Option<Mode>,
    /// The environment of a wrangler file, its `env.NAME`. `ISOPOD_ENV`.
    pub environment: Option<String>,
    /// Env files in addition to the file's, later ones winning. `ISOPOD_ENV_FILE`, with commas between.
    pub env_files: Vec<PathBuf>,
    /// The listener for health and metrics. `ISOPOD_ADMIN`.
    pub admin: Option<Listen>,
    /// The least severe line that is logged. `ISOPOD_LOG`.
    pub log_level: Option<LogLevel>,
    /// How a log line looks. `ISOPOD_LOG_FORMAT`.
    pub log_format: Option<LogFormat>,
}

impl Overrides {
    /// Reads the `ISOPOD_…` variables. An empty one is the same as an absent one.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] with every variable that has a wrong value.
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
            environment: reader.parse("ISOPOD_ENV", |text| Ok(Some(text.to_owned()))),
            env_files: reader.parse("ISOPOD_ENV_FILE", parse_list),
            admin: reader.parse("ISOPOD_ADMIN", |text| text.parse().map(Some)),
            log_level: reader.parse("ISOPOD_LOG", |text| {
                constant(text, "\"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\"")
            }),
            log_format: reader.parse("ISOPOD_LOG_FORMAT", |text| constant(text, "\"pretty\" or \"json\"")),
        };
        if reader.problems.is_empty() {
            Ok(overrides)
        } else {
            Err(ConfigError::Invalid {
                problems: reader.problems,
            })
        }
    }

    /// These, and where they say nothing, `under`.
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
            environment: self.environment.or(under.environment),
            env_files: if self.env_files.is_empty() {
                under.env_files
            } else {
                self.env_files
            },
            admin: self.admin.or(under.admin),
            log_level: self.log_level.or(under.log_level),
            log_format: self.log_format.or(under.log_format),
        }
    }
}

struct Reader<'a> {
    environment: &'a BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn parse<T: Default>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let Some(text) = self.environment.get(name).filter(|text| !text.is_empty()) else {
            return T::default();
        };
        parse(text).unwrap_or_else(|reason| {
            let fault = Fault::BadValue {
                key: name.to_owned(),
                value: format!("{text:?}"),
                reason,
            };
            self.problems
                .push(Problem::new(fault).remedy("change or unset this environment variable"));
            T::default()
        })
    }
}

/// A number of worker threads, as a flag or a variable says it.
///
/// # Errors
///
/// What it should be.
pub(crate) fn threads(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|threads| *threads <= THREADS_MAX)
        .ok_or_else(|| format!("should be a whole number from 0 (one for each core) to {THREADS_MAX}"))
}

fn parse_list<T: FromStr<Err: Display>>(text: &str) -> Result<Vec<T>, String> {
    text.split(',')
        .map(|item| item.trim().parse().map_err(|error: T::Err| error.to_string()))
        .collect()
}

/// One of an enum's names, read the way the file's are.
fn constant<T: DeserializeOwned>(text: &str, allowed: &str) -> Result<Option<T>, String> {
    match T::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text)) {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(format!("should be {allowed}")),
    }
}

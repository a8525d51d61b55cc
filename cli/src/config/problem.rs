//! Errors and notes about a configuration.

use std::fmt;
use std::path::PathBuf;

use super::place::Place;

/// An error that prevents loading a configuration.
///
/// The message contains cause and remedy; [`Invalid`](Self::Invalid) has every problem with its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        cause: std::io::Error,
    },
    /// The path has nothing to serve.
    #[error("nothing to run in {}\n  looked for: {}\n  = pass a script (`isopod serve src/index.ts`) or write an isopod.toml with `main = \"…\"`", path.display(), looked_for.join(", "))]
    NothingThere {
        /// The folder.
        path: PathBuf,
        /// The files that were looked for, in order.
        looked_for: Vec<String>,
    },
    /// The file is neither a script nor a configuration.
    #[error("{} is neither a script (.js, .mjs, .ts, .mts, .jsx, .tsx) nor a configuration (isopod.toml, wrangler.toml, wrangler.json, wrangler.jsonc)", path.display())]
    UnknownFile {
        /// The file.
        path: PathBuf,
    },
    /// The configuration is invalid.
    #[error("{}", list(problems))]
    Invalid {
        /// At least one problem, in file order.
        problems: Vec<Problem>,
    },
}

/// A problem of a configuration: fault, place and remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The fault.
    pub fault: Fault,
    /// The place in the file; `None` for flags, environment variables and missing values.
    pub place: Option<Place>,
    /// The remedy, unless it is obvious from the fault.
    pub remedy: Option<String>,
}

/// A fault in a configuration. `key` is a key path such as `workers.api.limits.wall`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Invalid TOML or JSON.
    #[error("{message}")]
    Syntax {
        /// The parser's message.
        message: String,
    },
    /// An unknown key.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// The key path.
        key: String,
    },
    /// A value of the wrong type.
    #[error("`{key}` should be {expected}, but is {found}")]
    WrongType {
        /// The key path.
        key: String,
        /// The expected type.
        expected: String,
        /// The actual type.
        found: String,
    },
    /// An invalid value of the right type.
    #[error("`{key}` = {value}: {reason}")]
    BadValue {
        /// The key path.
        key: String,
        /// The original value; a placeholder if it may contain a password.
        value: String,
        /// The allowed values.
        reason: String,
    },
    /// A missing required key.
    #[error("`{key}` is missing")]
    Missing {
        /// The key path.
        key: String,
    },
    /// Conflicting values.
    #[error("{message}")]
    Conflict {
        /// The conflict and its reason.
        message: String,
    },
    /// An unsupported capability.
    #[error("`{key}`: this build has no {capability}")]
    NoSuchBinding {
        /// The key path.
        key: String,
        /// The name of the capability.
        capability: String,
    },
}

/// A note to log at startup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Severity.
    pub weight: Weight,
    /// The text.
    pub message: String,
    /// The file and line it is about.
    pub place: Option<Place>,
}

/// Severity of a [`Note`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Informative: logged at level `debug`.
    Detail,
    /// The behavior may differ from what the file says: logged as a warning.
    Warning,
}

impl Note {
    /// Creates a note that is logged as a warning.
    pub(super) fn warning(message: impl Into<String>, place: Place) -> Self {
        let mut message = message.into();
        hide_credentials(&mut message);
        Self {
            weight: Weight::Warning,
            message,
            place: Some(place),
        }
    }

    /// Creates a note that is logged at level `debug`.
    pub(super) fn detail(message: impl Into<String>, place: Place) -> Self {
        Self {
            weight: Weight::Detail,
            ..Self::warning(message, place)
        }
    }
}

impl Problem {
    /// Creates a problem, with passwords removed: any key may contain a URL, and messages quote values.
    pub(super) fn new(mut fault: Fault) -> Self {
        match &mut fault {
            Fault::BadValue { key, value, reason } => [key, value, reason].into_iter().for_each(hide_credentials),
            Fault::WrongType { key, found, .. } => [key, found].into_iter().for_each(hide_credentials),
            Fault::Syntax { message } | Fault::Conflict { message } => hide_credentials(message),
            Fault::UnknownKey { key } | Fault::Missing { key } | Fault::NoSuchBinding { key, .. } => {
                hide_credentials(key)
            }
        }
        Self {
            fault,
            place: None,
            remedy: None,
        }
    }

    pub(super) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            None => write!(f, "{}", self.fault)?,
            Some(place) => {
                write!(
                    f,
                    "{}:{}:{}: {}",
                    place.file.display(),
                    place.line,
                    place.column,
                    self.fault
                )?;
                if !place.frame.is_empty() {
                    write!(f, "\n{}", place.frame)?;
                }
            }
        }
        match &self.remedy {
            Some(remedy) => write!(f, "\n  = {remedy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{}:{}: {}", place.file.display(), place.line, self.message),
            None => f.write_str(&self.message),
        }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n\n")
}

/// Replaces the text between `://` and `@` with `***` if it contains a password.
fn hide_credentials(text: &mut String) {
    let mut from = 0;
    while let Some(start) = text[from..].find("://").map(|at| from + at + 3) {
        let rest = &text[start..];
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        // The last `@`, as URLs are parsed.
        if let Some(at) = rest[..end].rfind('@').filter(|at| rest[..*at].contains(':')) {
            text.replace_range(start..start + at, "***");
        }
        from = start;
    }
}

#[cfg(test)]
mod tests {
    use super::hide_credentials;

    #[test]
    fn user_and_password_are_removed_from_urls() {
        let hidden = |text: &str| {
            let mut text = text.to_owned();
            hide_credentials(&mut text);
            text
        };
        assert_eq!(
            hidden("there is no file /a/postgres://me:p@ss@db/app.ts, and no x://y@z"),
            "there is no file /a/postgres://***@db/app.ts, and no x://y@z"
        );
        assert_eq!(hidden("https://example.com/a b@c"), "https://example.com/a b@c");
    }
}

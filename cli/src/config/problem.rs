//! What can be wrong with a configuration, and how it is told.

use std::fmt;
use std::path::PathBuf;

use super::source::Place;

/// Why there is no configuration.
///
/// Its text names the cause and the remedy; [`Invalid`](Self::Invalid) holds every problem found, each with its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file that was named or found cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// There is nothing to serve at the path.
    #[error("nothing to run in {}\n  looked for: {}\n  = name a script (`isopod serve src/index.ts`) or write an isopod.toml with `main = \"…\"`", path.display(), looked_for.join(", "))]
    NothingThere {
        /// The folder.
        path: PathBuf,
        /// The files that would have done, in the order they were looked for.
        looked_for: Vec<String>,
    },
    /// The file is neither a script nor a configuration.
    #[error("{} is neither a script (.js, .mjs, .ts, .mts, .jsx, .tsx) nor a configuration (isopod.toml, wrangler.toml, wrangler.json, wrangler.jsonc)", path.display())]
    UnknownFile {
        /// The file.
        path: PathBuf,
    },
    /// The configuration was read and is wrong; all that is wrong with it.
    #[error("{}", list(problems))]
    Invalid {
        /// At least one problem, in the order of the file.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub fault: Fault,
    /// Where; `None` when it came from a flag, an environment variable or from what is absent.
    pub place: Option<Place>,
    /// What to do about it, where that is not plain from the fault.
    pub remedy: Option<String>,
}

/// What is wrong. `key` is a key path such as `workers.api.limits.wall`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Not TOML, not JSON.
    #[error("{message}")]
    Syntax {
        /// What the parser said.
        message: String,
    },
    /// A key that means nothing here.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// The key path.
        key: String,
    },
    /// A value of another type than the key's.
    #[error("`{key}` should be {expected}, and is {found}")]
    WrongType {
        /// The key path.
        key: String,
        /// What may stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A value of the right type that is not allowed.
    #[error("`{key}` = {value}: {reason}")]
    BadValue {
        /// The key path.
        key: String,
        /// The value as written; a placeholder where it may hold a password.
        value: String,
        /// What is allowed.
        reason: String,
    },
    /// A key that must be there.
    #[error("`{key}` is missing")]
    Missing {
        /// The key path.
        key: String,
    },
    /// Values that do not go together.
    #[error("{message}")]
    Conflict {
        /// Which, and why.
        message: String,
    },
    /// A capability this build does not have.
    #[error("`{key}`: this build has no {capability}")]
    NoSuchBinding {
        /// The key path.
        key: String,
        /// What it would be.
        capability: String,
    },
}

/// Something that is not wrong but worth a line when starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub weight: Weight,
    /// The text.
    pub message: String,
    /// The file and line it is about.
    pub place: Option<Place>,
}

/// How much a [`Note`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Good to know when something is looked for: logged with `debug`.
    Detail,
    /// Something may be other than the file says: logged as a warning.
    Warning,
}

impl Note {
    /// A note that is logged as a warning.
    pub(super) fn warning(message: impl Into<String>, place: Place) -> Self {
        let mut message = message.into();
        hide_credentials(&mut message);
        Self {
            weight: Weight::Warning,
            message,
            place: Some(place),
        }
    }

    /// A note that is logged with `debug`.
    pub(super) fn detail(message: impl Into<String>, place: Place) -> Self {
        Self {
            weight: Weight::Detail,
            ..Self::warning(message, place)
        }
    }
}

impl Problem {
    /// A URL may have got to any key, and whoever finds the fault may quote it: its password is shown nowhere.
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

/// Puts `***` in the place of what stands between `://` and `@`, where a password is part of it.
fn hide_credentials(text: &mut String) {
    let mut from = 0;
    while let Some(start) = text[from..].find("://").map(|at| from + at + 3) {
        let rest = &text[start..];
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        // As URLs are read: the last one.
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
    fn of_a_url_with_a_password_neither_that_nor_the_user_is_left() {
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

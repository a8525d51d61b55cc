//! Each module's section of the configuration: JSON from a provider, converted to a type when the module reads it.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The source of the modules' configuration: a JSON object with a section for each module, or a function from a module's
/// name to its section.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::Host;
/// use serde_json::json;
///
/// let from_object = Host::builder().config(json!({ "billing": { "currency": "EUR" } }));
/// let from_function = Host::builder().config(|module: &str| (module == "billing").then(|| json!({ "currency": "EUR" })));
/// # drop((from_object, from_function));
/// ```
pub trait ConfigProvider: Send + Sync + 'static {
    /// Returns the section of a module, if there is one.
    fn section(&self, module: &str) -> Option<Value>;

    /// Returns the names of all sections that the provider knows: one that belongs to no module is an error.
    fn sections(&self) -> Vec<String>;

    /// Checks the configuration as a whole. Called once, before any section is read.
    ///
    /// # Errors
    /// The configuration is invalid. The default accepts everything.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// `null` has no sections. Any other value that is not an object is an error.
impl ConfigProvider for Value {
    fn section(&self, module: &str) -> Option<Value> {
        self.get(module).cloned()
    }

    fn sections(&self) -> Vec<String> {
        self.as_object().map(ConfigProvider::sections).unwrap_or_default()
    }

    fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Object(_) | Self::Null => Ok(()),
            Self::Bool(_) => Err(ConfigError::NotAnObject("a boolean")),
            Self::Number(_) => Err(ConfigError::NotAnObject("a number")),
            Self::String(_) => Err(ConfigError::NotAnObject("a string")),
            Self::Array(_) => Err(ConfigError::NotAnObject("an array")),
        }
    }
}

impl ConfigProvider for Map<String, Value> {
    fn section(&self, module: &str) -> Option<Value> {
        self.get(module).cloned()
    }

    fn sections(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// A function cannot list its sections, so unknown ones are not found.
impl<F> ConfigProvider for F
where
    F: Fn(&str) -> Option<Value> + Send + Sync + 'static,
{
    fn section(&self, module: &str) -> Option<Value> {
        self(module)
    }

    fn sections(&self) -> Vec<String> {
        Vec::new()
    }
}

/// An error in a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A module's section does not have the type that the module expects.
    #[error("invalid configuration of module `{module}` at `{path}`: {source}; {remedy}")]
    Invalid {
        /// The module.
        module: String,
        /// The field, such as `retry.max` or `hosts[2]`; `.` is the section itself.
        path: String,
        /// The cause.
        source: serde_json::Error,
        /// The remedy.
        remedy: Remedy,
    },
    /// The configuration is not a JSON object, but this.
    #[error("the configuration is {0}; it must be an object with a section for each module")]
    NotAnObject(&'static str),
    /// A section for a module that does not exist.
    #[error("the configuration has a section `{section}`, but the host has no such module; {}", advice(nearest.as_deref()))]
    Unknown {
        /// The section's name.
        section: String,
        /// The module that may be meant.
        nearest: Option<String>,
    },
}

/// Remedy for an invalid section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// The section exists: correct the field.
    Correct,
    /// There is no section, and the module's settings have no defaults: add one.
    AddSection,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Correct => "correct this field of the module's section",
            Self::AddSection => "the module's section is missing: add it",
        })
    }
}

fn advice(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || "remove the section, or add the module".to_owned(),
        |nearest| format!("is `{nearest}` meant?"),
    )
}

/// Converts a module's section to the module's type. A missing section counts as an empty one, so that a type whose fields
/// all have defaults needs none.
pub(crate) fn parse<T: DeserializeOwned>(module: &str, section: Option<&Value>) -> Result<T, ConfigError> {
    let empty = Value::Object(Map::new());
    serde_path_to_error::deserialize(section.unwrap_or(&empty)).map_err(|error| ConfigError::Invalid {
        module: module.to_owned(),
        path: error.path().to_string(),
        remedy: section.map_or(Remedy::AddSection, |_| Remedy::Correct),
        source: error.into_inner(),
    })
}

/// Finds a section that belongs to no module.
pub(crate) fn check(sections: &[String], modules: &[String]) -> Result<(), ConfigError> {
    let Some(section) = sections.iter().find(|section| !modules.contains(section)) else {
        return Ok(());
    };
    let likeness = |module: &String| strsim::jaro_winkler(module, section);
    let nearest = modules
        .iter()
        .filter(|module| likeness(module) > 0.8)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    Err(ConfigError::Unknown {
        section: section.clone(),
        nearest: nearest.cloned(),
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Retry {
        max: u32,
    }

    #[derive(Debug, Deserialize)]
    struct Billing {
        retry: Vec<Retry>,
    }

    #[test]
    fn a_wrong_value_is_reported_with_module_path_and_remedy() {
        let section = json!({ "retry": [{ "max": 1 }, { "max": "two" }] });
        let error = parse::<Billing>("billing", Some(&section)).unwrap_err().to_string();
        assert!(
            error.contains("module `billing` at `retry[1].max`: invalid type"),
            "{error}"
        );
        assert!(error.contains("correct this field"), "{error}");
        let error = parse::<Billing>("billing", None).unwrap_err().to_string();
        assert!(error.contains("missing field `retry`"), "{error}");
        assert!(error.contains("add it"), "{error}");
        let good = parse::<Billing>("billing", Some(&json!({ "retry": [{ "max": 3 }] }))).unwrap();
        assert_eq!(good.retry[0].max, 3);
    }

    // A JSON value is a provider.
    #[test]
    fn json_value() {
        let config = json!({ "billing": { "currency": "EUR" } });
        config.check().unwrap();
        assert_eq!(config.section("billing"), Some(json!({ "currency": "EUR" })));
        assert_eq!(config.sections(), ["billing"]);
        assert_eq!(Value::Null.sections(), [""; 0]);
        let error = json!(["billing"]).check().unwrap_err().to_string();
        assert!(error.contains("is an array; it must be an object"), "{error}");
    }

    #[test]
    fn a_section_for_no_module_is_an_error_with_a_suggestion() {
        let modules = ["billing".to_owned(), "scheduler".to_owned()];
        let error = check(&["biling".to_owned()], &modules).unwrap_err().to_string();
        assert!(
            error.contains("`biling`") && error.contains("is `billing` meant?"),
            "{error}"
        );
        let error = check(&["xyz".to_owned()], &modules).unwrap_err().to_string();
        assert!(error.contains("remove the section"), "{error}");
        check(&["scheduler".to_owned()], &modules).unwrap();
    }
}

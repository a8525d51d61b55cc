//! The data of bindings: files in `.isopod`, named after namespaces and buckets, and URLs of databases.

use std::path::PathBuf;

use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;
use crate::config::values::Secret;

/// Returns the default path of a file: `.isopod/FOLDER/NAME.sqlite` beside the configuration. A name that could leave the folder
/// is a problem.
pub(super) fn default_file(folder: &str, name: &str, at: &KeyPath, reading: &mut Reading<'_>) -> Option<PathBuf> {
    is_plain_name(name, at, reading).then(|| format!(".isopod/{folder}/{name}.sqlite").into())
}

/// Returns the default path of a folder: `.isopod/FOLDER/NAME` beside the configuration.
pub(super) fn default_folder(folder: &str, name: &str, at: &KeyPath, reading: &mut Reading<'_>) -> Option<PathBuf> {
    is_plain_name(name, at, reading).then(|| format!(".isopod/{folder}/{name}").into())
}

/// Returns true unless wrangler's file wants the binding's data on the platform, which is a problem. `at`: the binding.
pub(super) fn is_local(remote: bool, what: &str, kept: &str, at: &KeyPath, reading: &mut Reading<'_>) -> bool {
    if remote {
        let key = at.key("remote");
        let fault = Fault::NoSuchBinding {
            key: key.to_string(),
            capability: format!("remote {what}"),
        };
        reading.tell(&key, fault, format!("remove `remote`; the {kept}"));
    }
    !remote
}

/// Returns true if a name can be that of a file. Any other is a problem.
pub(super) fn is_plain_name(name: &str, at: &KeyPath, reading: &mut Reading<'_>) -> bool {
    let may_be = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    if !name.is_empty() && name.chars().all(may_be) {
        return true;
    }
    let fault = Fault::BadValue {
        key: at.to_string(),
        value: format!("{name:?}"),
        reason: "should be letters, digits, `-` or `_`; it names a file here".to_owned(),
    };
    reading.tell(at, fault, "give it a plain name");
    false
}

/// The URL of a database.
pub(super) enum GivenUrl<T> {
    /// The URL is in the configuration.
    Here(T),
    /// The URL is the value of the variable with this name.
    Variable(String, Secret),
}

/// Returns the one URL of a section with the keys `url` and `url_from`. None, or both, is a problem.
pub(super) fn given_url<T>(
    url: Option<T>,
    from: Option<String>,
    example: &str,
    at: &KeyPath,
    reading: &mut Reading<'_>,
) -> Option<GivenUrl<T>> {
    match (url, from) {
        (Some(url), None) => Some(GivenUrl::Here(url)),
        (None, Some(name)) => {
            let value = reading.lookup.get(&name);
            if value.is_none() {
                reading.unset(&at.key("url_from"), &name);
            }
            Some(GivenUrl::Variable(name, value?))
        }
        (Some(_), Some(_)) => {
            let message = format!("`{at}` has both `url` and `url_from`");
            reading.tell(at, Fault::Conflict { message }, "keep one of them");
            None
        }
        (None, None) => {
            let key = at.key("url").to_string();
            let remedy = format!("add `url = \"{example}\"`, or `url_from = \"DATABASE_URL\"`");
            reading.tell(at, Fault::Missing { key }, remedy);
            None
        }
    }
}

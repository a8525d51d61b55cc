//! The names of namespaces, buckets and the like, which name files in `.isopod`.

use std::path::PathBuf;

use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;

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

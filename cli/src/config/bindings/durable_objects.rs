//! `[[durable_objects]]`, and `durable_objects` and `migrations` of wrangler's files: classes of Durable Objects.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use isopod::ObjectClass;
use isopod::bindings::Binding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stored::is_plain_name;
use super::{Configured, Materials, Row, Wrangler, WranglerKey};
use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;
use crate::config::text::{Size, Time};

/// The key of migrations in wrangler's files.
pub(super) const MIGRATIONS: &str = "migrations";

impl Row for Section {
    const KEY: &'static str = "durable_objects";
    const ABOUT: &'static str = "Durable Objects in `env`: classes of this worker or of another.";
    // Migrations first: they decide the names under which the classes are stored.
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Migration>>(), WranglerKey::of::<Written>()];

    type Binding = DurableObjectClass;

    fn name(&self) -> &str {
        &self.binding
    }

    fn resolve(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<DurableObjectClass> {
        if let Some(script) = &self.script_name {
            reading.services.push((at.key("script_name"), script.clone()));
        }
        let others = |script: &String| reading.together.others.storage(script, &self.class_name).cloned();
        let storage = self.storage.or_else(|| self.script_name.as_ref().and_then(others));
        let storage = storage.unwrap_or_else(|| self.class_name.clone());
        is_plain_name(&storage, &at.key("storage"), reading).then(|| DurableObjectClass {
            class: self.class_name,
            script: self.script_name,
            storage,
            directory: reading.data_path(&self.directory),
            bytes_max: self.bytes_max,
            idle: self.idle,
        })
    }
}

/// A class of Durable Objects, and the folder of its objects.
#[derive(Clone, Debug)]
pub(super) struct DurableObjectClass {
    class: String,
    /// The worker that exports it. `None`: the worker of the binding.
    script: Option<String>,
    storage: String,
    directory: PathBuf,
    bytes_max: u64,
    idle: Duration,
}

impl Configured for DurableObjectClass {
    fn kind(&self) -> &'static str {
        "Durable Objects"
    }

    fn typescript(&self) -> String {
        "DurableObjectNamespace".to_owned()
    }

    fn make(&self, from: &Materials<'_>) -> Result<Arc<dyn Binding>> {
        let script = self.script.as_deref().unwrap_or(from.worker);
        let folder = self.directory.join(script).join(&self.storage);
        let class = ObjectClass::new(script, self.class.as_str(), folder).key(self.storage.as_str());
        Ok(Arc::new(
            from.pool
                .objects()
                .namespace(class.bytes_max(self.bytes_max).idle(self.idle)),
        ))
    }

    fn withheld(&self) -> Vec<PathBuf> {
        vec![self.directory.clone()]
    }
}

/// A class of Durable Objects. Each object has a SQLite file of its own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Section {
    /// Name in `env`.
    binding: String,
    /// Name of the class, which the worker exports.
    class_name: String,
    /// Name of the worker that exports the class. Default: this one.
    #[serde(default)]
    script_name: Option<String>,
    /// Name under which the objects are stored, and from which their ids are derived. Keep it when the class is renamed. Default:
    /// the name of the class.
    #[serde(default)]
    storage: Option<String>,
    /// Folder of the objects' files, relative to this file's folder. They are in `WORKER/STORAGE` there.
    #[serde(default = "directory")]
    directory: PathBuf,
    /// Maximum size of the storage of one object. A write that would exceed it fails.
    #[serde(default = "bytes_max", with = "Size")]
    bytes_max: u64,
    /// Time after which an object is evicted, or hibernates, that has nothing to do.
    #[serde(default = "idle", with = "Time")]
    idle: Duration,
}

fn directory() -> PathBuf {
    ".isopod/objects".into()
}

const fn bytes_max() -> u64 {
    ObjectClass::BYTES_MAX
}

const fn idle() -> Duration {
    ObjectClass::IDLE
}

/// Bindings of Durable Objects in wrangler's files.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Written {
    bindings: Vec<WrittenBinding>,
}

#[derive(Deserialize, JsonSchema)]
struct WrittenBinding {
    name: String,
    class_name: String,
    #[serde(default)]
    script_name: Option<String>,
    #[serde(default)]
    environment: Option<String>,
}

impl Wrangler for Written {
    const KEY: &'static str = "durable_objects";
    type Section = Vec<Section>;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Vec<Section> {
        let mut sections = Vec::new();
        for (index, written) in self.bindings.into_iter().enumerate() {
            if written.environment.is_some() {
                let key = at.key("bindings").index(index).key("environment");
                reading.note(&key, format!("`{key}` is accepted without effect"));
            }
            let own = written.script_name.is_none();
            let storage = own.then(|| reading.object_storage.get(&written.class_name).cloned());
            sections.push(Section {
                binding: written.name,
                class_name: written.class_name,
                script_name: written.script_name,
                storage: storage.flatten(),
                directory: directory(),
                bytes_max: bytes_max(),
                idle: idle(),
            });
        }
        sections
    }
}

/// A migration in wrangler's files: <https://developers.cloudflare.com/durable-objects/reference/durable-objects-migrations/>.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Migration {
    tag: String,
    new_classes: Vec<String>,
    new_sqlite_classes: Vec<String>,
    renamed_classes: Vec<Renamed>,
    deleted_classes: Vec<String>,
    transferred_classes: Option<serde_json::Value>,
}

#[derive(Deserialize, JsonSchema)]
struct Renamed {
    from: String,
    to: String,
}

impl Wrangler for Vec<Migration> {
    const KEY: &'static str = MIGRATIONS;
    type Section = Vec<Section>;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Vec<Section> {
        for (index, migration) in self.iter().enumerate() {
            if migration.transferred_classes.is_some() {
                let key = at.index(index).key("transferred_classes");
                let fault = Fault::NoSuchBinding {
                    key: key.to_string(),
                    capability: "transfer of Durable Objects from another worker".to_owned(),
                };
                let remedy = "stop the server, move the folder `.isopod/objects/WORKER/CLASS`, and use `new_sqlite_classes`; \
                              ids are derived from the worker's name, so only those of `newUniqueId` in your data change";
                reading.tell(&key, fault, remedy);
            }
        }
        match storage(&self) {
            Ok(storage) => reading.object_storage = storage,
            Err((index, message)) => {
                let remedy = "migrations are applied in their order: create a class before it is renamed or deleted";
                reading.tell(&at.index(index), Fault::Conflict { message }, remedy);
            }
        }
        Vec::new()
    }
}

/// Determines the names under which the classes are stored after these migrations. A class keeps the name that it was created
/// with; one that is created again after another of its name was deleted gets the tag of that migration as well.
fn storage(migrations: &[Migration]) -> Result<BTreeMap<String, String>, (usize, String)> {
    let (mut classes, mut used) = (BTreeMap::<String, String>::new(), BTreeMap::<String, usize>::new());
    for (index, migration) in migrations.iter().enumerate() {
        let gone = |name: &str, what| {
            (
                index,
                format!(
                    "the migration \"{}\" {what} the class \"{name}\", which does not exist",
                    migration.tag
                ),
            )
        };
        for class in &migration.deleted_classes {
            classes.remove(class).ok_or_else(|| gone(class, "deletes"))?;
        }
        let mut renamed = Vec::new();
        for Renamed { from, to } in &migration.renamed_classes {
            let stored = classes.remove(from).ok_or_else(|| gone(from, "renames"))?;
            renamed.push((to.clone(), stored));
        }
        classes.extend(renamed);
        for class in migration.new_classes.iter().chain(&migration.new_sqlite_classes) {
            let times = used.entry(class.clone()).or_default();
            let stored = if *times == 0 {
                class.clone()
            } else {
                format!("{class}-{}", *times + 1)
            };
            *times += 1;
            if classes.insert(class.clone(), stored).is_some() {
                let message = format!(
                    "the migration \"{}\" creates the class \"{class}\", which exists",
                    migration.tag
                );
                return Err((index, message));
            }
        }
    }
    classes.retain(|class, stored| class != stored);
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(migrations: &str) -> Result<BTreeMap<String, String>, String> {
        let migrations: Vec<Migration> = serde_json::from_str(migrations).unwrap();
        storage(&migrations).map_err(|(_, message)| message)
    }

    #[test]
    fn a_renamed_class_is_stored_under_its_first_name() {
        let stored = stored(
            r#"[{ "tag": "v1", "new_classes": ["A"], "new_sqlite_classes": ["B"] },
                { "tag": "v2", "renamed_classes": [{ "from": "A", "to": "C" }, { "from": "B", "to": "A" }] }]"#,
        );
        let expected = [("A", "B"), ("C", "A")].map(|(class, name)| (class.to_owned(), name.to_owned()));
        assert_eq!(stored.unwrap(), expected.into());
    }

    #[test]
    fn a_recreated_class_starts_without_objects() {
        let stored = stored(
            r#"[{ "tag": "v1", "new_classes": ["A"] }, { "tag": "v2", "deleted_classes": ["A"] },
                { "tag": "v3", "new_sqlite_classes": ["A"] }]"#,
        );
        assert_eq!(stored.unwrap(), [("A".to_owned(), "A-2".to_owned())].into());
    }

    #[test]
    fn missing_classes_cannot_be_migrated() {
        let renamed = r#"[{ "tag": "v1", "renamed_classes": [{ "from": "A", "to": "B" }] }]"#;
        assert!(stored(renamed).unwrap_err().contains("\"v1\" renames the class \"A\""));
        let twice = r#"[{ "tag": "v1", "new_classes": ["A"] }, { "tag": "v2", "new_sqlite_classes": ["A"] }]"#;
        assert!(stored(twice).unwrap_err().contains("which exists"));
    }
}

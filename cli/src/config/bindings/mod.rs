//! Bindings in the configuration: a file for each kind, and one list of them.
//!
//! [`KINDS`] drives the readers of the configuration (the schema and its reference, `isopod.toml`, wrangler's files), and
//! through [`Bound`] its users: the check for duplicate names, the list of bindings that `isopod serve` prints, and the files
//! that modules must not be read from.

mod analytics;
mod assets;
mod databases;
mod durable_objects;
mod events;
mod hyperdrive;
mod kv_namespaces;
mod late_assets;
mod queues;
mod r2_buckets;
mod rate_limits;
mod secrets_store;
mod services;
mod stored;
mod version_metadata;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use isopod::bindings::Binding;
use isopod::bindings::rate_limit::RateLimitNamespaces;
use isopod::host::workers::EventBridge;
use isopod::{Pool, ResponseCache};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::document::KeyPath;
use super::problem::Fault;
use super::reading::Reading;
use super::storage::Server;

pub use self::assets::{Assets, AssetsPlace, OpenAssets};
pub use self::databases::SqlDatabase;
pub use self::events::Events;
pub use self::kv_namespaces::KvNamespace;
pub use self::late_assets::LateAssets;
pub use self::queues::{Consumer, OpenQueues, Producer, Queue};
pub use self::r2_buckets::R2Bucket;
pub use self::services::Service;

/// Every kind of binding with a section of its own, in the order in which bindings are listed.
static KINDS: &[Kind] = &[
    Kind::of::<analytics::Section>(),
    Kind::of::<assets::AssetsKind>(),
    Kind::of::<databases::Database>(),
    Kind::of::<durable_objects::Section>(),
    Kind::of::<events::EventsKind>(),
    Kind::of::<hyperdrive::Section>(),
    Kind::of::<kv_namespaces::Section>(),
    Kind::of::<queues::Queues>(),
    Kind::of::<r2_buckets::Section>(),
    Kind::of::<rate_limits::Section>(),
    Kind::of::<secrets_store::Section>(),
    Kind::of::<Service>(),
    Kind::of::<version_metadata::VersionMetadata>(),
];

/// The configuration of a kind of binding.
trait Configure {
    /// Its key in `isopod.toml`.
    const KEY: &'static str;
    /// The description of the key in the reference.
    const ABOUT: &'static str;
    /// The value of the key. Its default is that of the schema.
    type Section: Default + Serialize + DeserializeOwned + JsonSchema;
    /// The corresponding keys of wrangler's files.
    const WRANGLER: &'static [WranglerKey] = &[];

    /// Checks a worker's section, which stands `at` this place, and adds its bindings to `env`. Errors go to `reading`.
    fn resolve(section: Self::Section, at: &KeyPath, reading: &mut Reading<'_>, env: &mut Env);
}

/// The configuration of a kind of binding whose section is a list: one row of it.
trait Row: Serialize + DeserializeOwned + JsonSchema {
    /// The list's key in `isopod.toml`.
    const KEY: &'static str;
    /// The description of the key in the reference.
    const ABOUT: &'static str;
    /// The corresponding keys of wrangler's files.
    const WRANGLER: &'static [WranglerKey] = &[];
    /// The binding that a row configures.
    type Binding: Configured;

    /// The name in `env`, which is the row's key `binding`.
    fn name(&self) -> &str;

    /// Checks the row, which stands `at` this place. Errors go to `reading`, and `None` is returned.
    fn resolve(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Self::Binding>;
}

impl<R: Row> Configure for R {
    const KEY: &'static str = <R as Row>::KEY;
    const ABOUT: &'static str = <R as Row>::ABOUT;
    type Section = Vec<R>;
    const WRANGLER: &'static [WranglerKey] = <R as Row>::WRANGLER;

    fn resolve(section: Vec<R>, at: &KeyPath, reading: &mut Reading<'_>, env: &mut Env) {
        for (index, row) in section.into_iter().enumerate() {
            let at = at.index(index);
            let name = row.name().to_owned();
            env.claim(&name, &at.key("binding"), reading);
            if let Some(binding) = row.resolve(&at, reading) {
                env.bind(name, binding);
            }
        }
    }
}

/// A section of wrangler's files that corresponds to one of `isopod.toml`.
trait Wrangler: DeserializeOwned + JsonSchema {
    /// Its key.
    const KEY: &'static str;
    /// The section of `isopod.toml`.
    type Section: Serialize;

    /// Translates it to `isopod.toml`. Errors go to `reading`.
    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Self::Section;
}

/// A row of a list in wrangler's files.
trait WranglerRow: DeserializeOwned + JsonSchema {
    /// The list's key.
    const KEY: &'static str;
    /// The row of `isopod.toml`.
    type Row: Serialize;

    /// Translates it to `isopod.toml`. Errors go to `reading`, and `None` is returned.
    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Self::Row>;
}

impl<W: WranglerRow> Wrangler for Vec<W> {
    const KEY: &'static str = W::KEY;
    type Section = Vec<W::Row>;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Vec<W::Row> {
        let rows = self.into_iter().enumerate();
        rows.filter_map(|(index, row)| row.translate(&at.index(index), reading))
            .collect()
    }
}

/// A binding of a worker, with every path and secret looked up.
pub trait Configured: Any + fmt::Debug + Send + Sync {
    /// The kind of binding, as the start banner names it.
    fn kind(&self) -> &'static str;

    /// The type of its value in TypeScript, by its name in `@cloudflare/workers-types`.
    fn typescript(&self) -> String;

    /// Creates the binding of a script.
    ///
    /// # Errors
    /// A file or service that it needs does not exist and cannot be created.
    fn make(&self, from: &Materials<'_>) -> anyhow::Result<Arc<dyn Binding>>;

    /// The files that it owns, which no module may be read from.
    fn withheld(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The server that keeps its data, if there is one.
    fn server(&self) -> Option<Server> {
        None
    }

    /// The worker that it calls, if it is a service binding.
    fn service(&self) -> Option<&Service> {
        None
    }
}

/// The parts of a process that bindings are made from.
#[derive(Clone, Copy, Debug)]
pub struct Materials<'a> {
    /// The name of the script's worker.
    pub worker: &'a str,
    /// The pool that the script is deployed in.
    pub pool: &'a Pool,
    /// The cache behind `caches` of all workers.
    pub cache: &'a ResponseCache,
    /// The script's connection to the bus.
    pub bridge: &'a EventBridge,
    /// The queues that are open in the process.
    pub queues: &'a OpenQueues,
    /// The counts of rate limits.
    pub rate_limits: &'a RateLimitNamespaces,
}

/// A binding and its name in `env`.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The name.
    pub name: String,
    /// The binding.
    pub binding: Arc<dyn Configured>,
}

/// The `env` of one worker, as far as it is resolved.
#[derive(Default)]
pub(super) struct Env {
    names: BTreeSet<String>,
    pub(super) bindings: Vec<Bound>,
    pub(super) events: Events,
    pub(super) consumers: Vec<Consumer>,
    pub(super) assets: Option<Assets>,
}

impl Env {
    /// Takes a name, which stands `at` this place. A name that is taken already is reported.
    pub(super) fn claim(&mut self, name: &str, at: &KeyPath, reading: &mut Reading<'_>) {
        if !self.names.insert(name.to_owned()) {
            let message = format!("`{at}`: `env.{name}` is defined twice");
            let keys: Vec<_> = KINDS.iter().map(|kind| kind.key).collect();
            let remedy = format!("vars, secrets, {} share one `env`; rename one", keys.join(", "));
            reading.tell(at, Fault::Conflict { message }, remedy);
        }
    }

    /// Adds a binding whose name was claimed.
    fn bind(&mut self, name: String, binding: impl Configured) {
        let binding = Arc::new(binding);
        self.bindings.push(Bound { name, binding });
    }
}

/// A row of [`KINDS`].
struct Kind {
    key: &'static str,
    about: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
    default: fn() -> Json,
    resolve: fn(Json, &KeyPath, &mut Reading<'_>, &mut Env),
    wrangler: &'static [WranglerKey],
}

impl Kind {
    const fn of<C: Configure>() -> Self {
        Self {
            key: C::KEY,
            about: C::ABOUT,
            schema: SchemaGenerator::subschema_for::<C::Section>,
            default: || written(&C::Section::default()),
            resolve: |section, at, reading, env| {
                if let Some(section) = typed(section, at, reading) {
                    C::resolve(section, at, reading, env);
                }
            },
            wrangler: C::WRANGLER,
        }
    }
}

/// A key of wrangler's files that a kind is read from.
struct WranglerKey {
    key: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
    translate: fn(Json, &KeyPath, &mut Reading<'_>) -> Json,
}

impl WranglerKey {
    const fn of<W: Wrangler>() -> Self {
        Self {
            key: W::KEY,
            schema: SchemaGenerator::subschema_for::<W>,
            translate: |section, at, reading| match typed::<W>(section, at, reading) {
                Some(section) => written(&section.translate(at, reading)),
                None => Json::Null,
            },
        }
    }
}

/// Reads a section that was checked against its schema.
fn typed<T: DeserializeOwned>(section: Json, at: &KeyPath, reading: &mut Reading<'_>) -> Option<T> {
    let read = serde_json::from_value(section);
    let cannot = |error| Fault::Syntax {
        message: format!("`{at}` cannot be read: {error}"),
    };
    read.map_err(|error| reading.tell(at, cannot(error), "write it as the reference says"))
        .ok()
}

fn written(section: &impl Serialize) -> Json {
    serde_json::to_value(section).unwrap_or_default()
}

/// The sections of one worker as they are written, by key.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Sections(BTreeMap<String, Json>);

impl fmt::Debug for Sections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may hold passwords.
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Sections {
    /// The schema of the sections of `isopod.toml`.
    pub(super) fn schema(generator: &mut SchemaGenerator) -> Schema {
        let one = |kind: &Kind| {
            let mut schema = (kind.schema)(generator);
            schema.insert("description".to_owned(), kind.about.into());
            schema.insert("default".to_owned(), (kind.default)());
            (kind.key.to_owned(), schema.into())
        };
        let properties: Map<_, _> = KINDS.iter().map(one).collect();
        json_schema!({ "type": "object", "properties": properties })
    }

    /// The schema of the sections of wrangler's files.
    pub(super) fn wrangler_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = KINDS.iter().flat_map(|kind| kind.wrangler);
        let one = |key: &WranglerKey| (key.key.to_owned(), (key.schema)(generator).into());
        let properties: Map<_, _> = keys.map(one).collect();
        json_schema!({ "type": "object", "properties": properties })
    }

    /// Checks the sections of a worker whose settings stand `at` this place.
    pub(super) fn resolve(mut self, at: &KeyPath, reading: &mut Reading<'_>, env: &mut Env) {
        for kind in KINDS {
            if let Some(section) = self.0.remove(kind.key) {
                (kind.resolve)(section, &at.key(kind.key), reading, env);
            }
        }
    }

    /// Translates the sections of a wrangler file to those of `isopod.toml`.
    pub(super) fn translate(mut self, reading: &mut Reading<'_>) -> Self {
        let mut translated = BTreeMap::new();
        for kind in KINDS {
            for key in kind.wrangler {
                let section = self.0.remove(key.key).filter(|section| !section.is_null());
                let section = section.map(|section| (key.translate)(section, &KeyPath::of(key.key), reading));
                match (translated.get_mut(kind.key), section) {
                    (Some(Json::Array(all)), Some(Json::Array(more))) => all.extend(more),
                    (_, Some(section)) if !section.is_null() => {
                        translated.insert(kind.key.to_owned(), section);
                    }
                    _ => {}
                }
            }
        }
        Self(translated)
    }

    /// Returns true if there is a section of static assets.
    pub(super) fn have_assets(&self) -> bool {
        self.0
            .get(<assets::AssetsKind as Configure>::KEY)
            .is_some_and(|section| !section.is_null())
    }

    /// Copies the inherited sections from the top level of a wrangler file to an environment: the assets and the migrations
    /// of Durable Objects, but no bindings.
    pub(super) fn inherit(mut self, top: &Self) -> Self {
        for key in [<assets::AssetsKind as Configure>::KEY, durable_objects::MIGRATIONS] {
            let is_given = self.0.get(key).is_some_and(|section| !section.is_null());
            if let (false, Some(section)) = (is_given, top.0.get(key)) {
                self.0.insert(key.to_owned(), section.clone());
            }
        }
        self
    }

    /// The keys of a wrangler file that this has and `others` does not.
    pub(super) fn keys_without(&self, others: &Self) -> impl Iterator<Item = &'static str> {
        let there = |sections: &Self, key: &str| sections.0.get(key).is_some_and(|section| !section.is_null());
        let keys = KINDS.iter().flat_map(|kind| kind.wrangler).map(|key| key.key);
        keys.filter(move |key| there(self, key) && !there(others, key))
    }
}

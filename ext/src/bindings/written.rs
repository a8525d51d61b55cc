//! Bindings in written form, for workers in other processes.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A binding in written form: see [`Binding::written`](super::Binding::written).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WrittenBinding {
    /// A string.
    Text(String),
    /// A string that never appears in logs or errors.
    Secret(String),
    /// A JSON value, as text.
    Json(String),
    /// The result of a lazily loaded script's `make(name, options)`, without a value in Rust.
    Custom {
        /// The script.
        script: String,
        /// The options, as JSON text.
        options: String,
    },
    /// The URL of a database that the script connects to.
    Hyperdrive(String),
    /// An Analytics Engine dataset of the pool's process.
    Analytics,
    /// A namespace of Durable Objects, which the pool's process finds.
    Objects {
        /// The script that exports the class.
        script: String,
        /// The class.
        class: String,
        /// The name of the namespace, from which ids are derived.
        key: String,
        /// The folder of the objects' files, which no script may read as modules.
        folder: PathBuf,
    },
    /// A KV namespace of the pool's process.
    Kv,
    /// A service of the pool's process.
    Service,
    /// An R2 bucket of the pool's process.
    R2,
    /// A queue of the pool's process.
    Queue {
        /// The delay of messages that are sent without one.
        delay: Duration,
    },
    /// A rate limit of the pool's process.
    RateLimit,
    /// A database, to which the worker's process connects.
    Sql {
        /// Its [`SqlConfig`](crate::sql::SqlConfig), encoded.
        #[serde(with = "serde_bytes")]
        config: Vec<u8>,
    },
    /// A database of the pool's process, for a worker in a sandbox.
    Database,
    /// The bus of the pool's process.
    Events,
    /// Rust functions of the pool's process.
    Native {
        /// Their names.
        methods: Vec<String>,
    },
}

impl fmt::Debug for WrittenBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without values, which may be secrets.
        f.write_str(match self {
            Self::Text(_) => "Text(…)",
            Self::Secret(_) => "Secret(…)",
            Self::Json(_) => "Json(…)",
            Self::Custom { .. } => "Custom(…)",
            Self::Hyperdrive(_) => "Hyperdrive(…)",
            Self::Analytics => "Analytics",
            Self::Objects { .. } => "Objects(…)",
            Self::Kv => "Kv",
            Self::R2 => "R2",
            Self::Queue { .. } => "Queue",
            Self::RateLimit => "RateLimit",
            Self::Sql { .. } => "Sql(…)",
            Self::Database => "Database",
            Self::Service => "Service",
            Self::Events => "Events",
            Self::Native { .. } => "Native(…)",
        })
    }
}

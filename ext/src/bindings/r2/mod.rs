//! `env.BUCKET`: a bucket with the interface of R2.
//!
//! [`R2Binding`] is the binding, over an [`R2Store`]: [`LocalR2`], `S3R2` or a program's own. `rules` has the platform's
//! limits and errors, `condition` and `range` the parameters of reads and writes, `object` the metadata, and `site` the
//! files of a site in a bucket. `ops` check a script's arguments, which `options` parses, before they call a store.

mod condition;
#[cfg(any(feature = "sql", feature = "s3"))]
mod content;
mod error;
#[cfg(feature = "sql")]
mod local;
mod object;
mod ops;
mod options;
mod range;
mod remote;
mod rules;
#[cfg(feature = "s3")]
mod s3;
mod site;
mod store;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use deno_core::OpState;
use serde_json::Value;

use super::{Binding, EnvValue, Installed, NewWorker, Parcel, ParcelFuture, WrittenBinding};

pub use self::condition::{R2Conditions, R2Etag};
#[cfg(feature = "sql")]
pub use self::local::LocalR2;
pub use self::object::{R2Algorithm, R2Checksum, R2Checksums, R2HttpMetadata, R2Object, R2StorageClass};
pub(crate) use self::ops::extension;
pub use self::range::R2Range;
pub(crate) use self::remote::RemoteR2;
pub use self::rules::{R2Fault, check_key, check_metadata};
#[cfg(feature = "s3")]
pub use self::s3::S3R2;
pub use self::site::R2Files;
pub use self::store::{R2Error, R2Found, R2Future, R2Get, R2Listing, R2NewUpload, R2Page, R2Part, R2Put, R2Store};

/// An R2 bucket in `env`, over any [`R2Store`].
#[derive(Clone)]
pub struct R2Binding {
    store: Arc<dyn R2Store>,
}

impl R2Binding {
    /// Creates a binding over this store.
    pub fn new(store: impl R2Store) -> Self {
        Self { store: Arc::new(store) }
    }
}

impl fmt::Debug for R2Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("R2Binding(…)")
    }
}

impl Binding for R2Binding {
    fn kind(&self) -> &'static str {
        "R2"
    }

    fn install(&self, name: &str, _worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        Installed::put(state, name, self.store.clone());
        EnvValue::made("ext:isopod_r2/r2.js", &Value::Null)
    }

    fn written(&self) -> Option<WrittenBinding> {
        Some(WrittenBinding::R2)
    }

    fn serve(&self, _script: &str, request: Parcel, bytes_max: usize) -> ParcelFuture {
        remote::serve(self.store.clone(), request, bytes_max)
    }

    fn withheld(&self) -> Vec<PathBuf> {
        self.store.files()
    }
}

//! `env.SECRET`: a secret of a secrets store in the shape of Workers', `await env.SECRET.get()`.

use std::fmt;

use deno_core::OpState;
use serde_json::{Value, json};

use super::{Binding, EnvValue, NewWorker, WrittenBinding};

const SCRIPT: &str = "ext:isopod_secrets_store/secret.js";

/// A secret that a script reads with `await env.NAME.get()`.
///
/// ```
/// # mod isopod { pub use isopod_ext::bindings; }
/// use isopod::bindings::StoreSecret;
///
/// let secret = StoreSecret::new("payments-key", std::env::var("PAYMENTS_KEY").ok());
/// # drop(secret);
/// ```
///
/// [`Secret`](super::Secret) is a secret that is a string in `env`. The value of either appears in no log and no error.
#[derive(Clone)]
pub struct StoreSecret {
    name: String,
    value: Option<String>,
}

impl StoreSecret {
    /// Creates a secret of this name in its store. Without a value, `get()` rejects with an error that gives the name.
    pub fn new(name: impl Into<String>, value: Option<String>) -> Self {
        Self {
            name: name.into(),
            value,
        }
    }

    fn options(&self) -> Value {
        json!({ "name": self.name, "value": self.value })
    }
}

impl fmt::Debug for StoreSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreSecret").field(&self.name).finish()
    }
}

impl Binding for StoreSecret {
    fn kind(&self) -> &'static str {
        "secrets store"
    }

    fn install(&self, _name: &str, _worker: &NewWorker<'_>, _state: &mut OpState) -> EnvValue<'_> {
        EnvValue::made(SCRIPT, &self.options())
    }

    fn written(&self) -> Option<WrittenBinding> {
        Some(WrittenBinding::Custom {
            script: SCRIPT.to_owned(),
            options: self.options().to_string(),
        })
    }
}

/// A module of its own, because the macro creates a public type.
pub(crate) mod extension {
    deno_core::extension!(
        isopod_secrets_store,
        lazy_loaded_js = [dir "src/bindings/secrets_store", "secret.js"],
    );
}

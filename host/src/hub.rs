//! The client hub: clients that modules provide to each other, found by type.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Clients by their type, trait objects included. Cloning it creates another handle of the same hub.
///
/// ```
/// use std::sync::Arc;
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::Hub;
///
/// trait Billing: Send + Sync {
///     fn total(&self) -> u64;
/// }
/// struct Fixed;
/// impl Billing for Fixed {
///     fn total(&self) -> u64 {
///         7
///     }
/// }
///
/// let hub = Hub::new();
/// hub.register::<dyn Billing>(Arc::new(Fixed))?;
/// assert_eq!(hub.get::<dyn Billing>()?.total(), 7);
/// # Ok::<(), isopod_host::HubError>(())
/// ```
///
/// A module's clients are removed when the module is closed; those in use stay alive.
#[derive(Clone, Default)]
pub struct Hub {
    clients: Arc<RwLock<HashMap<Key, Client>>>,
    /// Owner of clients registered through this handle: a module, or the host's builder.
    owner: Option<Arc<str>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    of: TypeId,
    scope: Option<Box<str>>,
}

struct Client {
    /// An `Arc<T>`, where `T` may be unsized.
    client: Box<dyn Any + Send + Sync>,
    name: String,
    owner: Option<Arc<str>>,
}

/// An error from the hub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// No client of this type is registered.
    #[error(
        "no client `{wanted}` is registered{}; register it in a module's build phase, or on the host before it starts",
        listed(registered)
    )]
    Missing {
        /// The type, and its scope in parentheses.
        wanted: String,
        /// The registered clients, each with its owner.
        registered: Vec<String>,
    },
    /// A client of this type is registered already.
    #[error("a client `{name}` is already registered by {by}; register this one under a scope, or not at all")]
    Duplicate {
        /// The type, and its scope in parentheses.
        name: String,
        /// Owner of the registered client.
        by: String,
    },
}

fn listed(registered: &[String]) -> String {
    if registered.is_empty() {
        " (nothing is)".to_owned()
    } else {
        format!(" (there are: {})", registered.join(", "))
    }
}

impl Hub {
    /// Creates an empty hub.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a handle of the hub that registers clients for this module.
    pub(crate) fn owned_by(&self, module: &Arc<str>) -> Self {
        Self {
            clients: Arc::clone(&self.clients),
            owner: Some(Arc::clone(module)),
        }
    }

    /// Registers a client under its type.
    ///
    /// # Errors
    /// A client of this type is registered already.
    pub fn register<T: ?Sized + Send + Sync + 'static>(&self, client: Arc<T>) -> Result<(), HubError> {
        self.insert(None, client)
    }

    /// Registers a client under its type and a name, so that there may be several.
    ///
    /// # Errors
    /// A client of this type and scope is registered already.
    pub fn register_scoped<T: ?Sized + Send + Sync + 'static>(
        &self,
        scope: &str,
        client: Arc<T>,
    ) -> Result<(), HubError> {
        self.insert(Some(scope), client)
    }

    /// Returns the client of this type.
    ///
    /// # Errors
    /// The hub has no such client.
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>, HubError> {
        self.find(None).ok_or_else(|| self.missing::<T>(None))
    }

    /// Returns the client of this type and scope.
    ///
    /// # Errors
    /// The hub has no such client.
    pub fn get_scoped<T: ?Sized + Send + Sync + 'static>(&self, scope: &str) -> Result<Arc<T>, HubError> {
        self.find(Some(scope)).ok_or_else(|| self.missing::<T>(Some(scope)))
    }

    /// Returns the client of this type, if the client is optional.
    #[must_use]
    pub fn try_get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.find(None)
    }

    /// Removes all clients of a module. They are dropped outside the lock.
    pub(crate) fn remove_of(&self, module: &str) {
        let removed: Vec<_> = {
            let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
            clients
                .extract_if(|_, client| client.owner.as_deref() == Some(module))
                .collect()
        };
        drop(removed);
    }

    fn insert<T: ?Sized + Send + Sync + 'static>(&self, scope: Option<&str>, client: Arc<T>) -> Result<(), HubError> {
        let name = name::<T>(scope);
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        match clients.entry(key::<T>(scope)) {
            Entry::Occupied(there) => Err(HubError::Duplicate {
                name,
                by: owner(there.get().owner.as_deref()),
            }),
            Entry::Vacant(place) => {
                let owner = self.owner.clone();
                let client = Box::new(client);
                place.insert(Client { client, name, owner });
                Ok(())
            }
        }
    }

    fn find<T: ?Sized + Send + Sync + 'static>(&self, scope: Option<&str>) -> Option<Arc<T>> {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        clients.get(&key::<T>(scope))?.client.downcast_ref::<Arc<T>>().cloned()
    }

    fn missing<T: ?Sized + 'static>(&self, scope: Option<&str>) -> HubError {
        HubError::Missing {
            wanted: name::<T>(scope),
            registered: self.names(),
        }
    }

    fn names(&self) -> Vec<String> {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> = clients
            .values()
            .map(|client| format!("`{}` of {}", client.name, owner(client.owner.as_deref())))
            .collect();
        names.sort_unstable();
        names
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hub").field(&self.names()).finish()
    }
}

fn key<T: ?Sized + 'static>(scope: Option<&str>) -> Key {
    Key {
        of: TypeId::of::<T>(),
        scope: scope.map(Into::into),
    }
}

fn name<T: ?Sized>(scope: Option<&str>) -> String {
    let name = type_name::<T>();
    scope.map_or_else(|| name.to_owned(), |scope| format!("{name} ({scope})"))
}

fn owner(owner: Option<&str>) -> String {
    owner.map_or_else(|| "the host".to_owned(), |module| format!("module `{module}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    trait Billing: Send + Sync {
        fn total(&self) -> u64;
    }

    impl Billing for u64 {
        fn total(&self) -> u64 {
            *self
        }
    }

    #[test]
    fn clients_are_found_by_trait_object_and_scope() {
        let hub = Hub::new();
        hub.register::<dyn Billing>(Arc::new(1_u64)).unwrap();
        hub.register_scoped::<dyn Billing>("eu", Arc::new(2_u64)).unwrap();
        assert_eq!(hub.get::<dyn Billing>().unwrap().total(), 1);
        assert_eq!(hub.get_scoped::<dyn Billing>("eu").unwrap().total(), 2);
        assert!(hub.try_get::<u64>().is_none(), "a trait object is not its type");
    }

    #[test]
    fn a_missing_client_is_reported_with_the_registered_ones() {
        let hub = Hub::new();
        hub.owned_by(&Arc::from("clock")).register(Arc::new(3_u8)).unwrap();
        let error = hub.get_scoped::<dyn Billing>("eu").err().unwrap().to_string();
        assert!(error.contains("Billing (eu)`"), "{error}");
        assert!(error.contains("`u8` of module `clock`"), "{error}");
    }

    #[test]
    fn a_second_client_of_a_type_is_refused_until_the_first_ones_module_is_closed() {
        let hub = Hub::new();
        let module = Arc::from("billing");
        hub.owned_by(&module).register::<dyn Billing>(Arc::new(1_u64)).unwrap();
        let error = hub.register::<dyn Billing>(Arc::new(2_u64)).unwrap_err();
        assert!(error.to_string().contains("by module `billing`"), "{error}");
        hub.remove_of("billing");
        hub.register::<dyn Billing>(Arc::new(2_u64)).unwrap();
        hub.remove_of("billing");
        assert_eq!(hub.get::<dyn Billing>().unwrap().total(), 2);
    }
}

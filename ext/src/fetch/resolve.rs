//! Resolution of host names. The guard checks the results.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::identity::by_identity;

/// A custom resolver of host names, such as a service registry or a DNS client.
pub trait ResolveHost: Send + Sync {
    /// Resolves `name`, in lower case and Punycode, to all its addresses, on an I/O runtime of the pool.
    ///
    /// # Errors
    /// There are no addresses, or the lookup failed.
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// A shared [`ResolveHost`]. The default uses the system's resolver.
///
/// Resolvers are equal if they are the same object, and only then do requests share connections.
#[derive(Clone, Default)]
pub struct Resolver(Option<Arc<dyn ResolveHost>>);

impl Resolver {
    /// Uses `resolver` instead of the system's.
    #[must_use]
    pub fn new(resolver: impl ResolveHost + 'static) -> Self {
        Self(Some(Arc::new(resolver)))
    }

    /// Returns whether it is the system's.
    pub(crate) fn is_system(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        match &self.0 {
            Some(resolver) => resolver.resolve(name),
            None => {
                let name = name.to_owned();
                Box::pin(async move {
                    let answers = tokio::net::lookup_host((name.as_str(), 0)).await?;
                    Ok(answers.map(|answer| answer.ip()).collect())
                })
            }
        }
    }
}

by_identity!(Resolver, "custom", "system");

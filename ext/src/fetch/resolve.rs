//! Where the addresses of names come from. What comes is the guard's to judge.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use futures::future::BoxFuture;

/// Finds the addresses of a name: a service registry, a DNS server of one's own.
pub trait ResolveHost: Send + Sync {
    /// All addresses of `name`, which is in lower case and Punycode. Runs on an I/O runtime of the pool.
    ///
    /// # Errors
    /// When there are none, or nobody to ask.
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// A [`ResolveHost`] to be shared. The default asks the system.
///
/// Two are equal when they are the same one: requests share connections only then.
#[derive(Clone, Default)]
pub struct Resolver(Option<Arc<dyn ResolveHost>>);

impl Resolver {
    /// Asks `resolver` instead of the system.
    #[must_use]
    pub fn new(resolver: impl ResolveHost + 'static) -> Self {
        Self(Some(Arc::new(resolver)))
    }

    pub(super) fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
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

impl PartialEq for Resolver {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Resolver {}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Resolver(custom)"
        } else {
            "Resolver(system)"
        })
    }
}

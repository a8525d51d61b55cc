//! The other configurations that are served together with one, as far as it refers to them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::storage::QueueKey;

/// The data of the other configurations that one needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Together {
    /// The folder of the first one, which has the data of all: `None` for the first one itself.
    pub(super) first: Option<PathBuf>,
    /// The workers of all.
    pub(super) others: Others,
    /// The workers of those before this one.
    pub(super) earlier: BTreeSet<String>,
    /// The queues that workers of those before this one consume.
    pub(super) consumed: BTreeSet<QueueKey>,
}

impl Together {
    /// Returns true if this is not the first one, which has the requests.
    pub(super) const fn is_further(&self) -> bool {
        self.first.is_some()
    }
}

/// The workers of the configurations that are served together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// Not read yet: there may be one of any name.
    Unread,
    /// The names under which each worker's Durable Objects are stored, if they differ from the names of their classes.
    Read(BTreeMap<String, BTreeMap<String, String>>),
}

impl Default for Others {
    fn default() -> Self {
        Self::Read(BTreeMap::new())
    }
}

impl Others {
    /// Returns true if there may be a worker of this name.
    pub(super) fn may_have(&self, name: &str) -> bool {
        match self {
            Self::Unread => true,
            Self::Read(workers) => workers.contains_key(name),
        }
    }

    /// The name under which the objects of a worker's class are stored, if it is another than that of the class.
    pub(super) fn storage(&self, worker: &str, class: &str) -> Option<&String> {
        match self {
            Self::Unread => None,
            Self::Read(workers) => workers.get(worker)?.get(class),
        }
    }

    /// Returns the known names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let workers = match self {
            Self::Unread => None,
            Self::Read(workers) => Some(workers),
        };
        workers
            .into_iter()
            .flat_map(|workers| workers.keys().map(String::as_str))
    }
}

//! The other configurations that are served together with one, as far as it refers to them.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The data of the other configurations that one needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Together {
    /// The folder of the first one, which has the data of all: `None` for the first one itself.
    pub(super) first: Option<PathBuf>,
    /// Their workers.
    pub(super) others: Others,
}

/// The workers of the other configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// Not read yet: any name may be one of theirs.
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
    /// Returns true if they may have a worker of this name.
    pub(super) fn may_have(&self, name: &str) -> bool {
        match self {
            Self::Unread => true,
            Self::Read(workers) => workers.contains_key(name),
        }
    }

    /// The name under which the objects of a class of one of their workers are stored, if it is another than that of the class.
    pub(super) fn storage(&self, worker: &str, class: &str) -> Option<&String> {
        match self {
            Self::Unread => None,
            Self::Read(workers) => workers.get(worker)?.get(class),
        }
    }

    /// Returns the names of their workers.
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

//! Limits of resources, and capabilities.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

/// Descriptors of event loops, and of two connections.
const DESCRIPTORS_MAX: u64 = 256;

/// Threads, of which a worker has about twenty. Not enforced for root.
const THREADS_MAX: u64 = 128;

/// Sets the limits, which cannot be raised again.
pub(super) fn set() -> Result<(), Errno> {
    for (resource, max) in [
        // A dump of memory would be a file, and have secrets in it.
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, DESCRIPTORS_MAX),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
        (Resource::Locks, 0),
    ] {
        let now = getrlimit(resource);
        let max = now.maximum.map_or(max, |now| now.min(max));
        let limit = Rlimit {
            current: Some(max),
            maximum: Some(max),
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

/// Limits the threads, in a user namespace of its own. Outside, the threads of all processes of the user would count.
pub(super) fn set_threads() -> Result<(), Errno> {
    let max = Some(THREADS_MAX);
    setrlimit(
        Resource::Nproc,
        Rlimit {
            current: max,
            maximum: max,
        },
    )
}

/// Drops all capabilities.
pub(super) fn drop_capabilities() -> Result<(), Errno> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    set_capabilities(None, sets)
}

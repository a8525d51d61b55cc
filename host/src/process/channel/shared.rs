//! Memory that the host shares with a module's process: settings, and an area for each process.

use std::path::PathBuf;
use std::sync::Arc;

use isopod_module::protocol::Limits;
use isopod_module::shared::{Area, End, Holds, LIBRARY, SharedError, SharedTerms};
use tokio::runtime::Handle;

/// Limits of the number of slots in each direction. With one, it could not be used while a received body is.
const SLOTS_MIN: u64 = 2;
const SLOTS_MAX: u64 = 1024;

/// Settings of the memory that a host shares with a module's process; see
/// [`Channel::shared_memory`](super::Channel::shared_memory). Every setting has a default.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::process::{Channel, SharedMemory};
///
/// // 16 images of up to 4 MiB in each direction.
/// let memory = SharedMemory::default().body_bytes_max(4 << 20).bytes_max(64 << 20);
/// let channel = Channel::default().shared_memory(memory);
/// # drop(channel);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SharedMemory {
    bytes_max: u64,
    body_bytes_min: u32,
    body_bytes_max: u32,
    folder: PathBuf,
}

impl Default for SharedMemory {
    fn default() -> Self {
        let user = rustix::process::geteuid().as_raw();
        Self {
            bytes_max: 32 << 20,
            body_bytes_min: 16 << 10,
            body_bytes_max: 8 << 20,
            folder: format!("/dev/shm/isopod-{user}").into(),
        }
    }
}

impl SharedMemory {
    /// Sets the size of the memory in each direction, in bytes. It is divided into slots of
    /// [`body_bytes_max`](SharedMemory::body_bytes_max), smaller ones if there is no room for two and at most 1024, and
    /// reserved when the process starts. Default: 32 MiB, four slots.
    pub const fn bytes_max(mut self, bytes: u64) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// Sets the size of the smallest body that goes through the memory, in bytes; smaller ones go over the socket. Default:
    /// 16 KiB.
    pub const fn body_bytes_min(mut self, bytes: u32) -> Self {
        self.body_bytes_min = bytes;
        self
    }

    /// Sets the size of the largest body that goes through the memory, in bytes; larger ones go over the socket. Default:
    /// 8 MiB, and at most the channel's [`body_bytes_max`](super::Channel::body_bytes_max).
    pub const fn body_bytes_max(mut self, bytes: u32) -> Self {
        self.body_bytes_max = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// Sets the folder with the descriptions of all shared memory, an absolute path of at most 96 bytes. It is created if
    /// necessary, and must belong to this user alone (mode 0700). Hosts with the same folder remove what those that were
    /// killed have left. Default: `/dev/shm/isopod-<user number>`.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Divides the memory of a channel whose bodies have this limit into slots. Returns their number and size.
    fn slots(&self, body_bytes_max: u32) -> (u32, u32) {
        let largest = u32::try_from(self.bytes_max / SLOTS_MIN).unwrap_or(u32::MAX);
        let size = self.body_bytes_max.min(body_bytes_max).min(largest).max(1);
        let slots = (self.bytes_max / u64::from(size)).clamp(SLOTS_MIN, SLOTS_MAX);
        (u32::try_from(slots).unwrap_or(u32::MAX), size)
    }
}

/// Offers memory to the processes of one module, one after the other.
pub(super) struct Offer {
    settings: SharedMemory,
    slots: (u32, u32),
    /// Counts the received bodies that are kept, of all processes: each may keep the memory of a process that has ended.
    holds: Arc<Holds>,
}

impl Offer {
    pub(super) fn new(settings: SharedMemory, limits: &Limits) -> Self {
        let slots = settings.slots(limits.body_bytes_max);
        let holds = Holds::new(slots.0 as usize / 2);
        Self { settings, slots, holds }
    }

    /// Creates the memory for the next process. If that fails, its bodies go over the socket.
    pub(super) async fn make(&self, runtime: &Handle) -> Option<End> {
        let (settings, slots, holds) = (self.settings.clone(), self.slots, Arc::clone(&self.holds));
        let made = runtime.spawn_blocking(move || create(&settings, slots, holds)).await;
        match made {
            Ok(Ok(end)) => Some(end),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a module has no shared memory; the socket is used instead");
                None
            }
            Err(error) => {
                tracing::error!(%error, "creating a module's shared memory failed; the socket is used instead");
                None
            }
        }
    }
}

fn create(settings: &SharedMemory, (slots, size): (u32, u32), holds: Arc<Holds>) -> Result<End, SharedError> {
    let unique = uuid::Uuid::new_v4().as_fields().0;
    let name = format!("isopod_{}_{unique:08x}", std::process::id());
    let area = Area::create(&settings.folder, &name)?;
    let folder = area
        .path()
        .to_str()
        .ok_or_else(|| SharedError::Path(area.path().to_owned()))?;
    let terms = SharedTerms {
        library: LIBRARY.unwrap_or_default().to_owned(),
        folder: folder.to_owned(),
        name,
        body_bytes_min: settings.body_bytes_min,
        body_bytes_max: size,
        slots,
    };
    End::create(area, terms, holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_divided_into_two_slots_or_more_and_never_exceeded() {
        let memory = SharedMemory::default();
        assert_eq!(memory.slots(8 << 20), (4, 8 << 20));
        assert_eq!(memory.slots(1 << 20), (32, 1 << 20));
        assert_eq!(memory.clone().bytes_max(1 << 20).slots(8 << 20), (2, 1 << 19));
        assert_eq!(memory.clone().body_bytes_max(100).slots(8 << 20), (1024, 100));
        assert_eq!(memory.bytes_max(u64::MAX).slots(u32::MAX), (1024, 8 << 20));
    }
}

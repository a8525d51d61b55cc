//! Memory that the host shares with a module's process: settings, and an area for each process.

use std::path::PathBuf;
use std::sync::Arc;

use isopod_module::shared::{Area, End, Holds, LIBRARY, SharedError, SharedTerms};
use tokio::runtime::Handle;

/// Maximum number of slots in each direction.
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
    /// [`body_bytes_max`](SharedMemory::body_bytes_max), at least 2 and at most 1024, and reserved when the process starts.
    /// Default: 32 MiB, four slots.
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
    /// 8 MiB.
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

    fn slots(&self) -> u32 {
        let slots = self.bytes_max / u64::from(self.body_bytes_max);
        u32::try_from(slots.clamp(2, SLOTS_MAX)).unwrap_or(2)
    }
}

/// Offers memory to the processes of one module, one after the other.
pub(super) struct Offer {
    settings: SharedMemory,
    /// Counts the received bodies that are kept, of all processes: each may keep the memory of a process that has ended.
    holds: Arc<Holds>,
}

impl Offer {
    pub(super) fn new(settings: SharedMemory) -> Self {
        let holds = Holds::new(settings.slots() as usize / 2);
        Self { settings, holds }
    }

    /// Creates the memory for the next process. If that fails, its bodies go over the socket.
    pub(super) async fn make(&self, runtime: &Handle) -> Option<End> {
        let (settings, holds) = (self.settings.clone(), Arc::clone(&self.holds));
        let made = runtime.spawn_blocking(move || create(&settings, holds)).await;
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

fn create(settings: &SharedMemory, holds: Arc<Holds>) -> Result<End, SharedError> {
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
        body_bytes_max: settings.body_bytes_max,
        slots: settings.slots(),
    };
    End::create(area, terms, holds)
}

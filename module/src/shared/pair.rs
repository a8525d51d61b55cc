//! Both sides of a shared memory in one process, for tests.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::{Area, End, Holds, LIBRARY, SharedTerms};

pub(crate) const MIB: usize = 1 << 20;

pub(crate) struct Pair {
    pub(crate) host: End,
    pub(crate) module: Arc<End>,
    pub(crate) holds: Arc<Holds>,
    pub(crate) folder: tempfile::TempDir,
}

/// Creates a memory with four slots of 1 MiB, of which the host may keep two. The name has to be unique in the process.
pub(crate) fn pair(of: &str) -> Pair {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let name = format!("isopod_{}_{of}", std::process::id());
    let area = Area::create(folder.path(), &name).unwrap();
    let terms = SharedTerms {
        library: LIBRARY.unwrap().to_owned(),
        folder: area.path().to_str().unwrap().to_owned(),
        name,
        body_bytes_min: 1024,
        body_bytes_max: MIB as u32,
        slots: 4,
    };
    let holds = Holds::new(2);
    let host = End::create(area, terms, Arc::clone(&holds)).unwrap();
    let module = Arc::new(End::open(host.terms()).unwrap());
    host.connect().unwrap();
    Pair {
        host,
        module,
        holds,
        folder,
    }
}

//! Namespaces: views of the system in which there is nothing but this process.

use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, mount_remount, unmount};
use rustix::process::{chdir, pivot_root};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::limits::set_threads;
use super::{Confinement, Mechanism};

/// Folders over which the empty one may be mounted before it becomes the root. One of them is everywhere.
const FOLDERS: [&str; 5] = ["/proc", "/tmp", "/dev", "/sys", "/usr"];

/// Enters a namespace of each kind. All but the user namespace need its privileges, or root's.
pub(super) fn enter(confinement: &mut Confinement) {
    let user = unshare(UnshareFlags::NEWUSER).and_then(|()| set_threads());
    let user = user.map_err(|error| match error {
        Errno::PERM | Errno::ACCESS => format!("{error}: user namespaces are not permitted here"),
        Errno::NOSPC | Errno::USERS => {
            format!("{error}: there are too many user namespaces, see user.max_user_namespaces")
        }
        error => error.to_string(),
    });
    confinement.add(Mechanism::UserNamespace, user);
    let told = |error: Errno| error.to_string();
    let network = unshare(UnshareFlags::NEWNET).map_err(told);
    confinement.add(Mechanism::NetworkNamespace, network);
    let ipc = unshare(UnshareFlags::NEWIPC).map_err(told);
    confinement.add(Mechanism::IpcNamespace, ipc);
    let root = unshare(UnshareFlags::NEWNS).and_then(|()| empty_root());
    confinement.add(Mechanism::EmptyRoot, root.map_err(told));
}

fn unshare(what: UnshareFlags) -> Result<(), Errno> {
    // SAFETY: descriptors are not unshared, and there is no other thread.
    unsafe { unshare_unsafe(what) }
}

/// Makes an empty, read-only folder the root, and unmounts everything else.
fn empty_root() -> Result<(), Errno> {
    // Other processes must not see these mounts.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let mut mounted = Err(Errno::NOENT);
    for folder in FOLDERS {
        mounted = mount("none", folder, "tmpfs", flags, c"size=4k,nr_inodes=2,mode=555").map(|()| folder);
        if mounted.is_ok() {
            break;
        }
    }
    chdir(mounted?)?;
    // The old root is stacked on the new one, and then unmounted: https://man7.org/linux/man-pages/man2/pivot_root.2.html
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    mount_remount("/", flags | MountFlags::RDONLY, c"")?;
    chdir("/")
}

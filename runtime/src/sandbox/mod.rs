//! The confinement of this process. Afterwards its code has no access to files, the network, other processes and programs,
//! even if it controls the process's memory.
//!
//! Several mechanisms of Linux overlap, so that confinement does not depend on a single one, which may be missing or have a
//! bug: namespaces, Landlock, a filter of system calls, and limits of resources. Threads that are started later inherit
//! each.

#![allow(
    unsafe_code,
    reason = "descriptors are closed by number, and namespaces entered, by system calls alone"
)]

mod calls;
mod landlock;
mod limits;
mod namespaces;

use std::fmt;
use std::io;

use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

/// A mechanism of Linux by which a process is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Mechanism {
    /// No program can give the process more rights, and it has no capabilities.
    NoPrivileges,
    /// Limits on descriptors, files, core dumps and memory.
    Limits,
    /// A user namespace: the process is the user of no file and of no other process.
    UserNamespace,
    /// A network namespace, without a network.
    NetworkNamespace,
    /// An IPC namespace: no System V shared memory or message queues of others.
    IpcNamespace,
    /// A mount namespace whose root is an empty folder.
    EmptyRoot,
    /// Landlock: no files, no ports, no abstract Unix sockets, no signals to other processes.
    Landlock,
    /// Seccomp: only the system calls that a worker needs.
    Seccomp,
}

impl Mechanism {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::NoPrivileges,
        Self::Limits,
        Self::UserNamespace,
        Self::NetworkNamespace,
        Self::IpcNamespace,
        Self::EmptyRoot,
        Self::Landlock,
        Self::Seccomp,
    ];

    /// The name, as in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoPrivileges => "no_privileges",
            Self::Limits => "limits",
            Self::UserNamespace => "user_namespace",
            Self::NetworkNamespace => "network_namespace",
            Self::IpcNamespace => "ipc_namespace",
            Self::EmptyRoot => "empty_root",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        }
    }
}

/// The mechanisms that confine a process, and the reasons why others do not.
///
/// Its `Display` form is a sentence for logs: `all of no_privileges, …` or `without landlock (…)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement(Vec<(Mechanism, Option<String>)>);

impl Confinement {
    /// The mechanisms, each with the reason why it is missing, if it is.
    pub fn mechanisms(&self) -> impl Iterator<Item = (Mechanism, Option<&str>)> {
        self.0
            .iter()
            .map(|(mechanism, missing)| (*mechanism, missing.as_deref()))
    }

    /// Returns whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let has = |mechanism| self.0.contains(&(mechanism, None));
        Mechanism::ALL.into_iter().all(has)
    }

    fn add(&mut self, mechanism: Mechanism, result: Result<(), String>) {
        self.0.push((mechanism, result.err()));
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |missing: bool| {
            let some = self.0.iter().filter(|(_, reason)| reason.is_some() == missing);
            let texts = some.map(|(mechanism, reason)| match reason {
                None => mechanism.name().to_owned(),
                Some(reason) => format!("{} ({reason})", mechanism.name()),
            });
            texts.collect::<Vec<_>>().join(", ")
        };
        match self.is_whole() {
            true => write!(f, "all of {}", list(false)),
            false => write!(f, "without {}; with {}", list(true), list(false)),
        }
    }
}

/// Closes all inherited descriptors except the standard streams. To be called at the very beginning of `main`, because
/// descriptors opened since would be closed as well.
pub fn close_inherited() {
    // SAFETY: nothing in this process has opened a descriptor yet, so that none is owned. It fails on kernels before 5.9, and
    // descriptors that a program did not mean to pass on are not inherited anyway.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

/// Confines this process, as far as the system can. To be called before there is another thread: it would not be confined.
///
/// # Errors
/// There is another thread.
pub fn confine() -> io::Result<Confinement> {
    // If threads cannot be counted, there are no others, because this is the beginning of `main`.
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        let error = format!(
            "the process has {threads} threads already: call `run_cell_if_asked` at the very beginning of `main`"
        );
        return Err(io::Error::other(error));
    }
    let mut confinement = Confinement::default();
    let told = |error: rustix::io::Errno| error.to_string();
    let no_new = rustix::thread::set_no_new_privs(true).map_err(told);
    confinement.add(Mechanism::Limits, limits::set().map_err(told));
    namespaces::enter(&mut confinement);
    // Capabilities in its own user namespace would remain.
    let none = limits::drop_capabilities().map_err(told);
    confinement.add(Mechanism::NoPrivileges, no_new.and(none));
    // Changes of its privileges may have reset this.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    confinement.add(Mechanism::Landlock, landlock::restrict());
    // The last, because it forbids all of the above.
    confinement.add(Mechanism::Seccomp, calls::filter());
    Ok(confinement)
}

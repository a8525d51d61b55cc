//! The filter of system calls.
//!
//! - Calls that a worker needs are allowed: memory, threads, clocks, waiting, and reading and writing open descriptors.
//! - Calls that start programs or access other processes kill the process with SIGSYS, since only an attacker's code makes them.
//! - All other calls fail with EPERM, as libraries expect for a file without permission.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Calls that end the process: they start programs, look into other processes, or change what confines this one.
const KILLING: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_mount,
    libc::SYS_pivot_root,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
];

/// Calls that are allowed with any arguments.
const ALLOWED: &[i64] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_membarrier,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_pkey_mprotect,
    // Threads. `clone` has a rule; `clone3` is answered as by a kernel that has none, so that glibc uses `clone`.
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_getcpu,
    // Signals to itself: an abort, a stack overflow.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Clocks.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    // Waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    // Open descriptors.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_close,
    libc::SYS_shutdown,
    libc::SYS_fstat,
    libc::SYS_lseek,
    // About itself and the machine.
    libc::SYS_getrandom,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

/// Installs the filter on this thread, and on those that it starts.
pub(super) fn filter() -> Result<(), String> {
    let programs = programs().map_err(|error| error.to_string())?;
    for program in programs {
        apply_filter(&program).map_err(|error| match error {
            Error::Seccomp(error) | Error::Prctl(error) => error.to_string(),
            error => error.to_string(),
        })?;
    }
    Ok(())
}

/// The filters. The strictest answer of all counts.
fn programs() -> Result<[BpfProgram; 3], BackendError> {
    let list = |calls: &[i64]| calls.iter().map(|call| (*call, Vec::new())).collect::<Rules>();
    let but = |rules: Rules, action| -> Result<BpfProgram, BackendError> {
        SeccompFilter::new(rules, SeccompAction::Allow, action, ARCH.try_into()?)?.try_into()
    };
    let no_clone3 = but(
        list(&[libc::SYS_clone3]),
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
    )?;
    let killing = but(list(KILLING), SeccompAction::KillProcess)?;
    let mut rules = list(ALLOWED);
    rules.extend(with_arguments()?);
    let denied = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let allowed = SeccompFilter::new(rules, denied, SeccompAction::Allow, ARCH.try_into()?)?.try_into()?;
    Ok([no_clone3, killing, allowed])
}

/// Calls that are allowed with some arguments only.
fn with_arguments() -> Result<Rules, BackendError> {
    let is = |index, value: u64| SeccompCondition::new(index, Dword, SeccompCmpOp::Eq, value);
    let one_of = |index, values: &[i32]| -> Result<Vec<SeccompRule>, BackendError> {
        let rules = values
            .iter()
            .map(|value| SeccompRule::new(vec![is(index, u64::from(value.cast_unsigned()))?]));
        rules.collect()
    };
    let null = |index| SeccompCondition::new(index, Qword, SeccompCmpOp::Eq, 0);
    let own = u64::from(std::process::id());
    let thread = (libc::CLONE_THREAD | libc::CLONE_VM).cast_unsigned().into();
    let thread = SeccompCondition::new(0, Qword, SeccompCmpOp::MaskedEq(thread), thread)?;
    Ok(Rules::from([
        // A thread, and no process.
        (libc::SYS_clone, vec![SeccompRule::new(vec![thread])?]),
        (libc::SYS_tgkill, vec![SeccompRule::new(vec![is(0, own)?])?]),
        // Names of threads and of memory.
        (
            libc::SYS_prctl,
            one_of(0, &[libc::PR_SET_NAME, libc::PR_SET_VMA, libc::PR_GET_DUMPABLE])?,
        ),
        (
            libc::SYS_fcntl,
            one_of(
                1,
                &[
                    libc::F_GETFD,
                    libc::F_SETFD,
                    libc::F_GETFL,
                    libc::F_SETFL,
                    libc::F_DUPFD_CLOEXEC,
                ],
            )?,
        ),
        #[expect(clippy::cast_possible_truncation, reason = "a small number")]
        (libc::SYS_ioctl, one_of(1, &[libc::FIONBIO as i32])?),
        // Pairs of connected ends.
        (libc::SYS_socketpair, one_of(0, &[libc::AF_UNIX])?),
        // To the connected end only, not to an address.
        (libc::SYS_sendto, vec![SeccompRule::new(vec![null(4)?])?]),
        // Reading its own limits.
        (libc::SYS_prlimit64, vec![SeccompRule::new(vec![is(0, 0)?, null(2)?])?]),
        // Its own priority: 0 is the calling thread.
        (libc::SYS_sched_getattr, vec![SeccompRule::new(vec![is(0, 0)?])?]),
        (libc::SYS_sched_setattr, vec![SeccompRule::new(vec![is(0, 0)?])?]),
    ]))
}

//! The resources of this process: processors, memory and tasks, within the limits of its control groups.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Returns the number of processors that this process may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Returns the memory that this process may use: the machine's, or less if a control group limits it. `None` outside Linux.
pub(crate) fn memory_bytes() -> Option<u64> {
    memory_bytes_below(Path::new("/"))
}

/// Returns the maximum number of tasks (threads) of the process's control groups, if they limit it.
pub(crate) fn tasks_max() -> Option<u64> {
    least(Path::new("/"), "pids", &["pids.max"])
}

/// An OS thread as the scheduler sees it.
#[derive(Debug, Default)]
pub(crate) struct OsThread {
    /// The thread's folder in `/proc`; `None` outside Linux.
    folder: Option<PathBuf>,
}

/// The times of an OS thread, in total, and its state. Zero if the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OsTimes {
    /// Time on a processor.
    pub(crate) ran: Duration,
    /// Ended waits for a processor.
    pub(crate) waited: Duration,
    /// True if the thread has a processor or waits for one. False if it sleeps.
    pub(crate) is_runnable: bool,
}

impl OsThread {
    /// Returns the calling thread.
    pub(crate) fn current() -> Self {
        let proc = Path::new("/proc");
        let own = fs::read_link(proc.join("thread-self")).ok();
        Self {
            folder: own.map(|own| proc.join(own)),
        }
    }

    /// Reads the times.
    pub(crate) fn times(&self) -> OsTimes {
        let read = |file| fs::read_to_string(self.folder.as_ref()?.join(file)).ok();
        read("schedstat")
            .and_then(|schedstat| times(&schedstat, &read("stat")?))
            .unwrap_or_default()
    }
}

/// Reads `schedstat`, the nanoseconds on a processor and those of ended waits for one, and `stat`, which has the state after the
/// thread's name in parentheses (proc_pid_stat(5)).
fn times(schedstat: &str, stat: &str) -> Option<OsTimes> {
    let mut figures = schedstat.split_whitespace();
    let mut time = || Some(Duration::from_nanos(figures.next()?.parse().ok()?));
    let (ran, waited) = (time()?, time()?);
    let (_, state) = stat.rsplit_once(')')?;
    Some(OsTimes {
        ran,
        waited,
        is_runnable: state.trim_start().starts_with('R'),
    })
}

fn memory_bytes_below(root: &Path) -> Option<u64> {
    let limit = least(root, "memory", &["memory.max", "memory.high", "memory.limit_in_bytes"]);
    total(root).into_iter().chain(limit).min()
}

/// Reads `MemTotal` of `/proc/meminfo`.
fn total(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Returns the least value of these files in the process's control group and its ancestors. Files that do not exist, and
/// `max`, are no limit.
fn least(root: &Path, controller: &str, files: &[&str]) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let groups = text.lines().filter_map(|line| group(root, line, controller));
    let folders = groups.flat_map(|(mount, path)| {
        let all: Vec<_> = path.ancestors().map(|path| mount.join(path)).collect();
        all
    });
    let read = |file: PathBuf| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    folders
        .flat_map(|folder| files.iter().filter_map(move |file| read(folder.join(file))).min())
        .min()
}

/// Returns the mount point and the group of a line of `/proc/self/cgroup`, if it is about this controller: version 2 has one
/// tree for all (`0::/path`), version 1 one for each (`4:memory:/path`).
fn group(root: &Path, line: &str, controller: &str) -> Option<(PathBuf, PathBuf)> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let mount = match controllers {
        "" => root.join("sys/fs/cgroup"),
        some if some.split(',').any(|one| one == controller) => root.join("sys/fs/cgroup").join(controller),
        _ => return None,
    };
    Some((mount, PathBuf::from(path.trim_start_matches('/'))))
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    /// Creates a folder with the given files of `/proc` and `/sys`.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        root
    }

    #[test]
    fn the_times_and_the_state_of_a_thread_are_read() {
        let expected = OsTimes {
            ran: Duration::from_nanos(7),
            waited: Duration::from_nanos(8),
            is_runnable: true,
        };
        assert_eq!(times("7 8 9\n", "12 (a) S (b) R 1 1"), Some(expected));
        let sleeps = OsTimes {
            is_runnable: false,
            ..expected
        };
        assert_eq!(times("7 8 9\n", "12 (R) S 1 1"), Some(sleeps));
        assert_eq!(times("7\n", "12 (R) S 1 1"), None);
        assert_eq!(OsThread::default().times(), OsTimes::default());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_that_runs_is_runnable() {
        let thread = OsThread::current();
        assert!(thread.times().is_runnable);
        // The system adds the time of a thread that runs at its next tick.
        while thread.times().ran == Duration::ZERO {}
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:        8000000 kB\nMemFree: 1 kB\n");

    #[test]
    fn without_control_groups_the_machine_s_memory_counts() {
        let root = root(&[MEMINFO]);
        assert_eq!(memory_bytes_below(root.path()), Some(8_000_000 * 1024));
        assert_eq!(memory_bytes_below(Path::new("/nowhere")), None);
    }

    #[test]
    fn the_least_limit_of_a_group_and_its_ancestors_counts() {
        let root = root(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/app/inner\n"),
            ("sys/fs/cgroup/app/inner/memory.max", "max\n"),
            ("sys/fs/cgroup/app/memory.max", "268435456\n"),
            ("sys/fs/cgroup/app/memory.high", "200000000\n"),
            ("sys/fs/cgroup/app/pids.max", "100\n"),
        ]);
        assert_eq!(memory_bytes_below(root.path()), Some(200_000_000));
        assert_eq!(least(root.path(), "pids", &["pids.max"]), Some(100));
    }

    #[test]
    fn an_unlimited_version_1_group_is_no_limit() {
        let lines = "5:cpu,cpuacct:/x\n4:memory:/box\n0::/\n";
        let limit = "sys/fs/cgroup/memory/box/memory.limit_in_bytes";
        let files = [MEMINFO, ("proc/self/cgroup", lines), (limit, "9223372036854771712\n")];
        assert_eq!(memory_bytes_below(root(&files).path()), Some(8_000_000 * 1024));
        let files = [MEMINFO, ("proc/self/cgroup", lines), (limit, "134217728\n")];
        assert_eq!(memory_bytes_below(root(&files).path()), Some(134_217_728));
    }
}

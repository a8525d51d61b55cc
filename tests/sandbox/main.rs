//! Workers in sandboxes whose code has a native hook, as if it had taken over its process: each thing that it tries is refused.

use std::net::TcpListener;
use std::path::Path;

use futures::executor::block_on;
use isopod::bindings::Custom;
use isopod::{Cells, FetchConfig, Isolation, Mechanism, NetPolicy, Options, Outcome, Pool, Script};
use serde_json::{Value, json};

const SOURCE: &str = "
    export class Hook {
        constructor(ctx, env) { this.hook = env.HOOK }
        tries(deeds) { return deeds.map(([deed, what]) => `${deed} ${what}: ${this.hook.try(deed, what)}`) }
        calls(calls) { return calls.map((call) => this.hook.call(...call)) }
        process(parent) { return this.hook.process(parent) }
        fill(mib) { return this.hook.fill(mib) }
        fine() { return 1 }
        async fetches(url) { return (await fetch(url)).text().catch(String) }
    }
";

fn cells() -> Cells {
    Cells::program(env!("CARGO_BIN_EXE_isopod-test-cell"))
}

fn pool(isolation: Isolation) -> Pool {
    pool_of(isolation, cells(), Script::builder("s").source(SOURCE))
}

fn pool_of(isolation: Isolation, cells: Cells, script: isopod::ScriptBuilder) -> Pool {
    let pool = Pool::builder().threads(1).isolation(isolation).cells(cells);
    let pool = pool.build().expect("a pool");
    let script = script.binding(
        "HOOK",
        std::sync::Arc::new(Custom::new("ext:hook/hook.js", json!(null))),
    );
    let script = script.build().expect("a script");
    pool.deploy("s", script, &Options::default()).expect("deployed");
    pool
}

fn call<R: isopod::FromScript>(pool: &Pool, function: &str, argument: Value) -> Result<R, isopod::Failure> {
    block_on(pool.call("s#Hook", function, (argument,)))
}

/// Something of each kind that a process could reach, and that is there.
struct World {
    listener: TcpListener,
    folder: tempfile::TempDir,
    _socket: std::os::unix::net::UnixListener,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("file"), "secret").expect("written");
        Self {
            listener: TcpListener::bind("127.0.0.1:0").expect("a port"),
            _socket: std::os::unix::net::UnixListener::bind(folder.path().join("socket")).expect("a socket"),
            folder,
        }
    }

    fn deeds(&self) -> Vec<(&'static str, String)> {
        let within = |name: &str| Path::new(self.folder.path()).join(name).display().to_string();
        vec![
            ("read", within("file")),
            ("read", "/proc/1/cmdline".to_owned()),
            ("read", format!("/proc/{}/status", std::process::id())),
            ("list", within("")),
            ("list", "/".to_owned()),
            ("list", "/proc".to_owned()),
            ("look", within("file")),
            ("link", "/proc/self/exe".to_owned()),
            ("write", within("other")),
            ("connect", self.listener.local_addr().expect("an address").to_string()),
            ("unix", within("socket")),
            ("listen", "127.0.0.1:0".to_owned()),
            ("datagram", "127.0.0.1:0".to_owned()),
            ("spawn", "/bin/true".to_owned()),
        ]
    }
}

// row 57
#[test]
fn files_sockets_and_programs_are_refused_in_a_sandbox() {
    let world = World::new();
    let deeds = json!(world.deeds());
    // What is tried is possible otherwise.
    let open: Vec<String> = call(&pool(Isolation::Process), "tries", deeds.clone()).expect("it tries");
    for line in &open {
        assert!(line.ends_with(": done"), "without a sandbox: {line}");
    }
    std::fs::remove_file(world.folder.path().join("other")).expect("it was written");
    let closed: Vec<String> = call(&pool(Isolation::Sandbox), "tries", deeds).expect("it tries");
    assert_eq!(closed.len(), open.len());
    for line in &closed {
        assert!(line.ends_with(": PermissionDenied 1"), "in a sandbox: {line}");
    }
    assert!(!world.folder.path().join("other").exists());
}

// row 58
#[test]
fn other_processes_are_out_of_reach_of_a_sandbox() {
    let pool = pool(Isolation::Sandbox);
    let own: u32 = call(&pool, "process", json!(false)).expect("its number");
    let parent: u32 = call(&pool, "process", json!(true)).expect("its number");
    assert_eq!(parent, std::process::id());
    let calls = json!([
        [libc::SYS_kill, parent, libc::SIGKILL],
        [libc::SYS_kill, parent, 0],
        [libc::SYS_kill, -1, libc::SIGKILL],
        [libc::SYS_tkill, parent, libc::SIGKILL],
        [libc::SYS_tgkill, parent, parent, libc::SIGKILL],
        [libc::SYS_rt_sigqueueinfo, parent, libc::SIGKILL, 0],
        [libc::SYS_pidfd_open, parent, 0],
        [libc::SYS_setpriority, 0, parent, 19],
        [libc::SYS_sched_setattr, parent, 0, 0],
        [libc::SYS_prlimit64, parent, libc::RLIMIT_NOFILE, 0],
        [libc::SYS_shmget, 7, 4096, libc::IPC_CREAT],
        [libc::SYS_msgget, 7, libc::IPC_CREAT],
        [libc::SYS_fork],
        [libc::SYS_vfork],
        [libc::SYS_clone, libc::SIGCHLD],
        [libc::SYS_clone, libc::CLONE_VM | libc::SIGCHLD],
    ]);
    let refused: Vec<i32> = call(&pool, "calls", calls).expect("it tries");
    assert_eq!(refused, vec![-libc::EPERM; refused.len()]);
    // Its own are not refused.
    let own: Vec<i32> = call(&pool, "calls", json!([[libc::SYS_tgkill, own, own, 0]])).expect("it tries");
    assert_eq!(own, [0]);
}

// row 58
#[test]
fn suspicious_system_calls_kill_the_sandbox() {
    let pool = pool(Isolation::Sandbox);
    for (number, arguments) in [
        (libc::SYS_ptrace, [16, i64::from(std::process::id())]),
        (libc::SYS_process_vm_readv, [i64::from(std::process::id()), 0]),
        (libc::SYS_execve, [0, 0]),
        (libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0]),
        (libc::SYS_mount, [0, 0]),
        (libc::SYS_bpf, [0, 0]),
        (libc::SYS_io_uring_setup, [1, 0]),
    ] {
        let failure = call::<Vec<i64>>(&pool, "calls", json!([[number, arguments[0], arguments[1]]]));
        let failure = failure.expect_err("its process is killed");
        assert_eq!(failure.outcome, Outcome::WorkerLost, "{number}: {failure}");
        assert!(failure.message.contains("signal: 31"), "{number}: {failure}");
    }
    let failure = call::<Vec<String>>(&pool, "tries", json!([["exec", "/bin/true"]]));
    assert!(
        failure
            .expect_err("its process is killed")
            .message
            .contains("signal: 31")
    );
    assert_eq!(call::<u32>(&pool, "fine", json!(null)).expect("the replacement"), 1);
    assert_eq!(pool.stats().threads.lost, 0);
}

// row 59
#[test]
fn a_sudden_allocation_in_a_sandbox_is_refused_or_ends_it() {
    let pool = pool(Isolation::Sandbox);
    let (mib, limit) = (1 << 16, 4096);
    match call::<u32>(&pool, "fill", json!(mib)) {
        Ok(taken) => assert!(taken < limit, "{taken} MiB"),
        Err(failure) => {
            let allowed = [Outcome::ExceededMemory, Outcome::WorkerLost];
            assert!(allowed.contains(&failure.outcome), "{failure}");
        }
    }
    assert_eq!(call::<u32>(&pool, "fine", json!(null)).expect("an answer"), 1);
}

#[test]
fn a_pool_says_what_confines_its_sandboxes() {
    let pool = pool(Isolation::Sandbox);
    assert_eq!(pool.confinement(), None, "none has started");
    let confinement = block_on(pool.sandbox()).expect("a sandbox");
    assert_eq!(confinement.mechanisms().count(), Mechanism::ALL.len());
    assert_eq!(pool.confinement(), Some(confinement.clone()));
    // Where it is run decides, so that this looks at each alone.
    let has = |mechanism| confinement.mechanisms().any(|it| it == (mechanism, None));
    for mechanism in [Mechanism::NoPrivileges, Mechanism::Limits, Mechanism::Seccomp] {
        assert!(has(mechanism), "{confinement}");
    }
    assert_eq!(
        confinement.is_whole(),
        Mechanism::ALL.into_iter().all(has),
        "{confinement}"
    );
}

#[test]
fn a_required_sandbox_starts_with_all_mechanisms() {
    let cells = cells().sandbox_required(true);
    let pool = pool_of(Isolation::Sandbox, cells, Script::builder("s").source(SOURCE));
    let confinement = block_on(pool.sandbox()).expect("a sandbox");
    match call::<u32>(&pool, "fine", json!(null)) {
        Ok(one) => assert!(one == 1 && confinement.is_whole(), "{confinement}"),
        Err(failure) => {
            let says = failure.to_string().contains("required");
            assert!(says && !confinement.is_whole(), "{failure}, and {confinement}");
        }
    }
}

#[test]
fn the_guard_of_the_pools_process_decides_for_a_sandbox() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfine");
        }
    });
    let script = |policy| {
        let fetch = FetchConfig::default().policy(policy);
        Script::builder("s").source(SOURCE).fetch(fetch)
    };
    let open = pool_of(
        Isolation::Sandbox,
        cells(),
        script(NetPolicy::default().allow_private(true)),
    );
    assert_eq!(call::<String>(&open, "fetches", json!(url)).expect("an answer"), "fine");
    let closed = pool_of(Isolation::Sandbox, cells(), script(NetPolicy::default()));
    let failure = call::<String>(&closed, "fetches", json!(url)).expect_err("it is refused");
    assert!(failure.message.contains("loopback"), "{failure}");
}

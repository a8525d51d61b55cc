use std::process::Command;

use isopod_server::{Server, StartError};

use crate::support::{Worker, config};

const CHILD: &str = "ISOPOD_TEST_STARVED";

/// Limits this process to the memory it has mapped and a little more: no thread's stack fits.
fn starve() {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm")
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let limit = format!("--as={}", pages * 4096 + (1 << 20));
    let limited = Command::new("prlimit")
        .args(["--pid", &std::process::id().to_string(), &limit])
        .status();
    assert!(limited.unwrap().success());
}

#[test]
fn a_server_that_gets_no_thread_says_so_inside_async_code() {
    let name = "starting::a_server_that_gets_no_thread_says_so_inside_async_code";
    if std::env::var_os(CHILD).is_none() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[child.stdout, child.stderr].concat()).into_owned();
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        starve();
        let refused = Server::new(config(), Worker::default()).start().err();
        assert!(matches!(refused, Some(StartError::Threads(_))), "{refused:?}");
    });
}

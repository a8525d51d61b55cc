//! Modules that are processes of their own.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use isopod_host::process::{Endpoint, ProcessModule};
use isopod_host::{Context, End, Host, Module, Phase, PhaseResult, async_trait};
use serde_json::json;
use tempfile::TempDir;

use crate::signals::wait_for;

fn shell(script: &str, folder: &Path) -> ProcessModule {
    ProcessModule::new("child", "/bin/sh")
        .arg("-c")
        .arg(script)
        .working_dir(folder)
}

fn appears(file: &Path) -> String {
    let text = || fs::read_to_string(file).ok().filter(|text| !text.is_empty());
    wait_for("a file of the process", text)
}

/// Binds where processes call back.
struct Ingress;

#[async_trait]
impl Module for Ingress {
    fn name(&self) -> &str {
        "ingress"
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        ctx.hub().register(Arc::new(Endpoint("http://127.0.0.1:4001".into())))?;
        Ok(())
    }
}

#[test]
fn a_process_does_not_inherit_the_environment() {
    let folder = TempDir::new().unwrap();
    let config = json!({ "child": { "size": 3 } });
    let host = Host::builder()
        // Declared before the module with the endpoint, which still starts first.
        .module(shell("env > part; mv part env; exec sleep 1000", folder.path()).env("EXTRA", "1"))
        .module(Ingress)
        .config(config.as_object().unwrap().clone())
        .instance("one")
        .build();
    let running = host.unwrap().start_blocking().unwrap();
    let text = appears(&folder.path().join("env"));
    // Except the variables that the shell itself sets.
    let own = |line: &&str| {
        !["PWD=", "OLDPWD=", "SHLVL=", "_="]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let mut env: Vec<_> = text.lines().filter(own).collect();
    env.sort_unstable();
    let wanted = [
        "EXTRA=1",
        "ISOPOD_HOST_ENDPOINT=http://127.0.0.1:4001",
        "ISOPOD_INSTANCE_ID=one",
        "ISOPOD_MODULE_CONFIG={\"size\":3}",
        "ISOPOD_MODULE_NAME=child",
        "LANG=C.UTF-8",
        "PATH=/usr/local/bin:/usr/bin:/bin",
    ];
    assert_eq!(env, wanted);
    let report = running.stop_blocking().unwrap();
    assert_eq!(report.end("child", Phase::Drain), Some(&End::Finished));
}

#[test]
fn a_process_that_ends_by_itself_stops_the_host_with_its_status() {
    let folder = TempDir::new().unwrap();
    let host = Host::builder().module(shell("exit 3", folder.path())).build();
    let error = host.unwrap().run_blocking().unwrap_err().to_string();
    assert!(error.contains("module `child` failed in phase `run`"), "{error}");
    assert!(error.contains("exit status: 3"), "{error}");
}

#[test]
fn a_missing_binary_is_named() {
    let host = Host::builder()
        .module(ProcessModule::new("child", "/no/such/binary"))
        .build();
    let error = host.unwrap().start_blocking().unwrap_err().to_string();
    assert!(error.contains("cannot spawn `/no/such/binary`"), "{error}");
}

#[test]
fn a_process_that_ignores_sigterm_is_killed() {
    let folder = TempDir::new().unwrap();
    let script = "trap '' TERM; echo $$ > part; mv part pid; while :; do sleep 0.05; done";
    let module = shell(script, folder.path());
    let host = Host::builder()
        .module(module)
        .limit(Phase::Drain, Duration::from_millis(200))
        .build();
    let running = host.unwrap().start_blocking().unwrap();
    let pid = appears(&folder.path().join("pid"));
    let error = running.stop_blocking().unwrap_err().to_string();
    assert!(
        error.contains("phase `drain`") && error.contains("was killed"),
        "{error}"
    );
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

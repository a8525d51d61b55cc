//! C programs against the shared library, compiled as a user would: `tests/c/`.

use std::collections::BTreeSet;
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::Command;

use isopod_capi::{PoolOptions, Status};

/// Compiles `tests/c/NAME.c`, runs it, and returns its output.
fn run(name: &str, arguments: &[&Path]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join(name);
    let libraries = library().parent().unwrap().to_owned();
    let compiler = Command::new("cc")
        .args([
            "-std=c11",
            "-D_GNU_SOURCE",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pthread",
            "-I",
        ])
        .arg(folder.join("include"))
        .arg(folder.join("tests/c").join(name).with_extension("c"))
        .arg("-o")
        .arg(&program)
        .arg("-L")
        .arg(&libraries)
        .arg("-lisopod_capi")
        .arg(format!("-Wl,-rpath,{}", libraries.display()))
        .output()
        .expect("a C compiler is needed: install gcc or clang");
    assert!(
        compiler.status.success(),
        "{}",
        String::from_utf8_lossy(&compiler.stderr)
    );
    // cargo's library path precedes the program's own, and may hold the library of another build.
    let output = Command::new(&program)
        .args(arguments)
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{told}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// The shared library, which cargo builds next to the test, a dependent of the crate.
fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.with_file_name("libisopod_capi.so")
}

#[test]
fn scripts_are_deployed_called_replaced_and_taken_away() {
    run(
        "calls",
        &[&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/count.js")],
    );
}

#[test]
fn every_error_has_a_status_a_message_and_a_detail() {
    run("errors", &[]);
}

#[test]
fn many_threads_share_a_pool_and_no_pool_leaves_a_thread_behind() {
    run("threads", &[]);
}

#[test]
fn every_callback_is_called_exactly_once() {
    run("callbacks", &[]);
}

#[test]
fn the_header_has_the_numbers_and_places_of_the_library() {
    let fields = [
        ("options", size_of::<PoolOptions>()),
        ("size", offset_of!(PoolOptions, size)),
        ("thread_name", offset_of!(PoolOptions, thread_name)),
        ("threads", offset_of!(PoolOptions, threads)),
        ("threads_max", offset_of!(PoolOptions, threads_max)),
        ("io_threads", offset_of!(PoolOptions, io_threads)),
        ("queue_len_max", offset_of!(PoolOptions, queue_len_max)),
        ("callbacks_waiting_max", offset_of!(PoolOptions, callbacks_waiting_max)),
        ("reserved", offset_of!(PoolOptions, reserved)),
        ("queue_wait_max_ms", offset_of!(PoolOptions, queue_wait_max_ms)),
        ("wall_timeout_ms", offset_of!(PoolOptions, wall_timeout_ms)),
        ("boot_timeout_ms", offset_of!(PoolOptions, boot_timeout_ms)),
        ("idle_timeout_ms", offset_of!(PoolOptions, idle_timeout_ms)),
        ("workers_max", offset_of!(PoolOptions, workers_max)),
        ("memory_bytes_max", offset_of!(PoolOptions, memory_bytes_max)),
    ];
    let statuses = [
        ("ok", Status::Ok),
        ("exception", Status::Exception),
        ("exceeded_cpu", Status::ExceededCpu),
        ("exceeded_wall", Status::ExceededWall),
        ("exceeded_memory", Status::ExceededMemory),
        ("canceled", Status::Canceled),
        ("load_shed", Status::LoadShed),
        ("boot_failed", Status::BootFailed),
        ("worker_lost", Status::WorkerLost),
        ("invalid_argument", Status::InvalidArgument),
        ("invalid_script", Status::InvalidScript),
        ("unknown_script", Status::UnknownScript),
        ("shut_down", Status::ShutDown),
        ("from_callback", Status::FromCallback),
        ("system", Status::System),
        ("internal", Status::Internal),
    ];
    let fields = fields.map(|(name, place)| format!("{name} {place}\n"));
    let statuses = statuses.map(|(name, status)| format!("{name} {}\n", status as i32));
    assert_eq!(run("layout", &[]), fields.concat() + &statuses.concat());
}

/// The library's dependencies have C functions as well; they must not collide with those of the program.
#[test]
fn the_library_has_the_functions_of_the_header_and_no_others() {
    let header = include_str!("../../include/isopod.h");
    let declared = header
        .lines()
        .filter(|line| !line.starts_with([' ', '/', '#', '}']) && !line.contains("typedef"));
    let declared: BTreeSet<_> = declared
        .filter_map(|line| line.split('(').next()?.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("isopod_"))
        .collect();
    let output = Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(library())
        .output()
        .unwrap();
    let symbols = String::from_utf8(output.stdout).unwrap();
    let there: BTreeSet<_> = symbols.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(there, declared);
    assert!(declared.len() > 15, "{declared:?}");
}

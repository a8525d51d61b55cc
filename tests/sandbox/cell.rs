//! A program of cells whose scripts have a native hook: what code could do that has taken over its process by a bug of V8.
#![allow(unsafe_code, reason = "system calls by their numbers are what such code would make")]

use std::fs;
use std::io::Error;
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use deno_core::{Extension, op2};
use isopod::CellProgram;
use isopod::extend::Extend;

struct Hook;

impl Extend for Hook {
    fn extensions(&self) -> Vec<Extension> {
        vec![hook::init()]
    }
}

/// Tries something, and says how that went: `done`, or the error.
#[op2]
#[string]
fn op_try(#[string] deed: &str, #[string] what: &str) -> String {
    let tried = match deed {
        "read" => fs::read(what).map(drop),
        "list" => fs::read_dir(what).map(drop),
        "write" => fs::write(what, "x"),
        "link" => fs::read_link(what).map(drop),
        "look" => fs::metadata(what).map(drop),
        "connect" => TcpStream::connect(what).map(drop),
        "unix" => UnixStream::connect(what).map(drop),
        "listen" => TcpListener::bind(what).map(drop),
        "datagram" => UdpSocket::bind(what).map(drop),
        "resolve" => what.to_socket_addrs().map(drop),
        "spawn" => Command::new(what).spawn().map(drop),
        "exec" => Err(Command::new(what).exec()),
        _ => return "there is no such deed".to_owned(),
    };
    match tried {
        Ok(()) => "done".to_owned(),
        Err(error) => format!("{:?} {}", error.kind(), error.raw_os_error().unwrap_or_default()),
    }
}

/// Makes a system call with up to three numbers. Returns its result, or a negative error.
#[op2(fast)]
fn op_call(number: f64, a: f64, b: f64, c: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation, reason = "small numbers")]
    let [number, a, b, c] = [number, a, b, c].map(|value| value as i64);
    // SAFETY: the tests make calls that take no addresses, or 0, which is none.
    // tidy:allow(unsafe): only a process that makes such calls shows that they are refused.
    let result = unsafe { libc::syscall(number, a, b, c, 0, 0, 0) };
    let result = match result {
        -1 => -i64::from(Error::last_os_error().raw_os_error().unwrap_or_default()),
        result => result,
    };
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    (result as f64)
}

/// The process, or the one that started it.
#[op2(fast)]
fn op_process(parent: bool) -> u32 {
    match parent {
        true => std::os::unix::process::parent_id(),
        false => std::process::id(),
    }
}

/// Takes memory that V8 knows nothing of, until there is none. Returns how many MiB that were.
#[op2(fast)]
fn op_fill(mib_max: u32) -> u32 {
    let mut held: Vec<Vec<u8>> = Vec::new();
    for taken in 0..mib_max {
        let mut more = Vec::new();
        if more.try_reserve_exact(1 << 20).is_err() {
            return taken;
        }
        more.resize(1 << 20, 1);
        held.push(more);
    }
    mib_max
}

deno_core::extension!(
    hook,
    ops = [op_try, op_call, op_process, op_fill],
    lazy_loaded_js = ["ext:hook/hook.js" = {
        source = "(function () {
            const { op_try, op_call, op_process, op_fill } = __bootstrap.core.ops;
            return { make: () => ({
                try: (deed, what) => op_try(deed, what),
                call: (number, a = 0, b = 0, c = 0) => op_call(number, a, b, c),
                process: (parent) => op_process(parent),
                fill: (mib) => op_fill(mib),
            }) };
        })();"
    }]
);

fn main() {
    CellProgram::new().extend(Hook).run_if_asked();
    eprintln!("this is a program of cells alone");
    std::process::exit(2);
}

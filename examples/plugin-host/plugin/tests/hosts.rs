//! The shared library in all kinds of hosts: on plain threads, inside a multi-thread runtime, inside a current-thread
//! one. And the plugin as a crate that shares its copy of Tokio with an async host.

use std::ffi::{CStr, CString, c_char, c_void};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use detector::{Answer, Frame, Host, HostFunctions, LoadError, Plugin, Refused};
use libloading::{Library, Symbol};
use serde_json::{Value, json};

/// Held for writing by tests that count threads, because tests share a process.
static ALONE: RwLock<()> = RwLock::new(());

const LIMIT: Duration = Duration::from_secs(30);

/// Starts a model server that answers every request until the process ends.
fn model_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            let body = r#"{"name": "test", "contrast": 40, "pixels": 1}"#;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
            write!(connection, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    address
}

fn config() -> String {
    json!({ "model": format!("http://{}/", model_server()) }).to_string()
}

type Message = (String, Result<(u64, Value), String>);

/// A host in safe Rust.
struct Channel(SyncSender<Message>);

impl Host for Channel {
    fn found(&self, monitor: &str, frame: u64, what: &Value) {
        self.0.send((monitor.to_owned(), Ok((frame, what.clone())))).unwrap();
    }

    fn failed(&self, monitor: &str, text: &str) {
        self.0.send((monitor.to_owned(), Err(text.to_owned()))).unwrap();
    }
}

fn host() -> (Arc<Channel>, Receiver<Message>) {
    let (tell, told) = sync_channel(64);
    (Arc::new(Channel(tell)), told)
}

fn frame(bright: usize) -> Frame {
    let mut pixels = vec![0; 16];
    pixels[bright] = 255;
    Frame {
        width: 4,
        height: 4,
        pixels,
    }
}

/// Everything a plugin does for a monitor, from load to unload, on the caller's thread and in its runtime.
fn session() {
    let _with_others = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    let (host, told) = host();
    let plugin = Plugin::load(&config(), host).unwrap();
    plugin.on_start("gate").unwrap();
    assert_eq!(plugin.on_start("gate"), Err(Refused::StartedAlready));
    plugin.on_frame("gate", frame(5)).unwrap();
    plugin.on_frame("gate", frame(6)).unwrap();
    let moved = json!({ "x": 1, "y": 1, "width": 2, "height": 1 });
    assert_eq!(told.recv_timeout(LIMIT).unwrap(), ("gate".into(), Ok((1, Value::Null))));
    assert_eq!(told.recv_timeout(LIMIT).unwrap(), ("gate".into(), Ok((2, moved))));
    plugin.on_stop("gate").unwrap();
    assert_eq!(plugin.on_stop("gate"), Err(Refused::NotStarted));
    assert_eq!(plugin.on_frame("gate", frame(1)), Err(Refused::NotStarted));
    drop(plugin);
    assert!(told.recv().is_err(), "nothing is told when the plugin has gone");
}

#[test]
fn a_plugin_works_in_a_host_without_a_runtime() {
    session();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_plugin_works_on_a_thread_of_a_multi_thread_runtime() {
    session();
}

#[tokio::test(flavor = "current_thread")]
async fn a_plugin_works_on_the_one_thread_of_a_current_thread_runtime() {
    session();
}

#[test]
fn an_invalid_frame_is_reported_by_the_monitor() {
    let _with_others = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    let (host, told) = host();
    let plugin = Plugin::load(&config(), host).unwrap();
    plugin.on_start("yard").unwrap();
    let faulty = Frame { width: 9, ..frame(1) };
    plugin.on_frame("yard", faulty).unwrap();
    plugin.on_frame("yard", frame(1)).unwrap();
    let (monitor, what) = told.recv_timeout(LIMIT).unwrap();
    assert_eq!(monitor, "yard");
    assert_eq!(
        what.unwrap_err(),
        "frame 1: exception: RangeError: a frame of 9 by 4 has 36 pixels, not 16"
    );
    assert_eq!(told.recv_timeout(LIMIT).unwrap().1, Ok((2, Value::Null)));
}

#[test]
fn frames_above_the_rate_are_refused() {
    let _with_others = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    let (host, _told) = host();
    let plugin = Plugin::load(&config(), host).unwrap();
    plugin.on_start("gate").unwrap();
    // Many more frames than the queue holds.
    let refused = (0..100_000).find_map(|_| plugin.on_frame("gate", frame(1)).err());
    assert_eq!(refused, Some(Refused::Busy));
}

#[test]
fn a_failed_plugin_start_leaves_no_thread() {
    let _alone = ALONE.write().unwrap_or_else(PoisonError::into_inner);
    let (host, _told) = host();
    let misspelt = Plugin::load(r#"{"modle": 1}"#, host.clone());
    assert!(matches!(misspelt, Err(LoadError::Config(_))));
    // Nothing listens on this port: it was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let alone = Plugin::load(&json!({ "model": format!("http://{free}/") }).to_string(), host.clone());
    assert!(
        matches!(&alone, Err(LoadError::NotReady(why)) if why.message.contains(&free.to_string())),
        "{:?}",
        alone.err()
    );
    // A server that accepts the connection and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = json!({ "model": format!("http://{}/", silent.local_addr().unwrap()), "start_timeout_ms": 200 });
    let late = Plugin::load(&config.to_string(), host);
    assert!(matches!(late, Err(LoadError::Late(_))));
    assert!(
        becomes(|| own_threads("detector") == 0),
        "{} threads are left",
        own_threads("detector")
    );
}

/// The number of this process's threads with this name prefix.
fn own_threads(prefix: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with(prefix)).count()
}

/// Waits for a condition; a joined thread may remain in the system's list for a moment.
fn becomes(condition: impl Fn() -> bool) -> bool {
    (0..30_000).any(|_| {
        thread::park_timeout(Duration::from_millis(1));
        condition()
    })
}

// ---- the shared library

type Texts = Mutex<Vec<String>>;

unsafe extern "C" fn found(data: *mut c_void, monitor: *const c_char, frame: u64, json: *const c_char) {
    // SAFETY: the host outlives the plugin, and the strings are valid.
    let (texts, monitor, json) = unsafe { (&*data.cast::<Texts>(), CStr::from_ptr(monitor), CStr::from_ptr(json)) };
    let text = format!("{} {frame} {}", monitor.to_str().unwrap(), json.to_str().unwrap());
    texts.lock().unwrap().push(text);
}

unsafe extern "C" fn failed(data: *mut c_void, monitor: *const c_char, text: *const c_char) {
    // SAFETY: as above.
    unsafe { found(data, monitor, 0, text) };
}

/// Loads the library as a host does, and uses it for a monitor.
fn loaded_session() {
    let path: PathBuf = std::env::current_exe().unwrap().with_file_name("libdetector.so");
    let texts = Texts::default();
    let host = HostFunctions {
        data: std::ptr::from_ref(&texts).cast_mut().cast(),
        found,
        failed,
    };
    let config = CString::new(config()).unwrap();
    let mut error = [0 as c_char; 400];
    let pixels = frame(3).pixels;
    // SAFETY: the functions are those of `plugin.h`, used as documented there.
    unsafe {
        let library = Library::new(path).unwrap();
        let load: Symbol<
            '_,
            unsafe extern "C" fn(*const c_char, *const HostFunctions, *mut c_char, usize) -> *mut c_void,
        > = library.get(b"plugin_load").unwrap();
        let on_start: Symbol<'_, unsafe extern "C" fn(*mut c_void, *const c_char) -> Answer> =
            library.get(b"plugin_on_start").unwrap();
        let on_frame: Symbol<
            '_,
            unsafe extern "C" fn(*mut c_void, *const c_char, u32, u32, *const u8, usize) -> Answer,
        > = library.get(b"plugin_on_frame").unwrap();
        let unload: Symbol<'_, unsafe extern "C" fn(*mut c_void)> = library.get(b"plugin_unload").unwrap();

        let none = load(c"{}".as_ptr(), &raw const host, error.as_mut_ptr(), 24);
        assert!(none.is_null());
        assert_eq!(CStr::from_ptr(error.as_ptr()), c"the configuration does ");
        let plugin = load(config.as_ptr(), &raw const host, error.as_mut_ptr(), error.len());
        assert!(!plugin.is_null(), "{:?}", CStr::from_ptr(error.as_ptr()));
        assert_eq!(on_start(plugin, c"gate".as_ptr()), Answer::Ok);
        assert_eq!(on_start(plugin, std::ptr::null()), Answer::Invalid);
        assert_eq!(
            on_frame(plugin, c"gate".as_ptr(), 4, 4, pixels.as_ptr(), pixels.len()),
            Answer::Ok
        );
        assert_eq!(
            on_frame(plugin, c"hall".as_ptr(), 4, 4, pixels.as_ptr(), pixels.len()),
            Answer::NotStarted
        );
        assert!(becomes(|| !texts.lock().unwrap().is_empty()));
        unload(plugin);
        library.close().unwrap();
    }
    assert_eq!(texts.into_inner().unwrap(), ["gate 1 null"]);
}

#[test]
fn the_library_works_in_a_host_without_a_runtime() {
    let _with_others = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    loaded_session();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_library_works_on_a_thread_of_a_multi_thread_runtime() {
    let _with_others = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    loaded_session();
}

#[tokio::test(flavor = "current_thread")]
async fn the_library_works_again_and_again_on_the_one_thread_of_a_current_thread_runtime() {
    let _alone = ALONE.write().unwrap_or_else(PoisonError::into_inner);
    loaded_session();
    // V8's threads and the spawner thread remain in the process.
    let kept = || own_threads("V8") + own_threads("isopod");
    let after_the_first = kept();
    assert!(after_the_first > 0, "then the library could be unloaded");
    loaded_session();
    let unchanged = || own_threads("detector") == 0 && kept() == after_the_first;
    assert!(becomes(unchanged), "{} threads, then {}", after_the_first, kept());
}

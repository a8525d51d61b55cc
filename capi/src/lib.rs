//! Isopod for programs that are not written in Rust: the functions that `include/isopod.h` declares and explains.
//!
//! Each one checks its pointers and texts (`boundary`), does its work in safe Rust (`pool`), and keeps an error for its
//! thread (`last_error`). No panic leaves it. `callbacks` has the thread on which asynchronous calls are told.
//!
//! It knows nothing of how a worker is run; that is the pool's.

mod boundary;
mod callbacks;
mod last_error;
mod options;
mod pool;
mod status;
mod wait;

use std::ffi::{CStr, CString, c_char, c_void};
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::boundary::{clear, give_text, guarded, optional_text, reference, text};
pub use crate::callbacks::Callback;
use crate::callbacks::Listener;
pub use crate::options::PoolOptions;
use crate::options::{Code, ScriptOptions};
use crate::pool::Call;
pub use crate::pool::Pool;
use crate::status::Error;
pub use crate::status::Status;

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// The library's version, such as `0.1.0`. Never NULL, never to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn isopod_version() -> *const c_char {
    VERSION.as_ptr()
}

/// Makes a pool.
///
/// # Safety
/// `options` is NULL or as `isopod.h` says; `pool` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_pool_new(options: *const PoolOptions, pool: *mut *mut Pool) -> Status {
    guarded(|| {
        if pool.is_null() {
            return Err(Error::Null("pool"));
        }
        // SAFETY: the caller's promises; `pool` is not NULL.
        unsafe {
            clear(pool);
            let made = Pool::new(PoolOptions::read(options)?)?;
            pool.write(Box::into_raw(Box::new(made)));
        }
        Ok(())
    })
}

/// Deploys a script given as text.
///
/// # Safety
/// `pool` is a pool that was not freed; the texts end with NUL, and `options_json` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_deploy_source(
    pool: *const Pool,
    name: *const c_char,
    source: *const c_char,
    options_json: *const c_char,
) -> Status {
    // SAFETY: the caller's promises.
    guarded(|| unsafe { deploy(pool, name, Code::Source(text(source, "source")?), options_json) })
}

/// Deploys a script from a file.
///
/// # Safety
/// As [`isopod_deploy_source`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_deploy_file(
    pool: *const Pool,
    name: *const c_char,
    path: *const c_char,
    options_json: *const c_char,
) -> Status {
    // SAFETY: the caller's promises.
    guarded(|| unsafe { deploy(pool, name, Code::File(text(path, "path")?), options_json) })
}

/// # Safety
/// As [`isopod_deploy_source`].
unsafe fn deploy(
    pool: *const Pool,
    name: *const c_char,
    code: Code<'_>,
    options_json: *const c_char,
) -> Result<(), Error> {
    // SAFETY: the caller's promises.
    let (pool, name, options) = unsafe {
        let options = ScriptOptions::parse(optional_text(options_json, "options_json")?)?;
        (reference(pool, "pool")?, text(name, "name")?, options)
    };
    pool.deploy(name, code, options)
}

/// Takes a script away.
///
/// # Safety
/// `pool` is a pool that was not freed; `name` ends with NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_undeploy(pool: *const Pool, name: *const c_char) -> Status {
    // SAFETY: the caller's promises.
    guarded(|| unsafe { reference(pool, "pool")?.undeploy(text(name, "name")?) })
}

/// Waits until a script has a worker that is ready.
///
/// # Safety
/// As [`isopod_undeploy`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_warm(pool: *const Pool, name: *const c_char, timeout_ms: u64) -> Status {
    // SAFETY: the caller's promises.
    guarded(|| unsafe { reference(pool, "pool")?.warm(text(name, "name")?, timeout_ms) })
}

/// Calls an exported function and waits for its value.
///
/// # Safety
/// `pool` is a pool that was not freed; the texts end with NUL, and `arguments_json` may be NULL; `result_json` is NULL or
/// may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_call(
    pool: *const Pool,
    name: *const c_char,
    function: *const c_char,
    arguments_json: *const c_char,
    timeout_ms: u64,
    result_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the caller's promises.
    guarded(|| unsafe {
        clear(result_json);
        let value = reference(pool, "pool")?.call(call(name, function, arguments_json, timeout_ms)?)?;
        give_text(result_json, || value.to_string());
        Ok(())
    })
}

/// Calls an exported function; its value is told to a callback.
///
/// # Safety
/// As [`isopod_call`]; and `callback` may be called with `user_data`, once, on another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_call_async(
    pool: *const Pool,
    name: *const c_char,
    function: *const c_char,
    arguments_json: *const c_char,
    timeout_ms: u64,
    callback: Option<Callback>,
    user_data: *mut c_void,
) -> Status {
    // SAFETY: the caller's promises.
    guarded(|| unsafe {
        let listener = Listener::new(callback.ok_or(Error::Null("callback"))?, user_data);
        reference(pool, "pool")?.call_async(call(name, function, arguments_json, timeout_ms)?, listener)
    })
}

/// # Safety
/// The texts end with NUL and live for `'a`; `arguments_json` may be NULL.
unsafe fn call<'a>(
    name: *const c_char,
    function: *const c_char,
    arguments_json: *const c_char,
    timeout_ms: u64,
) -> Result<Call<'a>, Error> {
    // SAFETY: the caller's promise.
    unsafe {
        Ok(Call {
            name: text(name, "name")?,
            function: text(function, "function")?,
            arguments_json: optional_text(arguments_json, "arguments_json")?,
            timeout_ms,
        })
    }
}

/// What the pool has done and does.
///
/// # Safety
/// `pool` is a pool that was not freed; `stats_json` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_stats(pool: *const Pool, stats_json: *mut *mut c_char) -> Status {
    // SAFETY: the caller's promises.
    guarded(|| unsafe {
        clear(stats_json);
        let stats = reference(pool, "pool")?.stats();
        give_text(stats_json, || json(&stats));
        Ok(())
    })
}

/// Accepts nothing more, finishes what is accepted within the time, ends and joins the threads.
///
/// # Safety
/// `pool` is a pool that was not freed; `report_json` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_pool_shutdown(
    pool: *const Pool,
    deadline_ms: u64,
    report_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the caller's promises.
    guarded(|| unsafe {
        clear(report_json);
        let report = reference(pool, "pool")?.shut_down(Duration::from_millis(deadline_ms))?;
        give_text(report_json, || json(&report));
        Ok(())
    })
}

/// Frees a pool; one that was not shut down is, without waiting for what it holds.
///
/// # Safety
/// `pool` is NULL, or a pool that was not freed and that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_pool_free(pool: *mut Pool) -> Status {
    guarded(|| {
        if pool.is_null() {
            return Ok(());
        }
        // SAFETY: the caller's promise: it is what `isopod_pool_new` gave, and nobody else has it.
        unsafe {
            reference(pool.cast_const(), "pool")?.shut_down(Duration::ZERO)?;
            drop(Box::from_raw(pool));
        }
        Ok(())
    })
}

/// Frees a string that the library handed over.
///
/// # Safety
/// `string` is NULL, or was handed over by the library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: the caller's promise: it is what `give_text` made.
        drop(unsafe { CString::from_raw(string) });
    }
}

/// The status of the last call on this thread that failed; `Ok` if none has.
#[unsafe(no_mangle)]
pub extern "C" fn isopod_last_error_status() -> Status {
    last_error::status()
}

/// What that call failed of, in one line. NULL if none has failed.
#[unsafe(no_mangle)]
pub extern "C" fn isopod_last_error_message() -> *const c_char {
    last_error::message()
}

/// What helps the developer of a script: a stack, a code frame. NULL if there is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn isopod_last_error_detail() -> *const c_char {
    last_error::detail()
}

/// How long to wait before trying again, in milliseconds, where that helps; else 0.
#[unsafe(no_mangle)]
pub extern "C" fn isopod_last_error_retry_after_ms() -> u64 {
    u64::try_from(last_error::retry_after().as_millis()).unwrap_or(u64::MAX)
}

/// The name of a status, such as `exceeded_cpu`. Never NULL, never to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn isopod_status_name(status: i32) -> *const c_char {
    status::name(status).as_ptr()
}

/// Writes what is logged to standard error: once in a process.
///
/// # Safety
/// `filter` is NULL, or ends with NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_log_to_stderr(filter: *const c_char) -> Status {
    guarded(|| {
        // SAFETY: the caller's promise.
        let filter = unsafe { optional_text(filter, "filter") }?.unwrap_or("info");
        let filter = EnvFilter::try_new(filter).map_err(|error| Error::Unfit {
            argument: "filter",
            message: error.to_string(),
        })?;
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr);
        subscriber.try_init().map_err(|_| Error::LogTaken)
    })
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("counts and names always become JSON")
}

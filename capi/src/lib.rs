//! Isopod's C interface: the functions declared and documented in `include/isopod.h`.
//!
//! Each function checks its pointers and strings (`boundary`), does its work in safe Rust (`pool`), and records an
//! error for its thread (`last_error`). No panic leaves it. `callbacks` has the thread that runs the callbacks of
//! asynchronous calls.
//!
//! This crate does not know how workers are run; that is the pool's task.

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

/// Returns the library's version, such as `0.1.0`. Never NULL; must not be freed.
#[unsafe(no_mangle)]
pub extern "C" fn isopod_version() -> *const c_char {
    VERSION.as_ptr()
}

/// Creates a pool.
///
/// # Safety
/// `options` is NULL or as documented in `isopod.h`; `pool` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_pool_new(options: *const PoolOptions, pool: *mut *mut Pool) -> Status {
    guarded(|| {
        if pool.is_null() {
            return Err(Error::Null("pool"));
        }
        // SAFETY: guaranteed by the caller; `pool` is not NULL.
        unsafe {
            clear(pool);
            let made = Pool::new(PoolOptions::read(options)?)?;
            pool.write(Box::into_raw(Box::new(made)));
        }
        Ok(())
    })
}

/// Deploys a script from text.
///
/// # Safety
/// `pool` is a pool that was not freed. The strings are NUL-terminated; `options_json` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_deploy_source(
    pool: *const Pool,
    name: *const c_char,
    source: *const c_char,
    options_json: *const c_char,
) -> Status {
    // SAFETY: guaranteed by the caller.
    guarded(|| unsafe { deploy(pool, name, Code::Source(text(source, "source")?), options_json) })
}

/// Deploys a script from a file.
///
/// # Safety
/// As for [`isopod_deploy_source`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_deploy_file(
    pool: *const Pool,
    name: *const c_char,
    path: *const c_char,
    options_json: *const c_char,
) -> Status {
    // SAFETY: guaranteed by the caller.
    guarded(|| unsafe { deploy(pool, name, Code::File(text(path, "path")?), options_json) })
}

/// # Safety
/// As for [`isopod_deploy_source`].
unsafe fn deploy(
    pool: *const Pool,
    name: *const c_char,
    code: Code<'_>,
    options_json: *const c_char,
) -> Result<(), Error> {
    // SAFETY: guaranteed by the caller.
    let (pool, name, options) = unsafe {
        let options = ScriptOptions::parse(optional_text(options_json, "options_json")?)?;
        (reference(pool, "pool")?, text(name, "name")?, options)
    };
    pool.deploy(name, code, options)
}

/// Removes a script.
///
/// # Safety
/// `pool` is a pool that was not freed; `name` is NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_undeploy(pool: *const Pool, name: *const c_char) -> Status {
    // SAFETY: guaranteed by the caller.
    guarded(|| unsafe { reference(pool, "pool")?.undeploy(text(name, "name")?) })
}

/// Waits until a script has a ready worker.
///
/// # Safety
/// As for [`isopod_undeploy`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_warm(pool: *const Pool, name: *const c_char, timeout_ms: u64) -> Status {
    // SAFETY: guaranteed by the caller.
    guarded(|| unsafe { reference(pool, "pool")?.warm(text(name, "name")?, timeout_ms) })
}

/// Calls an exported function and waits for its result.
///
/// # Safety
/// `pool` is a pool that was not freed. The strings are NUL-terminated; `arguments_json` may be NULL. `result_json` is
/// NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_call(
    pool: *const Pool,
    name: *const c_char,
    function: *const c_char,
    arguments_json: *const c_char,
    timeout_ms: u64,
    result_json: *mut *mut c_char,
) -> Status {
    // SAFETY: guaranteed by the caller.
    guarded(|| unsafe {
        clear(result_json);
        let value = reference(pool, "pool")?.call(call(name, function, arguments_json, timeout_ms)?)?;
        give_text(result_json, || value.to_string());
        Ok(())
    })
}

/// Calls an exported function, and passes its result to a callback.
///
/// # Safety
/// As for [`isopod_call`]; `callback` may be called once with `user_data`, on another thread.
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
    // SAFETY: guaranteed by the caller.
    guarded(|| unsafe {
        let listener = Listener::new(callback.ok_or(Error::Null("callback"))?, user_data);
        reference(pool, "pool")?.call_async(call(name, function, arguments_json, timeout_ms)?, listener)
    })
}

/// # Safety
/// The strings are NUL-terminated and live for `'a`; `arguments_json` may be NULL.
unsafe fn call<'a>(
    name: *const c_char,
    function: *const c_char,
    arguments_json: *const c_char,
    timeout_ms: u64,
) -> Result<Call<'a>, Error> {
    // SAFETY: guaranteed by the caller.
    unsafe {
        Ok(Call {
            name: text(name, "name")?,
            function: text(function, "function")?,
            arguments_json: optional_text(arguments_json, "arguments_json")?,
            timeout_ms,
        })
    }
}

/// Returns the pool's statistics.
///
/// # Safety
/// `pool` is a pool that was not freed; `stats_json` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_stats(pool: *const Pool, stats_json: *mut *mut c_char) -> Status {
    // SAFETY: guaranteed by the caller.
    guarded(|| unsafe {
        clear(stats_json);
        let stats = reference(pool, "pool")?.stats();
        give_text(stats_json, || json(&stats));
        Ok(())
    })
}

/// Stops accepting events, finishes accepted ones within the deadline, cuts the rest and joins the threads.
///
/// # Safety
/// `pool` is a pool that was not freed; `report_json` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_pool_shutdown(
    pool: *const Pool,
    deadline_ms: u64,
    report_json: *mut *mut c_char,
) -> Status {
    // SAFETY: guaranteed by the caller.
    guarded(|| unsafe {
        clear(report_json);
        let report = reference(pool, "pool")?.shut_down(Duration::from_millis(deadline_ms))?;
        give_text(report_json, || json(&report));
        Ok(())
    })
}

/// Frees a pool. Shuts it down first if necessary, without waiting for its events.
///
/// # Safety
/// `pool` is NULL, or a pool that was not freed and that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_pool_free(pool: *mut Pool) -> Status {
    guarded(|| {
        if pool.is_null() {
            return Ok(());
        }
        // SAFETY: guaranteed by the caller: the pointer is from `isopod_pool_new`, and not in use.
        unsafe {
            reference(pool.cast_const(), "pool")?.shut_down(Duration::ZERO)?;
            drop(Box::from_raw(pool));
        }
        Ok(())
    })
}

/// Frees a string returned by the library.
///
/// # Safety
/// `string` is NULL, or was returned by the library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: guaranteed by the caller: the pointer is from `give_text`.
        drop(unsafe { CString::from_raw(string) });
    }
}

/// Returns the status of the last failed call on this thread; `Ok` if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn isopod_last_error_status() -> Status {
    last_error::status()
}

/// Returns the last error's message, on one line. NULL if there is no error.
#[unsafe(no_mangle)]
pub extern "C" fn isopod_last_error_message() -> *const c_char {
    last_error::message()
}

/// Returns details for the script's developer: a stack or a code frame. NULL if there are none.
#[unsafe(no_mangle)]
pub extern "C" fn isopod_last_error_detail() -> *const c_char {
    last_error::detail()
}

/// Returns the time after which a retry may succeed, in milliseconds. 0 if unknown.
#[unsafe(no_mangle)]
pub extern "C" fn isopod_last_error_retry_after_ms() -> u64 {
    u64::try_from(last_error::retry_after().as_millis()).unwrap_or(u64::MAX)
}

/// Returns the name of a status, such as `exceeded_cpu`. Never NULL; must not be freed.
#[unsafe(no_mangle)]
pub extern "C" fn isopod_status_name(status: i32) -> *const c_char {
    status::name(status).as_ptr()
}

/// Writes the log to standard error. Can be called once per process.
///
/// # Safety
/// `filter` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn isopod_log_to_stderr(filter: *const c_char) -> Status {
    guarded(|| {
        // SAFETY: guaranteed by the caller.
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

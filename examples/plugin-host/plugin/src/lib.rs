//! A plugin that owns its runtime: the functions of `plugin.h` around [`Plugin`].
//!
//! A host loads this library and calls `plugin_load` on any thread. Panics are caught in each function.

mod config;
mod plugin;

use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;

pub use config::Config;
pub use plugin::{Frame, Host, LoadError, Plugin, Refused};

/// `plugin_host` of `plugin.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HostFunctions {
    /// Passed to the functions below.
    pub data: *mut c_void,
    /// Reports a result for a frame.
    pub found: unsafe extern "C" fn(data: *mut c_void, monitor: *const c_char, frame: u64, json: *const c_char),
    /// Reports an error.
    pub failed: unsafe extern "C" fn(data: *mut c_void, monitor: *const c_char, text: *const c_char),
}

// SAFETY: `plugin.h` requires that the functions may be called with their data on any thread.
unsafe impl Send for HostFunctions {}
// SAFETY: as above.
unsafe impl Sync for HostFunctions {}

impl Host for HostFunctions {
    fn found(&self, monitor: &str, frame: u64, what: &Value) {
        let (monitor, json) = (text(monitor), text(&what.to_string()));
        // SAFETY: required by `plugin.h`; the strings live until it returns.
        unsafe { (self.found)(self.data, monitor.as_ptr(), frame, json.as_ptr()) };
    }

    fn failed(&self, monitor: &str, what: &str) {
        let (monitor, what) = (text(monitor), text(what));
        // SAFETY: as above.
        unsafe { (self.failed)(self.data, monitor.as_ptr(), what.as_ptr()) };
    }
}

/// `plugin_answer` of `plugin.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Ok = 0,
    /// The monitor was not started.
    NotStarted = 1,
    /// The monitor is started already.
    StartedAlready = 2,
    /// Too many frames are waiting.
    Busy = 3,
    /// An argument is NULL or not UTF-8.
    Invalid = 4,
    /// The plugin panicked.
    Broken = 5,
}

/// Starts the plugin. Returns NULL if it cannot start, with the reason in `error`.
///
/// # Safety
/// `config_json` is NUL-terminated, `host` points to functions that stay valid, and `error` has room for `error_size`
/// bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plugin_load(
    config_json: *const c_char,
    host: *const HostFunctions,
    error: *mut c_char,
    error_size: usize,
) -> *mut Plugin {
    let loaded = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: guaranteed by the caller.
        let (config, host) = unsafe { (read(config_json), host.as_ref()) };
        let (Some(config), Some(host)) = (config, host) else {
            return Err("the configuration is no text, or there is no host".to_owned());
        };
        Plugin::load(config, Arc::new(*host)).map_err(|error| error.to_string())
    }));
    let why = match loaded {
        Ok(Ok(plugin)) => return Box::into_raw(Box::new(plugin)),
        Ok(Err(why)) => text(&why),
        Err(_) => text("the plugin panicked while it was loaded"),
    };
    if !error.is_null() && error_size > 0 {
        let length = why.as_bytes().len().min(error_size - 1);
        // SAFETY: guaranteed by the caller; the text and its NUL fit into `error_size` bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(why.as_ptr(), error, length);
            error.add(length).write(0);
        }
    }
    std::ptr::null_mut()
}

/// Starts processing a monitor's frames.
///
/// # Safety
/// `plugin` was loaded and not unloaded; `monitor` is NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plugin_on_start(plugin: *const Plugin, monitor: *const c_char) -> Answer {
    // SAFETY: guaranteed by the caller.
    unsafe { hook(plugin, monitor, Plugin::on_start) }
}

/// Submits a frame.
///
/// # Safety
/// As for [`plugin_on_start`]; `pixels` points to `pixels_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plugin_on_frame(
    plugin: *const Plugin,
    monitor: *const c_char,
    width: u32,
    height: u32,
    pixels: *const u8,
    pixels_size: usize,
) -> Answer {
    if pixels.is_null() {
        return Answer::Invalid;
    }
    // SAFETY: guaranteed by the caller.
    let pixels = unsafe { std::slice::from_raw_parts(pixels, pixels_size) }.to_vec();
    let frame = Frame { width, height, pixels };
    // SAFETY: guaranteed by the caller.
    unsafe { hook(plugin, monitor, |plugin, monitor| plugin.on_frame(monitor, frame)) }
}

/// Stops processing a monitor's frames.
///
/// # Safety
/// As for [`plugin_on_start`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plugin_on_stop(plugin: *const Plugin, monitor: *const c_char) -> Answer {
    // SAFETY: guaranteed by the caller.
    unsafe { hook(plugin, monitor, Plugin::on_stop) }
}

/// Stops all processing, joins the threads and frees the plugin.
///
/// # Safety
/// `plugin` is NULL, or was loaded and not unloaded, and is not in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plugin_unload(plugin: *mut Plugin) {
    if !plugin.is_null() {
        // A panic has been printed; there is no way to report it. SAFETY: guaranteed by the caller: the pointer is from
        // `plugin_load`.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(plugin) })));
    }
}

/// # Safety
/// As for [`plugin_on_start`].
unsafe fn hook(
    plugin: *const Plugin,
    monitor: *const c_char,
    work: impl FnOnce(&Plugin, &str) -> Result<(), Refused>,
) -> Answer {
    // SAFETY: guaranteed by the caller.
    let (Some(plugin), Some(monitor)) = (unsafe { plugin.as_ref() }, unsafe { read(monitor) }) else {
        return Answer::Invalid;
    };
    // Unwind safe: the plugin's only lock survives a panic.
    match catch_unwind(AssertUnwindSafe(|| work(plugin, monitor))) {
        Ok(Ok(())) => Answer::Ok,
        Ok(Err(Refused::NotStarted)) => Answer::NotStarted,
        Ok(Err(Refused::StartedAlready)) => Answer::StartedAlready,
        Ok(Err(Refused::Busy)) => Answer::Busy,
        Err(_) => Answer::Broken,
    }
}

/// # Safety
/// The text is NULL, or NUL-terminated and valid for `'a`.
unsafe fn read<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: guaranteed by the caller.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

fn text(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).expect("every NUL was replaced")
}

//! The web platform on `globalThis`: deno_web, deno_fetch, deno_crypto and others, and their integration.
//!
//! `globals.js` defines the names of the Minimum Common Web API and starts workers. The ops here pass a script's log to
//! the host, and provide the time.

mod aes_gcm;
mod clone;
mod codec;
mod digest;
mod ed448;
mod kind;
mod url;
#[cfg(test)]
mod vectors;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use deno_core::error::JsError;
use deno_core::{OpState, op2, v8};
use deno_web::StartTime;

use crate::event::EventKey;
use crate::process::ProcessAccess;
use crate::quotas::{LogVerdict, Quotas, Usage};
use crate::unwind;
use crate::values::{Events, js_error};

#[cfg(feature = "sql")]
pub(crate) use self::digest::Hasher;

/// Levels of `console`, in the order of deno's implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// `console.debug`.
    Debug,
    /// `console.log` and `console.info`.
    Info,
    /// `console.warn`.
    Warn,
    /// `console.error`.
    Error,
}

impl LogLevel {
    fn of(number: u32) -> Self {
        match number {
            0 => Self::Debug,
            1 => Self::Info,
            2 => Self::Warn,
            _ => Self::Error,
        }
    }
}

/// Receives a script's log lines: the level, the text (formatted, with a final line feed), and the event whose code
/// logged it, if known.
pub type LogSink = Rc<dyn Fn(LogLevel, &str, Option<u32>)>;

#[op2(fast)]
fn op_isopod_log(state: &mut OpState, #[string] text: &str, #[smi] level: u32, #[smi] event: u32) {
    let Some(sink) = state.try_borrow::<LogSink>() else {
        return;
    };
    let full;
    let (level, text) = match verdict(state, event, text.len()) {
        LogVerdict::Write => (LogLevel::of(level), text),
        LogVerdict::SayFull => {
            let Quotas {
                log_lines, log_bytes, ..
            } = Usage::of(state).quotas;
            full = format!(
                "the event has reached its log limit of {log_lines} lines or {log_bytes} bytes; further output is dropped \
                 (`limits.log_lines`, `limits.log_bytes`)"
            );
            (LogLevel::Warn, &*full)
        }
        LogVerdict::Drop => return,
    };
    // The host's subscriber may panic, and the caller is V8.
    drop(unwind::catch(|| sink(level, text, (event != 0).then_some(event))));
}

/// Decides about a line. A command's lines are its output, and not counted.
fn verdict(state: &OpState, event: EventKey, bytes: usize) -> LogVerdict {
    match state.try_borrow::<Rc<RefCell<Events>>>() {
        Some(events) if !state.has::<ProcessAccess>() => {
            let quotas = &Usage::of(state).quotas;
            events.borrow_mut().spent(event).log(bytes, quotas)
        }
        _ => LogVerdict::Write,
    }
}

/// Resolution of the time in scripts. Side channels of caches and branch predictors need nanoseconds, while people do
/// not need microseconds. `Date` has milliseconds in any case.
const TIME_RESOLUTION: Duration = Duration::from_micros(100);

/// The time since the worker started, coarsened. The basis of `performance.now()` and everything else with fractions of
/// milliseconds.
#[op2(fast)]
fn op_isopod_now(state: &mut OpState, #[buffer] out: &mut [u8]) {
    let elapsed = state
        .try_borrow::<StartTime>()
        .map_or(Duration::ZERO, |start| start.elapsed());
    let coarse = elapsed - Duration::from_nanos(u64::from(elapsed.subsec_nanos()) % TIME_RESOLUTION.as_nanos() as u64);
    // Overflows after 136 years, as in the op that it replaces.
    let parts = [coarse.as_secs() as u32, coarse.subsec_nanos()];
    for (place, part) in out.chunks_exact_mut(4).zip(parts) {
        place.copy_from_slice(&part.to_ne_bytes());
    }
}

/// Replaces `op_destructure_error`: strings of an error that are too long to be shown are not read.
#[op2(reentrant)]
fn op_isopod_destructure_error<'s>(scope: &mut v8::PinScope<'s, '_>, error: v8::Local<'s, v8::Value>) -> JsError {
    *js_error(scope, error)
}

deno_core::extension!(
    isopod_web,
    deps = [deno_webidl, deno_web, deno_fetch, deno_crypto, isopod_quotas, isopod_handlers, isopod_process],
    ops = [
        op_isopod_log,
        aes_gcm::op_isopod_aes_gcm,
        clone::op_isopod_clone,
        clone::op_isopod_clone_read,
        clone::op_isopod_clone_write,
        clone::op_isopod_clone_write_plain,
        clone::op_isopod_task,
        kind::op_isopod_kind_of,
        codec::op_isopod_codec_new,
        codec::op_isopod_codec_step,
        codec::op_isopod_codec_finish,
        digest::op_isopod_digest_new,
        digest::op_isopod_digest_update,
        digest::op_isopod_digest_finish,
        digest::op_isopod_is_equal,
        ed448::op_isopod_ed448_public,
        ed448::op_isopod_ed448_random,
        ed448::op_isopod_ed448_read,
        ed448::op_isopod_ed448_sign,
        ed448::op_isopod_ed448_verify,
        url::op_isopod_url_parse,
        url::op_isopod_url_parse_with_base,
        url::op_isopod_url_serialization,
        url::op_isopod_url_set,
    ],
    esm_entry_point = "ext:isopod_web/globals.js",
    esm = [dir "src/web", "globals.js"],
    lazy_loaded_js = [
        dir "src/web",
        "aes_gcm.js",
        "broadcast.js",
        "bytes.js",
        "clone.js",
        "collect.js",
        "compression.js",
        "digest.js",
        "ed448.js",
        "events.js",
        "interfaces.js",
        "keys.js",
        "kinds.js",
        "log.js",
        "look.js",
        "observers.js",
        "read_at_least.js",
        "scheduler.js",
        "subtle.js",
        "table.js",
        "urls.js",
        "weigh.js",
        "workers.js",
        "ext:deno_net/02_tls.js" = "no_tls.js",
        "ext:deno_web/01_urlpattern.js" = "url_pattern.js",
        "ext:deno_web/13_message_port.js" = "ports.js",
    ],
    synthetic_esm = [
        "isopod:workers" = "ext:isopod_web/workers.js",
        "cloudflare:workers" = "ext:isopod_web/workers.js",
    ],
    middleware = |op| match op.name {
        "op_now" => op.with_implementation_from(&op_isopod_now()),
        "op_destructure_error" => op.with_implementation_from(&op_isopod_destructure_error()),
        _ => op,
    },
);

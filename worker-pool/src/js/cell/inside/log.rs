//! The log of a cell, which is written by the pool.

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::js::cell::wire::{LogLine, encode, write};

/// Maximum number of unsent lines. Further ones are dropped and counted.
const LINES_WAITING_MAX: usize = 1024;

/// Maximum size of a line.
const LINE_BYTES_MAX: usize = 64 << 10;

/// The log of this process.
pub(super) struct Log {
    /// As `Boot` has it.
    level: AtomicU8,
    dropped: AtomicU64,
    lines: Mutex<Option<mpsc::Sender<LogLine>>>,
}

impl Log {
    /// Starts collecting the lines of this process.
    pub(super) fn install() -> (Arc<Self>, mpsc::Receiver<LogLine>) {
        let (to, lines) = mpsc::channel(LINES_WAITING_MAX);
        let log = Arc::new(Self {
            level: AtomicU8::new(3),
            dropped: AtomicU64::new(0),
            lines: Mutex::new(Some(to)),
        });
        // Fails if the program has a subscriber of its own, which then gets the lines.
        drop(tracing::subscriber::set_global_default(Lines(Arc::clone(&log))));
        (log, lines)
    }

    pub(super) fn set_level(&self, level: u8) {
        self.level.store(level, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    /// Ends the log after the lines written so far.
    pub(super) fn close(&self) {
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Sends the lines to the pool, until the log is closed.
pub(super) async fn send(log: Arc<Log>, up: SendRequest<Bytes>, mut lines: mpsc::Receiver<LogLine>) {
    let Ok(request) = http::Request::post("http://cell/log").body(()) else {
        return;
    };
    let Ok((_response, mut to)) = up.clone().send_request(request, false) else {
        return;
    };
    while let Some(line) = lines.recv().await {
        let dropped = log.dropped.swap(0, Ordering::Relaxed);
        let dropped = (dropped > 0).then(|| LogLine {
            level: 2,
            console: None,
            text: format!("dropped {dropped} lines of a cell's log"),
        });
        for line in std::iter::once(line).chain(dropped) {
            let Ok(bytes) = encode(&line) else { continue };
            if write(&mut to, bytes).await.is_err() {
                return;
            }
        }
    }
    drop(to.send_data(Bytes::new(), true));
}

struct Lines(Arc<Log>);

const fn number(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_ours = metadata.target().starts_with("isopod");
        metadata.is_event()
            && number(metadata.level()) <= self.0.level.load(Ordering::Relaxed)
            && (is_ours || *metadata.level() <= Level::WARN)
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let is_console = event.metadata().target() == "isopod::console";
        let mut text = fields.message;
        if !is_console {
            text.push_str(&fields.others);
        }
        text.truncate(text.floor_char_boundary(LINE_BYTES_MAX));
        let line = LogLine {
            level: number(event.metadata().level()),
            console: is_console.then_some((fields.worker, fields.request, fields.caller)),
            text,
        };
        let lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lines) = &*lines
            && lines.try_send(line).is_err()
        {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[derive(Default)]
struct Fields {
    message: String,
    worker: u64,
    request: String,
    caller: Option<String>,
    /// All other fields, as text.
    others: String,
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "worker" => self.worker = value,
            _ => self.record_debug(field, &value),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "request" => value.clone_into(&mut self.request),
            "caller" => self.caller = Some(value.to_owned()),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            // The pool's line has this field.
            "script" => Ok(()),
            name => write!(self.others, " {name}={value:?}"),
        };
    }
}

//! Queues and messages, as text and as JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytesize::ByteSize;
use isopod::bindings::queue::{ContentType, Peeked, QueueBody, QueueMetrics};
use serde_json::{Value as Json, json};

use super::known::Used;
use crate::output::one_line;

/// The part of a body that a line shows.
const BODY_CHARS_MAX: usize = 100;

/// Queues as JSON.
pub(super) fn queues(rows: &[(&Used, QueueMetrics)]) -> Json {
    let row = |(used, metrics): &(&Used, QueueMetrics)| {
        json!({
            "queue": used.queue.name,
            "messages": metrics.count,
            "bytes": metrics.bytes,
            "oldest": metrics.oldest_ms.map(time),
            "producers": used.producers,
            "consumer": used.consumer,
            "dead_letter_queue": used.dead_letters.as_ref().map(|dead| &dead.name),
            "path": used.queue.kept.file(),
            "storage": used.queue.kept.to_string(),
        })
    };
    rows.iter().map(row).collect()
}

/// Queues as a table.
pub(super) fn table(rows: &[(&Used, QueueMetrics)]) -> String {
    let head = [
        "queue",
        "messages",
        "size",
        "oldest",
        "producers",
        "consumer",
        "dead letters",
    ];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    for (used, metrics) in rows {
        let none = || "-".to_owned();
        cells.push(vec![
            used.queue.name.clone(),
            metrics.count.to_string(),
            ByteSize(metrics.bytes).to_string(),
            metrics.oldest_ms.map_or_else(none, |sent| format!("{} ago", age(sent))),
            if used.producers.is_empty() {
                none()
            } else {
                used.producers.join(", ")
            },
            used.consumer.clone().unwrap_or_else(none),
            used.dead_letters.as_ref().map_or_else(none, |dead| dead.name.clone()),
        ]);
    }
    crate::output::table(&cells)
}

/// Messages as JSON.
pub(super) fn messages(peeked: &[Peeked]) -> Json {
    let one = |peeked: &Peeked| {
        let mut shown = json!({
            "id": peeked.message.id,
            "timestamp": time(peeked.message.sent_ms),
            "attempts": peeked.attempts,
            "due": peeked.due_ms.map(time),
            "leased": peeked.is_leased,
            "content_type": peeked.message.body.content_type.as_str(),
        });
        match body(&peeked.message.body) {
            Some(body) => shown["body"] = body,
            None => {
                shown["body"] = STANDARD.encode(&peeked.message.body.bytes).into();
                shown["base64"] = true.into();
            }
        }
        shown
    };
    peeked.iter().map(one).collect()
}

/// A body as a JSON value, if it is one.
fn body(body: &QueueBody) -> Option<Json> {
    match body.content_type {
        ContentType::Json => serde_json::from_slice(&body.bytes).ok(),
        ContentType::Text => Some(String::from_utf8_lossy(&body.bytes).into()),
        _ => None,
    }
}

/// A message as a line of text.
pub(super) fn line(peeked: &Peeked) -> String {
    let Peeked { message, attempts, .. } = peeked;
    let state = match (peeked.is_leased, peeked.due_ms.filter(|due| *due > now_ms())) {
        (true, _) => "being handled".to_owned(),
        (false, Some(due)) => format!("due in {}", until(due)),
        (false, None) => "due".to_owned(),
    };
    let body = match body(&message.body) {
        Some(Json::String(text)) if message.body.content_type == ContentType::Text => text,
        Some(value) => value.to_string(),
        None => format!(
            "{} bytes of {}",
            message.body.bytes.len(),
            message.body.content_type.as_str()
        ),
    };
    let more = if body.chars().nth(BODY_CHARS_MAX).is_some() {
        "…"
    } else {
        ""
    };
    let shown = one_line(&body.chars().take(BODY_CHARS_MAX).collect::<String>());
    let (id, sent) = (&message.id, time(message.sent_ms));
    format!("{id}  {sent}  taken {attempts} times, {state}  {shown}{more}\n")
}

/// A time in milliseconds since 1970 as text, in UTC.
fn time(millis: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(millis));
    time.map(|time| humantime::format_rfc3339_millis(time).to_string())
        .unwrap_or_default()
}

fn age(millis: u64) -> String {
    in_seconds(now_ms().saturating_sub(millis))
}

fn until(millis: u64) -> String {
    in_seconds(millis.saturating_sub(now_ms()))
}

fn in_seconds(millis: u64) -> String {
    humantime::format_duration(Duration::from_secs(millis / 1000)).to_string()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

//! Responses for failed requests: the table of status codes, and error pages.

use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};

use isopod_outcome::{Failure, Outcome};
use isopod_websocket::handshake;

use crate::{config::Mode, dispatch::RequestId, ingress::Refusal};

/// Returns the status code of an outcome. `Ok` responses have the worker's own, and that of `Canceled` is never visible.
#[must_use]
pub fn status_of(outcome: Outcome) -> StatusCode {
    match outcome {
        Outcome::Ok => StatusCode::OK,
        Outcome::Exception | Outcome::ExceededMemory => StatusCode::INTERNAL_SERVER_ERROR,
        Outcome::ExceededCpu | Outcome::ExceededWall => StatusCode::GATEWAY_TIMEOUT,
        Outcome::Canceled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Outcome::LoadShed | Outcome::BootFailed => StatusCode::SERVICE_UNAVAILABLE,
        Outcome::WorkerLost => StatusCode::BAD_GATEWAY,
        Outcome::NotDeployed => StatusCode::NOT_FOUND,
    }
}

/// Returns the status code of a failure: that of its outcome, or 429 if the script has used up its share.
fn status_of_failure(failure: &Failure) -> StatusCode {
    match failure.outcome {
        // A failure must not have the outcome `Ok`.
        Outcome::Ok => StatusCode::INTERNAL_SERVER_ERROR,
        Outcome::LoadShed if failure.own_share => StatusCode::TOO_MANY_REQUESTS,
        outcome => status_of(outcome),
    }
}

const fn remedy_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok | Outcome::Canceled => "Nothing needs to be done.",
        Outcome::Exception => "Fix the error where the stack trace points, or catch it in the handler.",
        Outcome::ExceededCpu => "Look for an endless loop or expensive work, or raise the CPU limit.",
        Outcome::ExceededWall => "Look for a promise that never settles, or raise the wall time limit.",
        Outcome::ExceededMemory => "Stream large data instead of holding it, or raise the memory limit.",
        Outcome::LoadShed => "Try again later; add threads or raise the queue limit if this happens often.",
        Outcome::BootFailed => "Fix the script's top-level code; the error shows where it failed.",
        Outcome::WorkerLost => "Try again; the worker has been replaced.",
        Outcome::NotDeployed => "Deploy a worker under this name, or correct the name.",
    }
}

const fn of_refusal(refusal: Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::NoRoute => (
            StatusCode::NOT_FOUND,
            "Add a route for this host and path, or a fallback worker.",
        ),
        Refusal::BadHost => (
            StatusCode::BAD_REQUEST,
            "Send exactly one Host header with a valid host and port, equal to that of the request's target.",
        ),
        Refusal::BadTarget => (
            StatusCode::BAD_REQUEST,
            "Request a path, such as `/` or `/a?b=c`; `*` is only for OPTIONS.",
        ),
        Refusal::BadEncoding => (
            StatusCode::NOT_IMPLEMENTED,
            "Send the body with its length, or with the single transfer coding `chunked`.",
        ),
        Refusal::Connect => (StatusCode::NOT_IMPLEMENTED, "Use a method other than CONNECT."),
        Refusal::SocketVersion => (
            StatusCode::UPGRADE_REQUIRED,
            "Send `Sec-WebSocket-Version: 13`, as RFC 6455 says.",
        ),
        Refusal::SocketKey => (
            StatusCode::BAD_REQUEST,
            "Send one `Sec-WebSocket-Key`, as RFC 6455 says.",
        ),
        Refusal::UriTooLong => (StatusCode::URI_TOO_LONG, "Shorten the URL, or raise `uri_bytes_max`."),
        Refusal::HeadersTooLarge => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "Send fewer or smaller headers, or raise `header_bytes_max` or `header_count_max`.",
        ),
        Refusal::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Send less, or raise `body_bytes_max`."),
        Refusal::BodyStalled => (
            StatusCode::REQUEST_TIMEOUT,
            "Send without long pauses, or raise `body_timeout`.",
        ),
        Refusal::BodyBroken => (
            StatusCode::BAD_REQUEST,
            "Send the complete body as announced by its headers.",
        ),
        Refusal::TooDeep => (
            StatusCode::LOOP_DETECTED,
            "Look for workers that fetch each other in a cycle, or raise `depth_max`.",
        ),
    }
}

/// Format of an error page, by the client's `Accept`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Html,
    Json,
}

impl Format {
    /// Determines the format from the client's `Accept`.
    pub(crate) fn of(accept: Option<&HeaderValue>) -> Self {
        let accept = accept.and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        // The first type wins; weights are ignored, because clients list their preferred type first.
        match (accept.find("text/html"), accept.find("json")) {
            (Some(html), Some(json)) if json < html => Self::Json,
            (Some(_), _) => Self::Html,
            (None, Some(_)) => Self::Json,
            (None, None) => Self::Text,
        }
    }
}

/// Contents of an error page.
struct Page<'a> {
    status: StatusCode,
    outcome: &'a str,
    message: &'a str,
    detail: &'a str,
    remedy: &'a str,
    id: &'a RequestId,
}

pub(crate) fn failure(failure: &Failure, mode: Mode, format: Format, id: &RequestId) -> Response<String> {
    let page = Page {
        status: status_of_failure(failure),
        outcome: failure.outcome.as_str(),
        message: &failure.message,
        detail: failure.detail.as_deref().unwrap_or_default(),
        remedy: remedy_of(failure.outcome),
        id,
    };
    let mut response = page.write(mode, format);
    let retry_after = match failure.outcome {
        Outcome::LoadShed => Some(failure.retry_after.unwrap_or(Duration::from_secs(1))),
        _ => failure.retry_after,
    };
    if let Some(after) = retry_after {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    response
}

pub(crate) fn refusal(refusal: Refusal, mode: Mode, format: Format, id: &RequestId) -> Response<String> {
    let (status, remedy) = of_refusal(refusal);
    let message = refusal.to_string();
    let page = Page {
        status,
        outcome: "refused",
        message: &message,
        detail: "",
        remedy,
        id,
    };
    let mut response = page.write(mode, format);
    if refusal == Refusal::SocketVersion {
        // RFC 6455, section 4.4, and RFC 9110, section 15.5.22.
        let headers = response.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_VERSION, handshake::VERSION);
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    response
}

impl Page<'_> {
    fn write(&self, mode: Mode, format: Format) -> Response<String> {
        let (kind, body) = match format {
            Format::Text => ("text/plain; charset=utf-8", self.text(mode)),
            Format::Html => {
                let (title, text) = (self.title(), escape(&self.text(mode)));
                let html = format!("<!doctype html><meta charset=utf-8><title>{title}</title><pre>{text}</pre>\n");
                ("text/html; charset=utf-8", html)
            }
            Format::Json => ("application/json", self.json(mode)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn title(&self) -> String {
        format!(
            "{} {}",
            self.status.as_str(),
            self.status.canonical_reason().unwrap_or_default()
        )
    }

    fn text(&self, mode: Mode) -> String {
        let title = self.title();
        match mode {
            Mode::Production => format!("{title}\nrequest id: {}\n", self.id),
            Mode::Development => {
                let detail = if self.detail.is_empty() {
                    String::new()
                } else {
                    format!("{}\n\n", self.detail)
                };
                let Self {
                    outcome,
                    message,
                    remedy,
                    id,
                    ..
                } = self;
                format!("{title} ({outcome})\n\n{message}\n\n{detail}{remedy}\n\nrequest id: {id}\n")
            }
        }
    }

    fn json(&self, mode: Mode) -> String {
        let mut error = serde_json::json!({ "status": self.status.as_u16(), "request_id": self.id.to_string() });
        if mode == Mode::Development {
            for (key, value) in [
                ("outcome", self.outcome),
                ("message", self.message),
                ("detail", self.detail),
                ("remedy", self.remedy),
            ] {
                error[key] = value.into();
            }
        }
        error.to_string()
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

//! The plugin's configuration.

use std::time::Duration;

use serde::Deserialize;

/// The plugin's settings, as JSON. Only `model` is required.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The model's address, an `http://` URL.
    pub model: String,
    /// Threads for JavaScript. Default: 1.
    #[serde(default = "one")]
    pub threads: usize,
    /// Frames of a monitor that may wait; further ones are rejected. Default: 4.
    #[serde(default = "four")]
    pub frames_waiting_max: usize,
    /// Time limit for starting. Default: 10 s.
    #[serde(default = "ten_seconds")]
    start_timeout_ms: u64,
    /// Time limit for a frame. Default: 10 s.
    #[serde(default = "ten_seconds")]
    frame_timeout_ms: u64,
    /// Time that running work may take to finish when the plugin is unloaded. Default: 0.
    #[serde(default)]
    stop_timeout_ms: u64,
}

const fn one() -> usize {
    1
}

const fn four() -> usize {
    4
}

const fn ten_seconds() -> u64 {
    10_000
}

impl Config {
    /// Time limit for starting.
    #[must_use]
    pub const fn start_timeout(&self) -> Duration {
        Duration::from_millis(self.start_timeout_ms)
    }

    /// Time limit for a frame.
    #[must_use]
    pub const fn frame_timeout(&self) -> Duration {
        Duration::from_millis(self.frame_timeout_ms)
    }

    /// Time that running work may take to finish when the plugin is unloaded.
    #[must_use]
    pub const fn stop_timeout(&self) -> Duration {
        Duration::from_millis(self.stop_timeout_ms)
    }
}

//! What the host's administrator sets.

use std::time::Duration;

use serde::Deserialize;

/// The plugin's settings, as JSON; all but `model` may be left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the model is got from: an `http://` URL.
    pub model: String,
    /// Threads for JavaScript. Default: 1.
    #[serde(default = "one")]
    pub threads: usize,
    /// Frames of a monitor that may wait; further ones are refused. Default: 4.
    #[serde(default = "four")]
    pub frames_waiting_max: usize,
    /// How long the start may take. Default: 10 s.
    #[serde(default = "ten_seconds")]
    start_timeout_ms: u64,
    /// How long a frame may take. Default: 10 s.
    #[serde(default = "ten_seconds")]
    frame_timeout_ms: u64,
    /// How long what has begun may go on when the plugin is unloaded. Default: 0.
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
    /// How long the start may take.
    #[must_use]
    pub const fn start_timeout(&self) -> Duration {
        Duration::from_millis(self.start_timeout_ms)
    }

    /// How long a frame may take.
    #[must_use]
    pub const fn frame_timeout(&self) -> Duration {
        Duration::from_millis(self.frame_timeout_ms)
    }

    /// How long what has begun may go on when the plugin is unloaded.
    #[must_use]
    pub const fn stop_timeout(&self) -> Duration {
        Duration::from_millis(self.stop_timeout_ms)
    }
}

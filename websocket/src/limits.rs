//! Limits of one connection.

use std::time::Duration;

/// Limits of one WebSocket connection. All of them have a default.
///
/// ```
/// use isopod_websocket::Limits;
///
/// assert_eq!(Limits::default().message_bytes_max, 1 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum size of a received message, in bytes. A larger one closes the connection with code 1009. Default: 1 MiB.
    pub message_bytes_max: usize,
    /// Maximum number of received messages that wait for the worker. Above it, or above `message_bytes_max` bytes in total,
    /// the connection is not read. Default: 16.
    pub messages_waiting_max: usize,
    /// Maximum number of unsent bytes, above which a peer that reads too slowly is disconnected. Default: 4 MiB.
    pub buffered_bytes_max: usize,
    /// Maximum number of received messages per second, and of a burst. Above it the connection is read more slowly. Default:
    /// 10,000.
    pub messages_per_second: u32,
    /// Time after which a silent peer is disconnected. It is pinged after half of that. Default: 60 s.
    pub idle_timeout: Duration,
    /// Age at which the connection is closed with code 1001. Default: 24 h.
    pub lifetime: Duration,
    /// Time for which the peer may leave sent data unread before it is disconnected. Default: 30 s.
    pub write_timeout: Duration,
    /// Time for the close handshake. Default: 10 s.
    pub close_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 1 << 20,
            messages_waiting_max: 16,
            buffered_bytes_max: 4 << 20,
            messages_per_second: 10_000,
            idle_timeout: Duration::from_secs(60),
            lifetime: Duration::from_secs(24 * 60 * 60),
            write_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(10),
        }
    }
}

macro_rules! setters {
    ($($name:ident: $type:ty,)+) => {
        impl Limits {
            $(
                #[doc = concat!("Sets [`Limits::", stringify!($name), "`](field@Limits::", stringify!($name), ").")]
                #[must_use]
                pub const fn $name(mut self, $name: $type) -> Self {
                    self.$name = $name;
                    self
                }
            )+
        }
    };
}

setters! {
    message_bytes_max: usize,
    messages_waiting_max: usize,
    buffered_bytes_max: usize,
    messages_per_second: u32,
    idle_timeout: Duration,
    lifetime: Duration,
    write_timeout: Duration,
    close_timeout: Duration,
}

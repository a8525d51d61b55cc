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
    /// Maximum number of received messages that wait for the worker. Above it, and above `message_bytes_max` bytes in all, the
    /// connection is not read. Default: 16.
    pub messages_waiting_max: usize,
    /// Maximum number of bytes that were sent and that the peer has not taken. A peer that lets more pile up is disconnected.
    /// Default: 4 MiB.
    pub buffered_bytes_max: usize,
    /// Maximum number of messages read in a second, with bursts of as many; above it the connection is read more slowly.
    /// Default: 10,000.
    pub messages_per_second: u32,
    /// Time without a sign of life from the peer after which it is disconnected. A silent peer is pinged after half of it.
    /// Default: 60 s.
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

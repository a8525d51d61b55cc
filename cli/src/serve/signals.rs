//! Signals beside those that stop the process.

use std::future::poll_fn;
use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What SIGHUP asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hangup {
    /// The configuration is to be read again: what a service manager means.
    Reload,
    /// The terminal is gone, and who started the process with it.
    Stop,
}

/// The signals that would end the process without a word if nobody waited for them.
pub(super) struct Signals {
    hangup: Signal,
    /// They mean nothing.
    others: [(Signal, &'static str); 2],
}

impl Signals {
    /// From now on they do not end the process by themselves. Must be called inside an entered Tokio runtime.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            others: [
                (signal(SignalKind::user_defined1())?, "SIGUSR1"),
                (signal(SignalKind::user_defined2())?, "SIGUSR2"),
            ],
        })
    }

    /// The next SIGHUP.
    pub(super) async fn hangup(&mut self) -> Hangup {
        poll_fn(|cx| {
            for (signal, name) in &mut self.others {
                while signal.poll_recv(cx).is_ready() {
                    tracing::info!(target: "isopod", "{name} came; it has no meaning here");
                }
            }
            self.hangup.poll_recv(cx).map(drop)
        })
        .await;
        if io::stdin().is_terminal() {
            Hangup::Stop
        } else {
            Hangup::Reload
        }
    }
}

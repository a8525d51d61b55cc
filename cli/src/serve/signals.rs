//! Signals other than those that stop the process.

use std::future::poll_fn;
use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Meaning of a SIGHUP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hangup {
    /// Reload the configuration, as service managers request.
    Reload,
    /// Stop: the terminal was closed.
    Stop,
}

/// Handlers for signals whose default action is to end the process silently.
pub(super) struct Signals {
    hangup: Signal,
    /// Ignored signals.
    others: [(Signal, &'static str); 2],
}

impl Signals {
    /// Installs the handlers. Must be called inside a Tokio runtime.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            others: [
                (signal(SignalKind::user_defined1())?, "SIGUSR1"),
                (signal(SignalKind::user_defined2())?, "SIGUSR2"),
            ],
        })
    }

    /// Waits for the next SIGHUP.
    pub(super) async fn hangup(&mut self) -> Hangup {
        poll_fn(|cx| {
            for (signal, name) in &mut self.others {
                while signal.poll_recv(cx).is_ready() {
                    tracing::info!(target: "isopod", "ignored signal {name}");
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

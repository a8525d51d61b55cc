//! External triggers that stop a host: signals, a token, any future.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::task::Poll;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::stop::{Cause, HostHandle};

/// A trigger that stops a host, besides its own modules and [`HostHandle`]. The first one applies.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::{CancellationToken, Host, Shutdown};
///
/// let token = CancellationToken::new();
/// let host = Host::builder().shutdown(Shutdown::signals().or(Shutdown::token(token.clone()))).build()?;
/// token.cancel();
/// host.run_blocking()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
#[must_use = "pass it to a host's builder"]
pub struct Shutdown {
    sources: Vec<Source>,
}

enum Source {
    Signals,
    Token(CancellationToken),
    Future(BoxFuture<'static, ()>),
}

impl Shutdown {
    /// SIGTERM, SIGINT (Ctrl-C) and SIGQUIT. The first stops the host, the second [cuts](HostHandle::cut) it. If the process
    /// cannot listen for SIGTERM, only Ctrl-C counts.
    ///
    /// From the start of the host on, these signals no longer end the process by themselves, not even after the host's end.
    pub fn signals() -> Self {
        Self::from(Source::Signals)
    }

    /// A token.
    pub fn token(token: CancellationToken) -> Self {
        Self::from(Source::Token(token))
    }

    /// Any future: the host stops when it ends, or panics. It runs on the host's runtime.
    pub fn future(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::from(Source::Future(Box::pin(future)))
    }

    /// Combines two triggers; the first one applies.
    pub fn or(mut self, other: Self) -> Self {
        self.sources.extend(other.sources);
        self
    }

    /// Watches the triggers: signals on the host thread's runtime, so that no module can delay them, and the embedder's futures
    /// on the modules' runtime.
    pub(super) fn watch(self, driver: &Handle, modules: &Handle, host: &HostHandle) {
        for source in self.sources {
            let host = host.clone();
            match source {
                Source::Signals => drop(driver.spawn(async move { signals(Signals::listen(), &host).await })),
                Source::Token(token) => drop(driver.spawn(async move {
                    token.cancelled().await;
                    host.stop_for(Cause::Token);
                })),
                Source::Future(future) => drop(modules.spawn(async move {
                    if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                        tracing::error!("the shutdown future panicked; stopping the host");
                    }
                    host.stop_for(Cause::Future);
                })),
            }
        }
    }
}

impl From<Source> for Shutdown {
    fn from(source: Source) -> Self {
        Self { sources: vec![source] }
    }
}

impl std::fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shutdown")
            .field("sources", &self.sources.len())
            .finish()
    }
}

async fn signals(mut signals: Signals, host: &HostHandle) {
    host.stop_for(Cause::Signal(signals.next().await));
    let second = signals.next().await;
    tracing::warn!("received {second} again; exiting without waiting");
    host.cut();
}

/// The signals that stop the host; if they are not available, Ctrl-C alone.
struct Signals(Option<[(Signal, &'static str); 3]>);

impl Signals {
    fn listen() -> Self {
        let all = || {
            Ok([
                (signal(SignalKind::terminate())?, "SIGTERM"),
                (signal(SignalKind::interrupt())?, "SIGINT"),
                (signal(SignalKind::quit())?, "SIGQUIT"),
            ])
        };
        let all: std::io::Result<_> = all();
        Self(
            all.inspect_err(|error| tracing::warn!(%error, "cannot listen for SIGTERM, only for Ctrl-C"))
                .ok(),
        )
    }

    async fn next(&mut self) -> &'static str {
        if let Some(all) = &mut self.0 {
            return poll_fn(|cx| {
                let mut came = all.iter_mut().filter_map(|(signal, name)| match signal.poll_recv(cx) {
                    Poll::Ready(_) => Some(*name),
                    Poll::Pending => None,
                });
                came.next().map_or(Poll::Pending, Poll::Ready)
            })
            .await;
        }
        match tokio::signal::ctrl_c().await {
            Ok(()) => "SIGINT",
            Err(error) => {
                tracing::error!(%error, "cannot listen for signals; stop the host in another way");
                std::future::pending().await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[test]
    fn without_sigterm_ctrl_c_still_stops_the_host() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut signals = Signals(None);
            let mut next = std::pin::pin!(signals.next());
            assert!(poll!(&mut next).is_pending(), "it has begun to listen");
            kill_process(getpid(), Signal::INT).unwrap();
            assert_eq!(next.await, "SIGINT");
        });
    }
}

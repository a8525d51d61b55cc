//! The time limits of a connection: pings, silence, age, stalled writes, the close handshake.

use std::{future::Future, pin::Pin, task::Context};

use bytes::Bytes;
use futures::Sink;
use isopod_outcome::Outcome;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use tokio_tungstenite::tungstenite::Message as Frame;

use super::{Phase, Run};
use crate::end::Ending;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Run<S> {
    /// Acts on an expired time. Returns whether one has expired.
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let due = self.next_due();
        if self.timer.deadline() != due {
            self.timer.as_mut().reset(due);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.on_time(Instant::now());
        true
    }

    fn next_due(&self) -> Instant {
        let limits = &self.wire.limits;
        let stalled = self.stalled_since.map(|since| since + limits.write_timeout);
        let phase = match self.phase {
            Phase::Open => {
                let quiet = if self.pinged {
                    limits.idle_timeout
                } else {
                    limits.idle_timeout / 2
                };
                // The peer is not read meanwhile, so its silence does not count.
                let idle = self.held.is_none().then_some(self.received_at + quiet);
                let age = self.opened_at + limits.lifetime;
                idle.map_or(age, |idle| idle.min(age))
            }
            _ => self.close_by,
        };
        [stalled, self.slowed_until]
            .into_iter()
            .flatten()
            .fold(phase, Instant::min)
    }

    fn on_time(&mut self, now: Instant) {
        let limits = &self.wire.limits;
        if self.slowed_until.is_some_and(|until| until <= now) {
            self.slowed_until = None;
        }
        if self
            .stalled_since
            .is_some_and(|since| since + limits.write_timeout <= now)
        {
            return self.lose(Some("the peer does not read".to_owned()));
        }
        if self.phase != Phase::Open {
            if self.close_by <= now {
                self.lose(None);
            }
            return;
        }
        if self.opened_at + limits.lifetime <= now {
            return self.end(Ending {
                code: 1001,
                reason: "the connection has reached its maximum age",
                outcome: Outcome::Ok,
            });
        }
        if self.held.is_some() {
            return;
        }
        let quiet = now.saturating_duration_since(self.received_at);
        if quiet >= limits.idle_timeout {
            self.lose(Some("the peer is silent and does not answer pings".to_owned()));
        } else if quiet >= limits.idle_timeout / 2 && !self.pinged {
            self.pinged = true;
            match Pin::new(&mut self.socket).start_send(Frame::Ping(Bytes::new())) {
                Ok(()) => self.needs_flush = true,
                Err(error) => self.lose(Some(error.to_string())),
            }
        }
    }
}

//! The connection to one process: reads, writes, and watches the process. It wakes when descriptors are ready and at
//! deadlines, and never polls in intervals.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use isopod_module::protocol::{ToHost, decode_with};
use isopod_module::shared::End;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::end::SessionEnd;
use super::place::Place;
use super::talk::Talk;
use crate::process::Process;

/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;
/// Time limit for the last frames of a process that has exited, and for its exit after it has closed the channel.
const LAST_FRAMES: Duration = Duration::from_millis(500);
/// A process that was silent for this share of the allowed time is sent a ping.
const PING_SHARE: u32 = 3;
/// Percentage of the time limit for exiting after which a process gets SIGTERM.
const TERMINATE_SHARE: u32 = 60;

/// The stages of a process that is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    No,
    /// It was asked to end, and gets SIGTERM at this time.
    Requested {
        terminate_at: Instant,
        kill_at: Instant,
    },
    Terminated {
        kill_at: Instant,
    },
}

/// A ping without an answer so far.
#[derive(Clone, Copy, Debug)]
struct Pulse {
    received_at: Instant,
    pinged_at: Option<Instant>,
    pings: u64,
}

struct Session<'a> {
    place: &'a Arc<Place>,
    process: &'a mut dyn Process,
    talk: Talk,
    input: BytesMut,
    pulse: Pulse,
    begun: Instant,
    stopping: Stopping,
    stop_within: Duration,
    /// Set when the process has exited: the time until which its last frames are read.
    exited: Option<(ExitStatus, Instant)>,
    /// Set when the channel was closed: the time by which the process has to exit.
    closed: Option<Instant>,
}

/// Exchanges messages with a process, over a socket and with memory that may be shared, until it has ended. Its tasks are
/// answered, or passed to the next process.
pub(super) async fn converse(
    place: &Arc<Place>,
    process: &mut dyn Process,
    (stream, shared): (UnixStream, Option<End>),
    token: &CancellationToken,
    stop_within: Duration,
) -> SessionEnd {
    let now = Instant::now();
    let mut session = Session {
        place,
        process,
        talk: Talk::new(Arc::clone(place), shared),
        input: BytesMut::new(),
        pulse: Pulse {
            received_at: now,
            pinged_at: None,
            pings: 0,
        },
        begun: now,
        stopping: Stopping::No,
        stop_within,
        exited: None,
        closed: None,
    };
    let end = session.drive(stream, token).await;
    session.talk.over(&end, Instant::now());
    end
}

impl Session<'_> {
    async fn drive(&mut self, mut stream: UnixStream, token: &CancellationToken) -> SessionEnd {
        let end = match self.turns(&mut stream, token).await {
            Ok(end) => end,
            Err(end) => end,
        };
        if self.exited.is_none() {
            if let SessionEnd::Broke(violation) = &end {
                self.talk.out.clear();
                self.talk.refuse(violation.to_string());
                // The process may or may not read the reason.
                let _ = tokio::time::timeout(LAST_FRAMES, stream.write_all(&self.talk.out)).await;
            }
            if let Err(error) = self.process.kill().await {
                tracing::error!(%error, "a module's process cannot be killed");
            }
        }
        end
    }

    async fn turns(&mut self, stream: &mut UnixStream, token: &CancellationToken) -> Result<SessionEnd, SessionEnd> {
        let place = Arc::clone(self.place);
        loop {
            let now = Instant::now();
            self.read_frames(now)?;
            self.talk
                .fill(now, self.stopping == Stopping::No && self.exited.is_none());
            if let Some(end) = self.is_over(now) {
                return Ok(end);
            }
            self.due(now)?;
            let (is_open, reads) = (self.closed.is_none(), self.talk.has_room());
            let writes = !self.talk.out.is_empty() && self.exited.is_none() && is_open;
            let asked = self.stopping != Stopping::No;
            let due = self.next_due();
            let (mut read, mut write) = stream.split();
            if self.input.capacity() - self.input.len() < READ_BYTES {
                self.input.reserve(READ_BYTES);
            }
            // Fields are borrowed one by one, because the futures below are alive at the same time.
            let Self {
                process,
                talk,
                input,
                exited,
                ..
            } = self;
            let turn = {
                let (out, subscription) = talk.out_and_subscription();
                let delivery = async {
                    match subscription {
                        Some(subscription) => subscription.recv().await,
                        None => std::future::pending().await,
                    }
                };
                // In this order no branch starves: the first ones are bounded by the input of the later ones. Available input is
                // read before a deadline counts as passed.
                tokio::select! {
                    biased;
                    status = process.wait(), if exited.is_none() => Turn::Exited(status?),
                    () = token.cancelled(), if !asked => Turn::Stop,
                    delivery = delivery, if !asked && is_open => Turn::Delivery(delivery),
                    written = write.write_buf(out), if writes => Turn::Written(written),
                    count = read.read_buf(input), if is_open && reads => Turn::Read(count),
                    () = place.desk.queue.changed() => Turn::Looks,
                    () = tokio::time::sleep_until(due.into()) => Turn::Looks,
                }
            };
            self.turn(turn)?;
        }
    }

    fn turn(&mut self, turn: Turn) -> Result<(), SessionEnd> {
        let now = Instant::now();
        match turn {
            Turn::Exited(status) => self.exited = Some((status, now + LAST_FRAMES)),
            // The process has closed its end: its exit status has the reason.
            Turn::Written(Err(_)) | Turn::Read(Err(_) | Ok(0)) => self.closed = Some(now + LAST_FRAMES),
            Turn::Read(Ok(_)) => {
                self.pulse.received_at = now;
                self.pulse.pinged_at = None;
            }
            Turn::Delivery(Some(delivery)) => self.talk.deliver(delivery),
            Turn::Delivery(None) => self.talk.unsubscribed(),
            Turn::Stop => {
                let within = self.stop_within;
                self.talk
                    .shutdown(u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
                self.stopping = Stopping::Requested {
                    terminate_at: now + within * TERMINATE_SHARE / 100,
                    kill_at: now + within,
                };
            }
            Turn::Written(Ok(_)) | Turn::Looks => {}
        }
        Ok(())
    }

    /// Reads frames while there is room for the answers to them.
    fn read_frames(&mut self, now: Instant) -> Result<(), SessionEnd> {
        let limits = self.place.options.limits;
        while self.talk.has_room() {
            let decoded = decode_with::<ToHost>(&mut self.input, &limits, self.talk.attached());
            let Some(frame) = decoded.map_err(|error| SessionEnd::Broke(error.into()))? else {
                return Ok(());
            };
            self.talk.take(frame, now)?;
        }
        Ok(())
    }

    fn is_over(&self, now: Instant) -> Option<SessionEnd> {
        let is_read = |until: Instant| self.closed.is_some() || until <= now;
        match (self.exited, self.closed) {
            (Some((status, until)), _) if is_read(until) => Some(match self.stopping {
                Stopping::No => SessionEnd::Exited(status),
                Stopping::Requested { .. } | Stopping::Terminated { .. } => SessionEnd::Stopped(status),
            }),
            (None, Some(until)) if until <= now && self.stopping == Stopping::No => Some(SessionEnd::Closed),
            _ => None,
        }
    }

    fn next_due(&self) -> Instant {
        let options = &self.place.options;
        let pulse = match self.pulse.pinged_at {
            None => self.pulse.received_at + options.silence_max / PING_SHARE,
            Some(pinged_at) => pinged_at + options.silence_max,
        };
        let hello = (!self.talk.is_registered() && self.closed.is_none()).then(|| self.begun + options.hello_within);
        let stop = match self.stopping {
            Stopping::No => None,
            Stopping::Requested { terminate_at, .. } => Some(terminate_at),
            Stopping::Terminated { kill_at } => Some(kill_at),
        };
        let exited = self.exited.map(|(_, until)| until);
        // A process that was asked to end may close its channel at any time.
        let closed = self.closed.filter(|_| self.stopping == Stopping::No);
        let is_monitored = self.closed.is_none() && self.exited.is_none() && self.talk.is_registered();
        let all = [hello, stop, exited, closed, self.talk.next_due()];
        let pulse = is_monitored.then_some(pulse);
        let next = all.into_iter().flatten().chain(pulse).min();
        next.unwrap_or_else(|| Instant::now() + options.silence_max)
    }

    fn due(&mut self, now: Instant) -> Result<(), SessionEnd> {
        let options = &self.place.options;
        self.talk.due(now)?;
        match self.stopping {
            Stopping::Requested { terminate_at, kill_at } if terminate_at <= now => {
                self.process.terminate()?;
                self.stopping = Stopping::Terminated { kill_at };
            }
            Stopping::Terminated { kill_at } if kill_at <= now => return Err(SessionEnd::Killed(self.stop_within)),
            _ => {}
        }
        if self.exited.is_some() || self.closed.is_some() {
            return Ok(());
        }
        if !self.talk.is_registered() && self.begun + options.hello_within <= now {
            return Err(SessionEnd::NoHello(options.hello_within));
        }
        match self.pulse.pinged_at {
            None if self.pulse.received_at + options.silence_max / PING_SHARE <= now && self.talk.is_registered() => {
                self.pulse.pings += 1;
                self.pulse.pinged_at = Some(now);
                self.talk.ping(self.pulse.pings);
            }
            Some(pinged_at) if pinged_at + options.silence_max <= now => {
                return Err(SessionEnd::Silent(options.silence_max));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The event that an iteration of the loop waited for.
enum Turn {
    Exited(ExitStatus),
    Written(std::io::Result<usize>),
    Read(std::io::Result<usize>),
    Delivery(Option<crate::bus::Delivery>),
    Stop,
    /// There may be work, notes, or a passed deadline.
    Looks,
}

//! The memory of a process for values on their way to or from another process, such as a cell.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one permit stands for.
const UNIT: usize = 1 << 10;

/// Limits the bytes of values in transit between this process and another one. There are five kinds, each with the same maximum:
/// calls of the other process, answers to them, answers that its worker's thread blocks for, calls that were passed on to workers,
/// and the other process's replies to calls of this one. Clones share the limits. By default there are none.
///
/// Every wait ends: a value that waits for room holds none of the same kind, and one that has room waits only for storage or for
/// the connection, never for code of workers.
#[derive(Clone, Default)]
pub struct Transit(Option<Arc<Rooms>>);

struct Rooms {
    units: usize,
    bytes_max: usize,
    questions: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    awaited: Arc<Semaphore>,
    passed_on: Arc<Semaphore>,
    replies: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// Bytes of answers in memory that wait for room.
    waiting: AtomicUsize,
}

/// Room that is held for a value in transit until this is dropped.
#[derive(Default)]
pub struct Held(Option<Room>);

struct Room {
    permit: OwnedSemaphorePermit,
    of: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Question,
    Answer,
    Awaited,
    PassedOn,
    Reply,
    Streams,
}

impl fmt::Debug for Transit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transit")
            .field(&self.0.as_ref().map(|rooms| rooms.bytes_max))
            .finish()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.0.as_ref().map_or(0, |room| room.permit.num_permits());
        f.debug_tuple("Held").field(&(units * UNIT)).finish()
    }
}

impl Transit {
    /// Values of at most this size need no room: the number of concurrent calls limits them.
    pub const SMALL_BYTES: usize = 16 << 10;

    /// Maximum number of streams that are read from the other process at a time, besides those of its events.
    pub const STREAMS_MAX: usize = 1024;

    /// Creates limits of `bytes_max` bytes, at least 1 MiB. A larger value waits until it is the only one.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.max(1 << 20);
        let units = (bytes_max / UNIT).min(u32::MAX as usize);
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self(Some(Arc::new(Rooms {
            units,
            bytes_max,
            questions: semaphore(units),
            answers: semaphore(units),
            awaited: semaphore(units),
            passed_on: semaphore(units),
            replies: semaphore(units),
            streams: semaphore(Self::STREAMS_MAX),
            waiting: AtomicUsize::new(0),
        })))
    }

    /// The limit of each kind; `usize::MAX` without limits.
    #[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "used by bindings that need SQLite"))]
    pub(crate) fn bytes_max(&self) -> usize {
        self.0.as_ref().map_or(usize::MAX, |rooms| rooms.bytes_max)
    }

    async fn wait(&self, bytes: usize, of: Kind) -> Held {
        let Some(rooms) = self.0.as_ref().filter(|_| bytes > Self::SMALL_BYTES) else {
            return Held(None);
        };
        let permit = Arc::clone(rooms.of(of)).acquire_many_owned(rooms.units(bytes)).await;
        // Fails only for a closed semaphore, and none is closed.
        Held(permit.ok().map(|permit| Room { permit, of }))
    }

    /// Waits for room for a call of this size, before it is received.
    pub async fn question(&self, bytes: usize) -> Held {
        self.wait(bytes, Kind::Question).await
    }

    /// Waits for room for an answer of this size, before its value is read. Must be called without room for another answer.
    pub async fn answer(&self, bytes: usize) -> Held {
        self.wait(bytes, Kind::Answer).await
    }

    /// As [`answer`](Self::answer), for one that a worker's thread blocks for. It has room of its own: other answers may wait for that
    /// thread to read them.
    #[cfg_attr(not(feature = "sql"), expect(dead_code, reason = "for Durable Objects"))]
    pub(crate) async fn awaited(&self, bytes: usize) -> Held {
        self.wait(bytes, Kind::Awaited).await
    }

    /// Waits for room for a reply of the other process, before it is received.
    pub async fn reply(&self, bytes: usize) -> Held {
        self.wait(bytes, Kind::Reply).await
    }

    /// Takes room for a call that is passed on to code of workers or of the embedder. Never waits, because such code may call the
    /// other process itself.
    ///
    /// # Errors
    /// The reason, if there is not enough.
    pub fn pass_on(&self, bytes: usize) -> Result<Held, String> {
        let Some(rooms) = self.0.as_ref().filter(|_| bytes > Self::SMALL_BYTES) else {
            return Ok(Held(None));
        };
        let of = Kind::PassedOn;
        let permit = Arc::clone(rooms.of(of)).try_acquire_many_owned(rooms.units(bytes));
        let permit = permit.map_err(|_| {
            format!(
                "the values that the worker has sent to other workers, and that these have not read, exceed {} bytes \
                 (`pool.cell_transit`): make fewer calls at a time, or send large data as streams",
                rooms.bytes_max
            )
        })?;
        Ok(Held(Some(Room { permit, of })))
    }

    /// Takes room for streams that are read from the other process.
    ///
    /// # Errors
    /// The reason, if there are too many.
    pub fn streams(&self, number: usize) -> Result<Vec<Held>, String> {
        let Some(rooms) = &self.0 else {
            return Ok(std::iter::repeat_with(Held::default).take(number).collect());
        };
        let of = Kind::Streams;
        let take = || {
            let permit = Arc::clone(rooms.of(of)).try_acquire_owned();
            let permit = permit.map_err(|_| {
                let max = Self::STREAMS_MAX;
                format!("the worker sends {max} streams already: await some of them first")
            });
            permit.map(|permit| Held(Some(Room { permit, of })))
        };
        std::iter::repeat_with(take).take(number).collect()
    }

    /// Waits for room for an answer that is in memory already, unless `held` is such room.
    ///
    /// # Errors
    /// The reason, if too much waits already.
    pub(super) async fn made(&self, held: Held, bytes: usize) -> Result<Held, String> {
        let Some(rooms) = &self.0 else { return Ok(held) };
        let has_room = held.is_of(rooms, Kind::Answer) || held.is_of(rooms, Kind::Awaited);
        if has_room || bytes <= Self::SMALL_BYTES {
            return Ok(held);
        }
        let waiting = Waiting::of(rooms, bytes);
        if waiting.all > bytes && waiting.all > rooms.bytes_max {
            return Err(format!(
                "the answers that wait until the worker has read others exceed {} bytes (`pool.cell_transit`): make fewer calls \
                 at a time, or return large data as streams",
                rooms.bytes_max
            ));
        }
        let room = self.answer(bytes).await;
        drop(waiting);
        Ok(room)
    }
}

impl Rooms {
    const fn of(&self, kind: Kind) -> &Arc<Semaphore> {
        match kind {
            Kind::Question => &self.questions,
            Kind::Answer => &self.answers,
            Kind::Awaited => &self.awaited,
            Kind::PassedOn => &self.passed_on,
            Kind::Reply => &self.replies,
            Kind::Streams => &self.streams,
        }
    }

    /// The permits for these bytes; for more than there are, all.
    fn units(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT).min(self.units)).unwrap_or(u32::MAX)
    }
}

/// The bytes of an answer that waits for room.
struct Waiting<'r> {
    rooms: &'r Rooms,
    bytes: usize,
    /// The bytes of all answers that wait, including these.
    all: usize,
}

impl<'r> Waiting<'r> {
    fn of(rooms: &'r Rooms, bytes: usize) -> Self {
        let all = rooms.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes;
        Self { rooms, bytes, all }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.rooms.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Held {
    fn is_of(&self, rooms: &Rooms, kind: Kind) -> bool {
        let room = self.0.as_ref().filter(|room| room.of == kind);
        room.is_some_and(|room| Arc::ptr_eq(room.permit.semaphore(), rooms.of(kind)))
    }

    /// Keeps room for this many bytes, and gives back the rest.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        if let Some(room) = &mut self.0 {
            let rest = room.permit.num_permits().saturating_sub(bytes.div_ceil(UNIT));
            drop(room.permit.split(rest));
        }
    }

    /// Holds the room until the last reference to these bytes is dropped.
    #[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "used by bindings that need SQLite"))]
    pub(crate) fn attach(self, bytes: Bytes) -> Bytes {
        match self.0 {
            None => bytes,
            Some(room) => Bytes::from_owner(Kept { bytes, _room: room }),
        }
    }
}

#[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "used by bindings that need SQLite"))]
struct Kept {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn values_beyond_the_limit_wait_for_those_before() {
        let transit = Transit::new(4 * MIB);
        let first = transit.answer(3 * MIB).now_or_never().unwrap();
        let mut second = Box::pin(transit.answer(2 * MIB));
        assert!(second.as_mut().now_or_never().is_none());
        // The other kinds do not wait for it, and neither do small values.
        assert!(transit.question(4 * MIB).now_or_never().is_some());
        assert!(transit.reply(4 * MIB).now_or_never().is_some());
        assert!(transit.answer(Transit::SMALL_BYTES).now_or_never().is_some());
        drop(first);
        assert!(second.now_or_never().is_some());
    }

    #[test]
    fn a_value_larger_than_the_limit_is_the_only_one() {
        let transit = Transit::new(4 * MIB);
        let small = transit.answer(MIB).now_or_never().unwrap();
        let mut large = Box::pin(transit.answer(64 * MIB));
        assert!(large.as_mut().now_or_never().is_none());
        drop(small);
        let large = large.now_or_never().unwrap();
        assert!(transit.answer(MIB).now_or_never().is_none());
        drop(large);
        assert!(transit.answer(MIB).now_or_never().is_some());
    }

    #[test]
    fn values_passed_on_to_workers_are_refused_beyond_the_limit_instead_of_waiting() {
        let transit = Transit::new(4 * MIB);
        let first = transit.pass_on(3 * MIB).unwrap();
        let refused = transit.pass_on(2 * MIB).unwrap_err();
        assert!(refused.contains("4194304 bytes (`pool.cell_transit`)"), "{refused}");
        drop(first);
        assert!(transit.pass_on(2 * MIB).is_ok());
    }

    #[test]
    fn answers_that_were_made_wait_up_to_the_limit() {
        let transit = Transit::new(4 * MIB);
        let made = |held| Box::pin(transit.made(held, 3 * MIB));
        let first = made(Held::default()).now_or_never().unwrap().unwrap();
        let mut second = made(Held::default());
        assert!(second.as_mut().now_or_never().is_none());
        let third = made(Held::default()).now_or_never().unwrap();
        assert!(third.unwrap_err().contains("`pool.cell_transit`"));
        // It has room already.
        let first = made(first).now_or_never().unwrap().unwrap();
        // The room of another process is not its own.
        let elsewhere = Transit::new(4 * MIB);
        let first = elsewhere.made(first, 3 * MIB).now_or_never().unwrap().unwrap();
        let second = second.now_or_never().unwrap().unwrap();
        assert!(made(first).now_or_never().is_none());
        drop(second);
        assert!(made(Held::default()).now_or_never().unwrap().is_ok());
    }

    #[test]
    fn room_is_held_by_what_it_is_attached_to() {
        let transit = Transit::new(4 * MIB);
        let mut held = transit.answer(4 * MIB).now_or_never().unwrap();
        held.shrink(2 * MIB);
        let bytes = held.attach(Bytes::from(vec![0; 2 * MIB]));
        let slice = bytes.slice(1..2);
        drop(bytes);
        assert!(transit.answer(3 * MIB).now_or_never().is_none());
        drop(slice);
        assert!(transit.answer(4 * MIB).now_or_never().is_some());
    }

    #[test]
    fn streams_have_a_maximum() {
        let transit = Transit::new(MIB);
        let all = transit.streams(Transit::STREAMS_MAX).unwrap();
        assert!(transit.streams(1).is_err());
        drop(all);
        assert_eq!(transit.streams(1).unwrap().len(), 1);
    }
}

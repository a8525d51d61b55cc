//! Objects that one side of a cell's connections offers to the other.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use isopod_runtime::handlers::Body;
use isopod_runtime::remote::Lent;
use isopod_runtime::websocket::{Upgrade, Wire};

/// Objects that the other side may use: bodies and WebSockets, which it takes by the number of their event or call, and functions
/// and objects, which it may call as long as it holds them.
#[derive(Clone, Default)]
pub(super) struct Offers(Arc<Mutex<Offered>>);

#[derive(Default)]
struct Offered {
    bodies: HashMap<u64, Vec<Option<Body>>>,
    sockets: HashMap<u64, Upgrade>,
    lent: HashMap<u64, Borrowed>,
    /// The last assigned number.
    last: u64,
    /// Events and calls that may be recalled, even after the other side has gone.
    recallable: HashSet<u64>,
    /// True once the other side has gone. Nothing is offered from then on.
    is_closed: bool,
}

impl Offered {
    /// Returns true if what belongs to this number is kept.
    fn keeps(&self, number: u64) -> bool {
        !self.is_closed || self.recallable.contains(&number)
    }
}

/// The offered parts of an event.
pub(super) struct Brought {
    pub(super) bodies: Vec<Body>,
    pub(super) stubs: Vec<Arc<dyn Lent>>,
}

/// A function or object that the other side can call.
struct Borrowed {
    /// The event or call that it belongs to.
    by: u64,
    lent: Arc<dyn Lent>,
}

impl Offers {
    fn lock(&self) -> MutexGuard<'_, Offered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the parts of an event or call until [`settle`](Self::settle), even if the other side goes earlier.
    pub(super) fn keep(&self, number: u64) {
        self.lock().recallable.insert(number);
    }

    /// Drops what is left of an event, a call or a response. What it lent is kept if the other side has it (`is_answered`) and is there.
    pub(super) fn settle(&self, number: u64, is_answered: bool) {
        let mut offered = self.lock();
        offered.recallable.remove(&number);
        let is_held = is_answered && !offered.is_closed;
        drop(offered);
        self.withdraw(number);
        if !is_held {
            self.take_back(number);
        }
    }

    /// Adds the bodies of an event or call.
    pub(super) fn add(&self, number: u64, bodies: Vec<Body>) {
        if !bodies.is_empty() {
            let mut offered = self.lock();
            if offered.keeps(number) {
                offered.bodies.insert(number, bodies.into_iter().map(Some).collect());
            }
        }
    }

    /// Takes the body with this path: `/body/EVENT/NUMBER`.
    pub(super) fn take(&self, path: &str) -> Option<Body> {
        let (event, number) = path.strip_prefix("/body/")?.split_once('/')?;
        let (event, number): (u64, usize) = (event.parse().ok()?, number.parse().ok()?);
        self.lock().bodies.get_mut(&event)?.get_mut(number)?.take()
    }

    /// Adds the WebSocket of an answer.
    pub(super) fn add_socket(&self, number: u64, socket: Option<Upgrade>) {
        if let Some(socket) = socket {
            let mut offered = self.lock();
            if !offered.is_closed {
                offered.sockets.insert(number, socket);
            }
        }
    }

    /// Takes the WebSocket with this path: `/socket/EVENT`.
    pub(super) fn take_socket(&self, path: &str) -> Option<Wire> {
        let number = path.strip_prefix("/socket/")?.parse().ok()?;
        let socket = self.lock().sockets.remove(&number)?;
        socket.take()
    }

    /// Lends the functions and objects of an event or call, and returns their numbers.
    pub(super) fn lend(&self, by: u64, stubs: Vec<Arc<dyn Lent>>) -> Vec<u64> {
        let mut offered = self.lock();
        if !offered.keeps(by) {
            // Numbers without an object, as if it had been withdrawn.
            return vec![0; stubs.len()];
        }
        let lend = |lent| {
            offered.last += 1;
            let number = offered.last;
            offered.lent.insert(number, Borrowed { by, lent });
            number
        };
        stubs.into_iter().map(lend).collect()
    }

    /// Returns the function or object with this number.
    pub(super) fn lent(&self, number: u64) -> Option<Arc<dyn Lent>> {
        self.lock().lent.get(&number).map(|borrowed| Arc::clone(&borrowed.lent))
    }

    /// Releases an object that the other side has dropped: `/release/NUMBER`.
    pub(super) fn release(&self, path: &str) {
        let number = path.strip_prefix("/release/").and_then(|number| number.parse().ok());
        // Dropped outside the lock, because this may run arbitrary code.
        let released = number.and_then(|number: u64| self.lock().lent.remove(&number));
        drop(released);
    }

    /// Removes the parts of an event or call that the other side has not read, or holds nothing of.
    pub(super) fn take_back(&self, by: u64) {
        let mut offered = self.lock();
        let taken: Vec<_> = offered.lent.extract_if(|_, borrowed| borrowed.by == by).collect();
        drop(offered);
        drop(taken);
    }

    /// Takes back all parts of an event that the other side has not begun; `None` if some were taken.
    pub(super) fn recall(&self, by: u64) -> Option<Brought> {
        let mut offered = self.lock();
        let bodies = offered.bodies.remove(&by).unwrap_or_default();
        let mut lent: Vec<_> = offered.lent.extract_if(|_, borrowed| borrowed.by == by).collect();
        drop(offered);
        lent.sort_unstable_by_key(|(number, _)| *number);
        let lent = lent.into_iter().map(|(_, borrowed)| borrowed.lent).collect();
        let bodies = bodies.into_iter().collect::<Option<_>>()?;
        Some(Brought { bodies, stubs: lent })
    }

    /// Drops the remaining bodies and the socket of an event or call.
    pub(super) fn withdraw(&self, number: u64) {
        let mut offered = self.lock();
        let left = (offered.bodies.remove(&number), offered.sockets.remove(&number));
        drop(offered);
        // Dropped outside the lock.
        drop(left);
    }

    /// Drops everything, because the other side has gone.
    pub(super) fn close(&self) {
        let mut offered = self.lock();
        offered.is_closed = true;
        let Offered {
            bodies,
            sockets,
            lent,
            recallable,
            ..
        } = &mut *offered;
        let left = (
            bodies
                .extract_if(|number, _| !recallable.contains(number))
                .collect::<Vec<_>>(),
            std::mem::take(sockets),
            lent.extract_if(|_, borrowed| !recallable.contains(&borrowed.by))
                .collect::<Vec<_>>(),
        );
        drop(offered);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use isopod_runtime::remote::{Parcel, ParcelFuture};

    use super::*;

    #[test]
    fn a_body_is_given_to_one_reader() {
        let offers = Offers::default();
        offers.add(7, vec!["a".into(), "b".into()]);
        assert_eq!(offers.take("/body/7/1").unwrap().as_bytes().unwrap(), "b");
        assert!(offers.take("/body/7/1").is_none());
        for path in [
            "/body/7/2",
            "/body/8/0",
            "/body/7",
            "/body/7/0/0",
            "/control",
            "/body/-1/0",
        ] {
            assert!(offers.take(path).is_none(), "{path}");
        }
        offers.withdraw(7);
        assert!(offers.take("/body/7/0").is_none());
    }

    struct Nothing;

    impl Lent for Nothing {
        fn call(&self, asked: Parcel, _bytes_max: usize) -> ParcelFuture {
            Box::pin(std::future::ready(Ok(asked)))
        }
    }

    #[test]
    fn unread_parts_of_an_event_can_be_recalled() {
        let offers = Offers::default();
        let lent = || vec![Arc::new(Nothing) as Arc<dyn Lent>; 2];
        for event in [1, 2] {
            offers.add(event, vec!["a".into(), "b".into()]);
            assert_eq!(offers.lend(event, lent()).len(), 2);
        }
        let Brought { bodies, stubs } = offers.recall(1).unwrap();
        assert_eq!((bodies[1].as_bytes().unwrap(), stubs.len()), (&b"b"[..].into(), 2));
        assert!(offers.take("/body/1/0").is_none());
        assert!(offers.take("/body/2/0").is_some() && offers.recall(2).is_none());
    }

    #[test]
    fn lent_values_are_held_until_released() {
        let offers = Offers::default();
        let lent = Arc::new(Nothing);
        let lend = |by, count| offers.lend(by, vec![Arc::clone(&lent) as Arc<dyn Lent>; count]);
        let first = lend(1, 2);
        let second = lend(2, 1);
        assert_eq!(Arc::strong_count(&lent), 4);
        offers.release(&format!("/release/{}", first[0]));
        offers.release(&format!("/release/{}", first[0]));
        assert_eq!(Arc::strong_count(&lent), 3);
        assert!(offers.lent(first[0]).is_none() && offers.lent(first[1]).is_some());
        offers.take_back(1);
        assert!(offers.lent(first[1]).is_none() && offers.lent(second[0]).is_some());
        offers.close();
        assert_eq!(Arc::strong_count(&lent), 1);
        assert!(offers.lent(lend(3, 1)[0]).is_none());
    }

    #[test]
    fn parts_of_a_question_can_be_recalled_from_a_side_that_is_gone() {
        let offers = Offers::default();
        let lent = Arc::new(Nothing);
        let offer = |number| {
            offers.keep(number);
            offers.add(number, vec!["a".into()]);
            offers.lend(number, vec![Arc::clone(&lent) as Arc<dyn Lent>]);
        };
        offer(1);
        offers.close();
        offer(2);
        for number in [1, 2] {
            let Brought { bodies, stubs } = offers.recall(number).unwrap();
            assert_eq!((bodies.len(), stubs.len()), (1, 1));
        }
        offer(3);
        offers.settle(3, true);
        assert_eq!(Arc::strong_count(&lent), 1);
        assert!(offers.recall(3).unwrap().bodies.is_empty());
    }
}

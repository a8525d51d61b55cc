//! Thread-local clients: created once per configuration, and used by all workers of the thread.

use std::any::Any;
use std::rc::{Rc, Weak};

use super::CLIENTS;

/// Maximum number of clients of one type that a thread keeps for its runtime. Beyond it, the least recently used one is
/// dropped.
pub const CLIENTS_MAX: usize = 32;

/// The clients of a thread, most recently used last. Few enough for a linear search.
#[derive(Default)]
pub(super) struct Clients {
    entries: Vec<Entry>,
}

struct Entry {
    io: Weak<()>,
    client: Box<dyn Any>,
}

/// Key and client of an entry. Its concrete type identifies it among entries of other types.
struct Keyed<K, C> {
    key: K,
    client: C,
}

pub(super) fn get_or_build<K, C, E>(io: &Rc<()>, key: &K, build: impl FnOnce(&K) -> Result<C, E>) -> Result<C, E>
where
    K: Clone + PartialEq + 'static,
    C: Clone + 'static,
{
    if let Some(client) = CLIENTS.with_borrow_mut(|clients| clients.find::<K, C>(io, key)) {
        return Ok(client);
    }
    // Not under the borrow: `build` is foreign code.
    let client = build(key)?;
    tracing::debug!(
        thread = std::thread::current().name().unwrap_or("unnamed"),
        client = std::any::type_name::<C>(),
        "client built"
    );
    let evicted = CLIENTS.with_borrow_mut(|clients| clients.insert::<K, C>(io, key.clone(), client.clone()));
    drop(evicted);
    Ok(client)
}

/// Drops the clients of a runtime. After the thread's thread-locals have been destroyed, they are gone already.
pub(super) fn drop_all(io: &Rc<()>) {
    let taken = CLIENTS.try_with(|clients| {
        let (mine, others) = std::mem::take(&mut clients.borrow_mut().entries)
            .into_iter()
            .partition(|entry| entry.is_of(io));
        clients.borrow_mut().entries = others;
        let mine: Vec<Entry> = mine;
        mine
    });
    drop(taken);
}

impl Clients {
    fn find<K: PartialEq + 'static, C: Clone + 'static>(&mut self, io: &Rc<()>, key: &K) -> Option<C> {
        let at = self.entries.iter().rposition(|entry| {
            entry.is_of(io)
                && entry
                    .client
                    .downcast_ref::<Keyed<K, C>>()
                    .is_some_and(|keyed| keyed.key == *key)
        })?;
        self.entries[at..].rotate_left(1);
        let found = self.entries.last()?.client.downcast_ref::<Keyed<K, C>>()?;
        Some(found.client.clone())
    }

    fn insert<K: 'static, C: 'static>(&mut self, io: &Rc<()>, key: K, client: C) -> Option<Entry> {
        let same = |entry: &Entry| entry.is_of(io) && entry.client.is::<Keyed<K, C>>();
        let full = self.entries.iter().filter(|entry| same(entry)).count() >= CLIENTS_MAX;
        let evicted = if full {
            self.entries.iter().position(same).map(|at| self.entries.remove(at))
        } else {
            None
        };
        self.entries.push(Entry {
            io: Rc::downgrade(io),
            client: Box::new(Keyed { key, client }),
        });
        evicted
    }
}

impl Entry {
    fn is_of(&self, io: &Rc<()>) -> bool {
        self.io.as_ptr() == Rc::as_ptr(io)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::rc::Rc;

    use super::{CLIENTS_MAX, drop_all, get_or_build};

    #[test]
    fn a_client_is_built_once_for_a_key_and_a_runtime() {
        let (one, two) = (Rc::new(()), Rc::new(()));
        let mut built = 0;
        for (io, key) in [(&one, 'a'), (&one, 'a'), (&one, 'b'), (&two, 'a'), (&one, 'b')] {
            let _ = get_or_build(io, &key, |_| -> Result<u64, Infallible> {
                built += 1;
                Ok(7)
            });
        }
        assert_eq!(built, 3);
    }

    #[test]
    fn clients_of_a_runtime_are_dropped_with_it() {
        let (one, two) = (Rc::new(()), Rc::new(()));
        let client = Rc::new("client");
        for io in [&one, &two] {
            get_or_build(io, &1, |_| Ok::<_, Infallible>(client.clone())).unwrap();
        }
        assert_eq!(Rc::strong_count(&client), 3);
        drop_all(&one);
        assert_eq!(Rc::strong_count(&client), 2);
    }

    #[test]
    fn the_least_recently_used_client_makes_room() {
        let io = Rc::new(());
        let build = |key: usize| get_or_build(&io, &key, |_| Ok::<_, Infallible>(Rc::new(key))).unwrap();
        let first = build(0);
        let second = build(1);
        for key in 2..CLIENTS_MAX {
            build(key);
        }
        build(0);
        build(CLIENTS_MAX);
        assert_eq!((Rc::strong_count(&first), Rc::strong_count(&second)), (2, 1));
    }
}

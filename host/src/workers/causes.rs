//! The messages that a script is handling: the causes of the messages that it publishes meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bus::Message;

#[derive(Debug, Default)]
pub(super) struct Causes(Mutex<Handled>);

#[derive(Debug, Default)]
struct Handled {
    next: u64,
    /// By message id and a number of the delivery, because several subscriptions may deliver the same message. Bounded by the
    /// concurrency of the subscriptions.
    messages: BTreeMap<(u64, u64), Arc<Message>>,
}

/// The guard of a message that is being handled.
pub(super) struct Entered {
    causes: Arc<Causes>,
    key: (u64, u64),
}

impl Causes {
    pub(super) fn enter(self: &Arc<Self>, message: Arc<Message>) -> Entered {
        let key = self.with(|handled| {
            let key = (message.id, handled.next);
            handled.next += 1;
            handled.messages.insert(key, message);
            key
        });
        Entered {
            causes: Arc::clone(self),
            key,
        }
    }

    /// Returns the message with this id while it is being handled.
    pub(super) fn of_id(&self, id: u64) -> Option<Arc<Message>> {
        self.with(|handled| {
            let mut same = handled.messages.range((id, 0)..=(id, u64::MAX));
            same.next().map(|(_, message)| Arc::clone(message))
        })
    }

    fn with<R>(&self, act: impl FnOnce(&mut Handled) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _message = self.causes.with(|handled| handled.messages.remove(&self.key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_by_its_id_until_its_last_delivery_has_ended() {
        let causes = Arc::new(Causes::default());
        let message = |id| {
            let mut message = Message::new("a".parse().unwrap(), ());
            message.id = id;
            Arc::new(message)
        };
        let (first, other) = (message(1), message(2));
        let (one, again, _other) = (
            causes.enter(first.clone()),
            causes.enter(first),
            causes.enter(other.clone()),
        );
        assert!(causes.of_id(2).is_some_and(|found| Arc::ptr_eq(&found, &other)));
        drop(one);
        assert_eq!(causes.of_id(1).map(|message| message.id), Some(1));
        drop(again);
        assert!(causes.of_id(1).is_none());
    }
}

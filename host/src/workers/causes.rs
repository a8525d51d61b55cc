//! The messages that a script handles now: what it publishes meanwhile was led to by one of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bus::Message;

#[derive(Debug, Default)]
pub(super) struct Causes(Mutex<Handled>);

#[derive(Debug, Default)]
struct Handled {
    next: u64,
    /// Never more than the script's subscriptions hand it at a time.
    messages: BTreeMap<u64, Arc<Message>>,
}

/// A message is handled for as long as this is there.
pub(super) struct Entered {
    causes: Arc<Causes>,
    key: u64,
}

impl Causes {
    pub(super) fn enter(self: &Arc<Self>, message: Arc<Message>) -> Entered {
        let key = self.with(|handled| {
            let key = handled.next;
            handled.next += 1;
            handled.messages.insert(key, message);
            key
        });
        Entered {
            causes: Arc::clone(self),
            key,
        }
    }

    /// The message of this depth that is handled, the newest of several. The depth is known for certain, and limits
    /// circles; of several messages at once the wrong one may be taken for the cause, which only makes a worse error text.
    pub(super) fn of_depth(&self, depth: u32) -> Option<Arc<Message>> {
        self.with(|handled| {
            let mut newest = handled.messages.values().rev();
            newest.find(|message| message.depth == depth).cloned()
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
    fn the_newest_message_of_the_depth_is_the_cause_until_it_is_handled() {
        let causes = Arc::new(Causes::default());
        let message = |topic: &str, depth| Arc::new(Message::new(topic.parse().unwrap(), ()).at_depth(depth));
        let topic_of = |depth| causes.of_depth(depth).map(|message| message.topic.as_str().to_owned());
        let _a = causes.enter(message("a", 1));
        let b = causes.enter(message("b", 1));
        let _c = causes.enter(message("c", 2));
        assert_eq!(topic_of(1).as_deref(), Some("b"));
        drop(b);
        assert_eq!(topic_of(1).as_deref(), Some("a"));
        assert_eq!(topic_of(0), None);
    }
}

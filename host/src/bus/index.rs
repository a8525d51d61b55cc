//! Index of subscriptions: a trie of segments, so the cost of a message depends on its topic's length and not on other
//! subscriptions.
//!
//! Nodes are shared and copied on write. A publisher walks a snapshot without a lock, so the code it wakes may subscribe and
//! unsubscribe, and a change only copies nodes that are being walked.

use std::collections::HashMap;
use std::sync::Arc;

use super::topic::Pattern;

/// A trie of subscriptions; cloning it is cheap.
#[derive(Debug)]
pub(super) struct Index<T>(Arc<Node<T>>);

#[derive(Debug)]
struct Node<T> {
    /// Children by the next segment.
    named: HashMap<Box<str>, Arc<Node<T>>>,
    /// The child for `*`.
    any: Option<Arc<Node<T>>>,
    /// Subscriptions whose pattern ends here.
    here: Vec<Arc<Entry<T>>>,
    /// Subscriptions whose pattern ends with `>` here.
    rest: Vec<Arc<Entry<T>>>,
}

/// One pattern of one subscription.
#[derive(Debug)]
pub(super) struct Entry<T> {
    /// The subscription's number.
    pub(super) id: u64,
    /// All patterns of the subscription; this entry is for the one at `pattern`.
    pub(super) patterns: Arc<[Pattern]>,
    pub(super) pattern: usize,
    /// The subscription.
    pub(super) subscriber: T,
}

impl<T> Clone for Index<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

// Implemented by hand: cloning a node shares its values, which need not be `Clone`.
impl<T> Clone for Node<T> {
    fn clone(&self) -> Self {
        Self {
            named: self.named.clone(),
            any: self.any.clone(),
            here: self.here.clone(),
            rest: self.rest.clone(),
        }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            named: HashMap::new(),
            any: None,
            here: Vec::new(),
            rest: Vec::new(),
        }
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.any.is_none() && self.here.is_empty() && self.rest.is_empty()
    }
}

impl<T> Index<T> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    pub(super) fn insert(&mut self, entry: Entry<T>) {
        let pattern = entry.patterns[entry.pattern].clone();
        let mut node = &mut self.0;
        for segment in pattern.segments() {
            let inner = Arc::make_mut(node);
            node = match segment {
                ">" => {
                    inner.rest.push(Arc::new(entry));
                    return;
                }
                "*" => inner.any.get_or_insert_default(),
                name => inner.named.entry(name.into()).or_default(),
            };
        }
        Arc::make_mut(node).here.push(Arc::new(entry));
    }

    /// Removes the entry of this subscription under one of its patterns, and nodes that become empty.
    pub(super) fn remove(&mut self, id: u64, pattern: &Pattern) {
        let segments: Vec<_> = pattern.segments().collect();
        remove(&mut self.0, &segments, id);
    }

    /// Visits each entry whose pattern matches the topic, in no particular order. A subscription is visited once for each such
    /// pattern.
    pub(super) fn each(&self, topic: &str, visit: &mut impl FnMut(&Entry<T>)) {
        walk(&self.0, Some(topic), visit);
    }
}

fn walk<T>(node: &Node<T>, topic: Option<&str>, visit: &mut impl FnMut(&Entry<T>)) {
    let Some(topic) = topic else {
        node.here.iter().for_each(|entry| visit(entry));
        return;
    };
    node.rest.iter().for_each(|entry| visit(entry));
    let (segment, rest) = match topic.split_once('.') {
        Some((segment, rest)) => (segment, Some(rest)),
        None => (topic, None),
    };
    if let Some(named) = node.named.get(segment) {
        walk(named, rest, visit);
    }
    if let Some(any) = &node.any {
        walk(any, rest, visit);
    }
}

fn remove<T>(node: &mut Arc<Node<T>>, segments: &[&str], id: u64) {
    let inner = Arc::make_mut(node);
    match segments.split_first() {
        None => inner.here.retain(|entry| entry.id != id),
        Some((&">", _)) => inner.rest.retain(|entry| entry.id != id),
        Some((&"*", deeper)) => {
            if let Some(any) = &mut inner.any {
                remove(any, deeper, id);
                if any.is_empty() {
                    inner.any = None;
                }
            }
        }
        Some((name, deeper)) => {
            if let Some(named) = inner.named.get_mut(*name) {
                remove(named, deeper, id);
                if named.is_empty() {
                    inner.named.remove(*name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::topic::Topic;
    use super::*;

    fn pattern() -> impl Strategy<Value = Pattern> {
        let segment = prop::sample::select(vec!["a", "b", "c", "*"]);
        (prop::collection::vec(segment, 1..4), any::<bool>()).prop_map(|(mut segments, rest)| {
            if rest {
                segments.push(">");
            }
            segments.join(".").parse().expect("a pattern")
        })
    }

    fn topic() -> impl Strategy<Value = Topic> {
        let segment = prop::sample::select(vec!["a", "b", "c", "d"]);
        prop::collection::vec(segment, 1..5).prop_map(|segments| segments.join(".").parse().expect("a topic"))
    }

    fn found(index: &Index<()>, topic: &Topic) -> Vec<u64> {
        let mut ids = Vec::new();
        index.each(topic.as_str(), &mut |entry| ids.push(entry.id));
        ids.sort_unstable();
        ids
    }

    proptest! {
        #[test]
        fn the_index_finds_what_matching_each_pattern_finds_and_is_empty_in_the_end(
            patterns in prop::collection::vec(pattern(), 0..20),
            topics in prop::collection::vec(topic(), 1..10),
            removed in prop::collection::vec(any::<bool>(), 20),
        ) {
            let mut index = Index::new();
            for (id, pattern) in (0..).zip(&patterns) {
                index.insert(Entry { id, patterns: [pattern.clone()].into(), pattern: 0, subscriber: () });
            }
            let matching = |topic: &Topic, gone: &[bool]| -> Vec<u64> {
                (0..).zip(&patterns).zip(gone)
                    .filter(|((_, pattern), gone)| !**gone && pattern.matches(topic))
                    .map(|((id, _), _)| id)
                    .collect()
            };
            let snapshot = index.clone();
            for topic in &topics {
                prop_assert_eq!(found(&index, topic), matching(topic, &[false; 20]));
            }
            for ((id, pattern), _) in (0..).zip(&patterns).zip(&removed).filter(|(_, gone)| **gone) {
                index.remove(id, pattern);
            }
            for topic in &topics {
                prop_assert_eq!(found(&index, topic), matching(topic, &removed));
                prop_assert_eq!(found(&snapshot, topic), matching(topic, &[false; 20]), "a snapshot does not change");
            }
            for (id, pattern) in (0..).zip(&patterns) {
                index.remove(id, pattern);
            }
            prop_assert!(index.0.is_empty());
        }
    }
}

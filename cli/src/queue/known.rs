//! The queues that a configuration names.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::config::{BoundAs, Config, Producer, Queue, QueueKey};

/// A queue, and the workers that use it.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) queue: Queue,
    /// `worker.BINDING` of each producer.
    pub(super) producers: Vec<String>,
    /// The worker that consumes it.
    pub(super) consumer: Option<String>,
    /// The queue for its dead letters.
    pub(super) dead_letters: Option<Queue>,
}

/// All queues of a configuration.
#[derive(Debug)]
pub(super) struct Known(BTreeMap<QueueKey, Used>);

impl Known {
    pub(super) fn of(config: &Config) -> Self {
        let mut known = Self(BTreeMap::new());
        for BoundAs { worker, name, binding } in config.bound::<Producer>() {
            known.used(&binding.queue).producers.push(format!("{worker}.{name}"));
        }
        for (name, worker) in &config.workers {
            for consumer in &worker.consumers {
                let used = known.used(&consumer.queue);
                used.consumer = Some(name.clone());
                used.dead_letters.clone_from(&consumer.dead_letters);
                if let Some(dead_letters) = &consumer.dead_letters {
                    known.used(dead_letters);
                }
            }
        }
        known
    }

    fn used(&mut self, queue: &Queue) -> &mut Used {
        self.0.entry(queue.key()).or_insert_with(|| Used {
            queue: queue.clone(),
            producers: Vec::new(),
            consumer: None,
            dead_letters: None,
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Used> {
        self.0.values()
    }

    /// Returns the queue of this name.
    pub(super) fn named(&self, name: &str) -> Result<Queue> {
        let mut named = self.all().filter(|used| used.queue.name == name);
        match (named.next(), named.next()) {
            (Some(one), None) => Ok(one.queue.clone()),
            (Some(_), Some(_)) => {
                bail!(
                    "there are several queues \"{name}\", in different folders; name the configuration with --project"
                )
            }
            (None, _) if self.0.is_empty() => {
                bail!("the configuration has no queue; add one to `queues.producers` or `queues.consumers`")
            }
            (None, _) => {
                let names: Vec<_> = self.all().map(|used| used.queue.name.as_str()).collect();
                bail!(
                    "there is no queue \"{name}\"; the configuration has {}",
                    names.join(", ")
                )
            }
        }
    }

    /// Returns the queue whose dead letters go to the one of this name.
    pub(super) fn source_of(&self, name: &str) -> Result<Queue> {
        let is_source = |used: &&Used| used.dead_letters.as_ref().is_some_and(|dead| dead.name == name);
        let mut sources = self.all().filter(is_source);
        match (sources.next(), sources.next()) {
            (Some(one), None) => Ok(one.queue.clone()),
            (None, _) => {
                bail!("\"{name}\" is no queue's `dead_letter_queue`; say where the messages go with --to QUEUE")
            }
            (Some(_), Some(_)) => {
                bail!(
                    "several queues have \"{name}\" as `dead_letter_queue`; say where the messages go with --to QUEUE"
                )
            }
        }
    }
}

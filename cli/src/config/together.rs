//! Several configurations that are served together, as `wrangler dev -c first -c further` does: the first one receives the requests, and
//! its workers reach those of the further ones by service bindings, queues and Durable Objects.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::discover::Located;
use super::others::{Others, Together};
use super::overrides::Overrides;
use super::problem::{ConfigError, Fault, Problem};
use super::settings::Config;
use super::{invalid, load, load_one};

/// Loads the configurations found by [`discover`](super::discover), of which the first one receives the requests. Everything except
/// workers, their bindings and, in production mode, their routes is taken from the first one.
///
/// # Errors
///
/// As for [`load`]; and [`ConfigError::Invalid`] if one has no worker, or two have a worker of the same name or consume the same queue.
pub fn load_together(
    located: &[Located],
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
) -> Result<Config, ConfigError> {
    let (first, further) = match located {
        [] => {
            return Err(invalid(vec![conflict(
                "no configuration was named".to_owned(),
                "name one",
            )]));
        }
        [only] => return load(only, overrides, environment),
        [first, further @ ..] => (first, further),
    };
    let read = |located: &Located, together: Together| load_one(located, overrides, environment, &together);
    let unread = |first: Option<PathBuf>| Together {
        first,
        others: Others::Unread,
    };
    // Once for the names of their workers, and then with those.
    let root = read(first, unread(None))?.root;
    let mut others = BTreeMap::new();
    for (index, located) in [first].into_iter().chain(further).enumerate() {
        let config = read(located, unread((index > 0).then(|| root.clone())))?;
        if config.workers.is_empty() {
            let message = format!("{} has no worker, only assets", config.root.display());
            let remedy = "serve it alone, or give it a `main`";
            return Err(invalid(vec![conflict(message, remedy)]));
        }
        for name in config.workers.into_keys() {
            others.insert(name, config.object_storage.clone());
        }
    }
    let others = Others::Read(others);
    let together = |first: Option<PathBuf>| Together {
        first,
        others: others.clone(),
    };
    let mut all = read(first, together(None))?;
    for located in further {
        all = join(all, read(located, together(Some(root.clone())))?)?;
    }
    Ok(all)
}

fn join(mut all: Config, further: Config) -> Result<Config, ConfigError> {
    let mut problems = Vec::new();
    let consumers = all.workers.values().flat_map(|worker| &worker.consumers);
    let consumed: BTreeSet<_> = consumers.map(|consumer| consumer.queue.key()).collect();
    for (name, worker) in further.workers {
        for consumer in &worker.consumers {
            if consumed.contains(&consumer.queue.key()) {
                let message = format!(
                    "the queue \"{}\" has two consumers, one of them `{name}`",
                    consumer.queue.name
                );
                problems.push(conflict(
                    message,
                    "keep one; for more at a time, set its `max_concurrency`",
                ));
            }
        }
        match all.workers.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(worker);
            }
            Entry::Occupied(known) => {
                let message = format!("two of the configurations have a worker named `{}`", known.key());
                let remedy = "rename one of them; a script without a configuration is named `main`";
                problems.push(conflict(message, remedy));
            }
        }
    }
    if !problems.is_empty() {
        return Err(invalid(problems));
    }
    all.routes.extend(further.routes);
    all.notes.extend(further.notes);
    all.files.extend(further.files);
    Ok(all)
}

fn conflict(message: String, remedy: &str) -> Problem {
    Problem::new(Fault::Conflict { message }).remedy(remedy)
}

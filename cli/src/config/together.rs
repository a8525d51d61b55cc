//! Several configurations that are served together, as `wrangler dev -c first -c further` does: the first one receives the requests, and
//! its workers reach those of the further ones by service bindings, queues and Durable Objects.

use std::collections::BTreeMap;

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
    let Some((first, further)) = located.split_first() else {
        return Err(conflict("no configuration was named".to_owned(), "name one"));
    };
    if further.is_empty() {
        return load(first, overrides, environment);
    }
    let read = |located: &Located, together: &Together| load_one(located, overrides, environment, together);
    // Once for the folder of the first one and the names of all workers, and then with those.
    let mut root = None;
    let mut others = BTreeMap::new();
    for located in located {
        let together = Together {
            first: root.clone(),
            others: Others::Unread,
            ..Together::default()
        };
        let config = read(located, &together)?;
        if config.workers.is_empty() {
            let message = format!("{} has no worker, only assets", config.root.display());
            return Err(conflict(message, "serve it alone, or give it a `main`"));
        }
        root.get_or_insert(config.root);
        let names = config.workers.into_keys();
        others.extend(names.map(|name| (name, config.object_storage.clone())));
    }
    let mut together = Together {
        others: Others::Read(others),
        ..Together::default()
    };
    let mut all = read(first, &together)?;
    together.first = root;
    for located in further {
        let consumers = all.workers.values().flat_map(|worker| &worker.consumers);
        together.consumed = consumers.map(|consumer| consumer.queue.key()).collect();
        together.earlier = all.workers.keys().cloned().collect();
        let further = read(located, &together)?;
        all.workers.extend(further.workers);
        all.routes.extend(further.routes);
        all.notes.extend(further.notes);
        all.files.extend(further.files);
    }
    Ok(all)
}

fn conflict(message: String, remedy: &str) -> ConfigError {
    invalid(vec![Problem::new(Fault::Conflict { message }).remedy(remedy)])
}

//! Startup lines of `serve`: the number of threads or workers, and each worker with entry file, routes and bindings.

use std::path::Path;

use crate::config::{AssetsPlace, Config, Mode, Worker};

/// Maximum number of listed workers; above it only their number is shown.
const WORKERS_MAX: usize = 12;
/// Maximum number of items in a list.
const ITEMS_MAX: usize = 8;

/// Describes the configuration in a few lines, without secrets.
pub(super) fn lines(config: &Config, workers_max: usize) -> Vec<String> {
    let mode = match config.mode {
        Mode::Development => "development",
        Mode::Production => "production",
    };
    let size = match config.threads {
        Some(threads) => counted(threads, "thread"),
        None => format!("up to {} at a time", counted(workers_max, "worker")),
    };
    let mut lines = vec![format!("isopod {}, {mode} mode, {size}", env!("CARGO_PKG_VERSION"))];
    if let Some(assets) = &config.assets {
        lines.push(format!("  files of {}", assets.place));
    }
    let width = config.workers.keys().map(String::len).max().unwrap_or_default();
    for (name, worker) in config.workers.iter().take(WORKERS_MAX) {
        lines.push(format!("  worker {name:width$}  {}", described(config, name, worker)));
    }
    if let Some(more) = config.workers.len().checked_sub(WORKERS_MAX).filter(|more| *more > 0) {
        lines.push(format!("  and {more} more"));
    }
    lines
}

fn described(config: &Config, name: &str, worker: &Worker) -> String {
    let routes = config.routes.iter().filter(|route| route.worker == name);
    let routes: Vec<_> = routes.map(|route| route.pattern.to_string()).collect();
    let mut parts = vec![shortened(&config.root, &worker.main)];
    parts.extend(listed("routes", &routes));
    if let Some(assets) = &worker.assets {
        parts.push(match &assets.place {
            AssetsPlace::Folder(folder) => format!("files of {}", shortened(&config.root, folder)),
            place @ AssetsPlace::Bucket(_) => format!("files of {place}"),
        });
    }
    parts.extend(listed("bindings", &bindings(worker)));
    let crons: Vec<_> = worker.crons.iter().map(ToString::to_string).collect();
    parts.extend(listed("crons", &crons));
    let topics: Vec<_> = worker.events.subscribe.iter().map(ToString::to_string).collect();
    parts.extend(listed("subscribes to", &topics));
    let queues: Vec<_> = worker
        .consumers
        .iter()
        .map(|consumer| consumer.queue.name.clone())
        .collect();
    parts.extend(listed("consumes", &queues));
    parts.join("; ")
}

/// Returns the names in `env`, with the type of each that is not a variable.
fn bindings(worker: &Worker) -> Vec<String> {
    let vars = worker.vars.keys().cloned();
    let secrets = worker.secrets.keys().map(|name| format!("{name} (secret)"));
    let others = worker.bindings.iter();
    let others = others.map(|bound| format!("{} ({})", bound.name, bound.binding.kind()));
    vars.chain(secrets).chain(others).collect()
}

fn listed(what: &str, items: &[String]) -> Option<String> {
    let shown = items
        .iter()
        .take(ITEMS_MAX)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match items.len() {
        0 => None,
        len if len > ITEMS_MAX => Some(format!("{what} {shown} and {} more", len - ITEMS_MAX)),
        _ => Some(format!("{what} {shown}")),
    }
}

fn shortened(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Overrides, discover, load};

    fn config(files: &[(&str, &str)]) -> (tempfile::TempDir, Config) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let config = load(
            &discover(folder.path()).unwrap(),
            &Overrides::default(),
            &BTreeMap::new(),
        )
        .unwrap();
        (folder, config)
    }

    #[test]
    fn the_summary_lists_workers_without_secrets() {
        let text = "env_files = ['keys.env']\n[workers.shop]\nmain = 'shop.ts'\nvars = { GREETING = 'hi' }\nsecrets = ['KEY']\ncrons = ['0 * * * *']\n\
                    [[workers.shop.databases]]\nbinding = 'DB'\nurl = 'sqlite::memory:'\n\
                    [workers.a]\nmain = 'a.ts'\n\
                    [[routes]]\npattern = 'shop.example/*'\nworker = 'shop'\n[[routes]]\npattern = '/*'\nworker = 'a'\n";
        let (_folder, mut config) = config(&[
            ("isopod.toml", text),
            ("shop.ts", ""),
            ("a.ts", ""),
            ("keys.env", "KEY=hunter2"),
        ]);
        let expected = [
            format!(
                "isopod {}, development mode, up to 200 workers at a time",
                env!("CARGO_PKG_VERSION")
            ),
            "  worker a     a.ts; routes /*".to_owned(),
            "  worker shop  shop.ts; routes shop.example/*; bindings GREETING, KEY (secret), DB (SQL); crons 0 * * * *"
                .to_owned(),
        ];
        assert_eq!(lines(&config, 200), expected);
        config.threads = Some(2);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            lines(&config, 2)[0],
            format!("isopod {version}, development mode, 2 threads")
        );
    }

    #[test]
    fn a_folder_of_files_is_named() {
        let (folder, config) = config(&[("index.html", "<h1>hi</h1>")]);
        let expected = format!("  files of {}", folder.path().display());
        assert_eq!(lines(&config, 1).get(1), Some(&expected));
    }
}

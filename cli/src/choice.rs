//! The choice of one binding of the configuration by the arguments of a command.

use anyhow::{Result, bail};

use crate::config::BoundAs;

/// The names of bindings, for messages.
pub(crate) fn names<T>(all: &[BoundAs<'_, T>]) -> String {
    let names = all.iter().map(|bound| format!("{}.{}", bound.worker, bound.name));
    names.collect::<Vec<_>>().join(", ")
}

/// Returns the first binding that fits, of the worker if one is named, and the others. Messages call one a `kind`, and say that one is
/// added to `keys`.
pub(crate) fn choose<'a, T>(
    all: &'a [BoundAs<'a, T>],
    (kind, keys): (&str, &str),
    worker: Option<&str>,
    fits: impl Fn(&BoundAs<'a, T>) -> bool,
) -> Result<(&'a BoundAs<'a, T>, Vec<&'a T>)> {
    let is_of_worker = |bound: &BoundAs<'a, T>| worker.is_none_or(|worker| worker == bound.worker);
    let mut found = all.iter().filter(|bound| is_of_worker(bound) && fits(bound));
    match found.next() {
        Some(first) => Ok((first, found.map(|bound| bound.binding).collect())),
        None if all.is_empty() => bail!("the configuration has no {kind}; add one to {keys}"),
        None => bail!("there is no such {kind}; the configuration has {}", names(all)),
    }
}

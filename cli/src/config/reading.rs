//! The state of reading a configuration: the document, the lookup of names, and the problems and notes found so far.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::document::{KeyPath, Node};
use super::env_file::Lookup;
use super::others::Together;
use super::problem::{Fault, Note, Problem};
use super::source::Source;
use super::storage::{Engines, QueueKey};

/// A document that is being read, and the problems and notes about it.
pub(super) struct Reading<'a> {
    pub(super) source: &'a Source,
    pub(super) node: &'a Node,
    pub(super) lookup: &'a Lookup<'a>,
    pub(super) problems: Vec<Problem>,
    pub(super) notes: Vec<Note>,
    /// The workers that service bindings refer to, each with its place.
    pub(super) services: Vec<(KeyPath, String)>,
    /// The queues that have a consumer, those of earlier configurations included.
    pub(super) consumed: BTreeSet<QueueKey>,
    /// The engines of bindings.
    pub(super) engines: Engines,
    /// The names under which the objects of classes are stored, if they differ from the names of the classes.
    pub(super) object_storage: BTreeMap<String, String>,
    /// The configurations that are served with this one.
    pub(super) together: Together,
}

impl<'a> Reading<'a> {
    pub(super) fn new(source: &'a Source, node: &'a Node, lookup: &'a Lookup<'a>, together: &Together) -> Self {
        Self {
            source,
            node,
            lookup,
            problems: Vec::new(),
            notes: Vec::new(),
            services: Vec::new(),
            consumed: together.consumed.clone(),
            engines: Engines::default(),
            object_storage: BTreeMap::new(),
            together: together.clone(),
        }
    }

    /// Returns the path of data: relative to the configuration's folder or, in `.isopod`, where data without a path is, to that of the
    /// first configuration, so that all share it.
    pub(super) fn data_path(&self, path: &Path) -> PathBuf {
        match &self.together.first {
            Some(first) if path.starts_with(".isopod") => first.join(path),
            _ => self.source.folder().join(path),
        }
    }

    /// Adds a problem, at the place of `path`.
    pub(super) fn tell(&mut self, path: &KeyPath, fault: Fault, remedy: impl Into<String>) {
        let place = self.source.place(&self.node.locate(path));
        self.problems.push(Problem::new(fault).at(place).remedy(remedy));
    }

    /// Adds a warning, at the place of `path`.
    pub(super) fn note(&mut self, path: &KeyPath, message: impl Into<String>) {
        let place = self.source.place(&self.node.locate(path));
        self.notes.push(Note::warning(message, place));
    }

    /// Adds the problem that the variable `name`, which the value at `path` refers to, is not set.
    pub(super) fn unset(&mut self, path: &KeyPath, name: &str) {
        let message = format!("`{path}`: `{name}` is neither in the environment nor in an env file");
        let remedy = format!("set {name}, or add `{name}=…` to a file named by `env_files` or `--env-file`");
        self.tell(path, Fault::Conflict { message }, remedy);
    }
}

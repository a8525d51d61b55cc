//! The imports between the files of a crate.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::files::File;
use super::source::{Module, ModulePath, Source};

/// Maximum number of re-exports followed for a name; two globs can refer to each other.
const REEXPORTS_MAX: usize = 8;

/// The files of a crate and the imports between them, except imports of a module from its own children.
pub(super) struct Graph {
    /// The imported names, by importing file, then by defining file.
    imports: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

/// The modules of a crate.
struct Modules<'a> {
    /// Each module with its file and contents.
    all: BTreeMap<ModulePath, (&'a str, Module)>,
    /// The module of each file, without the inline ones.
    of_files: BTreeMap<&'a str, ModulePath>,
}

/// The target of a path.
enum Target<'a> {
    Module(ModulePath),
    /// An item: its name, and the path of the defining module.
    Item(&'a ModulePath, String),
}

impl Graph {
    /// Reads the files of the crate in the folder `root`. An error comes with the file's path.
    pub(super) fn read(root: &str, files: &[&File]) -> Result<Self, (String, syn::Error)> {
        let (mut all, mut of_files) = (BTreeMap::new(), BTreeMap::new());
        let mut for_tests = Vec::new();
        for file in files {
            let Some(path) = module_path(root, &file.path, files) else {
                continue;
            };
            of_files.insert(file.path.as_str(), path.clone());
            let source = Source::parse(path, &file.text).map_err(|error| (file.path.clone(), error))?;
            for_tests.extend(source.for_tests);
            let modules = source.modules.into_iter();
            all.extend(modules.map(|(path, module)| (path, (file.path.as_str(), module))));
        }
        all.retain(|path, _| !for_tests.iter().any(|test| path.starts_with(test)));
        Ok(Modules { all, of_files }.graph())
    }

    /// The groups of files that can reach each other, each sorted.
    pub(super) fn cycles(&self) -> Vec<Vec<&str>> {
        let mut cycles = BTreeSet::new();
        for file in self.imports.keys() {
            let cycle: Vec<_> = self
                .reachable(file)
                .into_iter()
                .filter(|other| self.reachable(other).contains(file.as_str()))
                .collect();
            if !cycle.is_empty() {
                cycles.insert(cycle);
            }
        }
        cycles.into_iter().collect()
    }

    /// A shortest cycle among the files of a group.
    pub(super) fn shortest<'a>(&'a self, cycle: &[&'a str]) -> Vec<&'a str> {
        let ways = cycle.iter().filter_map(|file| self.around(file));
        ways.min_by_key(Vec::len).unwrap_or_default()
    }

    /// The names that one file imports from another.
    pub(super) fn names(&self, from: &str, to: &str) -> impl Iterator<Item = &str> {
        let names = self.imports.get(from).and_then(|targets| targets.get(to));
        names.into_iter().flatten().map(String::as_str)
    }

    fn targets(&self, file: &str) -> impl Iterator<Item = &str> {
        let targets = self.imports.get(file).into_iter();
        targets.flat_map(|targets| targets.keys().map(String::as_str))
    }

    /// The files that `file` imports from, directly or indirectly. Contains `file` only if it is part of a cycle.
    fn reachable(&self, file: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut next: Vec<_> = self.targets(file).collect();
        while let Some(file) = next.pop() {
            if reached.insert(file) {
                next.extend(self.targets(file));
            }
        }
        reached
    }

    /// A shortest path from a file back to itself, without the last step.
    fn around<'a>(&'a self, start: &'a str) -> Option<Vec<&'a str>> {
        let mut seen = BTreeSet::new();
        let mut ways = VecDeque::from([vec![start]]);
        while let Some(way) = ways.pop_front() {
            for target in self.targets(way.last()?) {
                if target == start {
                    return Some(way);
                }
                if seen.insert(target) {
                    ways.push_back(way.iter().copied().chain([target]).collect());
                }
            }
        }
        None
    }
}

impl Modules<'_> {
    fn graph(&self) -> Graph {
        let mut imports = BTreeMap::<_, BTreeMap<_, BTreeSet<_>>>::new();
        for (from, (file, module)) in &self.all {
            let targets = imports.entry((*file).to_owned()).or_default();
            for path in &module.paths {
                let Some(Target::Item(to, name)) = self.resolve(from, path, 0) else {
                    continue;
                };
                let target = self.all[to].0;
                if !self.of_files[target].starts_with(&self.of_files[file]) {
                    targets.entry(target.to_owned()).or_default().insert(name);
                }
            }
        }
        Graph { imports }
    }

    /// Resolves a path used in the module `from`. Paths into other crates resolve to nothing.
    fn resolve(&self, from: &ModulePath, path: &[String], depth: usize) -> Option<Target<'_>> {
        if depth > REEXPORTS_MAX {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let mut target = match first.as_str() {
            "crate" => Target::Module(Vec::new()),
            "self" => Target::Module(from.clone()),
            "super" => Target::Module(from[..from.len().checked_sub(1)?].to_vec()),
            name => self.member(from, name, depth)?,
        };
        for name in rest {
            target = match target {
                Target::Module(module) if name == "super" => {
                    Target::Module(module[..module.len().checked_sub(1)?].to_vec())
                }
                Target::Module(module) => match self.member(&module, name, depth) {
                    // Recorded under the imported name.
                    Some(Target::Item(module, _)) => Target::Item(module, name.clone()),
                    Some(target) => target,
                    // Defined by a macro.
                    None => Target::Item(self.all.get_key_value(&module)?.0, name.clone()),
                },
                // A variant, or an associated item.
                item => return Some(item),
            };
        }
        Some(target)
    }

    /// Resolves a name in a module.
    fn member(&self, module: &ModulePath, name: &str, depth: usize) -> Option<Target<'_>> {
        let child: Vec<_> = module.iter().cloned().chain([name.to_owned()]).collect();
        if self.all.contains_key(&child) {
            return Some(Target::Module(child));
        }
        let (path, (_, content)) = self.all.get_key_value(module)?;
        if content.items.contains(name) {
            return Some(Target::Item(path, name.to_owned()));
        }
        if let Some(import) = content.imports.get(name) {
            // `use a::b as b` next to an external crate `a`: a name does not resolve to itself.
            return if import.len() == 1 && import[0] == name {
                None
            } else {
                self.resolve(module, import, depth + 1)
            };
        }
        content.globs.iter().find_map(|glob| {
            let Target::Module(glob) = self.resolve(module, glob, depth + 1)? else {
                return None;
            };
            self.member(&glob, name, depth + 1)
        })
    }
}

/// The module that a file defines, if it belongs to the crate's library, or to its program if there is no library.
fn module_path(root: &str, path: &str, files: &[&File]) -> Option<ModulePath> {
    let library = format!("{root}/src/lib.rs");
    let inner = path.strip_prefix(root)?.strip_prefix("/src/")?.strip_suffix(".rs")?;
    let is_program = inner == "main" || inner.starts_with("bin/");
    if is_program && (inner != "main" || files.iter().any(|file| file.path == library)) {
        return None;
    }
    let mut path: Vec<_> = inner.split('/').map(str::to_owned).collect();
    if matches!(inner, "lib" | "main") || path.last().is_some_and(|name| name == "mod") {
        path.pop();
    }
    Some(path)
}

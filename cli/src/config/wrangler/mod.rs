//! Support for `wrangler.toml`, `wrangler.json` and `wrangler.jsonc`.
//!
//! A key is supported (`file`), accepted with a note, refused because it needs an unsupported capability (both in `keys`),
//! or unknown, which is a warning, because newer versions of wrangler add keys.

mod file;
mod keys;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::check::nearest;
use super::document::{Entry, KeyPath, Node, Value};
use super::env_file::Lookup;
use super::file::{File, RouteFile, RouteTable};
use super::modules::{ModuleRule, ModuleType, Modules};
use super::others::Together;
use super::overrides::Overrides;
use super::problem::{ConfigError, Fault, Note, Problem};
use super::reading::Reading;
use super::sections::Mode;
use super::source::Source;
use super::values::{Listen, RoutePattern};
use super::{Config, finish, invalid, problems_of, typed};
use file::{Dev, Rule, RuleKind, Section, WranglerFile, WranglerRoute};
use keys::Effect;

/// Loads a wrangler file for the environment set by the overrides.
pub(super) fn load(
    source: &Source,
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
    together: &Together,
) -> Result<Config, ConfigError> {
    let is_toml = source.path().extension().is_some_and(|extension| extension == "toml");
    let node = if is_toml {
        Node::from_toml(source)
    } else {
        Node::from_jsonc(source)
    };
    let mut node = node.map_err(invalid)?;
    let mut reader = Reader {
        source,
        problems: Vec::new(),
        notes: Vec::new(),
    };
    reader.sort_out(&mut node, overrides.environment.as_deref());
    reader.check(&node);
    let written: WranglerFile = typed(source, &node, std::mem::take(&mut reader.problems))?;
    let name = overrides.environment.as_deref();
    let lookup = Lookup::new(environment, env_files(source, name, overrides))?;
    let mut reading = Reading {
        notes: reader.notes,
        ..Reading::new(source, &node, &lookup, together)
    };
    let section = section(&mut reading, &written, name);
    let secrets = required_secrets(&mut reading, &section);
    let mut file = translate(&mut reading, section, written.dev, overrides.mode.unwrap_or_default());
    let worker = &mut file.worker;
    worker.secrets = secrets;
    worker.env_values = lookup.file_values();
    // As with wrangler: secrets take precedence over `vars`.
    worker
        .vars
        .retain(|name, _| !worker.env_values.contains_key(name) && !worker.secrets.contains(name));
    let config = finish(reading, file, overrides)?;
    let mut files = vec![source.path().to_owned()];
    files.extend(secret_files(source, name).into_iter().flatten());
    files.extend(overrides.env_files.iter().cloned());
    Ok(Config { files, ..config })
}

/// Returns the files for secrets: those of the overrides, else `.dev.vars` (or that of the environment), else the `.env`
/// files, the more specific ones last, in the order that wrangler documents for local development.
fn env_files(source: &Source, environment: Option<&str>, overrides: &Overrides) -> Vec<PathBuf> {
    if !overrides.env_files.is_empty() {
        return overrides.env_files.clone();
    }
    let [dev_vars, env] = secret_files(source, environment);
    match dev_vars.into_iter().rev().find(|path| path.is_file()) {
        Some(dev_vars) => vec![dev_vars],
        None => env.into_iter().filter(|path| path.is_file()).collect(),
    }
}

/// Returns the `.dev.vars` files and the `.env` files of an environment, the more specific ones last.
fn secret_files(source: &Source, environment: Option<&str>) -> [Vec<PathBuf>; 2] {
    let of_environment = |start: &str, end: &str| environment.map(|name| format!("{start}.{name}{end}"));
    let dev_vars = [Some(".dev.vars".to_owned()), of_environment(".dev.vars", "")];
    let env = [
        Some(".env".to_owned()),
        of_environment(".env", ""),
        Some(".env.local".to_owned()),
        of_environment(".env", ".local"),
    ];
    let paths = |names: &[Option<String>]| names.iter().flatten().map(|name| source.folder().join(name)).collect();
    [paths(&dev_vars), paths(&env)]
}

/// Returns whether a value is empty: tools write empty lists for every type of binding.
fn asks_for_nothing(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) => true,
        Value::List(items) => items.is_empty(),
        Value::Table(entries) => entries.iter().all(|entry| asks_for_nothing(&entry.node)),
        Value::Text(text) => text.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

struct Reader<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
    notes: Vec<Note>,
}

impl Reader<'_> {
    /// Removes unsupported keys from the top level and the environments.
    fn sort_out(&mut self, node: &mut Node, environment: Option<&str>) {
        self.sort_out_table(node, &KeyPath::default(), true);
        let Some(table) = node.entry_mut("env") else { return };
        let names: Vec<String> = table.entries().iter().map(|entry| entry.key.clone()).collect();
        for name in names {
            if let Some(section) = table.entry_mut(&name) {
                // Unsupported capabilities count in the selected environment only; the others are only checked for mistakes.
                self.sort_out_table(
                    section,
                    &KeyPath::of("env").key(&name),
                    environment == Some(name.as_str()),
                );
            }
        }
    }

    fn sort_out_table(&mut self, table: &mut Node, path: &KeyPath, runs: bool) {
        let effect_of = |key: &str| {
            keys::NO_EFFECT
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, what)| *what)
        };
        for Entry { key, key_span, node } in table.take_entries(|entry| effect_of(&entry.key).is_some()) {
            if !runs || asks_for_nothing(&node) {
                continue;
            }
            let message = format!("`{}` is accepted without effect", path.key(&key));
            let place = self.source.place(&key_span);
            self.notes.push(match effect_of(&key) {
                Some(Effect::Missed) => Note::warning(message, place),
                Some(Effect::None) | None => Note::detail(message, place),
            });
        }
        let capability_of = |key: &str| {
            keys::MISSING
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, what)| *what)
        };
        for Entry { key, key_span, node } in table.take_entries(|entry| capability_of(&entry.key).is_some()) {
            if let (true, false, Some(capability)) = (runs, asks_for_nothing(&node), capability_of(&key)) {
                let fault = Fault::NoSuchBinding {
                    key: path.key(&key).to_string(),
                    capability: capability.to_owned(),
                };
                let remedy = "remove it if the worker runs without";
                self.problems
                    .push(Problem::new(fault).at(self.source.place(&key_span)).remedy(remedy));
            }
        }
    }

    /// Checks the remaining keys against the schema. An unknown key is a note.
    fn check(&mut self, node: &Node) {
        for problem in problems_of::<WranglerFile>(self.source, node, &keys::all()) {
            match (&problem.fault, &problem.place) {
                (Fault::UnknownKey { .. }, Some(place)) => {
                    // A list of all known keys would bury the message.
                    let near = problem
                        .remedy
                        .iter()
                        .filter(|remedy| remedy.starts_with("did you mean"));
                    let near: String = near.map(|remedy| format!("; {remedy}")).collect();
                    let message = format!("{}, ignored{near}", problem.fault);
                    self.notes.push(Note::warning(message, place.clone()));
                }
                _ => self.problems.push(problem),
            }
        }
    }
}

/// Returns the required secrets that have a value. As with `wrangler dev`, a missing one is a warning.
fn required_secrets(reading: &mut Reading<'_>, section: &Section) -> Vec<String> {
    let required = section
        .secrets
        .iter()
        .flat_map(|secrets| secrets.required.iter().cloned());
    let (found, absent): (Vec<_>, Vec<_>) = required.partition(|name| reading.lookup.get(name).is_some());
    for name in absent {
        let message = format!("the secret `{name}` has no value: add it to `.dev.vars` or to the environment");
        reading.note(&KeyPath::of("secrets"), message);
    }
    found
}

/// Returns the environment's section by wrangler's rules: bindings and `vars` are not inherited, everything else is.
fn section(reading: &mut Reading<'_>, file: &WranglerFile, environment: Option<&str>) -> Section {
    let top = file.top.clone();
    let Some(name) = environment else { return top };
    let Some(own) = file.env.get(name).cloned() else {
        if reading.together.is_further() {
            let message = format!("there is no environment `{name}` here; the top level is used");
            reading.note(&KeyPath::of("env"), message);
            return top;
        }
        let known = file.env.keys().map(String::as_str);
        let remedy = match (nearest(name, known.clone()), file.env.is_empty()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, true) => "the file has no `env`".to_owned(),
            (None, false) => format!("the environments here: {}", known.collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no environment `{name}`");
        reading.tell(&KeyPath::of("env"), Fault::Conflict { message }, remedy);
        return top;
    };
    let vars = (top.vars.is_some() && own.vars.is_none()).then_some("vars");
    for key in vars
        .into_iter()
        .chain(top.bindings.keys_without(&own.bindings.clone().inherit(&top.bindings)))
    {
        let message = format!("`{key}` is not inherited by environments; `env.{name}` has none of its own");
        reading.note(&KeyPath::of(key), message);
    }
    let has_routes = own.route.is_some() || own.routes.is_some();
    Section {
        name: own.name.or_else(|| top.name.map(|top| format!("{top}-{name}"))),
        main: own.main.or(top.main),
        base_dir: own.base_dir.or(top.base_dir),
        compatibility_date: own.compatibility_date.or(top.compatibility_date),
        compatibility_flags: own.compatibility_flags.or(top.compatibility_flags),
        vars: own.vars,
        secrets: own.secrets,
        route: if has_routes { own.route } else { top.route },
        routes: if has_routes { own.routes } else { top.routes },
        bindings: own.bindings.inherit(&top.bindings),
        limits: own.limits.or(top.limits),
        triggers: own.triggers.or(top.triggers),
        rules: own.rules.or(top.rules),
        alias: own.alias.or(top.alias),
        define: own.define.or(top.define),
        jsx_factory: own.jsx_factory.or(top.jsx_factory),
        jsx_fragment: own.jsx_fragment.or(top.jsx_fragment),
    }
}

/// Returns the folder of the configuration if it contains `main`: wrangler bundles modules from all of the project.
fn project_folder(main: &Path) -> Option<PathBuf> {
    let is_inside = main
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    is_inside.then(|| PathBuf::from("."))
}

/// Translates a section to `isopod.toml`.
fn translate(reading: &mut Reading<'_>, section: Section, dev: Option<Dev>, mode: Mode) -> File {
    let mut file = File {
        mode,
        name: section.name,
        ..File::default()
    };
    file.worker.root = section.base_dir.or_else(|| project_folder(section.main.as_deref()?));
    file.worker.main = section.main;
    file.worker.compatibility_date = section.compatibility_date;
    let flags = section.compatibility_flags.unwrap_or_default();
    file.worker.compatibility_flags = reading.known_flags(&KeyPath::of("compatibility_flags"), flags);
    file.worker.vars = section.vars.unwrap_or_default();
    file.worker.bindings = section.bindings.translate(reading);
    let modules = Modules {
        rules: section.rules.into_iter().flatten().map(rule).collect(),
        alias: section.alias.unwrap_or_default(),
        define: section.define.unwrap_or_default(),
        ..Modules::default()
    };
    file.worker.modules = reading.modules(&KeyPath::default(), modules);
    file.worker.jsx.factory = section.jsx_factory;
    file.worker.jsx.fragment = section.jsx_fragment;
    if let Some(limits) = section.limits {
        let worker = &mut file.worker.limits;
        worker.cpu = limits.cpu_ms.map_or(worker.cpu, Duration::from_millis);
        worker.subrequests = limits.subrequests.unwrap_or(worker.subrequests);
    }
    let triggers = section.triggers.unwrap_or_default();
    if triggers.events.is_some_and(|events| !events.is_empty()) {
        reading.note(&KeyPath::of("triggers"), "`triggers.events` is accepted without effect");
    }
    file.worker.crons = triggers.crons.unwrap_or_default();
    let routes: Vec<RouteFile> = section
        .route
        .into_iter()
        .chain(section.routes.into_iter().flatten())
        .map(route)
        .collect();
    match mode {
        Mode::Production => file.routes = routes,
        // As with `wrangler dev`: the routes name hosts that do not lead to a developer's machine.
        Mode::Development if !routes.is_empty() && !reading.together.is_further() => {
            let routes = KeyPath::of("routes");
            let key = if reading.node.has(&routes) {
                routes
            } else {
                KeyPath::of("route")
            };
            let message = "routes hold in production mode; in development every request is the worker's";
            reading.note(&key, message);
        }
        Mode::Development => {}
    }
    if let Some(dev) = dev {
        listen(reading, &dev, &mut file);
    }
    file
}

fn listen(reading: &mut Reading<'_>, dev: &Dev, file: &mut File) {
    let address = match dev.ip.as_deref() {
        None | Some("localhost") => IpAddr::from(Ipv4Addr::LOCALHOST),
        Some("*") => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        Some(text) => match text.parse() {
            Ok(address) => address,
            Err(_) => {
                let reason = "should be an IP address, \"localhost\" or \"*\"".to_owned();
                let fault = Fault::BadValue {
                    key: "dev.ip".to_owned(),
                    value: format!("{text:?}"),
                    reason,
                };
                return reading.tell(&KeyPath::of("dev"), fault, "for example `ip = \"127.0.0.1\"`");
            }
        },
    };
    file.listen = vec![Listen::Tcp(SocketAddr::new(address, dev.port.unwrap_or(8787)))];
    let unused = [
        ("local_protocol", dev.local_protocol.is_some()),
        ("upstream_protocol", dev.upstream_protocol.is_some()),
        ("host", dev.host.is_some()),
        ("inspector_ip", dev.inspector_ip.is_some()),
        ("inspector_port", dev.inspector_port.is_some()),
        ("enable_containers", dev.enable_containers.is_some()),
        ("container_engine", dev.container_engine.is_some()),
        ("generate_types", dev.generate_types.is_some()),
    ];
    for (key, _) in unused.into_iter().filter(|(_, given)| *given) {
        let place = reading.source.place(&reading.node.locate(&KeyPath::of("dev")));
        let message = format!("`dev.{key}` is accepted without effect");
        reading.notes.push(Note::detail(message, place));
    }
}

fn rule(rule: Rule) -> ModuleRule {
    let kind = match rule.kind {
        RuleKind::Text => ModuleType::Text,
        RuleKind::Data => ModuleType::Bytes,
        RuleKind::CompiledWasm => ModuleType::Wasm,
        RuleKind::ESModule | RuleKind::CommonJS => ModuleType::JavaScript,
    };
    ModuleRule {
        kind,
        globs: rule.globs,
    }
}

fn route(route: WranglerRoute) -> RouteFile {
    let pattern = match route {
        WranglerRoute::Pattern(pattern) => pattern,
        WranglerRoute::Full(full) if full.custom_domain => RoutePattern {
            path: "/*".to_owned(),
            ..full.pattern
        },
        WranglerRoute::Full(full) => full.pattern,
    };
    RouteFile::Full(RouteTable {
        pattern: Some(pattern),
        ..RouteTable::default()
    })
}

//! `isopod types`: the TypeScript types of `env`, for editors.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::Value as Json;

use crate::config::{Var, Worker};
use crate::output;
use crate::project::ProjectArguments;

/// Arguments of `types`.
#[derive(Args)]
pub(crate) struct TypesArguments {
    #[command(flatten)]
    project: ProjectArguments,
    /// File to write, relative to the configuration's folder; `-` is standard output
    #[arg(default_value = "worker-configuration.d.ts")]
    output: PathBuf,
    /// Fail if the file is not as it would be written, and write nothing
    #[arg(long, conflicts_with = "json")]
    check: bool,
    /// Print the types as JSON, by worker and name, and write nothing
    #[arg(long)]
    json: bool,
}

/// The types in one worker's `env`, by name.
type Env = BTreeMap<String, String>;

/// Writes the types of a project.
pub(crate) fn types(arguments: TypesArguments, environment: &BTreeMap<String, String>) -> Result<ExitCode> {
    let config = arguments.project.read(environment)?;
    let envs: BTreeMap<&str, Env> = config
        .workers
        .iter()
        .map(|(name, worker)| (name.as_str(), env(worker)))
        .collect();
    if arguments.json {
        output::print_json(&serde_json::to_value(&envs)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = declarations(&envs);
    if arguments.output.as_os_str() == "-" {
        output::print(text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = config.root.join(&arguments.output);
    if arguments.check {
        let is_current = std::fs::read_to_string(&path).is_ok_and(|written| written == text);
        let told = match is_current {
            true => format!("{} is up to date\n", path.display()),
            false => format!("{} is out of date; run `isopod types`\n", path.display()),
        };
        output::print(told.as_bytes())?;
        return Ok(if is_current {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let types: usize = envs.values().map(BTreeMap::len).sum();
    output::print(format!("wrote the types of {types} bindings to {}\n", path.display()).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn env(worker: &Worker) -> Env {
    let vars = worker.vars.iter().map(|(name, var)| {
        let shape = match var {
            Var::Text(_) => "string".to_owned(),
            Var::Json(value) => shape(value),
        };
        (name.clone(), shape)
    });
    let secrets = worker.secrets.keys().map(|name| (name.clone(), "string".to_owned()));
    let bindings = worker.bindings.iter();
    let bindings = bindings.map(|bound| (bound.name.clone(), bound.binding.typescript()));
    vars.chain(secrets).chain(bindings).collect()
}

/// The type of a JSON value.
fn shape(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(_) => "boolean".to_owned(),
        Json::Number(_) => "number".to_owned(),
        Json::String(_) => "string".to_owned(),
        Json::Array(values) => {
            let mut shapes: Vec<_> = values.iter().map(shape).collect();
            shapes.sort();
            shapes.dedup();
            match shapes.as_slice() {
                [] => "unknown[]".to_owned(),
                shapes => format!("Array<{}>", shapes.join(" | ")),
            }
        }
        Json::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", key(name), shape(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join("; "))
        }
    }
}

/// A name as a key of an object type.
fn key(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$'))
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$'));
    match is_plain {
        true => name.to_owned(),
        false => Json::from(name).to_string(),
    }
}

/// The text of the file. With one worker its `env` is also that of `cloudflare:workers`.
fn declarations(envs: &BTreeMap<&str, Env>) -> String {
    let mut text = String::from(
        "// Written by `isopod types`. The types of bindings are those of the package @cloudflare/workers-types.\n",
    );
    let members = |env: &Env, indent: &str| {
        let lines = env
            .iter()
            .map(|(name, shape)| format!("{indent}{}: {shape};\n", key(name)));
        lines.collect::<String>()
    };
    let envs: Vec<_> = envs.iter().collect();
    if let [(_, env)] = envs.as_slice() {
        let members = members(env, "    ");
        let _ = write!(
            text,
            "\ndeclare namespace Cloudflare {{\n  interface Env {{\n{members}  }}\n}}\n\ninterface Env extends Cloudflare.Env {{}}\n"
        );
        return text;
    }
    for (name, env) in envs {
        let members = members(env, "  ");
        let _ = write!(
            text,
            "\n/** `env` of the worker `{name}`. */\ninterface {}Env {{\n{members}}}\n",
            pascal(name)
        );
    }
    text
}

/// A worker's name as the beginning of an identifier: `image-api` is `ImageApi`.
fn pascal(name: &str) -> String {
    let words = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    words
        .map(|word| format!("{}{}", word[..1].to_ascii_uppercase(), &word[1..]))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_have_the_types_of_their_parts() {
        for (value, expected) in [
            (json!("a"), "string"),
            (json!([]), "unknown[]"),
            (json!([1, "a", 2]), "Array<number | string>"),
            (
                json!({ "a": [true], "b-c": { "d": null } }),
                r#"{ a: Array<boolean>; "b-c": { d: null } }"#,
            ),
        ] {
            assert_eq!(shape(&value), expected, "{value}");
        }
    }

    #[test]
    fn the_env_of_one_worker_is_also_that_of_the_module() {
        let env = Env::from([("DB".to_owned(), "D1Database".to_owned())]);
        let text = declarations(&BTreeMap::from([("main", env.clone())]));
        assert!(text.contains("  interface Env {\n    DB: D1Database;\n  }\n"), "{text}");
        assert!(text.ends_with("interface Env extends Cloudflare.Env {}\n"), "{text}");
        let text = declarations(&BTreeMap::from([("image-api", env), ("b", Env::new())]));
        assert!(
            text.contains("interface ImageApiEnv {\n  DB: D1Database;\n}\n"),
            "{text}"
        );
        assert!(text.contains("interface BEnv {\n}\n"), "{text}");
    }
}

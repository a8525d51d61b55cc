//! Applications of frameworks, built by npm and served unchanged.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Server, outcome};
use crate::{setup, shell};

const FOLDER: &str = "tests/frameworks";
const REQUESTS: &str = "requests.json";

/// Builds the chosen applications and sends requests to each. Returns the failures, and counts the passed requests.
pub(super) fn run(root: &Path, program: &Path, names: &[String], passed: &mut usize) -> Result<Vec<String>> {
    let folder = root.join(FOLDER);
    let text = fs::read_to_string(folder.join(REQUESTS))?;
    let applications: BTreeMap<String, Vec<Value>> = serde_json::from_str(&text).context(REQUESTS)?;
    let is_chosen = |name: &String| names.is_empty() || names.contains(name);
    let mut failed = Vec::new();
    if !applications.keys().any(is_chosen) {
        return Ok(failed);
    }
    setup::npm_install(&folder)?;
    for (name, requests) in applications.iter().filter(|(name, _)| is_chosen(name)) {
        let begun = Instant::now();
        let problem = check(program, &folder.join(name), requests).err();
        outcome(name, begun, problem.is_none());
        match problem {
            None => *passed += 1,
            Some(problem) => failed.push(format!("{name}: {problem:#}")),
        }
    }
    Ok(failed)
}

fn check(program: &Path, folder: &Path, requests: &[Value]) -> Result<()> {
    let mut build = shell::command("npm", folder);
    build.args(["run", "build", "--silent"]);
    build.envs([
        ("ASTRO_TELEMETRY_DISABLED", "1"),
        ("WRANGLER_SEND_METRICS", "false"),
        ("CI", "1"),
    ]);
    shell::capture(&mut build).context("it cannot be built")?;
    let server = Server::start(program, folder, Path::new("."))?;
    for request in requests {
        let path = request["path"].as_str().context("a request has a `path`")?;
        let response = server.request(&message(&server.address, path, request))?;
        let (head, body) = response.split_once("\r\n\r\n").context("a response has a head")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        if status != request["status"].as_u64() {
            bail!("{path} is answered by\n{response}");
        }
        for part in request["contains"].as_array().context("a request has `contains`")? {
            let part = part.as_str().context("`contains` has texts")?;
            if !body.contains(part) {
                bail!("{part} is not in the answer to {path}:\n{body}");
            }
        }
    }
    Ok(())
}

/// A GET request, or a POST request with the body in `json` or `form`.
fn message(address: &str, path: &str, request: &Value) -> String {
    let content = match (&request["json"], request["form"].as_str()) {
        (Value::Null, None) => None,
        (Value::Null, Some(form)) => Some(("application/x-www-form-urlencoded", form.to_owned())),
        (json, _) => Some(("application/json", json.to_string())),
    };
    match content {
        None => format!("GET {path} HTTP/1.0\r\nhost: {address}\r\naccept: text/html\r\n\r\n"),
        Some((kind, body)) => format!(
            "POST {path} HTTP/1.0\r\nhost: {address}\r\naccept: text/html\r\norigin: http://{address}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    }
}

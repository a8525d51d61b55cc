//! Runs tests, each in a worker of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, stream};
use isopod::{FetchConfig, Limits, NetPolicy, Options, Policy, Pool, Script};

use crate::files::Test;
use crate::origin;
use crate::results::{Outcome, Reported};

/// Memory limit of a test. Some hold the test vectors of a whole algorithm.
const MEMORY_BYTES: usize = 512 << 20;

/// Runs the tests, this many at once, and returns their outcomes.
pub(crate) async fn run(folder: &Path, tests: Vec<Test>, at_once: usize) -> Result<BTreeMap<String, Outcome>> {
    let harness = fs::read_to_string(folder.join("resources/testharness.js")).context("resources/testharness.js")?;
    let (running, address) = origin::start(folder)?;
    let pool = Pool::builder().threads(at_once).build()?;
    let policy = NetPolicy::default().allow_private(true);
    let limits = Limits::default()
        .cpu(Duration::from_secs(60))
        .memory_bytes(MEMORY_BYTES);
    let script = Script::builder("conformance")
        .source(include_str!("harness.js"))
        .fetch(FetchConfig::default().policy(Arc::new(policy)))
        .limits(limits)
        .build()?;
    let options = Options::default()
        .policy(Policy::PerRequest)
        .wall_timeout(Duration::from_secs(150));
    pool.deploy("conformance", script, &options)?;
    let outcomes = stream::iter(tests)
        .map(|test| {
            let (pool, harness) = (&pool, harness.as_str());
            async move {
                let name = test.name();
                (name, outcome(pool, folder, harness, address.port(), test).await)
            }
        })
        .buffer_unordered(at_once)
        .collect()
        .await;
    pool.shutdown(Duration::from_secs(5)).await;
    running.shutdown(Duration::from_secs(5)).await;
    Ok(outcomes)
}

async fn outcome(pool: &Pool, folder: &Path, harness: &str, port: u16, test: Test) -> Outcome {
    let text = match text(folder, &test) {
        Ok(text) => text,
        Err(error) => return Outcome::failed(format!("{error:#}")),
    };
    let location = format!("http://localhost:{port}/{}", test.name());
    let call = pool.call::<_, Reported>("conformance", "run", (location, test.is_long, harness.to_owned(), text));
    match call.await {
        Ok(reported) => reported.into(),
        Err(failure) => Outcome::failed(failure.to_string()),
    }
}

/// Returns the scripts of a test and the test itself as one script, so that later ones see `const` declarations of earlier ones.
pub(crate) fn text(folder: &Path, test: &Test) -> Result<String> {
    let mut text = String::new();
    for path in test.scripts.iter().chain([&test.path]) {
        let file = match path.as_str() {
            // The file of this path on the tests' own server.
            "resources/WebIDLParser.js" => "resources/webidl2/lib/webidl2.js",
            path => path,
        };
        let bytes = fs::read(folder.join(file)).with_context(|| format!("{path} is not there"))?;
        text.push_str(&String::from_utf8_lossy(&bytes));
        text.push_str("\n;\n");
    }
    text.push_str(&format!("//# sourceURL={}\n", test.path));
    Ok(text)
}

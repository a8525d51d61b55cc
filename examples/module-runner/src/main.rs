//! A program of three modules: one with a database, one with a pool of JavaScript workers, and one that accepts TCP
//! connections and needs both. The host starts them in dependency order and stops them in reverse.

mod door;
mod visits;

use std::error::Error;
use std::process::ExitCode;

use isopod::host::db::{DbManager, DbRule};
use isopod::host::{Host, PoolModule, Shutdown};
use isopod::{Options, Pool, Script};
use serde_json::json;

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: example-module-runner FOLDER")?;
    let config = json!({ "door": { "listen": "127.0.0.1:0" } });
    let greetings = Script::builder("greetings")
        .source(include_str!("greetings.js"))
        .build()?;

    let report = Host::builder()
        // The order here does not matter: `door` declares what it depends on.
        .module(door::Door::default())
        .module(visits::VisitsModule)
        .module(PoolModule::new("pool", || Pool::builder().threads(1).build()).script(
            "greetings",
            greetings,
            Options::default(),
        ))
        .config(move |module: &str| config.get(module).cloned())
        .db(DbManager::new(DbRule::SqliteFolder(folder.into())).into())
        .shutdown(Shutdown::signals())
        .build()?
        .run_blocking()?;
    eprintln!("{report}");
    Ok(())
}

//! `isopod run` and `isopod eval`: one script as a command.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use isopod_runtime::fetch::{FetchConfig, NetPolicy};
use isopod_runtime::io::IoOptions;
use isopod_runtime::{
    BootOptions, Command, Console, OsScheduling, Script, ScriptBuilder, Watchdog, Worker, WorkerThread, platform,
};

use crate::config::{Log, LogLevel, read_env_file};
use crate::logging;

/// What a script may do; the same for `run` and `eval`.
#[derive(Args)]
pub(crate) struct Permissions {
    /// Let the script see all environment variables, or those named: --allow-env=HOME,PATH
    #[arg(long, value_name = "NAMES", num_args = 0..=1, require_equals = true, value_delimiter = ',')]
    allow_env: Option<Vec<String>>,
    /// Let the script see the variables of this file; may be given more than once
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Let the script's fetch reach private and loopback addresses
    #[arg(long)]
    allow_private_network: bool,
}

#[derive(Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    permissions: Permissions,
    /// The script; "-" reads it from standard input
    file: PathBuf,
    /// Passed to the script: `import { args } from "isopod:process"`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

#[derive(Args)]
pub(crate) struct EvalArguments {
    #[command(flatten)]
    permissions: Permissions,
    /// Print the value of an expression
    #[arg(long, short)]
    print: bool,
    /// The code
    code: String,
    /// Passed to the script
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

type Environment = BTreeMap<String, String>;

pub(crate) fn run(arguments: RunArguments, environment: &Environment) -> Result<ExitCode> {
    let builder = if arguments.file.as_os_str() == "-" {
        let mut code = String::new();
        std::io::stdin()
            .read_to_string(&mut code)
            .context("cannot read the script from standard input")?;
        Script::builder("stdin").source(code)
    } else {
        match std::fs::metadata(&arguments.file) {
            Ok(found) if found.is_dir() => {
                let folder = arguments.file.display();
                bail!("{folder} is a folder, and `isopod run` takes a script; a folder is for `isopod serve {folder}`")
            }
            Ok(_) => {}
            Err(error) => bail!("cannot read {}: {error}", arguments.file.display()),
        }
        let name = arguments
            .file
            .file_stem()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Script::builder(name).file(&arguments.file)
    };
    let code = start(builder, arguments.permissions, arguments.args, environment)?;
    // One that is gone by now was read well enough before.
    if code == ExitCode::SUCCESS
        && let Ok(text) = std::fs::read_to_string(&arguments.file)
        && looks_like_a_worker(&text)
    {
        let file = arguments.file.display();
        eprintln!("hint: {file} has a handler, and `isopod run` calls none; serve it with `isopod serve {file}`");
    }
    Ok(code)
}

/// Whether a module is most likely a worker, which run as a command does nothing and says nothing. A guess by its text is
/// enough for a hint.
fn looks_like_a_worker(text: &str) -> bool {
    text.lines().any(|line| {
        line.starts_with("export default ")
            || line.starts_with("addEventListener(\"fetch\"")
            || line.starts_with("addEventListener('fetch'")
    })
}

pub(crate) fn eval(arguments: EvalArguments, environment: &Environment) -> Result<ExitCode> {
    let code = match arguments.print {
        true => format!("console.log(await ({}));", arguments.code),
        false => arguments.code,
    };
    start(
        Script::builder("eval").typescript(code),
        arguments.permissions,
        arguments.args,
        environment,
    )
}

fn start(builder: ScriptBuilder, permissions: Permissions, args: Vec<String>, all: &Environment) -> Result<ExitCode> {
    logging::install(&Log {
        level: LogLevel::Warn,
        ..Log::default()
    });
    let mut env = match permissions.allow_env {
        None => Environment::new(),
        Some(names) if names.is_empty() => all.clone(),
        Some(names) => names
            .into_iter()
            .filter_map(|name| Some((name.clone(), all.get(&name)?.clone())))
            .collect(),
    };
    for file in &permissions.env_file {
        env.extend(
            read_env_file(file)?
                .into_iter()
                .map(|(name, value)| (name, value.reveal().to_owned())),
        );
    }
    let policy = NetPolicy {
        allow_private: permissions.allow_private_network,
        ..NetPolicy::default()
    };
    let script = builder
        .console(Console::Terminal {
            colors: std::io::stdout().is_terminal() && !all.contains_key("NO_COLOR"),
        })
        .fetch(FetchConfig {
            policy: Arc::new(policy),
            ..FetchConfig::default()
        })
        .command(Command { args, env })
        .build()?;
    let script = Arc::new(script);
    let (done, result) = std::sync::mpsc::sync_channel(1);
    let body = move || {
        // Nobody waits any more only if the process is on its way out.
        drop(done.send(on_thread(&script)));
    };
    let thread = platform::spawn("isopod-run".into(), Box::new(body)).context("cannot start a thread")?;
    let result = result.recv().context("the script's thread was lost");
    drop(thread.join());
    result?.map(|code| ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1)))
}

/// The life of the script's thread: its event loop, its worker, its exit code.
fn on_thread(script: &Arc<Script>) -> Result<i32> {
    let watchdog = Arc::new(Watchdog::start(OsScheduling::Untouched)?);
    let thread = WorkerThread::start(IoOptions::default(), watchdog)?;
    let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let code = event_loop.block_on(local.run_until(async {
        let worker = Worker::boot(&thread, script, BootOptions::default()).await;
        match worker {
            Ok(mut worker) => worker.run().await,
            Err(fault) => Err(fault),
        }
    }));
    drop(local);
    match code {
        Ok(code) => Ok(code),
        Err(fault) => {
            let stack = fault.detail.as_deref().unwrap_or(&fault.message);
            eprintln!("Uncaught {stack}");
            Ok(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::looks_like_a_worker;

    #[test]
    fn a_worker_is_told_from_a_command() {
        for worker in [
            "const app = new Hono();\nexport default app;\n",
            "export default {\n  fetch() {}\n};",
            "addEventListener('fetch', (event) => {});",
        ] {
            assert!(looks_like_a_worker(worker), "{worker}");
        }
        for command in [
            "console.log(await fetch(url));",
            "// no `export default` here",
            "export const a = 1;",
        ] {
            assert!(!looks_like_a_worker(command), "{command}");
        }
    }
}

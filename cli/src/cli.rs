//! Command-line arguments, and the exit code of each command.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::check::{Expect, Format};
use crate::config::{ConfigError, Isolation, Listen, LogFormat, LogLevel, Mode, Overrides, threads};
use crate::{check, cron, d1, init, kv, manual, queue, r2, run, serve, types};

/// A JavaScript runtime pool: runs scripts, serves workers.
#[derive(Parser)]
#[command(name = "isopod", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a script until no work is left
    Run(run::RunArguments),
    /// Run code given on the command line
    Eval(run::EvalArguments),
    /// Serve workers over HTTP
    Serve(ServeArguments),
    /// Start every worker once and report errors
    Check(CheckArguments),
    /// Run SQL on databases, apply migrations, export and import
    D1(d1::D1Arguments),
    /// List cron triggers, and run one by hand
    Cron(cron::CronArguments),
    /// Read and write KV namespaces
    Kv(kv::KvArguments),
    /// Look at queues, send to them, and move dead letters back
    Queue(queue::QueueArguments),
    /// Read and write R2 buckets
    R2(r2::R2Arguments),
    /// Make a project from a template
    Init(init::InitArguments),
    /// Write the TypeScript types of `env`, for editors
    Types(types::TypesArguments),
    /// Print the JSON schema of isopod.toml, for editors
    Schema,
    /// Print shell completions
    Completions {
        /// Shell; source the output, or save it in the shell's completion folder
        shell: Shell,
    },
    /// Print the manual page in `man` format
    #[command(hide = true)]
    Man,
}

/// Arguments of `serve` and `check`.
#[derive(Args)]
struct Project {
    /// Script, folder or configuration file (isopod.toml, wrangler.toml, wrangler.jsonc); further ones have workers that it calls
    #[arg(default_value = ".", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// File of NAME=value lines for vars and secrets; may be repeated
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Environment of a wrangler file
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
}

#[derive(Args)]
struct ServeArguments {
    #[command(flatten)]
    project: Project,
    /// Address to listen on: PORT (on 127.0.0.1), :PORT (on every address), ADDRESS:PORT or unix:PATH; may be repeated
    #[arg(long, short, value_name = "ADDRESS")]
    listen: Vec<Listen>,
    /// Number of worker threads, and so of workers at a time; 0 means as many as workers need
    #[arg(long, short, value_name = "COUNT", value_parser = threads)]
    threads: Option<usize>,
    /// Address of the admin listener for /healthz, /readyz, /metrics and /stats
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<Listen>,
    /// Omit details from error responses
    #[arg(long)]
    production: bool,
    /// Isolation of workers without one of their own
    #[arg(long, value_enum, value_name = "WHERE")]
    isolation: Option<Isolation>,
    /// Redeploy when files change
    #[arg(long, short)]
    watch: bool,
    /// Log level: off, error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", value_parser = log_level)]
    log: Option<LogLevel>,
    /// Log JSON lines
    #[arg(long)]
    log_json: bool,
}

#[derive(Args)]
struct CheckArguments {
    #[command(flatten)]
    project: Project,
    /// Do not require a handler, for a script that is run by `isopod run`
    #[arg(long)]
    script: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    serde_json::from_value(text.into()).map_err(|_| "should be off, error, warn, info, debug or trace".to_owned())
}

/// Exit code for an invalid configuration or argument.
const USAGE: u8 = 2;

/// Runs the command given on the command line and returns its exit code.
pub fn main() -> ExitCode {
    isopod::run_cell_if_asked();
    let arguments = Arguments::parse();
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let done = match arguments.command {
        Command::Run(arguments) => run::run(arguments, &environment),
        Command::Eval(arguments) => run::eval(arguments, &environment),
        Command::Serve(arguments) => {
            let watch = arguments.watch;
            let (paths, overrides) = arguments.overrides();
            serve::serve(&paths, overrides, &environment, watch)
        }
        Command::Check(arguments) => {
            let (paths, overrides) = arguments.project.overrides();
            let expect = match arguments.script {
                true => Expect::Nothing,
                false => Expect::Handlers,
            };
            let format = if arguments.json { Format::Json } else { Format::Text };
            check::check(&paths, overrides, &environment, expect, format)
        }
        Command::D1(arguments) => d1::d1(arguments, &environment),
        Command::Cron(arguments) => cron::cron(arguments, &environment),
        Command::Kv(arguments) => kv::kv(arguments, &environment),
        Command::Queue(arguments) => queue::queue(arguments, &environment),
        Command::R2(arguments) => r2::r2(arguments, &environment),
        Command::Init(arguments) => init::init(&arguments),
        Command::Types(arguments) => types::types(arguments, &environment),
        Command::Schema => {
            println!("{:#}", crate::config::schema());
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => manual::completions(shell, Arguments::command()),
        Command::Man => manual::page(Arguments::command()),
    };
    done.unwrap_or_else(|error| {
        tell_error(explain(&error));
        if error.is::<ConfigError>() || error.is::<run::UnknownOption>() {
            ExitCode::from(USAGE)
        } else {
            ExitCode::FAILURE
        }
    })
}

/// Prints an error to standard error.
pub(crate) fn tell_error(text: impl std::fmt::Display) {
    let (on, off) = if std::io::stderr().is_terminal() {
        ("\x1b[1;31m", "\x1b[0m")
    } else {
        ("", "")
    };
    eprintln!("{on}error{off}: {text}");
}

/// Formats an error and its causes in one line. A cause that the error's own text includes is not repeated.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    error
        .chain()
        .skip(1)
        .map(ToString::to_string)
        .fold(error.to_string(), |text, cause| {
            if text.contains(&cause) {
                text
            } else {
                format!("{text}: {cause}")
            }
        })
}

impl Project {
    fn overrides(self) -> (Vec<PathBuf>, Overrides) {
        let overrides = Overrides {
            environment: self.env,
            env_files: self.env_file,
            ..Overrides::default()
        };
        (self.paths, overrides)
    }
}

impl ServeArguments {
    fn overrides(self) -> (Vec<PathBuf>, Overrides) {
        let (paths, project) = self.project.overrides();
        let overrides = Overrides {
            listen: self.listen,
            threads: self.threads,
            admin: self.admin,
            mode: self.production.then_some(Mode::Production),
            isolation: self.isolation,
            log_level: self.log,
            log_format: self.log_json.then_some(LogFormat::Json),
            ..project
        };
        (paths, overrides)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::explain;

    #[test]
    fn a_cause_in_the_error_s_own_text_is_not_repeated() {
        let cause = || std::io::Error::other("no space");
        let says_it = anyhow::Error::new(cause()).context("cannot write a.txt: no space");
        assert_eq!(explain(&says_it), "cannot write a.txt: no space");
        let leaves_it = Err::<(), _>(cause()).context("cannot write a.txt").unwrap_err();
        assert_eq!(explain(&leaves_it), "cannot write a.txt: no space");
    }
}

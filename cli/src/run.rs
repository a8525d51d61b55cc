//! `isopod run` and `isopod eval`: runs one script as a command.

mod life;
mod limits;
mod project;
mod watch;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use isopod::{Command, Console, FetchConfig, FetchLimits, FileAccess, Grant, NetPolicy, Script};

use self::limits::LimitArguments;
use self::project::{Entry, ProjectArguments};
use crate::config::{Log, LogLevel, read_env_file};
use crate::logging;

/// Permissions of a script; the same for `run` and `eval`.
#[derive(Args)]
pub(crate) struct Permissions {
    /// Allow reading environment variables, all or only those named: --allow-env=HOME,PATH
    #[arg(long, value_name = "NAMES", num_args = 0..=1, require_equals = true, value_delimiter = ',')]
    allow_env: Option<Vec<String>>,
    /// Make the variables of this file available to the script; may be repeated
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Allow reading files, all or only the named files and folders: --allow-read=data,notes.txt
    #[arg(long, value_name = "PATHS", num_args = 0..=1, require_equals = true, value_delimiter = ',')]
    allow_read: Option<Vec<PathBuf>>,
    /// Allow writing, renaming and removing files, all or only the named files and folders
    #[arg(long, value_name = "PATHS", num_args = 0..=1, require_equals = true, value_delimiter = ',')]
    allow_write: Option<Vec<PathBuf>>,
    /// Allow fetch to private and loopback addresses
    #[arg(long)]
    allow_private_network: bool,
}

/// Arguments of both `run` and `eval`.
#[derive(Args)]
pub(crate) struct Common {
    #[command(flatten)]
    permissions: Permissions,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    project: ProjectArguments,
}

#[derive(Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    common: Common,
    /// Run the script again when one of its files changes
    #[arg(long, conflicts_with = "wall")]
    watch: bool,
    /// Script ("-" for standard input) and its arguments, which are `args` of "isopod:process"
    // One list, because clap would consume a `--` between the two, which belongs to the script, as in Node and Deno.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_names = ["SCRIPT", "ARGUMENTS"])]
    command: Vec<OsString>,
}

#[derive(Args)]
pub(crate) struct EvalArguments {
    #[command(flatten)]
    common: Common,
    /// Print the value of an expression
    #[arg(long, short)]
    print: bool,
    /// Code: TypeScript or JSX, with imports and top-level await
    code: String,
    /// Arguments of the script
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

type Environment = BTreeMap<String, String>;

/// An unknown option before the script.
#[derive(Debug, thiserror::Error)]
#[error("unknown option {} (`isopod run --help` lists the options); arguments of the script go after its name", .0.display())]
pub(crate) struct UnknownOption(PathBuf);

pub(crate) fn run(arguments: RunArguments, environment: &Environment) -> Result<ExitCode> {
    let mut command = arguments.command.into_iter();
    let file = PathBuf::from(command.next().unwrap_or_default());
    if file.as_os_str().as_encoded_bytes().starts_with(b"-") && file.as_os_str() != "-" && !file.exists() {
        return Err(UnknownOption(file).into());
    }
    let entry = if file.as_os_str() == "-" {
        let mut code = String::new();
        std::io::stdin()
            .read_to_string(&mut code)
            .context("cannot read the script from standard input")?;
        Entry::Text { name: "$stdin", code }
    } else {
        match std::fs::metadata(&file) {
            Ok(found) if found.is_dir() => {
                let folder = file.display();
                bail!(
                    "{folder} is a folder, but `isopod run` takes a script; to serve a folder, use `isopod serve {folder}`"
                )
            }
            Ok(found) if found.is_file() => Entry::File(file.clone()),
            // A pipe, such as the shell's `<(…)`, which can be read only once.
            Ok(_) => Entry::Text {
                name: "$script",
                code: std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?,
            },
            Err(error) => bail!("cannot read {}: {error}", file.display()),
        }
    };
    if arguments.watch {
        if matches!(entry, Entry::Text { .. }) {
            bail!("cannot watch a script from standard input or a pipe; pass a file to `isopod run --watch`")
        }
        let watched = arguments.common.project.watched(&file)?;
        return watch::watch(
            script(entry, &arguments.common, command.collect(), environment),
            watched,
        );
    }
    let code = start(entry, &arguments.common, command.collect(), environment)?;
    // A file that no longer exists was read before.
    if code == ExitCode::SUCCESS
        && file.is_file()
        && let Ok(text) = std::fs::read_to_string(&file)
        && looks_like_a_worker(&text)
    {
        let file = file.display();
        eprintln!("hint: {file} has a handler, which `isopod run` does not call; serve it with `isopod serve {file}`");
    }
    Ok(code)
}

/// Guesses from its text whether a module is a worker, which does nothing when run as a command. A guess is enough for a hint.
fn looks_like_a_worker(text: &str) -> bool {
    text.lines().any(|line| {
        line.starts_with("export default ")
            || line.starts_with("addEventListener(\"fetch\"")
            || line.starts_with("addEventListener('fetch'")
    })
}

pub(crate) fn eval(arguments: EvalArguments, environment: &Environment) -> Result<ExitCode> {
    let code = match arguments.print {
        true => format!("console.log(await ({}\n));", arguments.code),
        false => arguments.code,
    };
    let entry = Entry::Text { name: "$eval", code };
    start(entry, &arguments.common, arguments.args, environment)
}

fn start(entry: Entry, common: &Common, args: Vec<OsString>, all: &Environment) -> Result<ExitCode> {
    life::live(script(entry, common, args, all)?, common.limits.wall)
}

fn script(entry: Entry, common: &Common, args: Vec<OsString>, all: &Environment) -> Result<Script> {
    logging::install(&Log {
        level: LogLevel::Warn,
        ..Log::default()
    });
    let permissions = &common.permissions;
    let files = FileAccess::default()
        .read(grant(permissions.allow_read.as_deref())?)
        .write(grant(permissions.allow_write.as_deref())?);
    let policy = NetPolicy::default().allow_private(permissions.allow_private_network);
    // https://no-color.org: set, and not empty.
    let may_color = all.get("NO_COLOR").is_none_or(String::is_empty);
    let script = common
        .project
        .script(entry)?
        .withhold(permissions.env_file.iter().cloned())
        .limits(common.limits.limits())
        .console(Console::Terminal {
            colors: may_color && std::io::stdout().is_terminal(),
            error_colors: may_color && std::io::stderr().is_terminal(),
        })
        .fetch(
            FetchConfig::default()
                .policy(Arc::new(policy))
                .limits(FetchLimits::default().decoded_bytes_max(u64::MAX)),
        )
        .command(
            Command::default()
                .args(args.into_iter().map(text).collect::<Result<_>>()?)
                .env(permissions.env(all)?)
                .files(files),
        )
        .build()?;
    Ok(script)
}

/// Converts the arguments to text: JavaScript strings cannot represent every file name.
fn text(argument: OsString) -> Result<String> {
    argument.into_string().map_err(|argument| {
        anyhow::anyhow!("the argument {argument:?} is not UTF-8, and a script gets its arguments as text")
    })
}

/// Permissions granted by an option for files; without paths all of them.
fn grant(paths: Option<&[PathBuf]>) -> Result<Grant> {
    match paths {
        None => Ok(Grant::Nothing),
        Some([]) => Ok(Grant::Everything),
        Some(paths) => Grant::of(paths.iter().cloned()).context("cannot find an allowed path"),
    }
}

impl Permissions {
    /// The variables that the script sees.
    fn env(&self, all: &Environment) -> Result<Environment> {
        let mut env = match &self.allow_env {
            None => Environment::new(),
            Some(names) if names.is_empty() => all.clone(),
            Some(names) => names
                .iter()
                .filter_map(|name| Some((name.clone(), all.get(name)?.clone())))
                .collect(),
        };
        for file in &self.env_file {
            let values = read_env_file(file)?.into_iter();
            env.extend(values.map(|(name, value)| (name, value.reveal().to_owned())));
        }
        Ok(env)
    }
}

#[cfg(test)]
mod tests {
    use super::looks_like_a_worker;

    #[test]
    fn workers_are_distinguished_from_commands() {
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

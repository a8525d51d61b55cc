//! `isopod queue`: looks at the queues of a configuration, sends to them and moves messages, also while a server runs on them.

mod known;
mod shown;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use futures::executor::block_on;
use isopod::bindings::queue::{
    ContentType, Outbound, QueueBody, QueueMessage, QueueStore, Settled, Take, Verdict, check_delay, check_messages,
};
use serde_json::json;

use self::known::Known;
use crate::output::{print, print_json};
use crate::project::ProjectArguments;

/// Messages that are moved at a time.
const MOVED_AT_ONCE: usize = 100;
/// The time for which a command leases a message that it moves.
const LEASE: Duration = Duration::from_secs(30);

/// Arguments of `isopod queue`.
#[derive(Args)]
pub(crate) struct QueueArguments {
    #[command(subcommand)]
    command: QueueCommand,
}

#[derive(Subcommand)]
enum QueueCommand {
    /// List the queues of the configuration, with their messages
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        project: ProjectArguments,
    },
    /// Send a message
    Send {
        #[command(flatten)]
        target: Target,
        /// The body; without it, standard input
        #[arg(conflicts_with = "file")]
        body: Option<String>,
        /// Read the body from a file
        #[arg(long = "path", value_name = "FILE")]
        file: Option<PathBuf>,
        /// Form of the body that the consumer gets: a value, a string or an ArrayBuffer
        #[arg(long, value_enum, default_value = "json")]
        content_type: SentAs,
        /// Seconds until the message is delivered, at most 86400
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        delay: u32,
        /// Print the message's id and the backlog as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the next messages, without taking them
    Peek {
        #[command(flatten)]
        target: Target,
        /// Maximum number of messages
        #[arg(long, value_name = "NUMBER", default_value_t = 10)]
        count: usize,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Move dead letters back to the queue they come from, as if they had not been delivered
    Redrive {
        #[command(flatten)]
        target: Target,
        /// Queue to move them to; needed if several queues have these dead letters, or none
        #[arg(long, value_name = "QUEUE")]
        to: Option<String>,
        /// Maximum number of messages. Default: all
        #[arg(long, value_name = "NUMBER")]
        count: Option<usize>,
        /// Print the number as JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove all messages
    Purge {
        #[command(flatten)]
        target: Target,
        /// Needed, because the messages are lost
        #[arg(long)]
        yes: bool,
        /// Print the number as JSON
        #[arg(long)]
        json: bool,
    },
}

/// The queue that a command works on.
#[derive(Args)]
struct Target {
    /// Name of the queue
    queue: String,
    #[command(flatten)]
    project: ProjectArguments,
}

/// A content type that a command can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SentAs {
    Json,
    Text,
    Bytes,
}

/// Runs `isopod queue`.
pub(crate) fn queue(arguments: QueueArguments, environment: &BTreeMap<String, String>) -> Result<ExitCode> {
    match arguments.command {
        QueueCommand::List { json, project } => list(&Known::of(&project.read(environment)?), json)?,
        QueueCommand::Send {
            target,
            body,
            file,
            content_type,
            delay,
            json,
        } => {
            let body = checked(content_type, read(body, file)?)?;
            let delay = check_delay(delay.into())?;
            let (store, _) = target.open(environment)?;
            send(&*store, body, delay, json)?;
        }
        QueueCommand::Peek { target, count, json } => {
            let (store, _) = target.open(environment)?;
            let peeked = block_on(store.peek(count))?;
            match json {
                true => print_json(&shown::messages(&peeked))?,
                false => peeked.iter().try_for_each(|one| print(shown::line(one).as_bytes()))?,
            }
        }
        QueueCommand::Redrive {
            target,
            to,
            count,
            json,
        } => {
            let name = target.queue.clone();
            let (store, known) = target.open(environment)?;
            let to = match to {
                Some(to) => known.named(&to)?,
                None => known.source_of(&name)?,
            };
            let moved = redrive(&*store, &*to.store(), count.unwrap_or(usize::MAX))?;
            match json {
                true => print_json(&json!({ "moved": moved, "to": to.name }))?,
                false => print(format!("{moved} moved to {}\n", to.name).as_bytes())?,
            }
        }
        QueueCommand::Purge { target, yes, json } => {
            let name = target.queue.clone();
            let (store, _) = target.open(environment)?;
            if !yes {
                let count = block_on(store.metrics())?.count;
                bail!("this removes {count} messages of \"{name}\" for good; add --yes");
            }
            let removed = block_on(store.purge())?;
            match json {
                true => print_json(&json!({ "removed": removed }))?,
                false => print(format!("{removed} removed\n").as_bytes())?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Target {
    fn open(self, environment: &BTreeMap<String, String>) -> Result<(Arc<dyn QueueStore>, Known)> {
        let known = Known::of(&self.project.read(environment)?);
        Ok((known.named(&self.queue)?.store(), known))
    }
}

fn list(known: &Known, json: bool) -> Result<()> {
    let mut rows = Vec::new();
    for one in known.all() {
        // A queue has no file before its first message.
        let metrics = match one.queue.kept.file().is_none_or(Path::exists) {
            true => {
                block_on(one.queue.store().metrics()).with_context(|| format!("the queue \"{}\"", one.queue.name))?
            }
            false => Default::default(),
        };
        rows.push((one, metrics));
    }
    match json {
        true => print_json(&shown::queues(&rows)),
        false => print(shown::table(&rows).as_bytes()),
    }
}

/// The body of a message: an argument, a file, or standard input.
fn read(body: Option<String>, file: Option<PathBuf>) -> Result<Vec<u8>> {
    match (body, file) {
        (Some(body), _) => Ok(body.into_bytes()),
        (None, Some(file)) => std::fs::read(&file).with_context(|| format!("cannot read {}", file.display())),
        (None, None) => {
            let mut body = Vec::new();
            std::io::stdin().lock().read_to_end(&mut body)?;
            Ok(body)
        }
    }
}

fn checked(sent_as: SentAs, body: Vec<u8>) -> Result<QueueBody> {
    Ok(match sent_as {
        SentAs::Json => {
            serde_json::from_slice::<serde::de::IgnoredAny>(&body)
                .context("the body is not JSON; to send a string, add --content-type text")?;
            QueueBody::new(ContentType::Json, body)
        }
        SentAs::Text => {
            let text = String::from_utf8(body);
            QueueBody::text(text.context("the body is not UTF-8; to send bytes, add --content-type bytes")?)
        }
        SentAs::Bytes => QueueBody::bytes(body),
    })
}

fn send(store: &dyn QueueStore, body: QueueBody, delay: Duration, json: bool) -> Result<()> {
    let message = QueueMessage::new(body);
    check_messages(std::slice::from_ref(&message))?;
    let id = message.id.clone();
    let backlog = block_on(store.send(vec![Outbound::new(message).delay(delay)]))?;
    match json {
        true => print_json(&json!({ "id": id, "backlog": backlog.count })),
        false => print(format!("{id}\n").as_bytes()),
    }
}

/// Moves messages that are due. Returns their number.
fn redrive(from: &dyn QueueStore, to: &dyn QueueStore, count: usize) -> Result<usize> {
    let mut moved = 0;
    while moved < count {
        let wanted = Take::default().at_most(MOVED_AT_ONCE.min(count - moved)).lease(LEASE);
        let taken = block_on(from.take(wanted))?.messages;
        if taken.is_empty() {
            break;
        }
        let sent = taken
            .iter()
            .map(|one| Outbound::new(one.message.clone()).is_moved(true));
        let sent = block_on(to.send(sent.collect()));
        let verdict = if sent.is_ok() { Verdict::Remove } else { Verdict::Return };
        let settled = taken.iter().map(|one| Settled {
            receipt: one.receipt,
            verdict,
        });
        block_on(from.settle(settled.collect()))?;
        sent?;
        moved += taken.len();
    }
    Ok(moved)
}

//! `isopod r2`: reads and writes the R2 buckets of a configuration, also while a server runs on them.

mod bucket;
mod content;
mod object;
mod shown;
mod target;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use self::object::About;
use self::target::Target;
use crate::project::ProjectArguments;

/// Arguments of `isopod r2`.
#[derive(Args)]
pub(crate) struct R2Arguments {
    #[command(subcommand)]
    group: Group,
}

#[derive(Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one")]
enum Group {
    /// Read and write objects
    #[command(subcommand)]
    Object(ObjectCommand),
    /// Show buckets
    #[command(subcommand)]
    Bucket(BucketCommand),
}

#[derive(Subcommand)]
enum ObjectCommand {
    /// Write the content of an object to standard output, or to a file
    Get {
        key: String,
        /// Write to a file, which is there when all of it is
        #[arg(long = "path", value_name = "FILE")]
        file: Option<PathBuf>,
        /// Print what is known of the object as JSON
        #[arg(long, requires = "file")]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Store an object from standard input, or from a file
    Put {
        key: String,
        /// Read from a file
        #[arg(long = "path", value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        about: About,
        /// Print what is known of the object as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Print what is known of an object
    Head {
        key: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// List objects in the order of their keys' bytes
    List {
        /// Beginning of the keys
        #[arg(long, default_value = "")]
        prefix: String,
        /// Show keys that are the same up to this text after the prefix as one
        #[arg(long, value_name = "TEXT")]
        delimiter: Option<String>,
        /// Print JSON, with metadata
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Remove objects
    Delete {
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Subcommand)]
enum BucketCommand {
    /// List the buckets of the configuration
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        project: ProjectArguments,
    },
    /// Print the size of a bucket
    Info {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
}

/// Runs `isopod r2`.
pub(crate) fn r2(arguments: R2Arguments, environment: &BTreeMap<String, String>) -> Result<ExitCode> {
    match arguments.group {
        Group::Object(ObjectCommand::Get {
            key,
            file,
            json,
            target,
        }) => {
            object::get(&*target.open(environment)?, key, file.as_deref(), json)?;
        }
        Group::Object(ObjectCommand::Put {
            key,
            file,
            about,
            json,
            target,
        }) => object::put(&*target.open(environment)?, key, file.as_deref(), about, json)?,
        Group::Object(ObjectCommand::Head { key, json, target }) => {
            object::head(&*target.open(environment)?, key, json)?;
        }
        Group::Object(ObjectCommand::List {
            prefix,
            delimiter,
            json,
            target,
        }) => object::list(&*target.open(environment)?, &prefix, delimiter.as_deref(), json)?,
        Group::Object(ObjectCommand::Delete { keys, target }) => object::delete(&*target.open(environment)?, &keys)?,
        Group::Bucket(BucketCommand::List { json, project }) => bucket::list(&project.read(environment)?, json)?,
        Group::Bucket(BucketCommand::Info { json, target }) => bucket::info(&target.find(environment)?, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

//! `isopod r2 object`.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use futures::executor::block_on;
use isopod::Body;
use isopod::bindings::r2::{
    R2Fault, R2Get, R2HttpMetadata, R2Listing, R2NewUpload, R2Object, R2Page, R2Part, R2Put, R2StorageClass, R2Store,
    check_key, check_metadata,
};
use isopod::storage::ReadRoom;
use serde_json::json;

use super::content::{self, FilePart, progress, read_up_to};
use super::shown;
use crate::output::{one_line, print, print_json};

/// Size of the parts of an upload from a file that is larger.
const FILE_PART_BYTES: u64 = 64 << 20;
/// The same from standard input, whose parts are held in memory.
const INPUT_PART_BYTES: usize = 8 << 20;
/// Keys that are removed at once.
const DELETE_KEYS: usize = 1000;

/// Metadata of an object that is stored.
#[derive(Args)]
pub(super) struct About {
    /// Content-Type
    #[arg(long, value_name = "TEXT")]
    content_type: Option<String>,
    /// Content-Language
    #[arg(long, value_name = "TEXT")]
    content_language: Option<String>,
    /// Content-Disposition
    #[arg(long, value_name = "TEXT")]
    content_disposition: Option<String>,
    /// Content-Encoding
    #[arg(long, value_name = "TEXT")]
    content_encoding: Option<String>,
    /// Cache-Control
    #[arg(long, value_name = "TEXT")]
    cache_control: Option<String>,
    /// Custom metadata; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    /// Storage class: Standard or InfrequentAccess
    #[arg(long, value_name = "CLASS", default_value = "Standard")]
    storage_class: String,
}

impl About {
    fn read(self, key: String) -> Result<R2Put> {
        check_key(&key)?;
        let http = R2HttpMetadata::default()
            .content_type(self.content_type)
            .content_language(self.content_language)
            .content_disposition(self.content_disposition)
            .content_encoding(self.content_encoding)
            .cache_control(self.cache_control);
        let pair = |text: &String| {
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| anyhow!("{text:?} should be KEY=VALUE"))?;
            Ok((key.to_owned(), value.to_owned()))
        };
        let custom: Vec<_> = self.metadata.iter().map(pair).collect::<Result<_>>()?;
        check_metadata(&http, &custom)?;
        let class = R2StorageClass::parse(&self.storage_class).ok_or(R2Fault::StorageClass)?;
        Ok(R2Put::new(key)
            .http_metadata(http)
            .custom_metadata(custom)
            .storage_class(class))
    }
}

fn no_object(key: &str) -> anyhow::Error {
    anyhow!("there is no object {key:?}")
}

pub(super) fn get(bucket: &dyn R2Store, key: String, file: Option<&Path>, json: bool) -> Result<()> {
    check_key(&key)?;
    // The process runs only this command.
    let found = block_on(bucket.get(R2Get::new(key.as_str()), ReadRoom::new(usize::MAX)))?;
    let found = found.ok_or_else(|| no_object(&key))?;
    let content = found.content.unwrap_or_default();
    let bar = progress(Some(found.object.size));
    match file {
        None => match content::write(content, &mut std::io::stdout().lock(), &bar) {
            Err(error) if is_closed(&error) => {}
            written => written?,
        },
        Some(file) => save(content, file, &bar).with_context(|| format!("cannot write {}", file.display()))?,
    }
    bar.finish_and_clear();
    match json {
        true => print_json(&shown::object(&found.object)),
        false => Ok(()),
    }
}

/// Returns true if the reader of standard output has closed it.
fn is_closed(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Writes content to a file, which replaces an existing one only when it is complete.
fn save(content: Body, file: &Path, bar: &indicatif::ProgressBar) -> Result<()> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let saved = || -> Result<()> {
        let mut to = File::create(&part)?;
        content::write(content, &mut to, bar)?;
        to.flush()?;
        fs::rename(&part, file)?;
        Ok(())
    };
    saved().inspect_err(|_| drop(fs::remove_file(&part)))
}

pub(super) fn put(bucket: &dyn R2Store, key: String, file: Option<&Path>, about: About, json: bool) -> Result<()> {
    let about = about.read(key)?;
    let stored = match file {
        Some(file) => from_file(bucket, about, file).with_context(|| format!("cannot store {}", file.display()))?,
        None => from_input(bucket, about)?,
    };
    match json {
        true => print_json(&shown::object(&stored)),
        false => Ok(()),
    }
}

fn from_file(bucket: &dyn R2Store, about: R2Put, path: &Path) -> Result<R2Object> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if !file.metadata()?.is_file() {
        bail!("it is not a regular file; pass a stream on standard input");
    }
    let bar = progress(Some(length));
    let part = |file: &File, left: u64| -> Result<Body> {
        let file = file.try_clone()?;
        Ok(Body::new(FilePart {
            file,
            left,
            progress: bar.clone(),
        }))
    };
    if length <= FILE_PART_BYTES {
        let stored = whole(bucket, about, part(&file, length)?)?;
        bar.finish_and_clear();
        return Ok(stored);
    }
    let mut left = length;
    let stored = in_parts(bucket, about, || {
        let size = left.min(FILE_PART_BYTES);
        left -= size;
        match size {
            0 => Ok(None),
            size => part(&file, size).map(Some),
        }
    })?;
    bar.finish_and_clear();
    Ok(stored)
}

fn from_input(bucket: &dyn R2Store, about: R2Put) -> Result<R2Object> {
    let mut input = std::io::stdin().lock();
    let first = read_up_to(&mut input, INPUT_PART_BYTES)?;
    if first.len() < INPUT_PART_BYTES {
        return whole(bucket, about, first.into());
    }
    let bar = progress(None);
    let mut next = Some(first);
    let stored = in_parts(bucket, about, || {
        let part = match next.take() {
            Some(first) => first,
            None => read_up_to(&mut input, INPUT_PART_BYTES)?,
        };
        bar.inc(part.len() as u64);
        Ok((!part.is_empty()).then(|| part.into()))
    })?;
    bar.finish_and_clear();
    Ok(stored)
}

fn whole(bucket: &dyn R2Store, about: R2Put, content: Body) -> Result<R2Object> {
    let stored = block_on(bucket.put(about, content))?;
    stored.ok_or_else(|| anyhow!("a condition does not hold"))
}

/// Stores an object from parts of one size, except the last.
fn in_parts(bucket: &dyn R2Store, about: R2Put, mut next: impl FnMut() -> Result<Option<Body>>) -> Result<R2Object> {
    let R2Put { key, .. } = &about;
    let upload = R2NewUpload::new(key)
        .http_metadata(about.http_metadata.clone())
        .custom_metadata(about.custom_metadata.clone())
        .storage_class(about.storage_class);
    let id = block_on(bucket.create_upload(upload))?;
    let mut store = || -> Result<R2Object> {
        let mut parts = Vec::new();
        while let Some(content) = next()? {
            let number = u16::try_from(parts.len() + 1).ok().filter(|number| *number <= 10_000);
            let number = number.ok_or_else(|| anyhow!("it is too large: it has more than 10,000 parts"))?;
            let etag = block_on(bucket.put_part(key.clone(), id.clone(), number, content))?;
            parts.push(R2Part { number, etag });
        }
        Ok(block_on(bucket.complete_upload(key.clone(), id.clone(), parts))?)
    };
    store().inspect_err(|_| drop(block_on(bucket.abort_upload(key.clone(), id.clone()))))
}

pub(super) fn head(bucket: &dyn R2Store, key: String, json: bool) -> Result<()> {
    check_key(&key)?;
    let found = block_on(bucket.head(key.clone()))?.ok_or_else(|| no_object(&key))?;
    match json {
        true => print_json(&shown::object(&found)),
        false => print(shown::lines(&found).as_bytes()),
    }
}

pub(super) fn delete(bucket: &dyn R2Store, keys: &[String]) -> Result<()> {
    keys.iter().try_for_each(|key| check_key(key))?;
    for keys in keys.chunks(DELETE_KEYS) {
        block_on(bucket.delete(keys.to_vec()))?;
    }
    Ok(())
}

pub(super) fn list(bucket: &dyn R2Store, prefix: &str, delimiter: Option<&str>, json: bool) -> Result<()> {
    let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
    each_page(bucket, prefix, delimiter, |page| {
        if json {
            objects.extend(page.objects.iter().map(shown::object));
            prefixes.extend(page.prefixes);
            return Ok(());
        }
        let mut lines: Vec<_> = page
            .objects
            .iter()
            .map(|object| {
                let (size, uploaded, key) = (shown::size(object.size), shown::uploaded(object), one_line(&object.key));
                (object.key.clone(), format!("{size:>10}  {uploaded}  {key}\n"))
            })
            .collect();
        let groups = page.prefixes.into_iter();
        lines.extend(groups.map(|group| {
            let line = format!("{:>10}  {:20}  {}\n", "", "", one_line(&group));
            (group, line)
        }));
        lines.sort();
        print(lines.into_iter().map(|(_, line)| line).collect::<String>().as_bytes())
    })?;
    match json {
        true => print_json(&json!({ "objects": objects, "delimitedPrefixes": prefixes })),
        false => Ok(()),
    }
}

/// Calls `each` with every page of a list.
fn each_page(
    bucket: &dyn R2Store,
    prefix: &str,
    delimiter: Option<&str>,
    mut each: impl FnMut(R2Page) -> Result<()>,
) -> Result<()> {
    let mut cursor = None;
    loop {
        let listing = R2Listing::default()
            .prefix(prefix)
            .delimiter(delimiter.map(str::to_owned))
            .cursor(cursor);
        let mut page = block_on(bucket.list(listing))?;
        cursor = page.cursor.take();
        each(page)?;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

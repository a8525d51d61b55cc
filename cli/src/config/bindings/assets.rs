//! `[assets]`, and `assets` of wrangler's files: the files that are served beside a worker, or without one.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use isopod::FetcherBinding;
use isopod::assets::{self, HtmlHandling, NotFoundHandling, WorkerFirst};
use isopod::bindings::Binding;
use isopod::bindings::r2::S3R2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::late_assets::{LateAssets, log_mistakes};
use super::{Configure, Configured, Env, Materials, Wrangler, WranglerKey};
use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;
use crate::config::storage::Server;
use crate::config::values::StorageUrl;

/// Maximum number of large files that are read at the same time.
const TRANSFERS_MAX: usize = 1024;

/// The static assets of a worker.
#[derive(Clone, Debug)]
pub struct Assets {
    /// The place of the files.
    pub place: AssetsPlace,
    /// The settings.
    pub options: assets::Options,
}

/// The place of static assets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssetsPlace {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket of S3.
    Bucket(S3R2),
}

impl fmt::Display for AssetsPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Bucket(bucket) => f.write_str(&bucket.address()),
        }
    }
}

/// Static assets that requests are answered with.
#[derive(Clone, Debug)]
pub enum OpenAssets {
    /// Those of a folder.
    Folder(assets::Assets),
    /// Those of a bucket, which may not be reached yet.
    Bucket(LateAssets),
}

impl AssetsPlace {
    /// The server that has them, if it is not a folder.
    pub fn bucket(&self) -> Option<Server> {
        match self {
            Self::Folder(_) => None,
            Self::Bucket(bucket) => Some(Server::Bucket(bucket.clone())),
        }
    }
}

impl Assets {
    /// The files of a folder, with the default options.
    pub(in crate::config) fn of_folder(directory: PathBuf) -> Self {
        Self {
            place: AssetsPlace::Folder(directory),
            options: assets::Options::default(),
        }
    }

    /// Opens the assets of a folder; those of a bucket are opened later. Logs the lines of `_headers` and `_redirects` that have no
    /// effect.
    ///
    /// # Errors
    /// The folder, or a file with rules in it, cannot be read.
    pub fn open(&self) -> Result<OpenAssets> {
        let (place, options) = (&self.place, self.options.clone());
        match place {
            AssetsPlace::Folder(folder) => {
                let opened = assets::Assets::open(folder, options);
                let opened = opened.with_context(|| format!("cannot serve {place}"))?;
                Ok(OpenAssets::Folder(log_mistakes(opened, place)))
            }
            AssetsPlace::Bucket(bucket) => {
                let late = LateAssets::new(bucket.clone(), options);
                Ok(OpenAssets::Bucket(late))
            }
        }
    }

    /// The files with rules in a folder, which may not exist.
    pub fn rules(&self) -> Vec<PathBuf> {
        match &self.place {
            AssetsPlace::Folder(folder) => ["_headers", "_redirects", ".assetsignore"]
                .map(|name| folder.join(name))
                .into(),
            AssetsPlace::Bucket(_) => Vec::new(),
        }
    }
}

pub(super) struct AssetsKind;

impl Configure for AssetsKind {
    const KEY: &'static str = "assets";
    const ABOUT: &'static str = "Files that are served beside the worker, or without one.";
    type Section = Section;
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Section>()];

    fn resolve(section: Section, at: &KeyPath, reading: &mut Reading<'_>, env: &mut Env) {
        let Some(place) = section.place(at, reading) else {
            return;
        };
        let worker_first = match section.run_worker_first {
            First::Always(false) => WorkerFirst::default(),
            First::Always(true) => WorkerFirst::always(),
            First::Rules(rules) => WorkerFirst::rules(&rules).unwrap_or_else(|error| {
                let key = at.key("run_worker_first");
                let fault = Fault::Conflict {
                    message: format!("`{key}`: {error}"),
                };
                reading.tell(&key, fault, "for example `[\"/api/*\", \"!/api/docs/*\"]`");
                WorkerFirst::default()
            }),
        };
        let options = assets::Options::default()
            .html_handling(section.html_handling.into())
            .not_found_handling(section.not_found_handling.into())
            .worker_first(worker_first);
        let assets = Assets { place, options };
        if let Some(binding) = section.binding {
            env.claim(&binding, &at.key("binding"), reading);
            env.bind(binding, Bound(assets.clone()));
        }
        env.assets = Some(assets);
    }
}

/// The binding by which a worker fetches its assets.
#[derive(Debug)]
struct Bound(Assets);

impl Configured for Bound {
    fn kind(&self) -> &'static str {
        "assets"
    }

    fn typescript(&self) -> String {
        "Fetcher".to_owned()
    }

    fn make(&self, _from: &Materials<'_>) -> Result<Arc<dyn Binding>> {
        Ok(Arc::new(match self.0.open()? {
            OpenAssets::Folder(assets) => FetcherBinding::new(assets),
            OpenAssets::Bucket(assets) => FetcherBinding::new(assets),
        }))
    }

    fn server(&self) -> Option<Server> {
        self.0.place.bucket()
    }
}

impl Section {
    /// The place of the files. One that is missing is a problem, if there are other settings.
    fn place(&self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<AssetsPlace> {
        if let Some(url) = &self.storage
            && let Some(bucket) = reading.bucket(url.clone(), &at.key("storage"))?
        {
            // As it is, with files of other programs.
            return Some(AssetsPlace::Bucket(bucket.transfers_max(TRANSFERS_MAX)));
        }
        let Some(directory) = &self.directory else {
            if *self != Self::default() {
                let key = at.key("directory").to_string();
                reading.tell(
                    at,
                    Fault::Missing { key },
                    "add the folder, for example `directory = \"public\"`",
                );
            }
            return None;
        };
        if self.storage.is_none()
            && let Some(bucket) = &reading.engines.assets
        {
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            let bucket = bucket.clone().transfers_max(TRANSFERS_MAX);
            return Some(AssetsPlace::Bucket(bucket.below(&format!("{name}/"))));
        }
        let directory = reading.source.folder().join(directory);
        if !directory.is_dir() {
            let key = at.key("directory");
            let fault = Fault::BadValue {
                key: key.to_string(),
                value: format!("\"{}\"", directory.display()),
                reason: "there is no such folder".to_owned(),
            };
            reading.tell(&key, fault, "build the project first, or correct the path");
            return None;
        }
        Some(AssetsPlace::Folder(directory))
    }
}

/// Static assets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Section {
    /// Folder with the files, relative to this file's folder.
    directory: Option<PathBuf>,
    /// `local`, an `s3://` URL with the files, or `$NAME`. Default: `storage.assets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<StorageUrl>,
    /// Name in `env`: `env.ASSETS.fetch(request)`. Default: not in `env`.
    binding: Option<String>,
    /// URLs of HTML files.
    html_handling: Html,
    /// Answer to a path without a file.
    not_found_handling: NotFound,
    /// Requests that the worker answers first: all, or those whose paths match one of the rules and none that begins with `!`.
    run_worker_first: First,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Html {
    #[default]
    AutoTrailingSlash,
    ForceTrailingSlash,
    DropTrailingSlash,
    None,
}

impl From<Html> for HtmlHandling {
    fn from(html: Html) -> Self {
        match html {
            Html::AutoTrailingSlash => Self::AutoTrailingSlash,
            Html::ForceTrailingSlash => Self::ForceTrailingSlash,
            Html::DropTrailingSlash => Self::DropTrailingSlash,
            Html::None => Self::None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum NotFound {
    #[default]
    #[serde(rename = "none")]
    None,
    #[serde(rename = "404-page")]
    Page,
    #[serde(rename = "single-page-application")]
    Application,
}

impl From<NotFound> for NotFoundHandling {
    fn from(not_found: NotFound) -> Self {
        match not_found {
            NotFound::None => Self::None,
            NotFound::Page => Self::NotFoundPage,
            NotFound::Application => Self::SinglePageApplication,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum First {
    Always(bool),
    Rules(Vec<String>),
}

impl Default for First {
    fn default() -> Self {
        Self::Always(false)
    }
}

impl Wrangler for Section {
    const KEY: &'static str = "assets";
    type Section = Self;

    fn translate(self, _at: &KeyPath, _reading: &mut Reading<'_>) -> Self {
        self
    }
}

//! The static assets of a worker: the files of a folder, as Workers serve them.
//!
//! ```
//! use isopod_assets::{Assets, HtmlHandling, Options};
//!
//! # fn main() -> std::io::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let options = Options::default().html_handling(HtmlHandling::DropTrailingSlash);
//! let (assets, mistakes) = Assets::open(folder, options)?;
//! for mistake in mistakes {
//!     eprintln!("{mistake}");
//! }
//! # drop(assets);
//! # Ok(())
//! # }
//! ```
//!
//! The path of a request: `first` decides whether the worker goes first, `redirects` applies `_redirects`, `html` finds the
//! file for a path, `folder` or another `Files` reads it, `answer` creates the response, and `headers` applies `_headers`.
//!
//! The crate knows nothing of V8, pools and servers.

mod answer;
#[doc(hidden)]
pub mod etag;
mod files;
mod first;
mod folder;
mod headers;
mod html;
mod look;
mod paths;
mod pattern;
#[doc(hidden)]
pub mod range;
mod redirects;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use http::header::{ALLOW, HOST, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};

use self::answer::{bare, with_file};
use self::first::Goes;
use self::folder::Site;
use self::headers::Headers;
use self::html::Found;
use self::look::Look;
use self::pattern::Target;
use self::redirects::{Redirect, Redirects};

pub use self::answer::AssetBody;
pub use self::files::{FileBytes, FileChunks, Files, OpenFile};
pub use self::first::{RulesError, WorkerFirst};
pub use self::html::{HtmlHandling, NotFoundHandling};

/// Maximum length of a line of `_headers` and `_redirects`.
const LINE_MAX: usize = 2000;

/// The settings of assets.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// The URLs of HTML files. Default: [`HtmlHandling::AutoTrailingSlash`].
    pub html_handling: HtmlHandling,
    /// The answer to a path without a file. Default: [`NotFoundHandling::None`].
    pub not_found_handling: NotFoundHandling,
    /// The requests that the worker answers first. Default: none.
    pub worker_first: WorkerFirst,
    /// Applies `not_found_handling` also to navigations (`Sec-Fetch-Mode: navigate`) of a worker with a script, as Workers
    /// do from the compatibility date 2025-04-01. Default: false.
    pub navigations: bool,
}

isopod_outcome::setters!(Options {
    html_handling: HtmlHandling,
    not_found_handling: NotFoundHandling,
    worker_first: WorkerFirst,
    navigations: bool,
});

/// A line of `_headers` or `_redirects` that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mistake {
    /// The name of the file.
    pub file: &'static str,
    /// The number of the line, from 1.
    pub line: usize,
    /// The reason.
    pub reason: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ignored: {}", self.file, self.line, self.reason)
    }
}

/// The assets of a worker. Clones are handles to the same assets.
///
/// Files are looked up for each request, so that changes take effect at once. Rules are read when the assets are opened.
#[derive(Clone, Debug)]
pub struct Assets(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    site: Site,
    options: Options,
    headers: Headers,
    redirects: Redirects,
}

/// The parts of a request that determine its answer.
struct RequestHead {
    method: Method,
    headers: HeaderMap,
    host: String,
    query: Option<String>,
    target: Target,
}

impl Assets {
    /// Opens a folder, and reads its `_headers`, `_redirects` and `.assetsignore`. Returns the lines that have no effect.
    ///
    /// # Errors
    /// The folder or one of these files cannot be read, or `.assetsignore` is invalid.
    pub fn open(folder: &Path, options: Options) -> std::io::Result<(Self, Vec<Mistake>)> {
        Self::of(Site::folder(folder)?, options)
    }

    /// Opens files from another source than a folder. Blocks.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of_files(files: impl Files, options: Options) -> std::io::Result<(Self, Vec<Mistake>)> {
        Self::of(Site::of(Arc::new(files))?, options)
    }

    fn of(site: Site, options: Options) -> std::io::Result<(Self, Vec<Mistake>)> {
        let mut mistakes = Vec::new();
        let inner = Inner {
            headers: Headers::read(&site.rules("_headers")?, &mut mistakes),
            redirects: Redirects::read(&site.rules("_redirects")?, &mut mistakes),
            site,
            options,
        };
        Ok((Self(Arc::new(inner)), mistakes))
    }

    /// Answers a request without a worker: with a file, a redirect, or 404.
    ///
    /// The future is to be polled inside a Tokio runtime, on whose blocking threads files are read.
    pub fn answer<B>(&self, request: &Request<B>) -> impl Future<Output = Response<AssetBody>> + Send + use<B> {
        let (inner, request) = (Arc::clone(&self.0), RequestHead::of(request));
        async move { inner.answer_always(request).await }
    }

    /// Answers a request to a worker with a script, or returns `None` if the worker must answer it.
    ///
    /// The future is to be polled inside a Tokio runtime, on whose blocking threads files are read.
    pub fn answer_before_worker<B>(
        &self,
        request: &Request<B>,
    ) -> impl Future<Output = Option<Response<AssetBody>>> + Send + use<B> {
        let (inner, request) = (Arc::clone(&self.0), RequestHead::of(request));
        async move { inner.answer_before_worker(request).await }
    }
}

impl Inner {
    async fn answer_always(self: Arc<Self>, request: RequestHead) -> Response<AssetBody> {
        let not_found = self.options.not_found_handling;
        let answer = self.run(request, move |inner, request, look| {
            let answer = inner.answer(request, not_found, look);
            Some(answer.unwrap_or_else(|| inner.finish(request, bare(StatusCode::NOT_FOUND))))
        });
        answer.await.unwrap_or_else(|| bare(StatusCode::NOT_FOUND))
    }

    async fn answer_before_worker(self: Arc<Self>, request: RequestHead) -> Option<Response<AssetBody>> {
        let options = &self.options;
        let goes = options.worker_first.decide(&request.target);
        let navigates = request
            .headers
            .get("sec-fetch-mode")
            .is_some_and(|mode| mode == "navigate");
        let not_found = match options.worker_first.has_rules() || (options.navigations && navigates) {
            true => options.not_found_handling,
            false => NotFoundHandling::None,
        };
        match goes {
            Goes::ToWorker => None,
            Goes::ToAssets => Some(self.answer_always(request).await),
            Goes::Either => {
                self.run(request, move |inner, request, look| {
                    inner.answer(request, not_found, look)
                })
                .await
            }
        }
    }

    /// Answers from the system's caches. If they lack a file, answers on a blocking thread.
    async fn run(
        self: Arc<Self>,
        request: RequestHead,
        body: impl Fn(&Self, &RequestHead, &Look<'_>) -> Option<Response<AssetBody>> + Send + 'static,
    ) -> Option<Response<AssetBody>> {
        {
            let look = Look::cached(&self.site);
            let answer = body(&self, &request, &look);
            if !look.has_missed() {
                return answer;
            }
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "on the runtime that polls it, the server's or that of a worker, which lives as long as the answer is wanted"
        )]
        let done = tokio::task::spawn_blocking(move || body(&self, &request, &Look::blocking(&self.site)));
        done.await.unwrap_or_else(|error| {
            tracing::error!(target: "isopod::assets", "cannot answer: {error}");
            Some(bare(StatusCode::INTERNAL_SERVER_ERROR))
        })
    }

    /// Answers a request for which there is an asset or a redirect.
    fn answer(
        &self,
        request: &RequestHead,
        not_found: NotFoundHandling,
        look: &Look<'_>,
    ) -> Option<Response<AssetBody>> {
        let (path, is_proxied) = match self
            .redirects
            .find(&request.target, &request.host, request.query.as_deref())
        {
            Some(Redirect::To(to, status)) => return Some(self.finish(request, redirect(&to, status))),
            Some(Redirect::Proxy(path)) => (path, true),
            None => (request.target.path.clone(), false),
        };
        let decoded = paths::decode(&path);
        let mut exists = |file: &str| look.has(file);
        let found = html::find(&decoded, self.options.html_handling, not_found, &mut exists);
        let Some(found) = found else {
            return is_proxied.then(|| self.finish(request, bare(StatusCode::NOT_FOUND)));
        };
        if !matches!(request.method, Method::GET | Method::HEAD) {
            let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Some(self.finish(request, response));
        }
        let (file, status, to) = match found {
            Found::File(file) => (file, StatusCode::OK, paths::encode(&decoded)),
            Found::NotFoundPage(file) => (file, StatusCode::NOT_FOUND, paths::encode(&decoded)),
            Found::Redirect(to) => (String::new(), StatusCode::OK, paths::encode(&to)),
        };
        if to != path || file.is_empty() {
            let query = request.query.as_ref().map(|query| format!("?{query}"));
            let to = format!("{to}{}", query.unwrap_or_default());
            return Some(self.finish(request, redirect(&to, StatusCode::TEMPORARY_REDIRECT)));
        }
        let response = match look.open(&file) {
            Ok(Some(opened)) => with_file(&file, opened, status, &request.method, &request.headers),
            // The file was removed meanwhile.
            Ok(None) => return None,
            Err(error) => Err(error),
        };
        if response.is_err() && look.misses() {
            return None;
        }
        let response = response.unwrap_or_else(|error| {
            tracing::error!(target: "isopod::assets", "cannot read {file}: {error}");
            bare(StatusCode::INTERNAL_SERVER_ERROR)
        });
        Some(self.finish(request, response))
    }

    fn finish(&self, request: &RequestHead, mut response: Response<AssetBody>) -> Response<AssetBody> {
        self.headers.apply(&request.target, response.headers_mut());
        response
    }
}

fn redirect(to: &str, status: StatusCode) -> Response<AssetBody> {
    match HeaderValue::from_str(to) {
        Ok(to) => {
            let mut response = bare(status);
            response.headers_mut().insert(LOCATION, to);
            response
        }
        // A captured part of the path is invalid in a header.
        Err(_) => bare(StatusCode::NOT_FOUND),
    }
}

impl RequestHead {
    fn of<B>(request: &Request<B>) -> Self {
        let host = request.uri().host().or_else(|| {
            let host = request.headers().get(HOST)?.to_str().ok()?;
            // Without the port.
            host.parse::<Uri>()
                .ok()
                .map(|_| host.rsplit_once(':').map_or(host, |(host, _)| host))
        });
        let host = host.unwrap_or_default().to_ascii_lowercase();
        Self {
            method: request.method().clone(),
            headers: request.headers().clone(),
            query: request.uri().query().map(str::to_owned),
            target: Target::new(&host, request.uri().path()),
            host,
        }
    }
}

#[cfg(test)]
mod tests;

//! Static assets in a bucket, which are opened when the bucket is first reached.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use isopod::assets::{Assets, Mistake, Options};
use isopod::bindings::r2::{R2Files, S3R2};
use isopod::storage::StorageError;
use isopod::{Body, Caller, Failure, FetchFuture, Fetcher, Outcome};
use tokio::sync::OnceCell;

/// Time after which a client may ask again.
const AGAIN: Duration = Duration::from_secs(2);

/// The static assets of a bucket. Clones are the same.
#[derive(Clone)]
pub struct LateAssets(Arc<Inner>);

struct Inner {
    bucket: S3R2,
    options: Options,
    opened: OnceCell<Assets>,
}

impl LateAssets {
    pub(super) fn new(bucket: S3R2, options: Options) -> Self {
        Self(Arc::new(Inner {
            bucket,
            options,
            opened: OnceCell::new(),
        }))
    }

    /// Returns the assets. They are opened if the bucket can be reached, and the bucket is asked again after a pause if it cannot.
    ///
    /// # Errors
    /// Nothing answers, [`Outcome::LoadShed`]; or the list of files or a file with rules cannot be read.
    pub async fn get(&self) -> Result<Assets, Failure> {
        let Inner {
            bucket,
            options,
            opened,
        } = &*self.0;
        let opened = opened.get_or_try_init(|| async {
            let reached = bucket.reach().await;
            reached.map_err(|error| {
                let outcome = match error {
                    StorageError::Unreachable(_) => Outcome::LoadShed,
                    _ => Outcome::Exception,
                };
                Failure::new(outcome, format!("the static assets cannot be reached: {error}")).with_retry_after(AGAIN)
            })?;
            let (bucket, options) = (bucket.clone(), options.clone());
            #[expect(
                clippy::disallowed_methods,
                reason = "on the runtime that polls it, the server's or that of a worker, which lives as long as the answer is wanted"
            )]
            let opening = tokio::task::spawn_blocking(move || {
                let place = bucket.address();
                let opened = Assets::of_files(R2Files::new(bucket), options);
                let opened = opened.with_context(|| format!("cannot serve {place}"))?;
                anyhow::Ok(log_mistakes(opened, &place))
            });
            let opened = opening.await.map_err(anyhow::Error::from).flatten();
            opened.map_err(|error| Failure::new(Outcome::Exception, format!("{error:#}")))
        });
        opened.await.cloned()
    }
}

/// Logs the lines that have no effect.
pub(super) fn log_mistakes((assets, mistakes): (Assets, Vec<Mistake>), place: &impl fmt::Display) -> Assets {
    for mistake in mistakes {
        tracing::warn!(target: "isopod::assets", "{place}: {mistake}");
    }
    assets
}

impl fmt::Debug for LateAssets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LateAssets").field(&self.0.bucket).finish()
    }
}

impl Fetcher for LateAssets {
    fn fetch(&self, request: http::Request<Body>, caller: Caller) -> FetchFuture {
        // Those that are open answer by themselves, without another future.
        if let Some(assets) = self.0.opened.get() {
            return assets.fetch(request, caller);
        }
        let late = self.clone();
        Box::pin(async move { late.get().await?.fetch(request, caller).await })
    }
}

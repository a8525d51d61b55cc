//! The static assets of the deployed workers.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, Result};
use http::{Request, Response};
use isopod::server::ServerBody;
use isopod::{Failure, Outcome};

use crate::config::{Config, OpenAssets};

/// The assets of each worker. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Sites(Arc<RwLock<BTreeMap<String, Site>>>);

#[derive(Clone, Debug)]
struct Site {
    assets: OpenAssets,
    /// False if there are only assets.
    has_worker: bool,
}

impl Sites {
    /// The name in routes for assets without a worker.
    pub(super) const ALONE: &'static str = "assets";

    /// Replaces the assets by those of a configuration. Those of a bucket are opened if it can be reached.
    pub(super) async fn set(&self, config: &Config) -> Result<()> {
        let mut sites = BTreeMap::new();
        if let Some(assets) = &config.assets {
            let assets = assets.open()?;
            let has_worker = false;
            sites.insert(Self::ALONE.to_owned(), Site { assets, has_worker });
        }
        for (name, worker) in &config.workers {
            if let Some(assets) = &worker.assets {
                let assets = assets
                    .open()
                    .with_context(|| format!("worker {name:?} has no assets"))?;
                let has_worker = true;
                sites.insert(name.clone(), Site { assets, has_worker });
            }
        }
        for site in sites.values() {
            if let OpenAssets::Bucket(assets) = &site.assets
                && let Err(failure) = assets.get().await
                && failure.outcome != Outcome::LoadShed
            {
                anyhow::bail!("{}", failure.message);
            }
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sites;
        Ok(())
    }

    /// Answers a request with an asset. `None`: the worker answers it.
    ///
    /// # Errors
    /// The bucket of the assets cannot be reached.
    pub(super) async fn answer(
        &self,
        worker: &str,
        request: &Request<()>,
    ) -> Result<Option<Response<ServerBody>>, Failure> {
        let site = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(worker)
            .cloned();
        let Some(site) = site else { return Ok(None) };
        let assets = match site.assets {
            OpenAssets::Folder(assets) => assets,
            OpenAssets::Bucket(assets) => assets.get().await?,
        };
        let response = match site.has_worker {
            true => assets.answer_before_worker(request).await,
            false => Some(assets.answer(request).await),
        };
        Ok(response.map(|response| response.map(ServerBody::new)))
    }

    /// Returns true if a worker has assets.
    pub(super) fn has(&self, worker: &str) -> bool {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(worker)
    }
}

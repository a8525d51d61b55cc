//! The client of a service, and the first contact with it.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::client::HttpError;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::{ClientOptions, Error, RetryConfig};

use super::S3R2;
use crate::storage::StorageError;

/// Time limit for connecting, and for the answer to the first request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl S3R2 {
    /// Creates a client.
    pub(super) fn build(&self, read_timeout: Duration, retry: RetryConfig) -> Result<AmazonS3, StorageError> {
        let options = &self.options;
        let of_client = ClientOptions::new()
            .with_timeout_disabled()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_read_timeout(read_timeout)
            .with_allow_http(options.endpoint.as_ref().is_some_and(|url| url.starts_with("http://")));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&options.bucket)
            .with_region(options.region.as_deref().unwrap_or("us-east-1"))
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_client_options(of_client)
            .with_retry(retry);
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some((id, secret)) = &options.credentials {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        }
        if let Some(token) = &options.token {
            builder = builder.with_token(token);
        }
        let built = builder.build();
        built.map_err(|error| StorageError::Failed(format!("{}: {error}", self.address())))
    }

    /// Makes sure that the service answers, once: a request of one object's name, which is not tried again. Requests made before
    /// that fail at once.
    ///
    /// # Errors
    /// [`StorageError::Unreachable`] if the service does not answer, and may later. Any other error is one of the configuration, such
    /// as credentials that are refused.
    pub async fn reach(&self) -> Result<(), StorageError> {
        self.contact.get(|| self.first()).await
    }

    async fn first(&self) -> Result<(), StorageError> {
        let (runtime, _) = self.client()?;
        let bucket = self.clone();
        let asked = runtime.spawn(async move {
            let retry = RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            };
            let client = bucket.build(CONNECT_TIMEOUT, retry)?;
            let options = PaginatedListOptions {
                max_keys: Some(1),
                ..PaginatedListOptions::default()
            };
            let listed = client.list_paginated(Some(&bucket.options.prefix), options).await;
            listed.map(drop).or_else(|error| bucket.missed(&error))
        });
        asked
            .await
            .unwrap_or_else(|_| Err(StorageError::Failed("the runtime of S3 has ended".to_owned())))
    }

    /// The result of a first request that failed.
    fn missed(&self, error: &Error) -> Result<(), StorageError> {
        let place = || match &self.options.endpoint {
            Some(endpoint) => format!("{} at {endpoint}", self.address()),
            None => self.address(),
        };
        let text = error.to_string();
        match error {
            // It answers: there may be no such bucket yet, or the credentials may not list.
            Error::NotFound { .. } => Ok(()),
            Error::Generic { .. } if text.contains("NoSuchBucket") => Ok(()),
            Error::PermissionDenied { .. } if text.contains("AccessDenied") => Ok(()),
            Error::Generic { source, .. } if is_connection(&**source) || text.contains("status code: 5") => {
                Err(StorageError::Unreachable(format!("{}: {text}", place())))
            }
            _ => Err(StorageError::Failed(format!("{}: {text}", place()))),
        }
    }
}

/// Returns true if this is, or was caused by, an error of a connection.
fn is_connection(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|error| error.is::<HttpError>())
}

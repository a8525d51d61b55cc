//! Writing of objects. Content is read from a script in pieces, and passed to tasks of the runtime.

use std::sync::Arc;

use bytes::Bytes;
use http_body::Body as _;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{
    Error, ObjectStore as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, UpdateVersion,
};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use super::super::condition::R2Conditions;
use super::super::content::pieces;
use super::super::object::{R2Algorithm, R2Checksum, R2Object};
use super::super::rules::R2Fault;
use super::super::store::{R2Error, R2Put};
use super::{S3R2, TRIES, metadata};
use crate::event::Body;
use crate::storage::{StorageError, now_ms};
use crate::web::Hasher;

/// Generates a version.
pub(super) fn version() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

impl S3R2 {
    pub(super) async fn put_object(self, put: R2Put, mut content: Body) -> Result<Option<R2Object>, R2Error> {
        let length = length_of(&content)?;
        if length > self.options.object_bytes_max {
            return Err(R2Fault::ObjectSize.into());
        }
        let _transfer = self.write_permit().await?;
        let present = self.present(&put).await?;
        if !put.conditions.hold(present.as_ref()) {
            return Ok(None);
        }
        let object = R2Object::new(&put.key, length, "")
            .version(version())
            .http_metadata(put.http_metadata.clone())
            .custom_metadata(put.custom_metadata.clone())
            .storage_class(put.storage_class);
        match length <= Self::PART_BYTES as u64 {
            true => self.put_whole(put, object, present, &mut content).await,
            false => self.put_in_parts(put, object, &mut content).await,
        }
    }

    /// Returns the current object, if there are conditions on it.
    async fn present(&self, put: &R2Put) -> Result<Option<R2Object>, R2Error> {
        match put.conditions == R2Conditions::default() {
            true => Ok(None),
            false => self.clone().head_object(put.key.clone()).await,
        }
    }

    async fn write_permit(&self) -> Result<OwnedSemaphorePermit, R2Error> {
        let permit = self.writes.clone().acquire_owned().await;
        permit.map_err(|_| StorageError::Failed("the bucket was closed".to_owned()).into())
    }

    /// Puts content in one request. The service checks the conditions.
    async fn put_whole(
        self,
        put: R2Put,
        mut object: R2Object,
        mut present: Option<R2Object>,
        content: &mut Body,
    ) -> Result<Option<R2Object>, R2Error> {
        let mut left = object.size;
        let pieces = pieces(content, &mut left, Self::PART_BYTES).await?;
        let digests = Digests::new(put.checksum.as_ref());
        let (pieces, digests) = self.digested(pieces, digests).await?;
        let (md5, other) = digests.finish();
        object.checksums.set(R2Algorithm::Md5, md5.clone());
        check(put.checksum.clone(), &md5, other.as_deref())?;
        if let (Some(R2Checksum { algorithm, digest }), Some(_)) = (put.checksum.clone(), &other) {
            object.checksums.set(algorithm, digest);
        }
        let path = self.path(&put.key)?;
        let payload: PutPayload = pieces.into_iter().collect();
        let attributes = metadata::attributes(&object);
        for _ in 0..TRIES {
            let mode = match (&present, put.conditions == R2Conditions::default()) {
                (_, true) => PutMode::Overwrite,
                // The write replaces only the compared object.
                (Some(object), false) => PutMode::Update(UpdateVersion {
                    e_tag: Some(format!("\"{}\"", object.etag)),
                    version: None,
                }),
                (None, false) => PutMode::Create,
            };
            let (path, payload) = (path.clone(), payload.clone());
            let options = PutOptions {
                mode,
                attributes: attributes.clone(),
                ..PutOptions::default()
            };
            let done = self.ask(|client| async move { client.put_opts(&path, payload, options).await });
            match done.await? {
                Ok(result) => return Ok(Some(stored(object, &result))),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                    present = self.present(&put).await?;
                    if !put.conditions.hold(present.as_ref()) {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(self.of_put(&error)),
            }
        }
        Err(R2Fault::Internal.into())
    }

    /// Puts content in parts, of which one is in memory.
    async fn put_in_parts(
        self,
        put: R2Put,
        mut object: R2Object,
        content: &mut Body,
    ) -> Result<Option<R2Object>, R2Error> {
        if let Some(R2Checksum { algorithm, digest }) = put.checksum.clone() {
            object.checksums.set(algorithm, digest);
        }
        let path = self.path(&put.key)?;
        let options = PutMultipartOptions::from(metadata::attributes(&object));
        let to = path.clone();
        let created = self.ask(|client| async move { client.create_multipart_opts(&to, options).await });
        let id = created.await?.map_err(|error| self.of_put(&error))?;
        let (runtime, client) = self.client()?;
        let mut upload = Upload {
            runtime,
            client,
            path,
            id: Some(id.clone()),
        };
        let (mut left, mut parts) = (object.size, Vec::new());
        let mut digests = Digests::new(put.checksum.as_ref());
        while left > 0 {
            let pieces = pieces(content, &mut left, Self::PART_BYTES).await?;
            let (pieces, more) = self.digested(pieces, digests).await?;
            digests = more;
            let part = self.send_part(&upload.path, &id, parts.len(), pieces).await?;
            parts.push(part.map_err(|error| self.of_put(&error))?);
        }
        let (md5, other) = digests.finish();
        check(put.checksum.clone(), &md5, other.as_deref())?;
        if !put.conditions.hold(self.present(&put).await?.as_ref()) {
            return Ok(None);
        }
        let to = upload.path.clone();
        let done = self.ask(|client| async move { client.complete_multipart(&to, &id, parts).await });
        let result = done.await?.map_err(|error| self.of_put(&error))?;
        upload.id = None;
        Ok(Some(stored(object, &result)))
    }

    async fn send_part(
        &self,
        path: &Path,
        id: &str,
        place: usize,
        pieces: Vec<Bytes>,
    ) -> Result<Result<PartId, Error>, R2Error> {
        let (path, id) = (path.clone(), id.to_owned());
        let payload: PutPayload = pieces.into_iter().collect();
        self.ask(|client| async move { client.put_part(&path, &id, place, payload).await })
            .await
    }

    pub(super) async fn put_upload_part(
        self,
        key: String,
        upload: String,
        number: u16,
        mut content: Body,
    ) -> Result<String, R2Error> {
        let length = length_of(&content)?;
        if length > Self::UPLOAD_PART_BYTES_MAX.min(self.options.object_bytes_max) {
            return Err(R2Fault::ObjectSize.into());
        }
        let _transfer = self.write_permit().await?;
        let path = self.path(&key)?;
        let mut left = length;
        let pieces = pieces(&mut content, &mut left, usize::MAX).await?;
        let place = usize::from(number).saturating_sub(1);
        let part = self.send_part(&path, &upload, place, pieces).await?;
        let part = part.map_err(|error| self.of_upload(&error))?;
        Ok(metadata::etag_of(Some(&part.content_id)))
    }

    /// Adds pieces to digests, on the runtime's thread.
    async fn digested(&self, pieces: Vec<Bytes>, mut digests: Digests) -> Result<(Vec<Bytes>, Digests), R2Error> {
        self.run(|_| async move {
            pieces.iter().for_each(|piece| digests.update(piece));
            Ok((pieces, digests))
        })
        .await
    }

    fn of_put(&self, error: &Error) -> R2Error {
        match error.to_string().contains("MetadataTooLarge") {
            true => R2Fault::MetadataSize.into(),
            false => self.failed(error),
        }
    }
}

fn length_of(content: &Body) -> Result<u64, R2Error> {
    let length = content.size_hint().exact();
    length.ok_or_else(|| R2Error::Content("its length is not known".to_owned()))
}

/// Returns a written object.
fn stored(mut object: R2Object, result: &PutResult) -> R2Object {
    object.etag = metadata::etag_of(result.e_tag.as_deref());
    // The service stores whole seconds.
    object.uploaded = now_ms() / 1000 * 1000;
    object
}

/// The MD5 of content, and the digest of the requested algorithm.
struct Digests {
    md5: Hasher,
    other: Option<Hasher>,
}

impl Digests {
    fn new(given: Option<&R2Checksum>) -> Self {
        let other = given
            .map(|given| given.algorithm)
            .filter(|algorithm| *algorithm != R2Algorithm::Md5);
        Self {
            md5: Hasher::Md5(md5::Digest::new()),
            other: other.and_then(|algorithm| Hasher::new(algorithm.name())),
        }
    }

    fn update(&mut self, piece: &[u8]) {
        self.md5.update(piece);
        if let Some(other) = &mut self.other {
            other.update(piece);
        }
    }

    fn finish(self) -> (Vec<u8>, Option<Vec<u8>>) {
        (self.md5.finish(), self.other.map(Hasher::finish))
    }
}

/// Compares the content with the given checksum.
fn check(given: Option<R2Checksum>, md5: &[u8], other: Option<&[u8]>) -> Result<(), R2Fault> {
    let actual = other.unwrap_or(md5);
    match given {
        Some(R2Checksum { algorithm, digest }) if digest != actual => Err(R2Fault::Digest {
            algorithm,
            given: digest,
            actual: actual.to_vec(),
        }),
        _ => Ok(()),
    }
}

/// An upload in parts that is aborted when this is dropped, unless it was completed.
struct Upload {
    runtime: Handle,
    client: Arc<AmazonS3>,
    path: Path,
    id: Option<String>,
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let (client, path) = (self.client.clone(), self.path.clone());
            self.runtime.spawn(async move {
                if let Err(error) = client.abort_multipart(&path, &id).await {
                    tracing::debug!(target: "isopod::storage", %error, "an upload in parts was not aborted");
                }
            });
        }
    }
}

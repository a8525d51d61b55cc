//! The ops of a bucket.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use deno_core::convert::Uint8Array;
use deno_core::{OpState, ResourceId, ToV8, op2};
use http_body::Body as _;
use serde::Deserialize;

use super::error::OpError;
use super::object::R2Object;
use super::options::{About, GetOptions, ListOptions, PutOptions};
use super::rules::{DELETE_KEYS, R2Fault, check_key};
use super::store::{R2Error, R2Part, R2Store};
use crate::bindings::operation::operate;
use crate::context::end_with_event;
use crate::event::{Body, EventKey};
use crate::fetch::streamed;
use crate::quotas::Usage;
use crate::storage::ReadRoom;
use crate::unwind;
use crate::values::Outgoing;

/// Runs the body of an op, and adds the operation's name to errors.
async fn run<T>(verb: &'static str, body: impl Future<Output = Result<T, OpError>>) -> Result<T, OpError> {
    unwind::catch_async(body).await?.map_err(|error| error.of(verb))
}

/// Runs an operation on the store of a binding for an event. It is canceled when the event ends.
async fn call<T>(
    state: &RefCell<OpState>,
    binding: String,
    event: EventKey,
    run: impl AsyncFnOnce(Arc<dyn R2Store>) -> Result<T, R2Error>,
) -> Result<T, OpError> {
    let run = async |store| Ok(run(store).await?);
    operate(state, binding, event, OpError::NoBinding, run).await
}

/// An object for the script.
#[derive(ToV8)]
struct Object {
    key: String,
    version: String,
    size: f64,
    etag: String,
    uploaded: f64,
    checksums: Vec<Option<Uint8Array>>,
    http_metadata: Vec<Option<String>>,
    cache_expiry: Option<f64>,
    custom_metadata: Vec<(String, String)>,
    storage_class: String,
}

impl From<R2Object> for Object {
    #[expect(clippy::cast_precision_loss, reason = "sizes, and milliseconds")]
    fn from(object: R2Object) -> Self {
        let http = object.http_metadata;
        let sums = object.checksums;
        let bytes = |digest: Option<Vec<u8>>| digest.map(|digest| Uint8Array(digest.into()));
        Self {
            key: object.key,
            version: object.version,
            size: object.size as f64,
            etag: object.etag,
            uploaded: object.uploaded as f64,
            checksums: [sums.md5, sums.sha1, sums.sha256, sums.sha384, sums.sha512]
                .map(bytes)
                .into(),
            cache_expiry: http.cache_expiry.map(|ms| ms as f64),
            http_metadata: vec![
                http.content_type,
                http.content_language,
                http.content_disposition,
                http.content_encoding,
                http.cache_control,
            ],
            custom_metadata: object.custom_metadata,
            storage_class: object.storage_class.to_string(),
        }
    }
}

/// An object and its content.
#[derive(ToV8)]
struct Got {
    object: Object,
    offset: f64,
    length: f64,
    /// The resource with the content, unless the conditions did not hold.
    body: Option<ResourceId>,
}

#[op2]
async fn op_isopod_r2_head(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[string] key: String,
    #[smi] event: EventKey,
) -> Result<Option<Object>, OpError> {
    run("head", async {
        check_key(&key)?;
        let found = call(&state, binding, event, async |store| store.head(key).await).await?;
        Ok(found.map(Object::from))
    })
    .await
}

#[op2]
async fn op_isopod_r2_get(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[string] key: String,
    #[serde] options: GetOptions,
    #[smi] event: EventKey,
) -> Result<Option<Got>, OpError> {
    run("get", async {
        let get = options.read(key)?;
        let room = {
            let usage = Usage::of(&state.borrow());
            ReadRoom::of(usage.ledger().clone(), usage.quotas.native_bytes)
        };
        let found = call(&state, binding, event, async |store| store.get(get, room).await).await?;
        let Some(found) = found else { return Ok(None) };
        let content = found
            .content
            .map(|content| streamed(&mut state.borrow_mut(), event, content));
        #[expect(clippy::cast_precision_loss, reason = "sizes")]
        let (offset, length) = (found.range.0 as f64, found.range.1 as f64);
        Ok(Some(Got {
            object: found.object.into(),
            offset,
            length,
            body: content.transpose()?,
        }))
    })
    .await
}

/// Returns the content that a script passes: bytes, a stream, or none.
fn content(
    state: &mut OpState,
    event: EventKey,
    data: Option<Uint8Array>,
    resource: Option<ResourceId>,
) -> Result<Body, OpError> {
    let usage = Usage::of(state);
    match (data, resource) {
        (Some(data), _) => {
            let bytes = Bytes::from(data.0);
            Ok(usage.hold(bytes.len())?.attach(bytes).into())
        }
        (None, Some(rid)) => {
            let (outgoing, body) = Outgoing::new(state.resource_table.take_any(rid)?);
            if body.size_hint().exact().is_none() {
                return Err(OpError::Length);
            }
            end_with_event(state, event, outgoing.tail())?;
            outgoing.spawn(&usage);
            Ok(body)
        }
        (None, None) => Ok(Body::empty()),
    }
}

#[op2]
#[allow(
    clippy::too_many_arguments,
    reason = "a key, options, and one of two forms of content"
)]
async fn op_isopod_r2_put(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[string] key: String,
    #[serde] options: PutOptions,
    data: Option<Uint8Array>,
    #[smi] resource: Option<ResourceId>,
    #[smi] event: EventKey,
) -> Result<Option<Object>, OpError> {
    run("put", async {
        let content = content(&mut state.borrow_mut(), event, data, resource)?;
        let put = options.read(key)?;
        let stored = call(&state, binding, event, async |store| store.put(put, content).await).await?;
        Ok(stored.map(Object::from))
    })
    .await
}

#[op2]
async fn op_isopod_r2_delete(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[scoped] keys: Vec<String>,
    #[smi] event: EventKey,
) -> Result<(), OpError> {
    run("delete", async {
        if keys.len() > DELETE_KEYS {
            return Err(R2Fault::DeleteKeys.into());
        }
        keys.iter().try_for_each(|key| check_key(key))?;
        call(&state, binding, event, async |store| store.delete(keys).await).await
    })
    .await
}

/// A page of objects for the script.
#[derive(ToV8)]
struct Page {
    objects: Vec<Object>,
    prefixes: Vec<String>,
    cursor: Option<String>,
}

#[op2]
async fn op_isopod_r2_list(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[serde] options: ListOptions,
    #[smi] event: EventKey,
) -> Result<Page, OpError> {
    run("list", async {
        let listing = options.read()?;
        let page = call(&state, binding, event, async |store| store.list(listing).await).await?;
        Ok(Page {
            objects: page.objects.into_iter().map(Object::from).collect(),
            prefixes: page.prefixes,
            cursor: page.cursor,
        })
    })
    .await
}

#[op2]
#[string]
async fn op_isopod_r2_create_upload(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[string] key: String,
    #[serde] about: About,
    #[smi] event: EventKey,
) -> Result<String, OpError> {
    run("createMultipartUpload", async {
        let upload = about.for_upload(key)?;
        call(&state, binding, event, async |store| store.create_upload(upload).await).await
    })
    .await
}

#[op2]
#[string]
#[allow(
    clippy::too_many_arguments,
    reason = "an upload, a number, and one of two forms of content"
)]
async fn op_isopod_r2_put_part(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[string] key: String,
    #[string] upload: String,
    #[smi] number: u16,
    data: Option<Uint8Array>,
    #[smi] resource: Option<ResourceId>,
    #[smi] event: EventKey,
) -> Result<String, OpError> {
    run("uploadPart", async {
        let content = content(&mut state.borrow_mut(), event, data, resource)?;
        check_key(&key)?;
        let put = async |store: Arc<dyn R2Store>| store.put_part(key, upload, number, content).await;
        call(&state, binding, event, put).await
    })
    .await
}

#[derive(Deserialize)]
struct Part {
    number: u16,
    etag: String,
}

#[op2]
async fn op_isopod_r2_complete_upload(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[string] key: String,
    #[string] upload: String,
    #[serde] parts: Vec<Part>,
    #[smi] event: EventKey,
) -> Result<Object, OpError> {
    run("completeMultipartUpload", async {
        check_key(&key)?;
        let parts = parts.into_iter().map(|Part { number, etag }| R2Part { number, etag });
        let parts = parts.collect();
        let complete = async |store: Arc<dyn R2Store>| store.complete_upload(key, upload, parts).await;
        Ok(call(&state, binding, event, complete).await?.into())
    })
    .await
}

#[op2]
async fn op_isopod_r2_abort_upload(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[string] key: String,
    #[string] upload: String,
    #[smi] event: EventKey,
) -> Result<(), OpError> {
    run("abortMultipartUpload", async {
        check_key(&key)?;
        let abort = async |store: Arc<dyn R2Store>| store.abort_upload(key, upload).await;
        call(&state, binding, event, abort).await
    })
    .await
}

/// In a module, because the macro creates a public type.
pub(crate) mod extension {
    use super::{
        op_isopod_r2_abort_upload, op_isopod_r2_complete_upload, op_isopod_r2_create_upload, op_isopod_r2_delete,
        op_isopod_r2_get, op_isopod_r2_head, op_isopod_r2_list, op_isopod_r2_put, op_isopod_r2_put_part,
    };

    deno_core::extension!(
        isopod_r2,
        deps = [isopod_context, isopod_fetch],
        ops = [
            op_isopod_r2_abort_upload,
            op_isopod_r2_complete_upload,
            op_isopod_r2_create_upload,
            op_isopod_r2_delete,
            op_isopod_r2_get,
            op_isopod_r2_head,
            op_isopod_r2_list,
            op_isopod_r2_put,
            op_isopod_r2_put_part,
        ],
        lazy_loaded_js = [dir "src/bindings/r2", "object.js", "options.js", "r2.js"],
    );
}

//! Incremental digests for `crypto.DigestStream`, and comparison in constant time.

use std::cell::RefCell;
use std::rc::Rc;

use aws_lc_rs::{constant_time, digest};
use deno_core::{OpState, Resource, ResourceId, op2};
use md5::{Digest as _, Md5};

use crate::quotas::{QuotaError, Usage};

/// The most bytes that one call takes: it is native code, which no limit interrupts.
const STEP_BYTES_MAX: usize = 1 << 20;

/// An incremental digest.
pub(crate) enum Hasher {
    Sha(digest::Context),
    Md5(Md5),
}

impl Hasher {
    /// Begins a digest, by the name of its algorithm in the Web Cryptography API.
    pub(crate) fn new(algorithm: &str) -> Option<Self> {
        let algorithm = match algorithm {
            "SHA-1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            "SHA-256" => &digest::SHA256,
            "SHA-384" => &digest::SHA384,
            "SHA-512" => &digest::SHA512,
            "MD5" => return Some(Self::Md5(Md5::new())),
            _ => return None,
        };
        Some(Self::Sha(digest::Context::new(algorithm)))
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Self::Sha(context) => context.update(data),
            Self::Md5(md5) => md5.update(data),
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha(context) => context.finish().as_ref().to_vec(),
            Self::Md5(md5) => md5.finalize().to_vec(),
        }
    }
}

struct HasherResource(RefCell<Hasher>);

impl Resource for HasherResource {
    fn name(&self) -> std::borrow::Cow<'_, str> {
        "digest".into()
    }
}

#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub(super) enum DigestError {
    #[class("DOMExceptionNotSupportedError")]
    #[error("unknown digest algorithm {0:?}: it should be SHA-1, SHA-256, SHA-384, SHA-512 or MD5")]
    Algorithm(String),
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[class(inherit)]
    #[error(transparent)]
    Resource(#[from] deno_core::error::ResourceError),
}

#[op2(fast)]
#[smi]
pub(super) fn op_isopod_digest_new(state: &mut OpState, #[string] algorithm: &str) -> Result<ResourceId, DigestError> {
    Usage::of(state).room_for_handle(state)?;
    let hasher = Hasher::new(algorithm).ok_or_else(|| DigestError::Algorithm(algorithm.to_owned()))?;
    Ok(state.resource_table.add(HasherResource(RefCell::new(hasher))))
}

/// Adds up to one step of the data from the offset on. Returns the number of bytes.
#[op2]
#[number]
pub(super) fn op_isopod_digest_update(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[anybuffer] data: &[u8],
    #[number] offset: usize,
) -> Result<usize, DigestError> {
    let hasher = state.resource_table.get::<HasherResource>(rid)?;
    let data = data.get(offset..).unwrap_or_default();
    let data = &data[..data.len().min(STEP_BYTES_MAX)];
    hasher.0.borrow_mut().update(data);
    Ok(data.len())
}

/// Ends the digest and returns it.
#[op2]
#[buffer]
pub(super) fn op_isopod_digest_finish(state: &mut OpState, #[smi] rid: ResourceId) -> Result<Vec<u8>, DigestError> {
    let hasher = state.resource_table.take::<HasherResource>(rid)?;
    // No other call uses it, because ops of one isolate run one after the other.
    let hasher = Rc::into_inner(hasher).map(|hasher| hasher.0.into_inner().finish());
    Ok(hasher.unwrap_or_default())
}

/// Compares in a time that depends on the length alone.
#[op2]
pub(super) fn op_isopod_is_equal(#[anybuffer] one: &[u8], #[anybuffer] other: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(one, other).is_ok()
}

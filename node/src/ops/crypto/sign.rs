//! Signatures of digests.

use deno_core::op2;
use deno_node_crypto::keys::KeyObjectHandle;
use isopod_ext::unwind;

use super::{CryptoError, refused};

#[op2]
#[buffer]
pub(crate) fn op_isopod_sign(
    #[cppgc] key: &KeyObjectHandle,
    #[buffer] digest: &[u8],
    #[string] algorithm: &str,
    #[smi] salt_length: Option<i32>,
    #[smi] padding: Option<u32>,
    #[smi] dsa_encoding: u32,
) -> Result<Box<[u8]>, CryptoError> {
    let signed = unwind::catch(|| key.sign_prehashed(algorithm, digest, salt_length, padding, dsa_encoding))?;
    signed.map_err(refused)
}

#[op2]
pub(crate) fn op_isopod_verify(
    #[cppgc] key: &KeyObjectHandle,
    #[buffer] digest: &[u8],
    #[string] algorithm: &str,
    #[buffer] signature: &[u8],
    #[smi] salt_length: Option<i32>,
    #[smi] padding: Option<u32>,
    #[smi] dsa_encoding: u32,
) -> Result<bool, CryptoError> {
    let verified =
        unwind::catch(|| key.verify_prehashed(algorithm, digest, signature, salt_length, padding, dsa_encoding))?;
    verified.map_err(refused)
}

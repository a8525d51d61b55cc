//! Ciphers for data in parts.

use std::cell::RefCell;
use std::rc::Rc;

use aes::Aes192;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use deno_core::convert::Uint8Array;
use deno_core::{OpState, Resource, ResourceId, op2};
use deno_error::JsErrorBox;
use deno_node_crypto::cipher::{self, CipherContext, DecipherContext};
use isopod_ext::quotas::Usage;
use isopod_ext::unwind;

use super::{CryptoError, refused};

const AES_BLOCK_BYTES: usize = 16;
const DES_BLOCK_BYTES: usize = 8;

/// Maximum length of a key to be wrapped. Each of its blocks takes six rounds.
const WRAPPED_BYTES_MAX: usize = 64 << 10;

enum Context {
    Encrypt(CipherContext),
    Decrypt(DecipherContext),
    // The library has CBC with the other two key lengths.
    Encrypt192(Box<cbc::Encryptor<Aes192>>),
    Decrypt192(Box<cbc::Decryptor<Aes192>>),
}

/// A cipher between `createCipheriv()` and `final()`.
struct Cipher {
    context: RefCell<Context>,
    /// Size of a block, of which the length of data must be a multiple; 1 for a stream cipher.
    block: usize,
}

impl Resource for Cipher {
    fn name(&self) -> std::borrow::Cow<'_, str> {
        "cipher".into()
    }
}

fn block_bytes(algorithm: &str) -> usize {
    match algorithm {
        "aes128" | "aes192" | "aes256" => AES_BLOCK_BYTES,
        _ if algorithm.starts_with("des") => DES_BLOCK_BYTES,
        _ if algorithm.ends_with("-cbc") || algorithm.ends_with("-ecb") => AES_BLOCK_BYTES,
        _ => 1,
    }
}

fn start(
    algorithm: &str,
    decrypts: bool,
    key: &[u8],
    iv: &[u8],
    tag_bytes: Option<usize>,
) -> Result<Context, CryptoError> {
    let is_cbc192 = matches!(algorithm, "aes192" | "aes-192-cbc");
    if is_cbc192 && key.len() != 24 {
        return Err(JsErrorBox::range_error("Invalid key length").into());
    }
    if is_cbc192 && iv.len() != AES_BLOCK_BYTES {
        return Err(JsErrorBox::type_error("Invalid initialization vector").into());
    }
    Ok(match (is_cbc192, decrypts) {
        (false, false) => Context::Encrypt(CipherContext::new(algorithm, key, iv, tag_bytes).map_err(refused)?),
        (false, true) => Context::Decrypt(DecipherContext::new(algorithm, key, iv, tag_bytes).map_err(refused)?),
        (true, false) => Context::Encrypt192(Box::new(cbc::Encryptor::new(key.into(), iv.into()))),
        (true, true) => Context::Decrypt192(Box::new(cbc::Decryptor::new(key.into(), iv.into()))),
    })
}

impl Context {
    /// Processes whole blocks. The output has the same length.
    fn update(&mut self, input: &[u8], output: &mut [u8]) {
        let blocks = input
            .chunks_exact(AES_BLOCK_BYTES)
            .zip(output.chunks_exact_mut(AES_BLOCK_BYTES));
        match self {
            Self::Encrypt(context) => context.encrypt(input, output),
            Self::Decrypt(context) => context.decrypt(input, output),
            Self::Encrypt192(context) => blocks.for_each(|(input, output)| {
                context.encrypt_block_b2b_mut(GenericArray::from_slice(input), GenericArray::from_mut_slice(output));
            }),
            Self::Decrypt192(context) => blocks.for_each(|(input, output)| {
                context.decrypt_block_b2b_mut(GenericArray::from_slice(input), GenericArray::from_mut_slice(output));
            }),
        }
    }

    /// Processes the last block, with or without padding. Returns the tag, if the cipher has one.
    fn finish(
        mut self,
        padded: bool,
        input: &[u8],
        output: &mut [u8],
        tag: &[u8],
    ) -> Result<Option<Vec<u8>>, CryptoError> {
        match self {
            Self::Encrypt(context) => context.r#final(padded, input, output).map_err(refused),
            Self::Decrypt(context) => {
                context.r#final(padded, input, output, tag).map_err(refused)?;
                Ok(None)
            }
            Self::Encrypt192(context) if padded => {
                let done = context.encrypt_padded_b2b_mut::<Pkcs7>(input, output);
                done.map_err(|_| JsErrorBox::type_error("bad decrypt"))?;
                Ok(None)
            }
            Self::Decrypt192(context) if padded && !input.is_empty() => {
                if input.len() != AES_BLOCK_BYTES {
                    return Err(wrong_length());
                }
                let done = context.decrypt_padded_b2b_mut::<Pkcs7>(input, output);
                done.map_err(|_| JsErrorBox::type_error("bad decrypt"))?;
                Ok(None)
            }
            Self::Encrypt192(_) | Self::Decrypt192(_) => {
                if !input.len().is_multiple_of(AES_BLOCK_BYTES) {
                    return Err(wrong_length());
                }
                self.update(input, output);
                Ok(None)
            }
        }
    }
}

fn wrong_length() -> CryptoError {
    JsErrorBox::range_error("error:1C80006B:Provider routines::wrong final block length").into()
}

/// Starts a cipher. `tag_bytes`: -1 for the usual length.
#[op2(fast)]
#[smi]
pub(crate) fn op_isopod_cipher_start(
    state: &mut OpState,
    #[string] algorithm: &str,
    decrypts: bool,
    #[buffer] key: &[u8],
    #[buffer] iv: &[u8],
    #[smi] tag_bytes: i32,
) -> Result<ResourceId, CryptoError> {
    Usage::of(state).room_for_handle(state)?;
    let tag_bytes = usize::try_from(tag_bytes).ok();
    let context = unwind::catch(|| start(algorithm, decrypts, key, iv, tag_bytes))??;
    Ok(state.resource_table.add(Cipher {
        context: RefCell::new(context),
        block: block_bytes(algorithm),
    }))
}

#[op2(fast)]
pub(crate) fn op_isopod_cipher_aad(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[buffer] data: &[u8],
) -> Result<bool, CryptoError> {
    let Ok(cipher) = state.resource_table.get::<Cipher>(rid) else {
        return Ok(false);
    };
    unwind::catch(|| match &*cipher.context.borrow() {
        Context::Encrypt(context) => context.set_aad(data),
        Context::Decrypt(context) => context.set_aad(data),
        Context::Encrypt192(_) | Context::Decrypt192(_) => {}
    })?;
    Ok(true)
}

/// Processes data into output of the same length. Returns false on failure.
#[op2(fast)]
pub(crate) fn op_isopod_cipher_update(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[buffer] input: &[u8],
    #[buffer] output: &mut [u8],
) -> Result<bool, CryptoError> {
    let Ok(cipher) = state.resource_table.get::<Cipher>(rid) else {
        return Ok(false);
    };
    let Some(output) = output.get_mut(..input.len()) else {
        return Ok(false);
    };
    if !input.len().is_multiple_of(cipher.block) {
        return Ok(false);
    }
    unwind::catch(|| cipher.context.borrow_mut().update(input, output))?;
    Ok(true)
}

/// Checks the length of a tag.
#[op2(fast)]
pub(crate) fn op_isopod_cipher_check_tag(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[smi] bytes: u32,
) -> Result<(), CryptoError> {
    let cipher = state.resource_table.get::<Cipher>(rid).map_err(refused)?;
    unwind::catch(|| match &*cipher.context.borrow() {
        Context::Decrypt(context) => context.validate_auth_tag(bytes as usize).map_err(refused),
        Context::Encrypt(_) | Context::Encrypt192(_) | Context::Decrypt192(_) => Ok(()),
    })?
}

/// Ends a cipher with the last block. Returns the tag, if it has one.
#[op2]
pub(crate) fn op_isopod_cipher_finish(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    padded: bool,
    #[buffer] input: &[u8],
    #[buffer] output: &mut [u8],
    #[buffer] tag: &[u8],
) -> Result<Option<Uint8Array>, CryptoError> {
    let cipher = state.resource_table.take::<Cipher>(rid).map_err(refused)?;
    // The only reference: ops of an isolate run one after another.
    let Some(cipher) = Rc::into_inner(cipher) else {
        return Ok(None);
    };
    // A stream cipher writes nothing, a block cipher one block.
    let output = match cipher.block {
        1 => output,
        block if output.len() < block => return Err(wrong_length()),
        block => &mut output[..block],
    };
    let tag = unwind::catch(|| cipher.context.into_inner().finish(padded, input, output, tag))??;
    Ok(tag.map(Into::into))
}

/// Ends a cipher without remaining data. Returns the tag, if it has one.
#[op2]
pub(crate) fn op_isopod_cipher_take_tag(
    state: &mut OpState,
    #[smi] rid: ResourceId,
) -> Result<Option<Uint8Array>, CryptoError> {
    let cipher = state.resource_table.take::<Cipher>(rid).map_err(refused)?;
    let tag = unwind::catch(
        || match Rc::into_inner(cipher).map(|cipher| cipher.context.into_inner()) {
            Some(Context::Encrypt(context)) => context.take_tag(),
            _ => None,
        },
    )?;
    Ok(tag.map(Into::into))
}

/// Wraps a key (RFC 3394, RFC 5649), or unwraps it.
#[op2]
pub(crate) fn op_isopod_wrap_key(
    #[string] algorithm: &str,
    unwraps: bool,
    #[buffer] key: &[u8],
    #[buffer] iv: &[u8],
    #[buffer] data: &[u8],
) -> Result<Uint8Array, CryptoError> {
    if data.len() > WRAPPED_BYTES_MAX {
        let message = format!(
            "a wrapped key of {} bytes is above the limit of {WRAPPED_BYTES_MAX}",
            data.len()
        );
        return Err(JsErrorBox::range_error(message).into());
    }
    let run = if unwraps {
        cipher::aes_unwrap_key
    } else {
        cipher::aes_wrap_key
    };
    let done = unwind::catch(|| run(algorithm, key, iv, data))?;
    done.map(Into::into).map_err(refused)
}

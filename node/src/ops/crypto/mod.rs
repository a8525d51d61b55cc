//! The ops of `node:crypto`.
//!
//! A panic of an op aborts the process, and native code cannot be interrupted. Therefore [`borrowed`] has only those ops of
//! `deno_node_crypto` whose arguments `crypto_ops.js` can check. Ops that read keys, sign or encrypt are here, where a panic ends only
//! the worker. Unbounded work is refused by [`Usage`], or done in steps.
//!
//! [`Usage`]: isopod_ext::quotas::Usage

pub(super) mod cipher;
pub(super) mod derive;
mod encrypted;
pub(super) mod generate;
pub(super) mod keys;
pub(super) mod sign;

use deno_core::Extension;
use deno_error::{JsErrorBox, JsErrorClass};
use isopod_ext::quotas::QuotaError;
use isopod_ext::unwind::Panicked;

/// An error of an op.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub(super) enum CryptoError {
    #[class(inherit)]
    #[error(transparent)]
    Refused(#[from] JsErrorBox),
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[class(inherit)]
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// The error that the library reports.
fn refused(error: impl JsErrorClass) -> CryptoError {
    CryptoError::Refused(JsErrorBox::from_err(error))
}

/// Ops that do not panic and take a bounded time, for arguments that `crypto_ops.js` has checked.
const BORROWED: &[&str] = &[
    "op_node_cert_export_challenge",
    "op_node_cert_export_public_key",
    "op_node_check_prime_bytes",
    "op_node_create_ec_jwk",
    "op_node_create_hash",
    "op_node_derive_public_key_from_private_key",
    "op_node_dh_check",
    "op_node_dh_compute_secret",
    "op_node_diffie_hellman",
    "op_node_ecdh_compute_public_key",
    "op_node_ecdh_compute_secret",
    "op_node_ecdh_encode_pubkey",
    "op_node_ecdh_generate_keys",
    "op_node_ecdh_validate_private_key",
    "op_node_ecdh_validate_public_key",
    "op_node_export_private_key_der",
    "op_node_export_private_key_jwk",
    "op_node_export_private_key_pem",
    "op_node_export_public_key_der",
    "op_node_export_public_key_jwk",
    "op_node_export_public_key_pem",
    "op_node_fill_random",
    "op_node_generate_dh_group_key",
    "op_node_generate_ec_key",
    "op_node_generate_ed25519_key",
    "op_node_generate_ed448_key",
    "op_node_generate_x25519_key",
    "op_node_generate_x448_key",
    "op_node_get_asymmetric_key_details",
    "op_node_get_asymmetric_key_type",
    "op_node_get_hash_size",
    "op_node_get_hashes",
    "op_node_get_private_key_from_pair",
    "op_node_get_public_key_from_pair",
    "op_node_hash_clone",
    "op_node_hash_digest",
    "op_node_hash_digest_hex",
    "op_node_hash_update",
    "op_node_hash_update_str",
    "op_node_key_equals",
    "op_node_key_type",
    "op_node_pbkdf2",
    "op_node_pbkdf2_validate",
    "op_node_private_decrypt",
    "op_node_private_encrypt",
    "op_node_public_decrypt",
    "op_node_public_encrypt",
    "op_node_random_int",
    "op_node_scrypt_sync",
    "op_node_sign_ed25519",
    "op_node_sign_ed448",
    "op_node_validate_oaep_hash",
    "op_node_verify_ed25519",
    "op_node_verify_ed448",
    "op_node_verify_spkac",
    "op_node_x509_ca",
    "op_node_x509_check_email",
    "op_node_x509_check_host",
    "op_node_x509_check_ip",
    "op_node_x509_check_issued",
    "op_node_x509_check_private_key",
    "op_node_x509_fingerprint",
    "op_node_x509_fingerprint256",
    "op_node_x509_fingerprint512",
    "op_node_x509_get_info_access",
    "op_node_x509_get_issuer",
    "op_node_x509_get_raw",
    "op_node_x509_get_serial_number",
    "op_node_x509_get_signature_algorithm_name",
    "op_node_x509_get_signature_algorithm_oid",
    "op_node_x509_get_subject",
    "op_node_x509_get_subject_alt_name",
    "op_node_x509_get_valid_from",
    "op_node_x509_get_valid_to",
    "op_node_x509_key_usage",
    "op_node_x509_parse",
    "op_node_x509_public_key",
    "op_node_x509_to_legacy_object",
    "op_node_x509_to_string",
    "op_node_x509_verify",
];

/// The extension with the ops that are used as they are.
pub(crate) fn borrowed() -> Extension {
    let mut crypto = deno_node_crypto::deno_node_crypto::init();
    crypto.ops.to_mut().retain(|op| BORROWED.contains(&op.name));
    // A script could construct one, and that panics.
    crypto.objects = Vec::new().into();
    crypto
}

#[cfg(test)]
mod tests {
    use super::{BORROWED, borrowed};

    #[test]
    fn every_borrowed_op_exists() {
        let names: Vec<_> = borrowed().ops.iter().map(|op| op.name).collect();
        let missing: Vec<_> = BORROWED.iter().filter(|name| !names.contains(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

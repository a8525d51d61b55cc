//! AES-GCM with initialization vectors and tags of all lengths that deno_crypto's library does not support:
//! NIST SP 800-38D, sections 7.1 and 7.2.

use aes::cipher::generic_array::typenum::U16;
use aes::cipher::{BlockCipher, BlockEncryptMut, BlockSizeUser, KeyInit, KeyIvInit, StreamCipher};
use aes::{Aes128, Aes192, Aes256};
use aws_lc_rs::constant_time;
use ctr::Ctr32BE;
use deno_core::op2;
use ghash::GHash;
use ghash::universal_hash::UniversalHash;

const BLOCK_BYTES: usize = 16;
type Block = [u8; BLOCK_BYTES];

/// One message: `data` is encrypted or decrypted in place.
struct Message<'a> {
    key: &'a [u8],
    iv: &'a [u8],
    additional: &'a [u8],
    data: &'a mut [u8],
}

/// The hash of two texts, padded to blocks, and their lengths in bits.
fn hash(mut ghash: GHash, first: &[u8], second: &[u8]) -> Block {
    ghash.update_padded(first);
    ghash.update_padded(second);
    let bits = |text: &[u8]| (text.len() as u64 * 8).to_be_bytes();
    let mut lengths = Block::default();
    lengths[..8].copy_from_slice(&bits(first));
    lengths[8..].copy_from_slice(&bits(second));
    ghash.update(&[lengths.into()]);
    ghash.finalize().into()
}

/// The block that the counter starts with.
fn first_counter(ghash: GHash, iv: &[u8]) -> Block {
    if iv.len() != 12 {
        return hash(ghash, &[], iv);
    }
    let mut block = Block::default();
    block[..12].copy_from_slice(iv);
    block[15] = 1;
    block
}

impl Message<'_> {
    /// Encrypts or decrypts; returns the tag of the encrypted text. `None` for a key of the wrong length.
    fn transform<C>(self, encrypts: bool) -> Option<Block>
    where
        C: BlockCipher + BlockEncryptMut + BlockSizeUser<BlockSize = U16> + KeyInit,
    {
        let mut cipher = C::new_from_slice(self.key).ok()?;
        let mut subkey = Block::default().into();
        cipher.encrypt_block_mut(&mut subkey);
        let ghash = <GHash as ghash::universal_hash::KeyInit>::new(&subkey);
        let start = first_counter(ghash.clone(), self.iv);
        let mut stream = Ctr32BE::<C>::new_from_slices(self.key, &start).ok()?;
        let mut mask = Block::default();
        stream.try_apply_keystream(&mut mask).ok()?;
        let tag_of = |data: &[u8]| {
            let mut tag = hash(ghash, self.additional, data);
            tag.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
            tag
        };
        // The tag is that of the encrypted text.
        if !encrypts {
            let tag = tag_of(self.data);
            stream.try_apply_keystream(self.data).ok()?;
            return Some(tag);
        }
        stream.try_apply_keystream(self.data).ok()?;
        Some(tag_of(self.data))
    }

    fn transform_with_key(self, encrypts: bool) -> Option<Block> {
        match self.key.len() {
            16 => self.transform::<Aes128>(encrypts),
            24 => self.transform::<Aes192>(encrypts),
            32 => self.transform::<Aes256>(encrypts),
            _ => None,
        }
    }
}

/// Encrypts `data` in place and writes the tag; or decrypts it, and returns false if the tag does not match, in which case the
/// data is zeroed.
#[op2(fast)]
pub(super) fn op_isopod_aes_gcm(
    encrypts: bool,
    #[buffer] key: &[u8],
    #[buffer] iv: &[u8],
    #[buffer] additional: &[u8],
    #[buffer] data: &mut [u8],
    #[buffer] tag: &mut [u8],
) -> bool {
    let message = Message {
        key,
        iv,
        additional,
        data: &mut *data,
    };
    let made = message.transform_with_key(encrypts);
    let Some(made) = made.as_ref().and_then(|made| made.get(..tag.len())) else {
        data.fill(0);
        return false;
    };
    if encrypts {
        tag.copy_from_slice(made);
        return true;
    }
    let is_authentic = constant_time::verify_slices_are_equal(made, tag).is_ok();
    if !is_authentic {
        data.fill(0);
    }
    is_authentic
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::vectors::bytes;

    /// Test cases 4, 5 and 6 of the specification of GCM by McGrew and Viega, appendix B: initialization vectors of 96, 64 and
    /// 480 bits.
    #[test]
    fn vectors_of_other_lengths_match_the_specification() {
        let key = bytes("feffe9928665731c6d6a8f9467308308");
        let additional = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plain = bytes(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        let cases = [
            (
                "cafebabefacedbaddecaf888",
                "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
                 21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
                "5bc94fbc3221a5db94fae95ae7121a47",
            ),
            (
                "cafebabefacedbad",
                "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423\
                 73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598",
                "3612d2e79e3b0785561be14aaca2fccb",
            ),
            (
                "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728\
                 c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b",
                "8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca7\
                 01e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5",
                "619cc5aefffe0bfa462af43c1699d050",
            ),
        ];
        for (iv, encrypted, tag) in cases {
            let iv = bytes(iv);
            let mut data = plain.clone();
            let transform = |data: &mut [u8], encrypts| {
                let message = Message {
                    key: &key,
                    iv: &iv,
                    additional: &additional,
                    data,
                };
                message.transform_with_key(encrypts).unwrap()
            };
            let made = transform(&mut data, true);
            assert_eq!((data.clone(), made.to_vec()), (bytes(encrypted), bytes(tag)));
            let again = transform(&mut data, false);
            assert_eq!((data, again), (plain.clone(), made));
        }
    }
}

//! The five primitives of suite 1, each under the name its standard gives it.
//!
//! Nothing here decides anything: what is keyed with what stands in [`crate::keys`] and
//! [`crate::sealed`].

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Tag};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rayon_core::ThreadPoolBuilder;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::random::NoRandomness;

/// Length of the AES-GCM tag in bytes.
pub(crate) const TAG_LEN: usize = 16;

/// `SHA-256(parts[0] || parts[1] || ...)`, FIPS 180-4.
pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// `HMAC-SHA-256(key, data)`, RFC 2104.
pub(crate) fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// `HKDF-Expand(prk, info, out.len())` with SHA-256, RFC 5869 section 2.3. There is no Extract:
/// every `prk` here is already a uniform key.
pub(crate) fn expand(prk: &[u8; 32], info: &[&[u8]], out: &mut [u8]) {
    Hkdf::<Sha256>::from_prk(prk)
        .expect("the key is as long as the hash")
        .expand_multi_info(info, out)
        .expect("out is at most 64 bytes");
}

/// Whether two public tags are equal, in constant time.
pub(crate) fn tags_equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// A key that AES-256-GCM uses once, SP 800-38D.
///
/// The nonce is twelve zero bytes, which is right only because every such key is derived for one
/// message: sealing and opening take the key by value, so that there is no second use.
pub(crate) struct OneTimeKey(Aes256Gcm);

impl OneTimeKey {
    pub(crate) fn new(key: &mut [u8; 32]) -> Self {
        let cipher = Aes256Gcm::new_from_slice(key).expect("the key has 32 bytes");
        key.zeroize();
        Self(cipher)
    }

    /// Encrypts `buffer` in place and returns the tag.
    pub(crate) fn seal(self, aad: &[u8], buffer: &mut [u8]) -> [u8; TAG_LEN] {
        self.0
            .encrypt_inout_detached(&[0; 12].into(), aad, buffer.into())
            .expect("records are far shorter than 64 GiB")
            .into()
    }

    /// Decrypts `buffer` in place if `tag` is right. If it is not, `buffer` holds nothing to use.
    pub(crate) fn open(self, aad: &[u8], buffer: &mut [u8], tag: &[u8; TAG_LEN]) -> Option<()> {
        self.0.decrypt_inout_detached(&[0; 12].into(), aad, buffer.into(), &Tag::from(*tag)).ok()
    }
}

/// Argon2id, version 0x13, RFC 9106, with a 32-byte result.
///
/// The matrix is ours, so that it can be wiped: the library only frees its own. It is too large to
/// lock into memory under the usual limits. So are the threads: the library's own would end the program
/// where there may be no more of them.
///
/// # Errors
/// If there is not enough memory for the matrix, or the system allows not one more thread.
pub(crate) fn argon2id(
    passphrase: &[u8],
    salt: &[u8],
    m_kib: u32,
    t: u32,
    p: u32,
    out: &mut [u8; 32],
) -> Result<(), OutOfMemory> {
    let params = Params::new(m_kib, t, p, Some(out.len())).expect("the bounds were checked");
    let mut matrix: Vec<Block> = Vec::new();
    matrix.try_reserve_exact(params.block_count()).map_err(|_| OutOfMemory)?;
    matrix.resize(params.block_count(), Block::new());
    let threads = |count| ThreadPoolBuilder::new().num_threads(count).build();
    // As many as there are processors, or else one.
    let threads = threads(0).or_else(|_| threads(1)).map_err(|_| OutOfMemory)?;
    threads.install(|| {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase, salt, &mut out[..], &mut matrix)
            .expect("lengths and memory were checked");
    });
    matrix.zeroize();
    Ok(())
}

/// There is not enough memory, or no thread, for Argon2id.
#[derive(Debug)]
pub(crate) struct OutOfMemory;

/// Fills an array from a port for randomness.
pub(crate) fn random<const N: usize>(
    source: &dyn crate::random::Random,
) -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    source.fill(&mut bytes)?;
    Ok(bytes)
}

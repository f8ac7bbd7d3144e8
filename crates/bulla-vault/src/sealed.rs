//! The sealed box: how every plaintext of a vault is encrypted.
//!
//! `salt (32) | commitment (32) | AES-256-GCM ciphertext | tag (16)`. The key is derived for this
//! one box from the salt and from what the box is bound to; the commitment is derived with it and
//! compared before the cipher runs, since GCM alone would open one ciphertext under many keys
//! (Len, Grubbs, Ristenpart, "Partitioning Oracle Attacks", USENIX Security 2021).

use zeroize::Zeroizing;

use crate::bind::Binding;
use crate::error::Part;
use crate::keys::seal_keys;
use crate::primitives::{TAG_LEN, hmac, random, sha256, tags_equal};
use crate::random::{NoRandomness, Random};
use crate::secret::HedgeKey;

/// How much longer a box is than its plaintext.
pub(crate) const OVERHEAD: usize = 32 + 32 + TAG_LEN;

/// Appends a box with `plaintext` to `out`.
///
/// The salt is `HMAC(hedge, LP(random, binding, SHA-256(plaintext)))`: should the random bytes ever
/// repeat, in a cloned machine for instance, two different plaintexts still get different keys.
pub(crate) fn seal(
    key: &[u8; 32],
    hedge: &HedgeKey,
    binding: &Binding,
    plaintext: &[u8],
    source: &dyn Random,
    out: &mut Vec<u8>,
) -> Result<(), NoRandomness> {
    let fresh: [u8; 32] = random(source)?;
    let hedged = Binding::new("salt").part(&fresh).part(binding.bytes()).part(&sha256(plaintext));
    let salt = hmac(hedge.bytes(), hedged.bytes());
    let (key, commitment) = seal_keys(key, binding, &salt);
    out.reserve(OVERHEAD + plaintext.len());
    out.extend_from_slice(&salt);
    out.extend_from_slice(&commitment);
    let start = out.len();
    out.extend_from_slice(plaintext);
    let tag = key.seal(binding.bytes(), &mut out[start..]);
    out.extend_from_slice(&tag);
    Ok(())
}

/// Opens a box.
pub(crate) fn open(
    key: &[u8; 32],
    binding: &Binding,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Part> {
    let (salt, rest) = sealed.split_first_chunk::<32>().ok_or(Part::Row)?;
    let (stored, rest) = rest.split_first_chunk::<32>().ok_or(Part::Row)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(Part::Row)?;
    let (key, commitment) = seal_keys(key, binding, salt);
    if !tags_equal(&commitment, stored) {
        return Err(Part::Commitment);
    }
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    key.open(binding.bytes(), &mut plaintext, tag).ok_or(Part::Tag)?;
    Ok(plaintext)
}

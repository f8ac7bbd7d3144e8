//! Every key derivation of format 1 and every label, in one place.
//!
//! ```text
//! passphrase --Argon2id--> slot key --\
//! identity   --HPKE------> ----------- > vault key
//! vault key  --Expand(label, vault id)--> head | keyring | names | data | hedge | seed | locks | receipts
//! data key   --Expand("bulla/1 seal", binding, salt; 64 bytes)--> one-time AES key | commitment
//! slot key   --Expand("bulla/1 slot", binding; 64 bytes)--------> one-time AES key | commitment
//! ```

use std::convert::Infallible;

use zeroize::Zeroizing;

use crate::bind::Binding;
use crate::primitives::{OneTimeKey, expand, hmac, sha256};
use crate::secret::{
    DataKey, HeadKey, HedgeKey, KeyringKey, LockKey, NameKey, ReceiptKey, SeedKey, SlotKey,
    VaultKey,
};

/// Identifies a vault for as long as it lives; random, not secret.
pub type VaultId = [u8; 16];

/// Identifies an entry to the store without telling its name.
pub type EntryId = [u8; 16];

/// Proves, before a ciphertext is opened, that the key at hand is the one it was made with.
pub(crate) type Commitment = [u8; 32];

/// The working keys of an open vault. The vault key itself is used for nothing else.
pub(crate) struct Keys {
    pub(crate) head: HeadKey,
    pub(crate) keyring: KeyringKey,
    pub(crate) data: DataKey,
    pub(crate) hedge: HedgeKey,
    pub(crate) seed: SeedKey,
    names: NameKey,
    locks: LockKey,
    receipts: ReceiptKey,
}

impl Keys {
    pub(crate) fn derive(vault_key: &VaultKey, vault_id: &VaultId) -> Self {
        /// `HKDF-Expand(VK, LP(label, vault id), 32)`.
        macro_rules! derived {
            ($key:ident, $label:literal) => {{
                let info = Binding::new($label).part(vault_id);
                let Ok(key) = $key::fill::<Infallible>(|out| {
                    expand(vault_key.bytes(), &[info.bytes()], out);
                    Ok(())
                });
                key
            }};
        }
        Self {
            head: derived!(HeadKey, "bulla/1 head"),
            keyring: derived!(KeyringKey, "bulla/1 keyring"),
            names: derived!(NameKey, "bulla/1 names"),
            data: derived!(DataKey, "bulla/1 data"),
            hedge: derived!(HedgeKey, "bulla/1 hedge"),
            seed: derived!(SeedKey, "bulla/1 seed"),
            locks: derived!(LockKey, "bulla/1 locks"),
            receipts: derived!(ReceiptKey, "bulla/1 receipts"),
        }
    }

    /// The id under which the store knows `name`, which is in NFC.
    pub(crate) fn entry_id(&self, name: &str) -> EntryId {
        truncated(hmac(self.names.bytes(), name.as_bytes()))
    }

    /// The name under which the store knows the lock on an entry.
    pub(crate) fn lock_name(&self, id: &EntryId) -> [u8; 16] {
        truncated(hmac(self.locks.bytes(), id))
    }

    /// `HMAC(receipts, LP(label, place..., H(bytes)))`.
    pub(crate) fn receipt_digest(&self, label: &str, place: &[&[u8]], bytes: &[u8]) -> [u8; 32] {
        let binding = place.iter().fold(Binding::new(label), |binding, part| binding.part(part));
        hmac(self.receipts.bytes(), binding.part(&sha256(bytes)).bytes())
    }
}

/// The key and the commitment of one sealed object.
pub(crate) fn seal_keys(
    key: &[u8; 32],
    binding: &Binding,
    salt: &[u8; 32],
) -> (OneTimeKey, Commitment) {
    let info = Binding::new("bulla/1 seal").part(binding.bytes()).part(salt);
    one_time(key, &info)
}

/// The key and the commitment of one passphrase slot; its binding holds the slot's fresh salt.
pub(crate) fn slot_keys(key: &SlotKey, binding: &Binding) -> (OneTimeKey, Commitment) {
    one_time(key.bytes(), &Binding::new("bulla/1 slot").part(binding.bytes()))
}

fn one_time(key: &[u8; 32], info: &Binding) -> (OneTimeKey, Commitment) {
    let mut out = Zeroizing::new([0; 64]);
    expand(key, &[info.bytes()], &mut out[..]);
    let (key, commitment) = out.split_at_mut(32);
    let commitment = (&*commitment).try_into().expect("half of 64 bytes");
    (OneTimeKey::new(key.try_into().expect("half of 64 bytes")), commitment)
}

fn truncated(mac: [u8; 32]) -> [u8; 16] {
    mac[..16].try_into().expect("a MAC has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the worked example in docs/format.md, as the independent reader computes them.
    #[test]
    fn digests_in_receipts_are_those_of_the_document() {
        let mut key = bytes("a5329e3068bc76e4c573ae8152fc7b5355365fa862f44842f7cd5edf5133a6a7");
        let id = 0x52c4_d7f8_8b56_c753_ec98_7223_945e_8c81_u128.to_be_bytes();
        let keys = Keys::derive(&VaultKey::from_bytes(&mut key), &id);
        let nonce: [u8; 16] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let place: [&[u8]; 2] = [&nonce, b"out/app.json"];
        let digest = |label| keys.receipt_digest(label, &place, b"GOCSPX-not-a-secret");
        let output = "97c85725bf0123792b1cc6665b21fd79c59101428d2f166d96330498eae33b11";
        let template = "68a8d8a32199b3af6c41823649ffef11487ba09367694da0b43bdd0044b5028c";
        assert_eq!(digest("output"), bytes(output));
        assert_eq!(digest("template"), bytes(template));
    }

    fn bytes(hex: &str) -> [u8; 32] {
        let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        std::array::from_fn(byte)
    }
}

//! Identities and recipients: hybrid post-quantum key pairs, in the text form that age gives them.
//!
//! The keys are those of the HPKE KEM MLKEM768-X25519, also called X-Wing. The text form is that of
//! C2SP age.md, "The MLKEM768-X25519 hybrid post-quantum recipient type", so that `age-keygen -pq`
//! makes an identity for bulla. The HPKE `info` string keeps the two protocols apart.

use std::fmt;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Checksum, Hrp};
use hpke::aead::{AeadTag, AesGcm256};
use hpke::inout::InOutBuf;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::bind::Binding;
use crate::random::{NoRandomness, Random};

mod file;
mod protected;

pub use file::{IdentityFile, IdentityFileError};
pub use protected::ProtectedIdentity;

/// Length of an encapsulated key in bytes.
pub(crate) const ENC_LEN: usize = 1120;
/// Length of a recipient in bytes: an ML-KEM-768 encapsulation key and an X25519 public key.
const RECIPIENT_LEN: usize = 1216;

const IDENTITY_HRP: &str = "age-secret-key-pq-";
const RECIPIENT_HRP: &str = "age1pq";

/// The private half of a key pair: a 32-byte seed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Identity([u8; 32]);

impl Identity {
    /// Makes a new identity.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn generate(random: &dyn Random) -> Result<Self, NoRandomness> {
        let mut identity = Self([0; 32]);
        random.fill(&mut identity.0)?;
        Ok(identity)
    }

    /// Reads `AGE-SECRET-KEY-PQ-1...`.
    ///
    /// # Errors
    /// [`ParseKeyError`] says which other sort of key it is, if it is one.
    pub fn parse(text: &str) -> Result<Self, ParseKeyError> {
        if text.get(..16).is_some_and(|start| start.eq_ignore_ascii_case("age-secret-key-1")) {
            return Err(ParseKeyError::Classical);
        }
        if text.get(..11).is_some_and(|start| start.eq_ignore_ascii_case("age-plugin-")) {
            return Err(ParseKeyError::Plugin);
        }
        let mut identity = Self([0; 32]);
        decode(IDENTITY_HRP, text, &mut identity.0)?;
        Ok(identity)
    }

    /// `AGE-SECRET-KEY-PQ-1...`, to be written to where secrets go.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(encode_upper(IDENTITY_HRP, &self.0))
    }

    /// The public half.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        let public = XWing::sk_to_pk(&self.private_key());
        let mut bytes = Box::new([0; RECIPIENT_LEN]);
        public.write_exact(&mut bytes[..]);
        Recipient(bytes)
    }

    /// `OpenBase(enc, skR, info, aad = "", ct)` of RFC 9180 section 6.1 for a 32-byte plaintext.
    pub(crate) fn open(
        &self,
        info: &Binding,
        enc: &[u8; ENC_LEN],
        sealed: &[u8; 48],
    ) -> Option<Zeroizing<[u8; 32]>> {
        let enc = Deserializable::from_bytes(enc).ok()?;
        let (ct, tag) = sealed.split_at(32);
        let mut plain = Zeroizing::new(<[u8; 32]>::try_from(ct).ok()?);
        hpke::single_shot_open_inout_detached::<AesGcm256, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.private_key(),
            &enc,
            info.bytes(),
            InOutBuf::from(&mut plain[..]),
            b"",
            &AeadTag::from_bytes(tag).ok()?,
        )
        .ok()?;
        Some(plain)
    }

    fn private_key(&self) -> <XWing as Kem>::PrivateKey {
        Deserializable::from_bytes(&self.0).expect("any 32 bytes are a seed")
    }
}

/// The public half of a key pair. Not secret, but whoever knows it can tell whether it has a slot.
#[derive(Clone, Eq, PartialEq)]
pub struct Recipient(Box<[u8; RECIPIENT_LEN]>);

impl Recipient {
    /// Reads `age1pq1...`.
    ///
    /// # Errors
    /// [`ParseKeyError`] says which other sort of key it is, if it is one.
    pub fn parse(text: &str) -> Result<Self, ParseKeyError> {
        if text.get(..20).is_some_and(|start| start.eq_ignore_ascii_case("age-secret-key-pq-1s")) {
            return Err(ParseKeyError::NotOurs);
        }
        let mut bytes = Box::new([0; RECIPIENT_LEN]);
        match decode(RECIPIENT_HRP, text, &mut bytes[..]) {
            Ok(()) => Self::from_bytes(&bytes[..]).ok_or(ParseKeyError::Malformed),
            Err(ParseKeyError::NotOurs) if text.starts_with("age1tag") => {
                Err(ParseKeyError::Plugin)
            }
            Err(ParseKeyError::NotOurs) if text.starts_with("age1") && text.len() < 90 => {
                Err(ParseKeyError::Classical)
            }
            Err(other) => Err(other),
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <XWing as Kem>::PublicKey::from_bytes(bytes).ok()?;
        Some(Self(Box::new(bytes.try_into().ok()?)))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0[..]
    }

    /// `SealBase(pkR, info, aad = "", pt)` of RFC 9180 section 6.1.
    pub(crate) fn seal(
        &self,
        info: &Binding,
        plain: &[u8; 32],
        random: &dyn Random,
    ) -> Result<([u8; ENC_LEN], [u8; 48]), NoRandomness> {
        // The library draws 64 bytes and cannot fail to get them; ours may, so draw them first.
        let mut drawn = Drawn { bytes: Zeroizing::new([0; 64]), used: 0 };
        random.fill(&mut drawn.bytes[..])?;
        let public = <XWing as Kem>::PublicKey::from_bytes(&self.0[..])
            .expect("the key was checked when this recipient was made");
        let mut sealed = [0; 48];
        let mut buffer = Zeroizing::new(*plain);
        let (enc, tag) =
            hpke::single_shot_seal_inout_detached_with_rng::<AesGcm256, HkdfSha256, XWing>(
                &OpModeS::Base,
                &public,
                info.bytes(),
                InOutBuf::from(&mut buffer[..]),
                b"",
                &mut drawn,
            )
            .expect("a valid key encapsulates, and 32 bytes can be sealed");
        sealed[..32].copy_from_slice(&buffer[..]);
        tag.write_exact(&mut sealed[32..]);
        let mut enc_bytes = [0; ENC_LEN];
        enc.write_exact(&mut enc_bytes);
        Ok((enc_bytes, sealed))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_lower(RECIPIENT_HRP, &self.0[..]))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key in text form could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseKeyError {
    /// An X25519 key of age: what is recorded today could be opened by a quantum computer later.
    #[error("this is a classical age key, which is not safe against quantum computers")]
    Classical,
    /// The key demands more or less of Argon2id than the bounds allow.
    #[error("the key's derivation parameters are out of bounds")]
    KdfBounds,
    /// Something is missing or mistyped.
    #[error("the key is incomplete or mistyped")]
    Malformed,
    /// It does not begin as a key does.
    #[error("this is not a hybrid age key")]
    NotOurs,
    /// A key of age's that only a plugin or a hardware token can use.
    #[error("this is an age plugin key, which bulla does not support")]
    Plugin,
}

/// Randomness drawn beforehand, in the shape that the HPKE library asks for.
struct Drawn {
    bytes: Zeroizing<[u8; 64]>,
    used: usize,
}

impl TryRng for Drawn {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut word = [0; 4];
        self.try_fill_bytes(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut word = [0; 8];
        self.try_fill_bytes(&mut word)?;
        Ok(u64::from_le_bytes(word))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        let end = self.used + out.len();
        out.copy_from_slice(
            self.bytes.get(self.used..end).expect("X-Wing encapsulates with 64 bytes"),
        );
        self.used = end;
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

/// Bech32 as age uses it: BIP 173 without its limit on the length.
enum LongBech32 {}

impl Checksum for LongBech32 {
    type MidstateRepr = <Bech32 as Checksum>::MidstateRepr;
    type CorrectionField = <Bech32 as Checksum>::CorrectionField;
    const ROOT_GENERATOR: Self::CorrectionField = Bech32::ROOT_GENERATOR;
    const ROOT_EXPONENTS: core::ops::RangeInclusive<usize> = Bech32::ROOT_EXPONENTS;
    const CODE_LENGTH: usize = 4096;
    const CHECKSUM_LENGTH: usize = Bech32::CHECKSUM_LENGTH;
    const GENERATOR_SH: [u32; 5] = Bech32::GENERATOR_SH;
    const TARGET_RESIDUE: u32 = Bech32::TARGET_RESIDUE;
}

fn encode_lower(hrp: &str, data: &[u8]) -> String {
    bech32::encode_lower::<LongBech32>(Hrp::parse_unchecked(hrp), data)
        .expect("keys are shorter than the code")
}

fn encode_upper(hrp: &str, data: &[u8]) -> String {
    bech32::encode_upper::<LongBech32>(Hrp::parse_unchecked(hrp), data)
        .expect("keys are shorter than the code")
}

/// Decodes into `out`, which the text has to fill exactly, in its one canonical form.
fn decode(hrp: &str, text: &str, out: &mut [u8]) -> Result<(), ParseKeyError> {
    let starts_right = text.get(..hrp.len()).is_some_and(|start| start.eq_ignore_ascii_case(hrp));
    if !starts_right {
        return Err(ParseKeyError::NotOurs);
    }
    let parsed = CheckedHrpstring::new::<LongBech32>(text).map_err(|_| ParseKeyError::Malformed)?;
    if !parsed.hrp().as_str().eq_ignore_ascii_case(hrp) {
        return Err(ParseKeyError::NotOurs);
    }
    parsed.validate_segwit_padding().map_err(|_| ParseKeyError::Malformed)?;
    let mut bytes = parsed.byte_iter();
    if bytes.len() != out.len() {
        return Err(ParseKeyError::Malformed);
    }
    out.fill_with(|| bytes.next().expect("the length was compared"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    /// The example pair of C2SP age.md.
    const SPEC_IDENTITY: &str =
        "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR";

    #[test]
    fn the_checksum_is_consistent() {
        LongBech32::sanity_check();
    }

    #[test]
    fn the_example_of_age_gives_its_recipient() {
        let identity = Identity::parse(SPEC_IDENTITY).unwrap();
        assert_eq!(*identity.to_text(), SPEC_IDENTITY);
        let recipient = identity.recipient().to_string();
        assert!(
            recipient.starts_with("age1pq1x34nzsvr0rxjsgdn8zgyhfe8j7ceq5r9rdelkjuh3y235jzxshfg87")
        );
        assert!(recipient.ends_with("3xjstx7tl2szhpr5qe8jj08ydjc4wy2rch2fhuy3pdfjax5awe9j99ly5hkntzz9fe5zatgjvzdd0kgtxs25njnajyf6ssekp7gelxquusn4pt25czh3scj68kq79wdn5tgm6yvm9nzavrg043x3msnygf8dweknw5jmqd0uvny6ttsn09508k0c55zfnegrm9efhxpfqdkmhh6gjtqmwze9pyyzk3tlhl53k2ykx3qheyty7saeq0d3fzv49zc0k"));
        assert!(Recipient::parse(&recipient).unwrap() == identity.recipient());
    }

    #[test]
    fn what_is_sealed_for_a_recipient_opens_with_its_identity_only() {
        let (one, two) = (
            Identity::generate(&SystemRandom).unwrap(),
            Identity::generate(&SystemRandom).unwrap(),
        );
        let info = Binding::new("test");
        let (enc, sealed) = one.recipient().seal(&info, &[7; 32], &SystemRandom).unwrap();
        assert_eq!(*one.open(&info, &enc, &sealed).unwrap(), [7; 32]);
        assert!(two.open(&info, &enc, &sealed).is_none());
        assert!(one.open(&Binding::new("other"), &enc, &sealed).is_none());
    }

    #[test]
    fn other_sorts_of_keys_are_named() {
        let of = |text| Identity::parse(text).err().unwrap();
        assert_eq!(
            of("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"),
            ParseKeyError::Classical
        );
        assert_eq!(of("AGE-PLUGIN-YUBIKEY-1QQPQQQQQ"), ParseKeyError::Plugin);
        assert_eq!(of("ssh-ed25519 AAAA"), ParseKeyError::NotOurs);
        assert_eq!(of(&SPEC_IDENTITY[..60]), ParseKeyError::Malformed);
        assert_eq!(of(&SPEC_IDENTITY.replace("XX7", "XY7")), ParseKeyError::Malformed);
        assert_eq!(
            Recipient::parse("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj")
                .err()
                .unwrap(),
            ParseKeyError::Classical
        );
    }
}

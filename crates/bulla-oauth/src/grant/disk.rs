//! How the state of a grant is written down: docs/format.md, "The state of a grant".
//!
//! The types on disk are separate from those in memory, as in the vault's records, and bincode is on
//! the same leash: a limit, nothing left over, and the same bytes when encoded again.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::SizeWriter;
use bincode::{BorrowDecode, Encode};
use zeroize::Zeroizing;

use super::{Access, ClientAt, Details, Grant, Life, Origin, Outage, TokenEndpoint};
use crate::client::Authentication;
use crate::refusal::Refusal;
use crate::secret::Secret;

/// The schema of the states that this version writes.
pub const SCHEMA: u16 = 1;

const CONFIG: Configuration<LittleEndian, Varint, Limit<{ 1 << 20 }>> =
    bincode::config::standard().with_limit();

/// The state cannot be read.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Unreadable {
    /// A newer version wrote it.
    #[error("the state of the grant was written by a newer version")]
    Newer,
    /// It is not what any version writes.
    #[error("the state of the grant cannot be read")]
    Malformed,
}

#[derive(Encode, BorrowDecode)]
struct StateOnDisk<'a> {
    about: [u8; 16],
    first: Option<[u8; 16]>,
    client: Option<ClientOnDisk<'a>>,
    life: LifeOnDisk<'a>,
}

#[derive(Encode, BorrowDecode)]
struct ClientOnDisk<'a> {
    provider: &'a str,
    id: &'a str,
}

#[derive(Encode, BorrowDecode)]
enum LifeOnDisk<'a> {
    Unknown,
    Live(DetailsOnDisk<'a>),
    Refreshing(u64, DetailsOnDisk<'a>),
    NeedsPerson(u64, RefusalOnDisk<'a>, Option<u64>, DetailsOnDisk<'a>),
    Revoked(u64),
}

#[derive(Encode, BorrowDecode)]
struct DetailsOnDisk<'a> {
    scopes: Vec<&'a str>,
    account: Option<&'a str>,
    authorized: Option<u64>,
    used: Option<u64>,
    dies_at: Option<u64>,
    token_endpoint: Option<EndpointOnDisk<'a>>,
    access: Option<AccessOnDisk<'a>>,
    trouble: Option<(u64, RefusalOnDisk<'a>)>,
    outage: Option<OutageOnDisk<'a>>,
}

#[derive(Encode, BorrowDecode)]
struct OutageOnDisk<'a> {
    at: u64,
    what: &'a str,
    retry_after: Option<u64>,
}

#[derive(Encode, BorrowDecode)]
struct EndpointOnDisk<'a> {
    url: &'a str,
    basic: bool,
}

#[derive(Encode, BorrowDecode)]
struct AccessOnDisk<'a> {
    token: &'a [u8],
    obtained: u64,
    expires: Option<u64>,
}

#[derive(Encode, BorrowDecode)]
struct RefusalOnDisk<'a> {
    error: &'a str,
    subtype: Option<&'a str>,
    description: Option<&'a str>,
    uri: Option<&'a str>,
}

impl Grant {
    /// The state without the refresh token, as it is kept beside it. Its schema is [`SCHEMA`].
    #[must_use]
    pub fn encode(&self) -> Secret {
        let client = self.origin.client.as_ref();
        let state = StateOnDisk {
            about: self.about(),
            first: self.origin.first,
            client: client.map(|ClientAt { provider, id }| ClientOnDisk { provider, id }),
            life: (&self.life).into(),
        };
        let mut size = SizeWriter::default();
        bincode::encode_into_writer(&state, &mut size, CONFIG).expect("counting does not fail");
        let mut bytes = vec![0; size.bytes_written];
        bincode::encode_into_slice(&state, &mut bytes, CONFIG).expect("made to measure");
        Secret::new(bytes)
    }

    /// The grant of `refresh` with the state that was kept beside it. A state that is about another
    /// refresh token says nothing about this one: somebody put it in by hand.
    ///
    /// # Errors
    /// If the state is newer than this version, or not one at all.
    pub fn decode(
        refresh: Option<Secret>,
        schema: u16,
        bytes: &Secret,
    ) -> Result<Self, Unreadable> {
        if schema > SCHEMA {
            return Err(Unreadable::Newer);
        }
        let bytes = bytes.expose();
        let (state, used): (StateOnDisk<'_>, _) =
            bincode::borrow_decode_from_slice(bytes, CONFIG).map_err(|_| Unreadable::Malformed)?;
        let mut again = Zeroizing::new(vec![0; bytes.len()]);
        let written = bincode::encode_into_slice(&state, &mut again, CONFIG);
        if schema != SCHEMA || used != bytes.len() || written.ok() != Some(used) || *again != bytes
        {
            return Err(Unreadable::Malformed);
        }
        let mut grant = Self::new(refresh);
        if state.about == grant.about() {
            let client = state.client.map(|ClientOnDisk { provider, id }| ClientAt {
                provider: provider.to_owned(),
                id: id.to_owned(),
            });
            grant.origin = Origin { first: state.first, client };
            grant.life = state.life.into();
        }
        Ok(grant)
    }
}

impl<'a> From<&'a Life> for LifeOnDisk<'a> {
    fn from(life: &'a Life) -> Self {
        match life {
            Life::Unknown => Self::Unknown,
            Life::Live(details) => Self::Live(details.into()),
            Life::Refreshing { since, details } => Self::Refreshing(*since, details.into()),
            Life::NeedsPerson { since, refusal, cut_off, details } => {
                Self::NeedsPerson(*since, refusal.into(), *cut_off, details.into())
            }
            Life::Revoked { at } => Self::Revoked(*at),
        }
    }
}

impl From<LifeOnDisk<'_>> for Life {
    fn from(life: LifeOnDisk<'_>) -> Self {
        match life {
            LifeOnDisk::Unknown => Self::Unknown,
            LifeOnDisk::Live(details) => Self::Live(details.into()),
            LifeOnDisk::Refreshing(since, details) => {
                Self::Refreshing { since, details: details.into() }
            }
            LifeOnDisk::NeedsPerson(since, refusal, cut_off, details) => Self::NeedsPerson {
                since,
                refusal: refusal.into(),
                cut_off,
                details: details.into(),
            },
            LifeOnDisk::Revoked(at) => Self::Revoked { at },
        }
    }
}

impl<'a> From<&'a Details> for DetailsOnDisk<'a> {
    fn from(details: &'a Details) -> Self {
        Self {
            scopes: details.scopes.iter().map(String::as_str).collect(),
            account: details.account.as_deref(),
            authorized: details.authorized,
            used: details.used,
            dies_at: details.dies_at,
            token_endpoint: details.token_endpoint.as_ref().map(|endpoint| EndpointOnDisk {
                url: &endpoint.url,
                basic: endpoint.authentication == Authentication::Basic,
            }),
            access: details.access.as_ref().map(|access| AccessOnDisk {
                token: access.token.expose(),
                obtained: access.obtained,
                expires: access.expires,
            }),
            trouble: details.trouble.as_ref().map(|(at, refusal)| (*at, refusal.into())),
            outage: details.outage.as_ref().map(|Outage { at, what, retry_after }| OutageOnDisk {
                at: *at,
                what,
                retry_after: *retry_after,
            }),
        }
    }
}

impl From<DetailsOnDisk<'_>> for Details {
    fn from(details: DetailsOnDisk<'_>) -> Self {
        Self {
            scopes: details.scopes.into_iter().map(str::to_owned).collect(),
            account: details.account.map(str::to_owned),
            authorized: details.authorized,
            used: details.used,
            dies_at: details.dies_at,
            token_endpoint: details.token_endpoint.map(|EndpointOnDisk { url, basic }| {
                let authentication =
                    if basic { Authentication::Basic } else { Authentication::Post };
                TokenEndpoint { url: url.to_owned(), authentication }
            }),
            access: details.access.map(|access| Access {
                token: Secret::copied_from(access.token),
                obtained: access.obtained,
                expires: access.expires,
            }),
            trouble: details.trouble.map(|(at, refusal)| (at, refusal.into())),
            outage: details.outage.map(|OutageOnDisk { at, what, retry_after }| Outage {
                at,
                what: what.to_owned(),
                retry_after,
            }),
        }
    }
}

impl<'a> From<&'a Refusal> for RefusalOnDisk<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        Self {
            error: &refusal.error,
            subtype: refusal.subtype.as_deref(),
            description: refusal.description.as_deref(),
            uri: refusal.uri.as_deref(),
        }
    }
}

impl From<RefusalOnDisk<'_>> for Refusal {
    fn from(refusal: RefusalOnDisk<'_>) -> Self {
        Self {
            error: refusal.error.to_owned(),
            subtype: refusal.subtype.map(str::to_owned),
            description: refusal.description.map(str::to_owned),
            uri: refusal.uri.map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Option<Secret> {
        Some(Secret::copied_from(b"1//refresh"))
    }

    fn full() -> Grant {
        let refusal = Refusal {
            error: "invalid_grant".to_owned(),
            description: Some("no".to_owned()),
            ..Refusal::default()
        };
        let details = Details {
            scopes: vec!["openid".to_owned(), "https://mail.google.com/".to_owned()],
            account: Some("a@example.com".to_owned()),
            authorized: Some(1_790_000_000),
            used: Some(1_790_000_300),
            dies_at: Some(1_790_604_800),
            token_endpoint: Some(TokenEndpoint {
                url: "https://oauth2.googleapis.com/token".to_owned(),
                authentication: Authentication::Basic,
            }),
            access: Some(Access {
                token: Secret::copied_from(b"ya29.x"),
                obtained: 1_790_000_300,
                expires: Some(1_790_003_900),
            }),
            trouble: Some((3, refusal.clone())),
            outage: Some(Outage { at: 4, what: "no".to_owned(), retry_after: Some(60) }),
        };
        let life = Life::NeedsPerson { since: 7, refusal, cut_off: Some(5), details };
        let client = ClientAt { provider: "https://x".to_owned(), id: "me".to_owned() };
        let origin = Origin { first: Some([7; 16]), client: Some(client) };
        Grant { refresh: token(), origin, life }
    }

    #[test]
    fn a_state_comes_back_as_it_was() {
        let bytes = full().encode();
        let again = Grant::decode(token(), SCHEMA, &bytes).unwrap();
        let Life::NeedsPerson { since: 7, refusal, cut_off: Some(5), details } = &again.life else {
            panic!("another state")
        };
        assert_eq!(refusal.error, "invalid_grant");
        assert_eq!(details.scopes, ["openid", "https://mail.google.com/"]);
        assert_eq!(details.access.as_ref().unwrap().token.expose(), b"ya29.x");
        assert!(again.encode().same_as(&bytes));
    }

    /// The bytes of [`full`], put together by hand from docs/format.md.
    const FULL: &str = "\
        d1125fb9574052e5ed3ad00508f15d2a010707070707070707070707070707070701096874747073\
        3a2f2f78026d6503070d696e76616c69645f6772616e740001026e6f00010502066f70656e696418\
        68747470733a2f2f6d61696c2e676f6f676c652e636f6d2f010d61406578616d706c652e636f6d01\
        fc803bb16a01fcac3cb16a01fc0076ba6a012368747470733a2f2f6f61757468322e676f6f676c65\
        617069732e636f6d2f746f6b656e010106796132392e78fcac3cb16a01fcbc4ab16a01030d696e76\
        616c69645f6772616e740001026e6f000104026e6f013c";

    #[test]
    fn a_state_lies_as_the_format_says() {
        let hex: String = full().encode().expose().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, FULL);
    }

    #[test]
    fn a_state_of_another_refresh_token_says_nothing() {
        let bytes = full().encode();
        let other = Some(Secret::copied_from(b"1//put in by hand"));
        assert!(matches!(Grant::decode(other, SCHEMA, &bytes).unwrap().life, Life::Unknown));
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let bytes = full().encode();
        let bytes = bytes.expose();
        let decode =
            |bytes: &[u8]| Grant::decode(token(), SCHEMA, &Secret::copied_from(bytes)).err();
        assert!(decode(bytes).is_none());
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_some(), "cut at {cut}");
        }
        assert!(decode(&[bytes, &[0]].concat()).is_some(), "one byte more");
        let newer = Grant::decode(token(), SCHEMA + 1, &full().encode()).err();
        assert!(matches!(newer, Some(Unreadable::Newer)));
    }
}

//! Access tokens for the references that ask for one, got before the vault is looked at for the rest:
//! nobody keeps a state of the vault while waiting for a provider.

use std::collections::BTreeMap;

use bulla_oauth::{Access, Mechanism};
use bulla_resolve::{Answer, FailureKind, Pin, Reference, Template};
use bulla_vault::{Entry, EntryName, FieldName, Kind, Vault};

use crate::account::{Account, Network, VaultGrants, grant, user};
use crate::cmd::target::find_live;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// What stands in the place of a field of a mailbox and is made when it is asked for.
#[derive(Clone, Copy)]
pub(crate) enum TokenField {
    AccessToken,
    Sasl(Mechanism),
}

/// How long a token has to live at least if a reference does not say.
const LEAST_LIFE: u64 = 300;

impl TokenField {
    /// What a mailbox has under this name, if it does not store a field of that name.
    fn named(field: &str) -> Option<Self> {
        match field {
            "access-token" => Some(Self::AccessToken),
            "xoauth2" => Some(Self::Sasl(Mechanism::Xoauth2)),
            "oauthbearer" => Some(Self::Sasl(Mechanism::Oauthbearer)),
            _ => None,
        }
    }

    /// The token that a reference to `entry` means, unless the entry has a field of that name.
    pub(crate) fn of(entry: &Entry, field: &str) -> Option<Self> {
        let made = Self::named(field)?;
        let stored = FieldName::new(field).ok().and_then(|name| entry.field(&name));
        (entry.kind() == Kind::Mailbox && stored.is_none()).then_some(made)
    }
}

/// Tokens by the entry of their mailbox.
pub(crate) struct Tokens(BTreeMap<String, Result<Token, Failure>>);

/// An access token, and the user name that goes with it.
pub(crate) struct Token {
    pub(crate) user: String,
    pub(crate) access: Access,
}

impl Tokens {
    /// Gets a token for each mailbox that a template asks a token of, with as much life as the longest
    /// reference asks for.
    pub(crate) fn fetch<'t>(
        context: &Context,
        vault: &Vault<'_>,
        templates: impl Iterator<Item = &'t Template>,
    ) -> Result<Self, Failure> {
        let mut lives = BTreeMap::new();
        let wanted = templates.flat_map(Template::closure).map(|wanted| &wanted.reference);
        for reference in wanted.filter(|wanted| TokenField::named(wanted.field()).is_some()) {
            let life = match reference.pin() {
                Some(Pin::Life(life)) => life,
                _ => LEAST_LIFE,
            };
            let most: &mut u64 = lives.entry(reference.entry()).or_default();
            *most = life.max(*most);
        }
        let network = Network::new(None);
        let mut tokens = BTreeMap::new();
        for (entry, life) in lives {
            let Ok(name) = EntryName::new(entry) else { continue };
            let found = vault.read()?.find(&name)?;
            let Some(there) = found.as_ref().and_then(|version| version.live()) else { continue };
            if TokenField::of(there, "access-token").is_some() {
                tokens.insert(entry.to_owned(), token(context, vault, &name, life, &network));
            }
        }
        Ok(Self(tokens))
    }

    /// The answer to a reference that means a token.
    pub(crate) fn answer(&self, field: TokenField, reference: &Reference, version: u64) -> Answer {
        let failed = |kind, what: String| Answer::Failed(bulla_resolve::Failure { kind, what });
        match self.0.get(reference.entry()) {
            Some(Ok(Token { user, access })) => {
                let secret = match field {
                    TokenField::AccessToken => access.token.duplicate(),
                    TokenField::Sasl(mechanism) => mechanism.response(user, &access.token, None),
                };
                let secret = bulla_resolve::Secret::copied_from(secret.expose());
                Answer::Value { secret, version }
            }
            Some(Err(failure)) => {
                let kind = match failure.exit {
                    Exit::NeedsPerson => FailureKind::NeedsPerson,
                    Exit::RemoteFailed => FailureKind::Remote,
                    Exit::Tampered => FailureKind::Damaged,
                    Exit::Conflict => FailureKind::Busy,
                    _ => FailureKind::Failed,
                };
                failed(kind, format!("no token for {}: {}", reference.entry(), failure.fact))
            }
            None => failed(FailureKind::Busy, "the mailbox was changed meanwhile".to_owned()),
        }
    }
}

/// An access token of a mailbox that has at least `life` seconds to live: the cached one, for which
/// nobody is asked, or a fresh one.
pub(crate) fn token(
    context: &Context,
    vault: &Vault<'_>,
    name: &EntryName,
    life: u64,
    network: &Network,
) -> Result<Token, Failure> {
    let snapshot = vault.read()?;
    let found = find_live(&snapshot, name, None)?;
    let entry = found.live().expect("only entries that are there are found");
    if let Some(access) = grant(name, entry)?.cached(life, context.now()) {
        return Ok(Token { user: user(name, entry), access });
    }
    let mut account = Account::find(context, &snapshot, name)?;
    drop(snapshot);
    account.reach(network)?;
    let grants = VaultGrants { context, vault, name };
    let access = account.refresh(&grants, network).access(life);
    let access = access.map_err(|error| account.named(error))?;
    Ok(Token { user: account.user, access })
}

//! `bulla mailbox rotate-client`: the way from one client secret to the next, without a moment in
//! which none works. Google allows two at a time for that.

use std::path::PathBuf;

use bulla_oauth::RefreshError;
use bulla_vault::{EntryName, Field, FieldName, Kind, Secret, Vault};
use serde_json::json;

use super::NetworkArgs;
use crate::account::{
    Account, CLIENT, CLIENT_SECRET, Network, Registration, VaultGrants, of_kind, text,
};
use crate::args::NoSecrets;
use crate::cmd::Done;
use crate::cmd::render::several;
use crate::cmd::target::entry_name;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::input::{self, From};
use crate::session::with_vault;

#[derive(clap::Args)]
pub(crate) struct RotateArgs {
    /// The entry of the OAuth client
    client: String,

    #[command(flatten)]
    nothing_more: NoSecrets,

    /// Read the new secret from this file, exactly as it is
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Store it without having tried it
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    network: NetworkArgs,
}

pub(crate) fn run(context: &Context, args: &RotateArgs) -> Done {
    if !args.nothing_more.surplus.is_empty() {
        return Err(Failure::usage("a secret is never given as an argument")
            .hint("pipe it in, give --from-file, or answer the prompt; what was typed is in the shell's history now: make another one"));
    }
    let name = entry_name(&args.client)?;
    let network = args.network.network();
    with_vault(context, |vault| {
        let snapshot = vault.read()?;
        let registration = Registration::find(context, &snapshot, &name)?;
        let before = snapshot.find(&name)?.map(|found| found.version);
        drop(snapshot);
        let old = registration.client.secret.as_ref().and_then(|old| fingerprint(old.expose()));
        let the_old = match &old {
            Some(old) => format!("the old one, {old},"),
            None => "the old one".to_owned(),
        };
        context.printer.note(format_args!(
            "1. At the provider, add a second secret to {}. Leave {the_old} enabled.",
            registration.client.id
        ));
        let from = args.from_file.as_deref().map_or(From::Whatever, From::File);
        let new = input::value(context, &format!("new client secret of {name}"), from)?;
        if registration.client.secret.as_ref().is_some_and(|old| old.expose() == new.expose()) {
            let shown = old.map_or_else(String::new, |old| format!(" ({old})"));
            let fact = format!("the vault has this secret already{shown}");
            return Err(Failure::new(Exit::Conflict, "unchanged", fact)
                .hint("the provider shows a new one only once, when it is made"));
        }
        let (tried, untried) = match args.no_verify {
            true => (None, Vec::new()),
            false => try_secret(context, vault, &registration, &new, &network)?,
        };
        let fresh = fingerprint(new.expose());
        let version = store(context, vault, &name, before, new)?;
        for Failure { fact, hints, .. } in untried {
            let told: Vec<_> = [fact].into_iter().chain(hints).collect();
            context.printer.warn(format_args!(
                "the secret was not tried with every mailbox: {}",
                told.join("; ")
            ));
        }
        if context.printer.json {
            context.printer.value(&json!({
                "entry": name.as_str(), "version": version, "old": old, "new": fresh,
                "tried_with": tried.as_ref().map(EntryName::as_str),
            }))?;
            return Ok(Exit::Done);
        }
        let tried = match tried {
            Some(mailbox) => format!("it works ({mailbox} was refreshed with it)"),
            None => "it was not tried".to_owned(),
        };
        let fresh = fresh
            .map_or_else(|| "the new secret".to_owned(), |fresh| format!("the secret {fresh}"));
        context.printer.note(format_args!(
            "2. {name} is at version {version} with {fresh}; {tried}.\n\
             3. Render and deploy the configurations that hold it (`bulla diff TEMPLATE --output FILE` shows whether one would change; `bulla diff` alone does so for all that a bulla.toml lists).\n\
             4. A mail server of Genesys takes it for inbound mail at the next cycle; for outbound mail it has to be restarted.\n\
             5. `bulla mailbox verify --all` gets new tokens with it, and logs in with them. If something is wrong, `bulla revert {name}` goes back: the old one is still enabled.\n\
             6. At the provider, disable {the_old} and delete it a few days later."
        ));
        Ok(Exit::Done)
    })
}

/// What the provider's own pages show of a secret: its last four characters. Of a short one that would be
/// too much.
fn fingerprint(secret: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(secret);
    let last: String = text.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    (text.chars().count() >= 16).then(|| format!("****{last}"))
}

/// Refreshes a mailbox of the client with the new secret, and tells which, and what is wrong with those
/// that could not be tried before. Nothing is stored of the secret if that fails.
fn try_secret(
    context: &Context,
    vault: &Vault<'_>,
    registration: &Registration,
    new: &Secret,
    network: &Network,
) -> Result<(Option<EntryName>, Vec<Failure>), Failure> {
    let mut mailboxes = Vec::new();
    let snapshot = vault.read()?;
    // A mailbox need not say which, where there is one.
    let is_only = of_kind(&snapshot, Kind::OauthClient)?.len() == 1;
    snapshot.each::<Failure>(&mut |version| {
        if let Some(entry) = version.live().filter(|entry| entry.kind() == Kind::Mailbox) {
            let client = text(entry, CLIENT);
            let client = client.as_deref();
            if client.map_or(is_only, |client| client == registration.name.as_str()) {
                mailboxes.push(version.name);
            }
        }
        Ok(())
    })?;
    drop(snapshot);
    mailboxes.sort();
    network.ready()?;
    // Another mailbox may still be able to tell.
    let mut untried = Vec::new();
    for mailbox in mailboxes {
        let mut account = match Account::find(context, &vault.read()?, &mailbox) {
            Ok(account) => account,
            Err(malformed) if malformed.exit == Exit::Usage => {
                untried.push(malformed);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        account.reach(network)?;
        let new = bulla_oauth::Secret::copied_from(new.expose());
        let old = account.registration.client.secret.replace(new);
        let grants = VaultGrants { context, vault, name: &mailbox };
        match account.refresh(&grants, network).probe() {
            Ok(_) => return Ok((Some(mailbox), untried)),
            Err(RefreshError::NeedsPerson { .. }) => {
                // Some say `invalid_grant` of a wrong secret, too. The old one tells which it is, and
                // that a grant which works is not left as a dead one.
                account.registration.client.secret = old;
                if account.refresh(&grants, network).probe().is_ok() {
                    let fact = format!(
                        "the provider refuses the new secret: {mailbox} is refreshed with the old one, and not with it"
                    );
                    return Err(
                        Failure::new(Exit::NeedsPerson, "client-refused", fact).hint(UNTRIED)
                    );
                }
            }
            Err(RefreshError::Store(malformed)) if malformed.code == "token-state" => {
                untried.push(malformed);
            }
            Err(
                RefreshError::NeverAuthorized
                | RefreshError::OtherClient(_)
                | RefreshError::OtherAccount(_)
                | RefreshError::Revoked,
            ) => {}
            Err(error) => {
                // The state says now that the client was refused, which the one in the vault is not.
                account.registration.client.secret = old;
                let _ = account.refresh(&grants, network).probe();
                return Err(account.named(error).hint(UNTRIED));
            }
        }
    }
    if !untried.is_empty() {
        return Err(several(context, untried).hint(UNTRIED));
    }
    context
        .printer
        .warn("no mailbox of this client has a grant that works, so the secret cannot be tried");
    Ok((None, untried))
}

const UNTRIED: &str = "nothing was changed; --no-verify stores it untried";

fn store(
    context: &Context,
    vault: &Vault<'_>,
    name: &EntryName,
    before: Option<u64>,
    value: Secret,
) -> Result<u64, Failure> {
    let mut batch = vault.write(context.stamp(Some("client secret rotated")))?;
    let Some(bulla_vault::State::Live(mut entry)) = batch.find(name)?.map(|found| found.state)
    else {
        return Err(bulla_vault::WriteError::Missing.into());
    };
    let field = FieldName::new(CLIENT_SECRET).expect("the name is ours");
    entry
        .set(Field { name: field, value, public: false, expires: None })
        .map_err(bulla_vault::WriteError::from)?;
    // Somebody else may have rotated it meanwhile: both would be told that theirs is in use.
    let version = batch.put(name, entry, before)?;
    batch.commit()?;
    Ok(version)
}

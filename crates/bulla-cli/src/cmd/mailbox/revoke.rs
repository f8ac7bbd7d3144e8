//! `bulla mailbox revoke`: withdraws a grant at the provider.

use bulla_oauth::{Grant, Grants, Life, RefreshError, Revoked, revoke};
use bulla_vault::{EntryName, Snapshot};
use serde_json::json;

use super::NetworkArgs;
use crate::account::{Account, VaultGrants, mailbox_name, ready};
use crate::cmd::Done;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::with_vault;
use crate::source::names;
use crate::{prompt, tty};

#[derive(clap::Args)]
pub(crate) struct RevokeArgs {
    /// The address of the mailbox
    address: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    network: NetworkArgs,
}

pub(crate) fn run(context: &Context, args: &RevokeArgs) -> Done {
    let name = mailbox_name(&args.address)?;
    let network = args.network.network();
    with_vault(context, |vault| {
        let snapshot = vault.read()?;
        if snapshot.find(&name)?.is_none() {
            return Err(nothing_like_it(&snapshot, &name));
        }
        let mut account = Account::find(context, &snapshot, &name)?;
        drop(snapshot);
        account.registration.discover(&network)?;
        let provider = &account.registration.provider;
        let Some(endpoint) = &provider.revocation_endpoint else {
            let fact = "the provider has no endpoint at which a grant is withdrawn";
            return Err(Failure::new(Exit::NeedsPerson, "no-endpoint", fact)
                .hint("its owner withdraws it in the settings of the account, an administrator in the directory"));
        };
        let grants = VaultGrants { context, vault, name: &name };
        if grants.load()?.refresh.is_none() {
            let fact = format!("{} has no refresh token to withdraw", account.address);
            return Err(Failure::new(Exit::Missing, "never-authorized", fact));
        }
        if provider.revoking_is_wide {
            context.printer.warn(format_args!(
                "this withdraws what {} consented to for every client of the project of {}, not only this token",
                account.address, account.registration.name
            ));
        }
        if !args.yes {
            if !tty::is_there() {
                let fact =
                    "withdrawing a grant cannot be undone, and there is no terminal to ask on";
                return Err(
                    Failure::new(Exit::Usage, "no-terminal", fact).hint("--yes does not ask")
                );
            }
            if !prompt::confirm(&format!("Withdraw the grant of {}?", account.address))? {
                context.printer.note("nothing was changed");
                return Ok(Exit::Failed);
            }
        }
        network.ready()?;
        let _ready = ready(context, vault, &name)?;
        let grant = grants.load()?;
        let Some(refresh) = &grant.refresh else {
            return Err(Failure::new(
                Exit::Conflict,
                "removed",
                "the refresh token has gone meanwhile",
            ));
        };
        if let Some(other) = grant.origin.client.clone()
            && !grant.is_of(&account.registration.at)
        {
            return Err(account.named(RefreshError::OtherClient(other)));
        }
        let revoked = revoke(refresh, &account.registration.client, endpoint, &network)
            .map_err(|error| account.named(error).about(&account.address))?;
        let after = Grant {
            refresh: Some(refresh.duplicate()),
            origin: grant.origin.clone(),
            life: Life::Revoked { at: context.now() },
        };
        grants.store(&after, Some(refresh))?;
        if context.printer.json {
            let before = revoked == Revoked::Before;
            context.printer.value(&json!({"address": account.address, "was_gone": before}))?;
        } else {
            context.printer.note(match revoked {
                Revoked::Now => format!("the grant of {} is withdrawn", account.address),
                Revoked::Before => {
                    format!("the provider did not know the grant of {} any more", account.address)
                }
            });
        }
        Ok(Exit::Done)
    })
}

/// There is no such mailbox. What cannot be undone is not offered for another one, unless its name is
/// the same but for one slip.
fn nothing_like_it(snapshot: &Snapshot<'_>, name: &EntryName) -> Failure {
    let fact = format!("there is no entry `{name}`");
    let failure = Failure::new(Exit::Missing, "missing", fact);
    let mut names = names(snapshot).into_iter();
    match names.find(|near| strsim::osa_distance(near, name.as_str()) == 1) {
        Some(near) => failure.hint(format_args!("is it `{near}`?")),
        None => failure.hint("`bulla mailbox status` lists the mailboxes"),
    }
}

//! `bulla mailbox verify`: logs in to mailboxes, and says why where that fails.

use bulla_oauth::{Access, Grant, Grants, Life, Mechanism, Protocol};
use bulla_vault::{EntryName, Kind, Vault};
use clap::ValueEnum;
use serde_json::json;

use super::{NetworkArgs, opens};
use crate::account::{Account, Network, VaultGrants, address_of, mailbox_name, of_kind};
use crate::cmd::Done;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::with_vault;

#[derive(clap::Args)]
pub(crate) struct VerifyArgs {
    /// The addresses of mailboxes
    #[arg(required_unless_present = "all")]
    addresses: Vec<String>,
    /// Every mailbox in the vault
    #[arg(long, conflicts_with = "addresses")]
    all: bool,
    /// Only by these protocols [default: all whose server is known]
    #[arg(long, value_name = "PROTOCOL", value_delimiter = ',')]
    protocol: Vec<By>,
    /// How the token is shown to the server
    #[arg(long, value_name = "NAME", default_value = "xoauth2")]
    mechanism: How,
    #[command(flatten)]
    network: NetworkArgs,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum By {
    Imap,
    Pop3,
    Smtp,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum How {
    Xoauth2,
    Oauthbearer,
}

/// A login takes a moment, and a token should not die in the middle of it.
const LEAST_LIFE: u64 = 120;

pub(crate) fn run(context: &Context, args: &VerifyArgs) -> Done {
    let network = args.network.network();
    with_vault(context, |vault| {
        let names = match args.all {
            true => all(context, vault)?,
            false => {
                args.addresses.iter().map(|text| mailbox_name(text)).collect::<Result<_, _>>()?
            }
        };
        let mut ends = Vec::new();
        for name in &names {
            if let Err(failure) = one(context, vault, args, name, &network, &mut ends) {
                ends.push(failure.exit);
                context.printer.failure(&failure.about(address_of(name)));
            }
        }
        Ok(Exit::worst(ends.into_iter().filter(|end| *end != Exit::Done)))
    })
}

/// Every mailbox, but for those whose grant a person revoked: they are not to open.
fn all(context: &Context, vault: &Vault<'_>) -> Result<Vec<EntryName>, Failure> {
    let names = of_kind(&vault.read()?, Kind::Mailbox)?;
    if names.is_empty() {
        context.printer.note("there is no mailbox in the vault");
    }
    let is_revoked = |name: &EntryName| {
        let grant = VaultGrants { context, vault, name }.load();
        let revoked = grant.is_ok_and(|grant| matches!(grant.life, Life::Revoked { .. }));
        if revoked {
            let address = address_of(name);
            context.printer.note(format_args!("{address} was revoked, and is not tried"));
        }
        revoked
    };
    Ok(names.into_iter().filter(|name| !is_revoked(name)).collect())
}

fn one(
    context: &Context,
    vault: &Vault<'_>,
    args: &VerifyArgs,
    name: &EntryName,
    network: &Network,
    ends: &mut Vec<Exit>,
) -> Result<(), Failure> {
    let mut account = Account::find(context, &vault.read()?, name)?;
    account.reach(network)?;
    let grants = VaultGrants { context, vault, name };
    let refresh = account.refresh(&grants, network);
    let named = |error| account.named(Failure::from(error));
    let cached = refresh.cached(LEAST_LIFE)?;
    // A token from before the client was changed would prove nothing of the client as it is now.
    let stale = cached.as_ref().is_some_and(|a| a.obtained <= account.registration.changed);
    let cached = cached.filter(|_| !stale);
    let mut is_cached = cached.is_some();
    let mut access = match cached {
        Some(access) => access,
        None if stale => refresh.probe().map_err(named)?,
        None => refresh.access(LEAST_LIFE).map_err(named)?,
    };
    let mut grant = grants.load()?;
    let mechanism = match args.mechanism {
        How::Xoauth2 => Mechanism::Xoauth2,
        How::Oauthbearer => Mechanism::Oauthbearer,
    };
    let asked = args.protocol.iter().map(|by| match by {
        By::Imap => Protocol::Imap,
        By::Pop3 => Protocol::Pop3,
        By::Smtp => Protocol::Smtp,
    });
    let mut protocols: Vec<_> = asked.collect();
    if protocols.is_empty() {
        protocols.extend(account.servers.iter().map(|server| server.protocol));
    }
    if protocols.is_empty() {
        let fact = "nobody knows a server of this mailbox";
        return Err(Failure::new(Exit::Usage, "no-server", fact)
            .hint(format_args!("`bulla set {name} --public imap=imaps://HOST` says one")));
    }
    for protocol in protocols {
        let open = |access: &Access, grant: &Grant| {
            let details = grant.life.details();
            opens(&account, protocol, &access.token, details, mechanism, network)
        };
        let mut opened = open(&access, &grant);
        // A token that was good once may have been withdrawn since. The provider knows.
        if is_cached && opened.as_ref().is_err_and(|failure| failure.code == "token-refused") {
            access = refresh.probe().map_err(named)?;
            (grant, is_cached) = (grants.load()?, false);
            opened = open(&access, &grant);
        }
        let (address, by) = (&account.address, protocol.name());
        if context.printer.json {
            let mut row = json!({"address": address, "protocol": by, "opens": opened.is_ok()});
            if let Err(failure) = &opened {
                row["error"] = json!({"code": failure.code, "message": failure.fact});
            }
            context.printer.value(&row)?;
        } else {
            let word = if opened.is_ok() { "opens" } else { "does not open" };
            context.printer.one_line(format_args!("{address}  {by}  {word}"))?;
        }
        match opened {
            Ok(()) => ends.push(Exit::Done),
            Err(failure) => {
                ends.push(failure.exit);
                if !context.printer.json {
                    context.printer.failure(&failure.about(address));
                }
            }
        }
    }
    Ok(())
}

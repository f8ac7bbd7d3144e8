//! `bulla mailbox add`: takes in a refresh token that was got elsewhere.

use std::path::PathBuf;

use bulla_oauth::{Grant, Protocol, Server};
use bulla_vault::{Entry, EntryName, Field, FieldName, Kind, State, Vault, Version};

use super::{NetworkArgs, opens};
use crate::account::{
    Account, CLIENT, CLIENT_CREDENTIALS, GRANT_TYPE, Registration, SCOPE, USER, VaultGrants, grant,
    new_mailbox_name, put, refresh_token, servers, state, text,
};
use crate::args::NoSecrets;
use crate::cmd::Done;
use crate::cmd::target::entry_name;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::input::{self, From};
use crate::session::with_vault;

#[derive(clap::Args)]
pub(crate) struct AddArgs {
    /// The address of the mailbox
    address: String,

    #[command(flatten)]
    nothing_more: NoSecrets,

    /// The entry of the OAuth client that the token was issued to [default: what the mailbox says]
    #[arg(long, value_name = "ENTRY")]
    client: Option<String>,
    /// Read the refresh token from this file, exactly as it is
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// The client opens the mailbox by itself (client credentials); there is no refresh token
    #[arg(long, conflicts_with = "from_file")]
    app_only: bool,
    /// The scope with which the client speaks for itself, where the provider is not one that bulla knows
    #[arg(long, value_name = "SCOPE", requires = "app_only")]
    scope: Option<String>,
    #[command(flatten)]
    mailbox: MailboxArgs,
    /// Store it without having tried it
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    network: NetworkArgs,
}

// What is remembered of a mailbox beside its grant.
#[derive(clap::Args)]
pub(crate) struct MailboxArgs {
    /// The user name at the mail server, if it is not the address
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Where its mail is read, as imaps://HOST:PORT, or imap://HOST:PORT with STARTTLS
    #[arg(long, value_name = "SERVER")]
    pub(crate) imap: Option<String>,
    /// Where its mail is read by POP3, as pop3s://HOST:PORT
    #[arg(long, value_name = "SERVER")]
    pop3: Option<String>,
    /// Where its mail is sent, as smtp://HOST:PORT, or smtps://HOST:PORT without STARTTLS
    #[arg(long, value_name = "SERVER")]
    smtp: Option<String>,
}

impl MailboxArgs {
    /// Tells a server that is none before anything is asked or done.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for (option, given) in [("imap", &self.imap), ("pop3", &self.pop3), ("smtp", &self.smtp)] {
            let Some(text) = given else { continue };
            let server = text.parse::<Server>().ok();
            if server.is_none_or(|server| !server.protocol.name().eq_ignore_ascii_case(option)) {
                let name = option.to_uppercase();
                let fact = format!("--{option} names no {name} server");
                return Err(Failure::usage(fact).hint(format_args!(
                    "--{option} {option}s://HOST:PORT begins with TLS, --{option} {option}://HOST:PORT turns to it by STARTTLS"
                )));
            }
        }
        Ok(())
    }

    /// The public fields that these make, with the client.
    pub(crate) fn fields(&self, client: &Registration) -> Vec<(&'static str, String)> {
        let given =
            [(USER, &self.user), ("imap", &self.imap), ("pop3", &self.pop3), ("smtp", &self.smtp)];
        let given = given.into_iter().filter_map(|(name, text)| Some((name, text.clone()?)));
        given.chain([(CLIENT, client.name.to_string())]).collect()
    }
}

pub(crate) fn run(context: &Context, args: &AddArgs) -> Done {
    if !args.nothing_more.surplus.is_empty() {
        return Err(Failure::usage("a token is never given as an argument")
            .hint("pipe it in, give --from-file, or answer the prompt; what was typed is in the shell's history now: revoke it"));
    }
    args.mailbox.check()?;
    let network = args.network.network();
    with_vault(context, |vault| {
        let name = new_mailbox_name(&vault.read()?, &args.address)?;
        entry_of(&name, vault.read()?.find(&name)?)?;
        let client = client(vault, &name, args.client.as_deref())?;
        let client = Registration::find(context, &vault.read()?, &client)?;
        if args.app_only {
            let there = vault.read()?.find(&name)?;
            let there = there.as_ref().and_then(|version| text(version.live()?, SCOPE));
            client.app_scope(args.scope.clone().or(there)).map_err(|failure| {
                failure.hint("--scope SCOPE says so; the provider's documentation has it, often with `.default` at its end")
            })?;
        }
        let refresh = match args.app_only {
            true => None,
            false => {
                let from = args.from_file.as_deref().map_or(From::Whatever, From::File);
                Some(input::value(context, &format!("refresh token of {}", args.address), from)?)
            }
        };
        let refresh = refresh.map(|secret| bulla_oauth::Secret::copied_from(secret.expose()));
        let mut fields = args.mailbox.fields(&client);
        if args.app_only {
            fields.push((GRANT_TYPE, CLIENT_CREDENTIALS.to_owned()));
            fields.extend(args.scope.clone().map(|scope| (SCOPE, scope)));
        }
        // What is given wrong is told before anything is written.
        let given = |field: &str| {
            fields.iter().find(|(name, _)| *name == field).map(|(_, text)| text.clone())
        };
        servers(&client.provider, &name, given)?;
        let mut batch = vault.write(context.stamp(Some("added")))?;
        let mut entry = entry_of(&name, batch.find(&name)?)?;
        if let Some(refresh) = &refresh
            && let Some(old) =
                entry.field(&FieldName::new(crate::account::REFRESH_TOKEN).expect("ours"))
            && old.value.expose() != refresh.expose()
        {
            let fact = format!("`{name}` has another refresh token already");
            return Err(Failure::new(Exit::Conflict, "exists", fact)
                .hint("`bulla mailbox status` shows whether it works; `bulla set` replaces it all the same"));
        }
        put(&mut entry, refresh.as_ref())?;
        // Whoever names another client than before means it: then nothing is known of the token, but
        // that nobody else is to see it.
        let known = grant(&name, &entry).ok().filter(|grant| grant.is_of(&client.at));
        let mut known = known.unwrap_or_else(|| Grant::new(refresh_token(&entry)));
        known.origin.client = Some(client.at.clone());
        entry.set_token_state(Some(state(&known)));
        set_public(&mut entry, &fields)?;
        let version = batch.put(&name, entry, None)?;
        batch.commit()?;
        context.printer.note(format_args!("{name} is at version {version}"));
        if args.no_verify {
            return Ok(Exit::Done);
        }
        let mut account = Account::find(context, &vault.read()?, &name)?;
        let grants = VaultGrants { context, vault, name: &name };
        account.reach(&network)?;
        let in_vault = match args.app_only {
            true => "the mailbox is in the vault all the same",
            false => "the token is in the vault as it was given",
        };
        let kept = |failure: Failure| failure.about(&account.address).hint(in_vault);
        let access = account.refresh(&grants, &network).probe();
        let access = access.map_err(|error| kept(account.named(error)))?;
        let grant: Grant = bulla_oauth::Grants::load(&grants)?;
        if account.servers.iter().any(|server| server.protocol == Protocol::Imap) {
            let details = grant.life.details();
            opens(&account, Protocol::Imap, &access.token, details, Default::default(), &network)
                .map_err(kept)?;
            context.printer.note(format_args!("{} opens", account.address));
        } else {
            context.printer.note("the token works; no IMAP server is known to try it with");
        }
        Ok(Exit::Done)
    })
}

/// The entry of a mailbox as it was found, or a new one.
pub(crate) fn entry_of(name: &EntryName, found: Option<Version>) -> Result<Entry, Failure> {
    match found.map(|version| version.state) {
        Some(State::Live(entry)) => check_kind(name, &entry).map(|()| entry),
        _ => Ok(Entry::new(Kind::Mailbox)),
    }
}

/// Refuses to make a mailbox of another kind of entry.
pub(crate) fn check_kind(name: &EntryName, entry: &Entry) -> Result<(), Failure> {
    if entry.kind() == Kind::Mailbox {
        return Ok(());
    }
    let fact = format!("`{name}` is a {}", entry.kind().as_str());
    Err(Failure::new(Exit::Conflict, "kind", fact).hint("rename it with `bulla mv`"))
}

/// The client that is named, or else the one of the mailbox.
pub(crate) fn client(
    vault: &Vault<'_>,
    mailbox: &EntryName,
    named: Option<&str>,
) -> Result<EntryName, Failure> {
    let found = vault.read()?.find(mailbox)?;
    let own = || text(found.as_ref()?.live()?, CLIENT);
    match named.map(str::to_owned).or_else(own) {
        Some(client) => entry_name(&client),
        None => {
            let fact = "nobody knows which OAuth client this mailbox is for";
            Err(Failure::new(Exit::Usage, "which-client", fact)
                .hint("--client ENTRY says so; `bulla import client_secret_*.json` makes one"))
        }
    }
}

/// Sets public fields of an entry.
pub(crate) fn set_public(
    entry: &mut Entry,
    fields: &[(&'static str, String)],
) -> Result<(), Failure> {
    for (name, text) in fields {
        let field = Field {
            name: FieldName::new(name).expect("the names are ours"),
            value: bulla_vault::Secret::copied_from(text.as_bytes()),
            public: true,
            expires: None,
        };
        entry.set(field).map_err(bulla_vault::WriteError::from)?;
    }
    Ok(())
}

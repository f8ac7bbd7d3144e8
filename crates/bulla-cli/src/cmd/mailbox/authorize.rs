//! `bulla mailbox authorize`: has the owner of a mailbox consent, proves that the right one did, and
//! only then keeps the grant.

use std::io::BufRead;
use std::time::Duration;

use bulla_oauth::{
    Authorization, Browser, DeviceCode, Grant, Life, Loopback, Protocol, Secret, TokenEndpoint,
    Tokens,
};
use bulla_vault::{EntryName, Kind, Vault};
use serde_json::json;
use zeroize::Zeroizing;

use super::add::{MailboxArgs, check_kind, client, entry_of, set_public};
use super::token::{lasting, life};
use super::{NetworkArgs, local_reason, missing_scope, opens};
use crate::account::{
    Account, CLIENT, GRANT_TYPE, Network, Ready, Registration, WallClock, address_of, grant,
    new_mailbox_name, persist, put, ready, refresh_token, servers, state, text, who,
};
use crate::cmd::Done;
use crate::cmd::target::find_live;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::with_vault;
use crate::{prompt, tty};

#[derive(clap::Args)]
pub(crate) struct AuthorizeArgs {
    /// The addresses of mailboxes
    #[arg(required_unless_present = "all_missing")]
    addresses: Vec<String>,
    /// The entry of the OAuth client [default: what the mailbox says]
    #[arg(long, value_name = "ENTRY")]
    client: Option<String>,
    /// Every mailbox in the vault that has no working grant
    #[arg(long, conflicts_with = "addresses")]
    all_missing: bool,
    /// Paste the address that the browser ends at, where it runs on another machine
    #[arg(long, conflicts_with = "device")]
    paste: bool,
    /// Type a code into a browser anywhere, where the provider offers that
    #[arg(long)]
    device: bool,
    /// Keep the grant without having opened the mailbox
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    mailbox: MailboxArgs,
    /// How long to wait for the browser, or with --device for the code to be typed [default: 10m, or as
    /// long as the code lives]
    #[arg(long, value_name = "TIME", value_parser = life)]
    timeout: Option<u64>,
    #[command(flatten)]
    network: NetworkArgs,
}

/// How long to wait for a browser, in seconds, if nobody says.
const PATIENCE: u64 = 600;
/// How often a person may paste something else.
const TRIES: u32 = 5;
/// The port in the redirect URI where nobody listens.
const ANY_PORT: u16 = 8080;
/// The longest address that is read. Browsers and servers take a few kilobytes.
const MOST_PASTED: u64 = 64 << 10;

pub(crate) fn run(context: &Context, args: &AuthorizeArgs) -> Done {
    args.mailbox.check()?;
    let network = args.network.network();
    with_vault(context, |vault| {
        let names = match args.all_missing {
            true => missing(vault)?,
            false => {
                let snapshot = vault.read()?;
                let name = |text: &String| new_mailbox_name(&snapshot, text);
                args.addresses.iter().map(name).collect::<Result<_, _>>()?
            }
        };
        if names.is_empty() {
            context.printer.note("every mailbox has a grant that works, as far as is known");
        }
        let mut ends = Vec::new();
        for name in &names {
            // One that fails does not keep the others waiting.
            match one(context, vault, args, name, &network) {
                Ok(()) => ends.push(Exit::Done),
                Err(failure) if names.len() == 1 => return Err(failure.about(address_of(name))),
                Err(failure) => {
                    ends.push(failure.exit);
                    context.printer.failure(&failure.about(address_of(name)));
                }
            }
        }
        Ok(Exit::worst(ends.into_iter().filter(|end| *end != Exit::Done)))
    })
}

/// The mailboxes whose grant is missing or does not work any more. What a person revoked is to stay so.
fn missing(vault: &Vault<'_>) -> Result<Vec<EntryName>, Failure> {
    let mut names = Vec::new();
    vault.read()?.each::<Failure>(&mut |version| {
        if let Some(entry) = version.live()
            && entry.kind() == Kind::Mailbox
            && text(entry, GRANT_TYPE).is_none()
        {
            let grant = grant(&version.name, entry)?;
            let missing = match grant.life {
                Life::NeedsPerson { .. } => true,
                Life::Revoked { .. } => false,
                _ => grant.refresh.is_none(),
            };
            if missing {
                names.push(version.name);
            }
        }
        Ok(())
    })?;
    names.sort();
    Ok(names)
}

fn one(
    context: &Context,
    vault: &Vault<'_>,
    args: &AuthorizeArgs,
    name: &EntryName,
    network: &Network,
) -> Result<(), Failure> {
    let is_new = vault.read()?.find(name)?.is_none_or(|found| found.live().is_none());
    let mut account = account(context, vault, args, name)?;
    let has_imap = account.servers.iter().any(|server| server.protocol == Protocol::Imap);
    if !has_imap && !args.no_verify {
        let fact = "nobody knows the IMAP server of the mailbox, so the grant could not be tried";
        return Err(Failure::new(Exit::Usage, "no-server", fact)
            .hint("--imap imaps://HOST says where it is; --no-verify keeps the grant untried"));
    }
    account.registration.discover(network)?;
    network.ready()?;
    let Consent { tokens, ready: Ready { lock, held }, browser } =
        consent(context, vault, args, &account, is_new, network)
            .map_err(|failure| account.named(failure))?;
    let done = keep(context, vault, args, &account, tokens, network);
    drop(lock);
    if let Some(browser) = browser {
        match &done {
            Ok(_) => browser.show(
                true,
                "Authorised",
                &format!("{} can be used from now on. You can close this window.", account.address),
            ),
            Err(failure) => show_failure(browser, failure),
        }
    }
    let version = done?;
    if context.printer.json {
        return context.printer.value(
            &json!({"entry": name.as_str(), "address": account.address, "version": version}),
        );
    }
    let how = if args.no_verify { "" } else { ", and its mailbox opens" };
    context.printer.note(format_args!("{} is authorised{how}", account.address));
    drop(held);
    Ok(())
}

/// The mailbox as it is in the vault, or as it will be.
fn account(
    context: &Context,
    vault: &Vault<'_>,
    args: &AuthorizeArgs,
    name: &EntryName,
) -> Result<Account, Failure> {
    let snapshot = vault.read()?;
    let found = snapshot.find(name)?;
    let there = found.as_ref().and_then(|version| version.live());
    if let Some(entry) = there {
        check_kind(name, entry)?;
    }
    if there.is_some_and(|entry| text(entry, GRANT_TYPE).is_some()) {
        let fact = "the client opens this mailbox by itself, so there is nobody to consent";
        return Err(Failure::new(Exit::Conflict, "app-only", fact)
            .hint(format_args!("`bulla mailbox verify {}` tries it", who(name)))
            .hint(format_args!(
                "`bulla set {name} --remove {GRANT_TYPE}` makes it one whose owner consents"
            )));
    }
    if args.client.is_none() && there.is_some_and(|entry| text(entry, CLIENT).is_none()) {
        return Account::find(context, &snapshot, name);
    }
    let client = client(vault, name, args.client.as_deref())?;
    let registration = Registration::find(context, &snapshot, &client)?;
    let fields = args.mailbox.fields(&registration);
    let given = |field: &str| {
        let given = fields.iter().find(|(name, _)| *name == field).map(|(_, text)| text.clone());
        given.or_else(|| text(there?, field))
    };
    let address = address_of(name).to_owned();
    Ok(Account {
        name: name.clone(),
        user: given(crate::account::USER).unwrap_or_else(|| address.clone()),
        servers: servers(&registration.provider, name, given)?,
        address,
        grant_type: bulla_oauth::GrantType::RefreshToken,
        registration,
    })
}

/// What an owner's consent brought.
struct Consent<'v> {
    tokens: Tokens,
    ready: Ready<'v>,
    /// The browser that waits for what comes of it.
    browser: Option<Browser>,
}

/// Gets tokens by the owner's consent.
fn consent<'v>(
    context: &Context,
    vault: &'v Vault<'_>,
    args: &AuthorizeArgs,
    account: &Account,
    is_new: bool,
    network: &Network,
) -> Result<Consent<'v>, Failure> {
    let Registration { client, provider, .. } = &account.registration;
    let scopes = scopes(account);
    let ready = || {
        let ready = ready(context, vault, &account.name)?;
        // Nobody who renamed or removed the mailbox had to wait for a person.
        if !is_new {
            find_live(&vault.read()?, &account.name, None)?;
        }
        Ok::<_, Failure>(ready)
    };
    if args.device {
        if provider.device_authorization_endpoint.is_none() {
            let fact = "the provider has no codes to type that are good for mail";
            return Err(Failure::new(Exit::Usage, "no-device", fact)
                .hint("--paste does it with a browser on any machine"));
        }
        let code = DeviceCode::ask(provider, client, &scopes, network, &WallClock)?;
        let code = match args.timeout {
            Some(seconds) => code.within(seconds, &WallClock),
            None => code,
        };
        let uri = code.complete_uri.as_ref().unwrap_or(&code.verification_uri);
        context.printer.instruct(format_args!(
            "On any machine, open {uri}\nsign in as {} and enter the code {}\nThis waits {} for it.",
            account.address,
            code.user_code,
            lasting(code.left(&WallClock))
        ));
        let endpoint = &provider.token_endpoint;
        let (tokens, ready) = code.wait(client, endpoint, network, &WallClock, ready)?;
        return Ok(Consent { tokens, ready, browser: None });
    }
    let loopback = match Loopback::open(provider.redirect_pattern()) {
        // Nobody listens there.
        Err(_) if args.paste => None,
        opened => Some(opened?),
    };
    let redirect = provider.redirect(loopback.as_ref().map_or(ANY_PORT, Loopback::port));
    let attempt = Authorization::new(provider, client, &redirect, &scopes, &account.address)?;
    let exchange = |attempt: Authorization, code: &Secret| {
        let ready = ready()?;
        let tokens = attempt.exchange(code, client, &provider.token_endpoint, network)?;
        Ok::<_, Failure>((tokens, ready))
    };
    context.printer.instruct(format_args!(
        "Open this address in a browser, and sign in as {}:\n\n{}\n",
        account.address,
        attempt.url()
    ));
    let Some(loopback) = loopback.filter(|_| !args.paste) else {
        let code = code_pasted(context, &attempt)?;
        let (tokens, ready) = exchange(attempt, &code)?;
        return Ok(Consent { tokens, ready, browser: None });
    };
    let patience = args.timeout.unwrap_or(PATIENCE);
    context.printer.instruct(format_args!(
        "This waits {} for the browser to come back. If it runs on another machine, it cannot: end this \
         with Ctrl-C, and begin again with --paste.",
        lasting(patience)
    ));
    let (code, browser) = loopback.wait(&attempt, Duration::from_secs(patience))?;
    let tokens = code.map_err(Failure::from).and_then(|code| exchange(attempt, &code));
    match tokens {
        Ok((tokens, ready)) => Ok(Consent { tokens, ready, browser: Some(browser) }),
        Err(failure) => {
            show_failure(browser, &failure);
            Err(failure)
        }
    }
}

/// Tells who consented, or did not, that nothing came of it.
fn show_failure(browser: Browser, failure: &Failure) {
    let (first, rest) =
        failure.fact.split_at(failure.fact.chars().next().map_or(0, char::len_utf8));
    let fact = first.to_uppercase() + rest;
    let text = format!("{fact}. Nothing was changed; the terminal says more.");
    browser.show(false, "Not authorised", &text);
}

/// What is asked for: the mail, and who it is that consents.
fn scopes(account: &Account) -> Vec<String> {
    let identity = ["openid", "email"];
    let mail = account.registration.provider.scopes.iter().map(String::as_str);
    let mail = mail.filter(|scope| !identity.contains(scope));
    identity.into_iter().chain(mail).map(str::to_owned).collect()
}

/// The code in what a person or a pipe gives. A person who gave something else is asked again.
fn code_pasted(context: &Context, attempt: &Authorization) -> Result<Secret, Failure> {
    let person = tty::is_there() && std::io::IsTerminal::is_terminal(&std::io::stdin());
    for tries in 1.. {
        match attempt.pasted(&pasted(context, person)?).map_err(Failure::from) {
            Err(failure) if person && tries < TRIES && is_slip(&failure) => {
                context.printer.warn(&failure.fact);
                for hint in &failure.hints {
                    context.printer.instruct(hint);
                }
            }
            done => return done,
        }
    }
    unreachable!("the loop ends by itself")
}

/// Whether something else was pasted than the answer.
fn is_slip(failure: &Failure) -> bool {
    ["not-the-answer", "no-code"].contains(&failure.code)
}

/// The address that the browser ended at, from a person or a pipe. It holds a code that works once.
fn pasted(context: &Context, person: bool) -> Result<Zeroizing<String>, Failure> {
    let text = if person {
        context.printer.instruct(
            "When the browser cannot open a page at 127.0.0.1 or localhost, that is the right one.",
        );
        Zeroizing::new(prompt::line("Paste its whole address here: ")?)
    } else {
        line_of(std::io::stdin().lock())?
    };
    if text.trim().is_empty() && !person {
        return Err(Failure::new(Exit::Usage, "no-input", "no address was pasted"));
    }
    Ok(text)
}

/// One line, which is not longer than addresses are.
fn line_of(input: impl BufRead) -> Result<Zeroizing<String>, Failure> {
    let mut line = Zeroizing::new(String::new());
    let read = input.take(MOST_PASTED).read_line(&mut line);
    let read = read.map_err(|error| Failure::file("read", "standard input".as_ref(), &error))?;
    if read as u64 == MOST_PASTED {
        return Err(Failure::new(
            Exit::Usage,
            "too-long",
            "what was pasted is no address: it is too long",
        )
        .hint("paste the one line that the browser shows as its address"));
    }
    Ok(line)
}

/// Compares what was granted with what was asked for, opens the mailbox, and writes the grant.
fn keep(
    context: &Context,
    vault: &Vault<'_>,
    args: &AuthorizeArgs,
    account: &Account,
    tokens: Tokens,
    network: &Network,
) -> Result<u64, Failure> {
    let requested = scopes(account);
    let endpoint = &TokenEndpoint {
        url: account.registration.provider.token_endpoint.clone(),
        authentication: account.registration.client.authentication,
    };
    let now = context.now();
    if let Some(granted) = &tokens.scope {
        let granted: Vec<_> = granted.split_ascii_whitespace().map(str::to_owned).collect();
        if let Some(missing) = missing_scope(account, &granted) {
            let fact = format!("the scope {missing} was not granted");
            return Err(Failure::new(Exit::NeedsPerson, "scope-missing", fact)
                .hint("nothing was changed; authorise again, and leave that box ticked"));
        }
    }
    let access = tokens.access.duplicate();
    let before = vault.read()?.find(&account.name)?;
    let before = match before.as_ref().and_then(|version| version.live()) {
        // A state that cannot be read is replaced by one that can.
        Some(entry) => {
            let grant =
                grant(&account.name, entry).unwrap_or_else(|_| Grant::new(refresh_token(entry)));
            // Of a token that was never used, the entry alone says whose it is.
            let is_others = grant.origin.client.is_none()
                && text(entry, CLIENT).is_some_and(|c| c != account.registration.name.as_str());
            if is_others { Grant::new(None) } else { grant }
        }
        None => Grant::new(None),
    };
    let granted = before.authorized(tokens, &requested, endpoint, &account.registration.at, now)?;
    let details = granted.life.details().expect("it was just authorised");
    let other = details.account.as_ref().filter(|a| !a.eq_ignore_ascii_case(&account.address));
    if let Some(other) = other {
        if account.only_account().is_some()
            && let Some(failure) = local_reason(account, details)
        {
            return Err(failure.hint("nothing was changed"));
        }
        // With the mailbox opened, its server has decided.
        if args.no_verify {
            context.printer.warn(format_args!(
                "{other} consented, and it was not tried whether that account may open {}",
                account.address
            ));
        }
    }
    if !args.no_verify {
        let opened =
            opens(account, Protocol::Imap, &access, Some(details), Default::default(), network);
        opened.map_err(|failure| {
            failure.hint("nothing was changed; --no-verify keeps the grant all the same")
        })?;
    }
    // The old grant may be gone at the provider, and its owner is not asked to consent twice.
    persist(context, vault, &account.name, |vault| write(context, vault, args, account, &granted))
}

fn write(
    context: &Context,
    vault: &Vault<'_>,
    args: &AuthorizeArgs,
    account: &Account,
    granted: &Grant,
) -> Result<u64, Failure> {
    let mut batch = vault.write(context.stamp(Some("authorised")))?;
    let mut entry = entry_of(&account.name, batch.find(&account.name)?)?;
    put(&mut entry, granted.refresh.as_ref())?;
    set_public(&mut entry, &args.mailbox.fields(&account.registration))?;
    entry.set_token_state(Some(state(granted)));
    let version = batch.put(&account.name, entry, None)?;
    batch.commit()?;
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An input without an end once took all the memory there was.
    #[test]
    fn what_is_pasted_has_an_end() {
        let endless = std::io::BufReader::new(std::io::repeat(0));
        assert_eq!(line_of(endless).unwrap_err().code, "too-long");
        assert_eq!(
            *line_of(&b"http://127.0.0.1/?code=x\nmore"[..]).unwrap(),
            "http://127.0.0.1/?code=x\n"
        );
    }
}

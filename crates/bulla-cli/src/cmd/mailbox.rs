//! `bulla mailbox`: grants that open mailboxes, and the tokens that come of them.

mod add;
mod authorize;
mod revoke;
mod rotate;
mod status;
mod token;
mod verify;

use std::path::PathBuf;

use bulla_oauth::{Details, Login, MailError, Mechanism, Protocol, Secret, open_mailbox};
use clap::Subcommand;

use super::Done;
use crate::account::{Account, Network};
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// What to do with mailboxes.
#[derive(Subcommand)]
#[command(defer = true)]
pub(crate) enum MailboxCommand {
    /// Have the owner of a mailbox consent, and keep the grant
    Authorize(authorize::AuthorizeArgs),
    /// Take in a refresh token that was got elsewhere
    Add(add::AddArgs),
    /// Print an access token that lives long enough
    Token(token::TokenArgs),
    /// Show which grants work, and when they end
    Status(status::StatusArgs),
    /// Log in to mailboxes, and say why where that fails
    Verify(verify::VerifyArgs),
    /// Withdraw a grant at the provider
    Revoke(revoke::RevokeArgs),
    /// Replace the secret of an OAuth client, step by step
    RotateClient(rotate::RotateArgs),
}

// What every way to the network takes.
#[derive(clap::Args)]
pub(crate) struct NetworkArgs {
    /// Believe the certificate authorities in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl NetworkArgs {
    fn network(&self) -> Network {
        Network::new(self.ca.clone())
    }
}

pub(crate) fn run(context: &Context, command: MailboxCommand) -> Done {
    match command {
        MailboxCommand::Authorize(args) => authorize::run(context, &args),
        MailboxCommand::Add(args) => add::run(context, &args),
        MailboxCommand::Token(args) => token::run(context, &args),
        MailboxCommand::Status(args) => status::run(context, &args),
        MailboxCommand::Verify(args) => verify::run(context, &args),
        MailboxCommand::Revoke(args) => revoke::run(context, &args),
        MailboxCommand::RotateClient(args) => rotate::run(context, &args),
    }
}

/// Opens a mailbox by one protocol, and says as exactly as can be known why it does not open.
fn opens(
    account: &Account,
    protocol: Protocol,
    token: &Secret,
    details: Option<&Details>,
    mechanism: Mechanism,
    network: &Network,
) -> Result<(), Failure> {
    let server = account.servers.iter().find(|server| server.protocol == protocol);
    let server = server.ok_or_else(|| {
        let name = protocol.name();
        let fact = format!("nobody knows the {name} server of {}", account.address);
        let field = name.to_lowercase();
        Failure::new(Exit::Usage, "no-server", fact).hint(format_args!(
            "`bulla set {} --public {field}={field}s://HOST` says it",
            account.name
        ))
    })?;
    let login = Login { user: &account.user, token, mechanism };
    open_mailbox(server, &login, network.ready()?).map_err(|error| {
        let fault = match &error {
            MailError::Refused(_) => details.and_then(|details| local_reason(account, details)),
            _ => None,
        };
        let failure = fault.unwrap_or_else(|| error.into()).about(server);
        let field = protocol.name().to_lowercase();
        match failure.code {
            "server-unreachable" | "no-mail-server" => failure.hint(format_args!(
                "if it is another server, `bulla set {} --public {field}={server}` with that one's name says so",
                account.name
            )),
            _ => failure,
        }
    })
}

/// Why a token is refused, where we know better than the server, which says the same of all reasons.
fn local_reason(account: &Account, details: &Details) -> Option<Failure> {
    if let Some(missing) = missing_scope(account, &details.scopes) {
        let fact = format!("the grant lacks the scope {missing}");
        return Some(
            Failure::new(Exit::NeedsPerson, "scope-missing", fact)
                .hint("its owner has to authorise it again, and leave that box ticked"),
        );
    }
    let consented =
        details.account.as_ref().filter(|a| !a.eq_ignore_ascii_case(&account.address))?;
    let fact = format!("the grant is of another account, {consented}");
    Some(Failure::new(Exit::NeedsPerson, "other-account", fact).hint(format_args!(
        "{} has to consent itself; choose it in the browser, or sign the other one out",
        account.address
    )))
}

/// The first scope for mail that was not granted, if the provider tells what was.
fn missing_scope<'a>(account: &'a Account, granted: &[String]) -> Option<&'a str> {
    if granted.is_empty() {
        return None;
    }
    // A right to ask again later is no scope of the token, and is not told back by everybody.
    let wanted = account.registration.provider.scopes.iter().filter(|s| *s != "offline_access");
    let bare = |scope: &str| scope.rsplit('/').next().unwrap_or(scope).to_ascii_lowercase();
    // Microsoft tells scopes back with or without the address before them.
    let is_there = |scope: &&String| {
        granted.iter().any(|g| g == *scope || (!bare(g).is_empty() && bare(g) == bare(scope)))
    };
    wanted.into_iter().find(|scope| !is_there(scope)).map(String::as_str)
}

//! `bulla mailbox token`: prints an access token that lives long enough.

use bulla_oauth::Mechanism;
use clap::ValueEnum;
use serde_json::json;

use super::NetworkArgs;
use crate::account::{address_of, mailbox_name};
use crate::cmd::Done;
use crate::cmd::target::time;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::printer::counted;
use crate::session::with_vault;
use crate::tokens::{Token, token};

#[derive(clap::Args)]
pub(crate) struct TokenArgs {
    /// The address of the mailbox
    address: String,
    /// How long the token has to live at least
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = life)]
    min_ttl: u64,
    /// In which form
    #[arg(long = "as", value_name = "FORM", default_value = "raw")]
    form: Form,
    #[command(flatten)]
    network: NetworkArgs,
}

/// The forms of an access token.
#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum Form {
    /// The token itself
    Raw,
    /// In base64 with the address, as XOAUTH2 sends it
    Xoauth2,
    /// In base64 with the address, as OAUTHBEARER sends it
    Oauthbearer,
    /// With address and expiry, as JSON
    Json,
}

pub(crate) fn run(context: &Context, args: &TokenArgs) -> Done {
    let name = mailbox_name(&args.address)?;
    let network = args.network.network();
    with_vault(context, |vault| {
        let token = token(context, vault, &name, args.min_ttl, &network)
            .map_err(|failure| failure.about(address_of(&name)))?;
        print(context, args.form, address_of(&name), &token)?;
        Ok(Exit::Done)
    })
}

fn print(context: &Context, form: Form, address: &str, token: &Token) -> Result<(), Failure> {
    let form = if context.printer.json { Form::Json } else { form };
    let Token { user, access } = token;
    let sasl = |mechanism: Mechanism| mechanism.response(user, &access.token, None);
    let secret = match form {
        Form::Raw => access.token.duplicate(),
        Form::Xoauth2 => sasl(Mechanism::Xoauth2),
        Form::Oauthbearer => sasl(Mechanism::Oauthbearer),
        Form::Json => {
            let token = std::str::from_utf8(access.token.expose()).expect("tokens are ASCII");
            return context.printer.value(&json!({
                "address": address,
                "user": user,
                "access_token": token,
                "expires": access.expires.map(time),
            }));
        }
    };
    context.printer.data(secret.expose())?;
    // A shell that waits for a line gets one; what is piped gets the exact bytes.
    if context.printer.out_is_terminal { context.printer.data(b"\n") } else { Ok(()) }
}

/// A length of time in words.
pub(crate) fn lasting(seconds: u64) -> String {
    let units = [("day", 86_400), ("hour", 3600), ("minute", 60)];
    // A minute and a half is 90 seconds, and an hour and a half is 90 minutes.
    let unit = units.into_iter().find(|(_, length)| seconds >= 2 * length || seconds == *length);
    let (unit, length) = unit.unwrap_or(("second", 1));
    counted(seconds / length, unit, &format!("{unit}s"))
}

/// A length of time such as `20m`.
pub(crate) fn life(text: &str) -> Result<u64, &'static str> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let unit =
        units.into_iter().find_map(|(unit, length)| Some((text.strip_suffix(unit)?, length)));
    let (number, length) = unit.ok_or("a time is a number with s, m, h or d, such as 20m")?;
    let number: u64 = number.parse().map_err(|_| "a time is a number with s, m, h or d")?;
    number.checked_mul(length).ok_or("that is longer than time itself")
}

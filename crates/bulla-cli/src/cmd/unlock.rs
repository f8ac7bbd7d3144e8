//! `bulla unlock`: keeps the vault open for a while.

use super::Done;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::kernel;
use crate::session::with_proof;
use crate::unlock::Proof;

#[derive(clap::Args)]
pub(crate) struct UnlockArgs {
    /// For how long, as in `15m` or `8h`; at most a day
    #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = duration)]
    time: u32,
}

pub(crate) fn run(context: &Context, args: &UnlockArgs) -> Done {
    with_proof(context, Proof::Fresh, |vault, _| {
        kernel::keep(&vault.id(), &vault.key(), args.time as usize)?;
        if kernel::find(&vault.id()).is_none() {
            let fact = "the kernel took the key and does not give it back";
            return Err(Failure::new(Exit::Failed, "kernel-keyring", fact)
                .hint("give the passphrase or an identity to each command instead"));
        }
        context.printer.note(format_args!(
            "open for {} in this login session; `bulla lock` ends it",
            shown(args.time)
        ));
        Ok(Exit::Done)
    })
}

/// Seconds, minutes or hours, up to a day: longer than a day of work nobody remembers it.
fn duration(text: &str) -> Result<u32, &'static str> {
    const WRONG: &str = "a time is written as 90s, 15m or 8h, up to 24h";
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        _ => return Err(WRONG),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| WRONG)?;
    number.checked_mul(unit).filter(|s| (1..=24 * 3600).contains(s)).ok_or(WRONG)
}

fn shown(seconds: u32) -> String {
    match seconds {
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

//! `bulla passwd`: changes the passphrase of the slot that opens the vault.

use super::Done;
use super::slot::KdfArgs;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::with_proof;
use crate::unlock::{OpenedBy, Proof};
use crate::{prompt, tty};

#[derive(clap::Args)]
pub(crate) struct PasswdArgs {
    #[command(flatten)]
    kdf: KdfArgs,
}

pub(crate) fn run(context: &Context, args: &PasswdArgs) -> Done {
    with_proof(context, Proof::Fresh, |vault, by| {
        if !matches!(by, OpenedBy::Passphrase(_)) {
            return Err(Failure::new(
                Exit::Failed,
                "no-passphrase",
                "the vault was opened by an identity",
            )
            .hint("open it with the passphrase that is to be changed"));
        }
        if !tty::is_there() {
            let fact = "there is no terminal to ask for the new passphrase on";
            return Err(Failure::new(Exit::Usage, "no-terminal", fact).hint(
                "run it on a terminal; the old passphrase may come from a file all the same",
            ));
        }
        let passphrase = prompt::new_passphrase("the vault")?;
        vault.change_passphrase(&passphrase, args.kdf.chosen()?, context.stamp(None))?;
        context.printer.note(
            "the passphrase is changed; old copies of the vault still open with the old one (`bulla rekey` makes them worthless for what comes)",
        );
        Ok(Exit::Done)
    })
}

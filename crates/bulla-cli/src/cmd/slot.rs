//! `bulla slot`: who can open the vault.

use std::path::Path;
use std::time::{Duration, Instant};

use bulla_vault::{Kdf, NewSlot, Recipient, SlotSort};
use clap::Subcommand;
use serde_json::json;

use super::Done;
use super::target::time;
use crate::cmd::rekey;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::{with_proof, with_vault};
use crate::unlock::Proof;
use crate::{prompt, tty};

#[derive(Subcommand)]
#[command(defer = true)]
pub(crate) enum SlotCommand {
    /// List the slots
    Ls,
    /// Add a slot: a passphrase, or a recipient
    ///
    /// Whoever has a slot reads and writes everything in the vault. Slots are for people and
    /// custodians.
    Add(SlotAddArgs),
    /// Remove a slot, change the vault key, and print what its holder could read
    Rm(SlotRmArgs),
}

#[derive(clap::Args)]
pub(crate) struct SlotAddArgs {
    /// What to call it
    label: String,
    /// Open it with this recipient's identity instead of a passphrase; `@FILE` reads it
    #[arg(long, value_name = "age1pq...|@FILE")]
    recipient: Option<String>,
    #[command(flatten)]
    kdf: KdfArgs,
}

#[derive(clap::Args)]
pub(crate) struct SlotRmArgs {
    /// Label of the slot
    label: String,
    #[command(flatten)]
    kdf: KdfArgs,
    #[command(flatten)]
    confirm: rekey::Confirm,
}

// What a passphrase shall cost to try.
#[derive(clap::Args)]
pub(crate) struct KdfArgs {
    /// Make a passphrase cost about this long to try on this machine, up to 10s
    /// [default: Argon2id with 64 MiB, 3 passes, 4 lanes]
    #[arg(long, value_name = "TIME", value_parser = target_time)]
    kdf_target: Option<Duration>,
}

impl KdfArgs {
    /// The default, or the most passes and then memory that stay within the target.
    pub(crate) fn chosen(&self) -> Result<Kdf, Failure> {
        let Some(target) = self.kdf_target else { return Ok(Kdf::DEFAULT) };
        let (m, t, p) = Kdf::DEFAULT.costs();
        let began = Instant::now();
        Kdf::DEFAULT.rehearse().map_err(Failure::from)?;
        let spent = began.elapsed().max(Duration::from_millis(1));
        // Memory hurts an attacker more than passes do, and time grows with it in proportion.
        let factor = (target.as_secs_f64() / spent.as_secs_f64()).max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "both are cut to the bounds of the format"
        )]
        let memory = ((f64::from(m) * factor) as u32).min(1024 * 1024) / 1024 * 1024;
        let rest = factor * f64::from(m) / f64::from(memory);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "both are cut to the bounds of the format"
        )]
        let passes = ((f64::from(t) * rest) as u32).clamp(t, 16);
        Ok(Kdf::new(memory, passes, p).unwrap_or(Kdf::DEFAULT))
    }
}

pub(crate) fn run(context: &Context, command: SlotCommand) -> Done {
    match command {
        SlotCommand::Ls => ls(context),
        SlotCommand::Add(args) => add(context, &args),
        SlotCommand::Rm(args) => rekey::remove_slot(context, &args.label, &args.kdf, &args.confirm),
    }
}

fn ls(context: &Context) -> Done {
    with_vault(context, |vault| {
        for slot in vault.read()?.slots()? {
            let (sort, detail) = match slot.sort {
                SlotSort::Passphrase(kdf) => {
                    let (m, t, p) = kdf.costs();
                    ("passphrase", format!("Argon2id {} MiB, t={t}, p={p}", m / 1024))
                }
                SlotSort::Identity => (
                    "identity",
                    slot.recipient.as_ref().map_or_else(String::new, |r| shortened(&r.to_string())),
                ),
            };
            let here = slot.id == vault.slot();
            if context.printer.json {
                context.printer.value(&json!({
                    "label": slot.label, "sort": sort, "detail": detail, "added": time(slot.added),
                    "recipient": slot.recipient.map(|r| r.to_string()), "opened_this": here,
                }))?;
            } else {
                let mark = if here { '*' } else { ' ' };
                context.printer.one_line(format_args!(
                    "{mark} {:16} {sort:10}  {}  {detail}",
                    slot.label,
                    time(slot.added)
                ))?;
            }
        }
        Ok(Exit::Done)
    })
}

/// A recipient has about 2,000 letters; the first ones tell it from others.
fn shortened(recipient: &str) -> String {
    format!("{}...", &recipient[..24.min(recipient.len())])
}

fn add(context: &Context, args: &SlotAddArgs) -> Done {
    let recipient = args.recipient.as_deref().map(read_recipient).transpose()?;
    with_proof(context, Proof::Fresh, |vault, _| {
        let passphrase = match &recipient {
            Some(_) => None,
            None if tty::is_there() => {
                Some(prompt::new_passphrase(&format!("slot `{}`", args.label))?)
            }
            None => {
                return Err(Failure::new(
                    Exit::Usage,
                    "no-terminal",
                    "there is no terminal to ask for a passphrase on",
                )
                .hint("--recipient needs none"));
            }
        };
        let slot = match (&recipient, &passphrase) {
            (Some(recipient), _) => NewSlot::Recipient(recipient),
            (None, Some(passphrase)) => NewSlot::Passphrase(passphrase, args.kdf.chosen()?),
            (None, None) => unreachable!("one of them was read"),
        };
        vault.add_slot(&args.label, &slot, context.stamp(None))?;
        context
            .printer
            .note(format_args!("slot `{}` opens everything in this vault from now on", args.label));
        if recipient.is_some() {
            context.printer.note("Its holder opens the vault with --identity and this pin:");
        }
        if context.printer.json {
            let pin = vault.pin().to_string();
            context.printer.value(&json!({"slot": args.label, "pin": pin}))?;
        } else {
            context.printer.line(format_args!("pin    {}", vault.pin()))?;
        }
        Ok(Exit::Done)
    })
}

/// Reads a recipient as typed, or from a file with `@`.
pub(crate) fn read_recipient(text: &str) -> Result<Recipient, Failure> {
    let read;
    let text = match text.strip_prefix('@') {
        None => text,
        Some(path) => {
            let path = Path::new(path);
            read = std::fs::read_to_string(path)
                .map_err(|error| Failure::file("read", path, &error))?;
            read.lines()
                .map(|line| line.strip_prefix("# recipient:").unwrap_or(line).trim())
                .find(|line| !line.is_empty() && !line.starts_with('#'))
                .unwrap_or_default()
        }
    };
    Recipient::parse(text.trim()).map_err(|error| {
        Failure::new(Exit::Usage, "recipient", error)
            .hint("`bulla identity new` prints one; it begins with age1pq1")
    })
}

/// As for a passphrase at a desk: a tenth of a second to ten seconds.
fn target_time(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "a time is written as 500ms or 2s, from 100ms to 10s";
    let milliseconds = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => number.parse::<u64>().map_err(|_| WRONG)?,
        (None, Some(number)) => number.parse::<u64>().map_err(|_| WRONG)?.saturating_mul(1000),
        (None, None) => return Err(WRONG),
    };
    if (100..=10_000).contains(&milliseconds) {
        Ok(Duration::from_millis(milliseconds))
    } else {
        Err(WRONG)
    }
}

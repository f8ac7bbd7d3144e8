//! `bulla revert`: makes an earlier version the newest.

use bulla_oauth::Grant;
use bulla_vault::{Batch, Entry, EntryName, Kind, Snapshot, State};

use super::Done;
use super::target::{Target, no_such_entry};
use crate::account::{grant, hold_still, put, refresh_token, state, who};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::with_vault;

#[derive(clap::Args)]
pub(crate) struct RevertArgs {
    /// Name of the entry
    entry: String,
    /// The version to bring back, as `3` or `v3` [default: the one before]
    version: Option<String>,
    /// Why, for the log
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &RevertArgs) -> Done {
    let target = Target::parse(&args.entry, None)?;
    let name = &target.entry;
    let wanted = args
        .version
        .as_deref()
        .map(|text| {
            text.trim_start_matches('v')
                .parse::<u64>()
                .map_err(|_| Failure::usage("a version is a number, as in `3` or `v3`"))
        })
        .transpose()?
        .or(target.version);
    with_vault(context, |vault| {
        let snapshot = vault.read()?;
        let newest = snapshot.find(name)?.ok_or_else(|| no_such_entry(&snapshot, name))?;
        let wanted = wanted.or(newest.kept.last().copied()).ok_or_else(|| {
            let fact = format!("no earlier version of `{name}` is kept");
            Failure::new(Exit::Missing, "missing-version", fact)
                .hint(format_args!("`bulla log {name}` lists the versions"))
        })?;
        drop(snapshot);
        // A token that a provider gives meanwhile would be in no version.
        let _still = hold_still(context, vault, std::slice::from_ref(name))?;
        let newest = newest_there(&vault.read()?, name)?;
        let mut batch = vault.write(context.stamp(args.reason.as_deref()))?;
        let version = batch.revert(name, wanted).map_err(|e| Failure::from(e).about(name))?;
        let grants = match newest {
            Some(newest) => with_token_of(&mut batch, name, &newest)?,
            None => Token::AsItWas,
        };
        batch.commit()?;
        context.printer.note(format_args!("{name} is at version {version}, as it was at {wanted}"));
        match grants {
            Token::AsItWas => {}
            Token::Present => context.printer.note(
                "its refresh token is the newest one of the same grant: that of the version may have been replaced",
            ),
            Token::Untried => context.printer.note(format_args!(
                "whether its refresh token still works is not known; `bulla mailbox status --probe {}` tries it",
                who(name)
            )),
        }
        Ok(Exit::Done)
    })
}

/// What became of the refresh token.
enum Token {
    AsItWas,
    Present,
    Untried,
}

/// The newest version that is one: that before a removal.
fn newest_there(snapshot: &Snapshot<'_>, name: &EntryName) -> Result<Option<Entry>, Failure> {
    let Some(newest) = snapshot.find(name)? else { return Ok(None) };
    let found = match (&newest.state, newest.kept.last()) {
        (State::Removed { .. }, Some(kept)) => snapshot.find_version(name, *kept)?,
        _ => Some(newest),
    };
    Ok(found.and_then(|version| match version.state {
        State::Live(entry) => Some(entry),
        State::Removed { .. } => None,
    }))
}

/// Has an entry that was just reverted not go back to a refresh token that was replaced since, nor to
/// what was known of another one then.
fn with_token_of(
    batch: &mut Batch<'_>,
    name: &EntryName,
    newest: &Entry,
) -> Result<Token, Failure> {
    let Some(State::Live(mut entry)) = batch.find(name)?.map(|version| version.state) else {
        return Ok(Token::AsItWas);
    };
    if entry.kind() != Kind::Mailbox || newest.kind() != Kind::Mailbox {
        return Ok(Token::AsItWas);
    }
    // A state that cannot be read is as good as none.
    let read = |entry| grant(name, entry).unwrap_or_else(|_| Grant::new(refresh_token(entry)));
    let (then, now) = (read(&entry), read(newest));
    let same = bulla_oauth::Secret::are_same(then.refresh.as_ref(), now.refresh.as_ref());
    let token = if same || then.began_as(&now) {
        put(&mut entry, now.refresh.as_ref())?;
        entry.set_token_state(Some(state(&now)));
        if same { Token::AsItWas } else { Token::Present }
    } else {
        let untried = then.refresh.is_some();
        entry.set_token_state(Some(state(&then.untried())));
        if untried { Token::Untried } else { Token::AsItWas }
    };
    batch.overwrite(name, entry)?;
    Ok(token)
}

//! `bulla adopt --dry-run`: what would be moved, and what of it the vault has already.

use std::collections::BTreeMap;

use bulla_resolve::{Find, Reference};

use super::{Job, State, conflict, gather, plan, reference, state};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::with_proof;
use crate::unlock::Proof;

/// What the vault has of the finds, by entry and field; nothing where it was not looked at.
type Compared = BTreeMap<(String, String), Result<State, Failure>>;

/// Prints what would be moved and tells what would be in the way.
pub(super) fn show(
    context: &Context,
    jobs: &[Job],
    replace: bool,
) -> Result<Vec<Failure>, Failure> {
    let (compared, mut failures) = match compare(context, jobs) {
        Ok(compared) => (compared, Vec::new()),
        Err(failure) => (Compared::new(), vec![failure]),
    };
    let mut differing: Vec<Reference> = Vec::new();
    for job in jobs {
        for find in &job.adoption.finds {
            let found = compared.get(&key(find));
            plan(context, job, find, found.map(|found| found.as_ref().ok()))?;
            let reference = reference(find)?;
            if matches!(found, Some(Ok(State::Differs))) && !differing.contains(&reference) {
                differing.push(reference);
            }
        }
    }
    // An entry of another kind is in the way of all its fields, and told once.
    for failure in compared.into_values().filter_map(Result::err) {
        if failures.iter().all(|told| told.fact != failure.fact) {
            failures.push(failure);
        }
    }
    if !replace {
        let hint = "nothing was changed; --replace would make new versions of them";
        failures.extend(conflict(&differing).map(|failure| failure.hint(hint)));
    }
    Ok(failures)
}

/// Compares the finds with the vault, if something opens it without asking.
fn compare(context: &Context, jobs: &[Job]) -> Result<Compared, Failure> {
    let entries = gather(jobs)?;
    if entries.is_empty() {
        return Ok(Compared::new());
    }
    let looked = with_proof(context, Proof::Unasked, |vault, _| {
        let snapshot = vault.read()?;
        let mut compared = Compared::new();
        for (name, gathered) in &entries {
            let there = snapshot.find(name)?;
            let entry = there.as_ref().and_then(|version| version.live());
            for (_, find, _) in &gathered.fields {
                let found = entry.map_or(Ok(State::Missing), |entry| state(entry, find));
                compared.insert(key(find), found);
            }
        }
        Ok(compared)
    });
    match looked {
        Err(failure)
            if failure.exit == Exit::Locked || ["no-vault", "no-home"].contains(&failure.code) =>
        {
            let note = format_args!("the vault was not looked at: {}", failure.fact);
            context.printer.note(note);
            Ok(Compared::new())
        }
        looked => looked,
    }
}

fn key(find: &Find) -> (String, String) {
    (find.entry.clone(), find.field.clone())
}

//! What only the vault shows: whether that which templates ask for is there, and what nobody asks for.

use std::collections::{BTreeMap, BTreeSet};

use bulla_resolve::{Answer, Reference, Rule, Source, Use, without_secrets};
use bulla_vault::Snapshot;

use super::{Finding, Level};
use crate::context::Context;
use crate::failure::Failure;
use crate::session::with_vault;
use crate::source::VaultSource;

/// Looks up everything in `uses`, which name their file by its number in `files`.
pub(super) fn findings(
    context: &Context,
    files: &[String],
    uses: Vec<(usize, Use)>,
) -> Result<Vec<Finding>, Failure> {
    with_vault(context, |vault| {
        let snapshot = vault.read()?;
        let wanted: BTreeSet<_> = uses.iter().flat_map(|(_, used)| of(used)).cloned().collect();
        let wanted: Vec<_> = wanted.into_iter().collect();
        let answers = VaultSource::new(&snapshot, None).resolve(&wanted);
        let answers: BTreeMap<_, _> = wanted.iter().zip(answers).collect();
        let mut findings = Vec::new();
        for (file, used) in &uses {
            let place = (files[*file].clone(), used.line, used.column);
            findings.extend(finding(used, place, &answers)?);
        }
        let entries = wanted.iter().map(Reference::entry).collect();
        findings.extend(unused(&snapshot, &entries)?);
        Ok(findings)
    })
}

fn of(used: &Use) -> impl Iterator<Item = &Reference> {
    [Some(&used.reference), used.alternative.as_ref()].into_iter().flatten()
}

fn finding(
    used: &Use,
    place: (String, usize, usize),
    answers: &BTreeMap<&Reference, Answer>,
) -> Result<Option<Finding>, Failure> {
    let mut there = Vec::new();
    let mut near = &[][..];
    for reference in of(used) {
        match answers.get(reference) {
            Some(Answer::Value { .. }) => there.push(reference),
            Some(Answer::Missing { nearest, .. }) => {
                near = if near.is_empty() { nearest.as_slice() } else { near };
            }
            Some(Answer::Failed(failure)) => {
                let exit = crate::diagnose::exit_of(failure.kind);
                return Err(
                    Failure::new(exit, Rule::SourceFailed.name(), &failure.what).about(reference)
                );
            }
            _ => {}
        }
    }
    let (rule, what) = match there.as_slice() {
        [first, second, ..] => {
            (Rule::AmbiguousFill, format!("both {first} and {second} could be meant here"))
        }
        [_] => return Ok(None),
        [] if used.optional => return Ok(None),
        [] => (Rule::Missing, format!("{} does not exist", used.reference)),
    };
    let what = without_secrets(&what).into_owned();
    let instead = match near {
        [] => super::advice::of_rule(rule).to_owned(),
        [near] => format!("is it `{near}`?"),
        near => format!("is it one of `{}`?", near.join("`, `")),
    };
    Ok(Some(Finding { rule, level: Level::Error, place: Some(place), what, instead }))
}

/// Entries that nothing of `used` names.
fn unused(snapshot: &Snapshot<'_>, used: &BTreeSet<&str>) -> Result<Vec<Finding>, Failure> {
    let mut names = BTreeSet::new();
    snapshot.each::<Failure>(&mut |version| {
        if version.live().is_some() && !used.contains(version.name.as_str()) {
            names.insert(version.name.to_string());
        }
        Ok(())
    })?;
    let note = |name| Finding {
        rule: Rule::UnusedEntry,
        level: Level::Note,
        place: None,
        what: format!("none of these templates asks for the entry {name}"),
        instead: super::advice::of_rule(Rule::UnusedEntry).to_owned(),
    };
    Ok(names.into_iter().map(note).collect())
}

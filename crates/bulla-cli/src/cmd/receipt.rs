//! `bulla receipt`: compares receipts with the files that are there and with what the vault has now.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bulla_resolve::{Reference, without_secrets};
use bulla_vault::{EntryName, Field, FieldName, ReadError, Snapshot};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Done;
use super::render::{read, several, shown};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::printer::counted;
use crate::receipt::{NoReceipt, OUTPUT, Read, Written};
use crate::session::with_vault;

#[derive(clap::Args)]
pub(crate) struct ReceiptArgs {
    /// Receipts that `bulla render --receipt` wrote; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    receipts: Vec<PathBuf>,
    /// Only compare the versions with the vault: the files are on another machine
    #[arg(long)]
    no_files: bool,
}

pub(crate) fn run(context: &Context, args: &ReceiptArgs) -> Done {
    let (mut receipts, mut failures) = (Vec::new(), Vec::new());
    for path in &args.receipts {
        let parsed = read(path).and_then(|bytes| {
            Read::parse(&bytes).map_err(|error| Failure::from(error).about(shown(path)))
        });
        match parsed {
            Ok(receipt) => receipts.push((shown(path), receipt)),
            Err(failure) => failures.push(failure),
        }
    }
    let mut found = Found::default();
    if !receipts.is_empty() {
        with_vault(context, |vault| {
            let snapshot = vault.read()?;
            let mut values = Values { snapshot: &snapshot, known: BTreeMap::new() };
            for (name, receipt) in &receipts {
                let look = Look { context, name, no_files: args.no_files };
                if let Err(failure) = look.at(receipt, &mut values, &mut found, &mut failures) {
                    failures.push(failure);
                }
            }
            Ok(())
        })?;
    }
    if !failures.is_empty() {
        return Err(several(context, failures));
    }
    let unknown = match found.unknown {
        0 => String::new(),
        unknown => format!("{unknown} not compared, "),
    };
    context.printer.note(format_args!(
        "{}: {unknown}{} not as rendered, {} not what the vault has now",
        counted(found.files, "file", "files"),
        found.changed,
        counted(found.old, "value is", "values are"),
    ));
    if found.elsewhere {
        context.printer.note(
            "relative paths are those of the folder that `bulla render` ran in: compare from there, or use --no-files",
        );
    }
    Ok(if found.any { Exit::Findings } else { Exit::Done })
}

/// What was found in all receipts.
#[derive(Default)]
struct Found {
    files: u64,
    unknown: u64,
    changed: u64,
    old: u64,
    /// A file is not there whose path may be meant from another folder.
    elsewhere: bool,
    any: bool,
}

/// How many values of a receipt are compared that anybody can have written.
const MAX_UNVOUCHED: usize = 4096;

/// A receipt that is being looked at.
struct Look<'a> {
    context: &'a Context,
    name: &'a str,
    no_files: bool,
}

/// What became of a file.
#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    Same,
    Changed,
    Missing,
    /// Nobody looked, or its digest is of an earlier vault key.
    Unknown,
}

impl Look<'_> {
    fn at(
        &self,
        read: &Read,
        values: &mut Values<'_>,
        found: &mut Found,
        failures: &mut Vec<Failure>,
    ) -> Result<(), Failure> {
        let (receipt, snapshot) = (&read.receipt, values.snapshot);
        if receipt.vault != snapshot.vault_id() {
            let fact = "it is a receipt of another vault";
            return Err(Failure::new(Exit::Failed, "other-vault", fact)
                .hint("--vault or BULLA_VAULT says which vault to open")
                .about(self.name));
        }
        let key_epoch = u64::from(snapshot.key_epoch());
        // The first is 1.
        if receipt.key_epoch == 0 || receipt.key_epoch > key_epoch {
            let fact = "it is of a vault key that this vault has not had";
            return Err(Failure::new(Exit::Tampered, "tampered-receipt", fact)
                .hint("somebody changed it, or this is an earlier state of the vault")
                .about(self.name));
        }
        let is_of_this_key = receipt.key_epoch == key_epoch;
        if is_of_this_key && !read.is_authentic(snapshot) {
            let fact = "it is not as bulla wrote it";
            return Err(Failure::new(Exit::Tampered, "tampered-receipt", fact)
                .hint("somebody changed it; render again, and find out who could write it")
                .about(self.name));
        }
        if !is_of_this_key {
            if receipt.files.iter().map(|file| file.values.len()).sum::<usize>() > MAX_UNVOUCHED {
                let fact = format!(
                    "nothing vouches for it, and it tells of more than {MAX_UNVOUCHED} values"
                );
                return Err(Failure::new(Exit::Failed, "unverified-receipt", fact)
                    .hint("it was written under another vault key; render again")
                    .about(self.name));
            }
            found.any = true;
            self.tell("written under another vault key, so nothing vouches for it; render again")?;
        } else if receipt.epoch > snapshot.epoch() {
            found.any = true;
            self.tell("written from a later state of the vault than this one")?;
        }
        for file in &receipt.files {
            found.files += 1;
            let state = if self.no_files || !is_of_this_key {
                State::Unknown
            } else {
                match state(file, snapshot) {
                    Ok(state) => state,
                    Err(failure) => {
                        failures.push(failure.about(self.name));
                        State::Unknown
                    }
                }
            };
            let now = file.values.iter().map(|(reference, version)| {
                Ok((reference, *version, values.compare(reference, *version)?))
            });
            let now = now.collect::<Result<Vec<_>, Failure>>()?;
            found.unknown += u64::from(state == State::Unknown);
            found.changed += u64::from(matches!(state, State::Changed | State::Missing));
            found.elsewhere |= state == State::Missing && Path::new(&file.path).is_relative();
            found.old += now.iter().filter(|(.., now)| !now.is_current).count() as u64;
            found.any |= found.changed + found.old > 0;
            if self.context.printer.json {
                self.context.printer.value(&line(self.name, file, state, &now))?;
            } else {
                self.print(file, state, &now)?;
            }
        }
        Ok(())
    }

    /// Tells something of the whole receipt, which the lines of JSON show in each file.
    fn tell(&self, what: impl Display) -> Result<(), Failure> {
        if self.context.printer.json {
            self.context.printer.warn(format_args!("{}: {what}", self.name));
            return Ok(());
        }
        self.context.printer.one_line(format_args!("{}: {what}", self.name))
    }

    fn print(
        &self,
        file: &Written,
        state: State,
        values: &[(&Reference, u64, Now)],
    ) -> Result<(), Failure> {
        let tell = |what: &dyn Display| {
            let told = format!("{}: {}: {what}", self.name, file.path);
            self.context.printer.one_line(without_secrets(&told))
        };
        match state {
            State::Changed => tell(&"changed since it was rendered")?,
            State::Missing if Path::new(&file.path).is_relative() => {
                tell(&"not there, seen from this folder")?;
            }
            State::Missing => tell(&"not there any more")?,
            State::Same | State::Unknown => {}
        }
        for (reference, version, now) in values.iter().filter(|(.., now)| !now.is_current) {
            match now.version {
                Some(now) => {
                    tell(&format_args!("{reference} is v{version}, the vault has v{now}"))?
                }
                None => tell(&format_args!("{reference} is v{version}, the vault has none"))?,
            }
        }
        Ok(())
    }
}

/// Compares a file with its digest.
fn state(file: &Written, snapshot: &Snapshot<'_>) -> Result<State, Failure> {
    let path = Path::new(&file.path);
    if path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(State::Missing);
    }
    let contents = Zeroizing::new(read(path)?);
    let place = Written::place(&file.nonce, &file.path);
    let same = snapshot.is_receipt_digest(&file.digest, OUTPUT, &place, &contents);
    Ok(if same { State::Same } else { State::Changed })
}

/// What the vault has now in the place of a value.
#[derive(Clone, Copy)]
struct Now {
    /// The newest version, if there still is such an entry and field.
    version: Option<u64>,
    /// Whether it has the same value there.
    is_current: bool,
}

/// The values that were compared already.
struct Values<'v> {
    snapshot: &'v Snapshot<'v>,
    known: BTreeMap<(Reference, u64), Now>,
}

impl Values<'_> {
    /// A version that another field made leaves the value of this one as it was: then it is current. Where
    /// the version is not kept any more, nobody knows, and it is not.
    fn compare(&mut self, reference: &Reference, version: u64) -> Result<Now, ReadError> {
        let key = (reference.clone(), version);
        if let Some(now) = self.known.get(&key) {
            return Ok(*now);
        }
        let gone = Now { version: None, is_current: false };
        let now = match EntryName::new(reference.entry())
            .ok()
            .zip(FieldName::new(reference.field()).ok())
        {
            None => gone,
            Some((entry, field)) => {
                let newest = self.snapshot.find(&entry)?;
                let field_of = |found: &Option<bulla_vault::Version>| {
                    let entry = found.as_ref().and_then(|found| found.live());
                    entry.and_then(|entry| entry.field(&field)).map(copy)
                };
                match (&newest, field_of(&newest)) {
                    (Some(newest), Some(_)) if newest.version == version => {
                        Now { version: Some(version), is_current: true }
                    }
                    (Some(newest), Some(value)) => {
                        let earlier = field_of(&self.snapshot.find_version(&entry, version)?);
                        let is_current = earlier.is_some_and(|earlier| earlier.same_as(&value));
                        Now { version: Some(newest.version), is_current }
                    }
                    _ => gone,
                }
            }
        };
        self.known.insert(key, now);
        Ok(now)
    }
}

fn copy(field: &Field) -> bulla_vault::Secret {
    bulla_vault::Secret::copied_from(field.value.expose())
}

fn line(receipt: &str, file: &Written, state: State, values: &[(&Reference, u64, Now)]) -> Value {
    let value = |(reference, version, now): &(&Reference, u64, Now)| {
        let state = match (now.is_current, now.version) {
            (true, _) => "current",
            (false, Some(_)) => "old",
            (false, None) => "gone",
        };
        json!({
            "reference": without_secrets(&reference.to_string()), "version": version,
            "now": now.version, "state": state,
        })
    };
    json!({
        "receipt": receipt,
        "file": file.path,
        "state": match state {
            State::Same => "same",
            State::Changed => "changed",
            State::Missing => "missing",
            State::Unknown => "unknown",
        },
        "values": values.iter().map(value).collect::<Vec<_>>(),
    })
}

impl From<NoReceipt> for Failure {
    fn from(error: NoReceipt) -> Self {
        let failure = Self::new(Exit::Failed, "no-receipt", error);
        match error {
            NoReceipt::Malformed => failure,
            NoReceipt::Unsupported => failure.hint("install a newer bulla"),
        }
    }
}

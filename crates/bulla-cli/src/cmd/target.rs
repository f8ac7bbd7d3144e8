use bulla_resolve::Reference;
use bulla_vault::{Entry, EntryName, Field, FieldName, Snapshot, State, Version};

use crate::failure::{Exit, Failure};
use crate::source::{closest, names};

/// An entry, and perhaps a field and a version of it, as typed or pasted.
pub(crate) struct Target {
    pub(crate) entry: EntryName,
    pub(crate) field: Option<FieldName>,
    pub(crate) version: Option<u64>,
}

impl Target {
    /// Reads `ENTRY [FIELD]`, or a reference `bulla://ENTRY/FIELD[@vN]` pasted in place of both.
    pub(crate) fn parse(entry: &str, field: Option<&str>) -> Result<Self, Failure> {
        if !entry.starts_with("bulla://") {
            let field = field.map(field_name).transpose()?;
            return Ok(Self { entry: entry_name(entry)?, field, version: None });
        }
        if field.is_some() {
            return Err(Failure::usage("a reference names its field already"));
        }
        let reference = Reference::parse(entry).map_err(|error| {
            Failure::usage(format_args!("this is not a reference: {error}"))
                .hint("a reference is bulla://ENTRY/FIELD, or bulla://ENTRY/FIELD@v3")
        })?;
        let version = match reference.pin() {
            None => None,
            Some(bulla_resolve::Pin::Version(version)) => Some(version),
            Some(_) => {
                return Err(Failure::usage("a least life is something for a rendered token"));
            }
        };
        Ok(Self {
            entry: entry_name(reference.entry())?,
            field: Some(field_name(reference.field())?),
            version,
        })
    }
}

pub(crate) fn entry_name(text: &str) -> Result<EntryName, Failure> {
    EntryName::new(text).map_err(|error| Failure::from(error).about("entry"))
}

pub(crate) fn field_name(text: &str) -> Result<FieldName, Failure> {
    FieldName::new(text).map_err(|error| Failure::from(error).about("field"))
}

/// Finds an entry that is there, or says what is there instead.
pub(crate) fn find_live(
    snapshot: &Snapshot<'_>,
    name: &EntryName,
    version: Option<u64>,
) -> Result<Version, Failure> {
    let found = match version {
        None => snapshot.find(name)?,
        Some(version) => snapshot.find_version(name, version)?,
    };
    match found {
        Some(found) if found.live().is_some() => Ok(found),
        Some(Version { state: State::Removed { moved_to: Some(to) }, .. }) => {
            Err(missing(format_args!("`{name}` was renamed"))
                .hint(format_args!("it is `{to}` now")))
        }
        Some(removed) if version.is_none() && removed.kept.is_empty() => {
            Err(missing(format_args!("`{name}` was removed with all its versions")))
        }
        Some(_) => Err(missing(format_args!("`{name}` was removed"))
            .hint(format_args!("`bulla log {name}` shows what can be brought back"))),
        None if version.is_some() && snapshot.find(name)?.is_some() => {
            let wanted = version.unwrap_or_default();
            Err(missing(format_args!("version {wanted} of `{name}` is not kept"))
                .hint(format_args!("`bulla log {name}` lists the versions")))
        }
        None => Err(no_such_entry(snapshot, name)),
    }
}

/// There is no such entry; perhaps one with nearly that name is meant.
pub(crate) fn no_such_entry(snapshot: &Snapshot<'_>, name: &EntryName) -> Failure {
    let failure = missing(format_args!("there is no entry `{name}`"));
    let names = names(snapshot);
    match closest(name.as_str(), names.iter().map(String::as_str)).first() {
        Some(near) => failure.hint(format_args!("is it `{near}`?")),
        None => failure.hint("`bulla ls` lists the entries"),
    }
}

fn missing(fact: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Missing, "missing", fact)
}

/// The field that is meant when none is named: the only one that is not public.
pub(crate) fn only_secret(entry: &Entry) -> Option<&Field> {
    let mut secrets = entry.fields().iter().filter(|field| !field.public);
    secrets.next().filter(|_| secrets.next().is_none())
}

/// A time as it is shown: UTC, to the second.
pub(crate) fn time(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| "at an unknown time".to_owned(), |time| time.to_string())
}

//! `bulla set`: writes fields of an entry.

use std::path::PathBuf;

use bulla_resolve::{Reference, looks_secret};
use bulla_vault::{Entry, EntryName, Field, FieldName, Kind, Secret, Vault};
use serde_json::json;

use super::Done;
use super::target::{Target, field_name, only_secret};
use crate::account::refresh_token;
use crate::args::NoSecrets;
use crate::context::Context;
use crate::diagnose::set_command;
use crate::failure::{Exit, Failure};
use crate::input::{self, From};
use crate::session::with_vault;

#[derive(clap::Args)]
pub(crate) struct SetArgs {
    /// Name of the entry, or a reference
    entry: String,
    /// Name of the field [default: the only secret one; `password` for a new secret]
    field: Option<String>,

    #[command(flatten)]
    nothing_more: NoSecrets,

    /// Read the value from this file, exactly as it is; an empty one is refused
    #[arg(long, value_name = "FILE", conflicts_with = "exact")]
    from_file: Option<PathBuf>,

    /// Read the value from standard input as it comes: with a newline at its end, or even empty
    #[arg(long)]
    exact: bool,

    /// Set a public field beside; what is public may be typed, and is shown
    #[arg(long, value_name = "FIELD=VALUE")]
    public: Vec<String>,

    /// Remove a field
    #[arg(long, value_name = "FIELD")]
    remove: Vec<String>,

    /// When the value stops working, as a date (2027-01-31) or a time
    #[arg(long, value_name = "DATE", value_parser = expiry)]
    expires: Option<u64>,

    /// What the entry is [default: mailbox below `mailbox/`, else secret]
    #[arg(long, value_name = "secret|oauth-client|mailbox", value_parser = kind)]
    kind: Option<Kind>,

    /// Only if the entry is at this version; 0 means that it must not be there
    #[arg(long, value_name = "N")]
    if_version: Option<u64>,

    /// Why, for the log
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &SetArgs) -> Done {
    if !args.nothing_more.surplus.is_empty() {
        return Err(typed("a value is never given as an argument"));
    }
    if [Some(&args.entry), args.field.as_ref()].into_iter().flatten().any(|n| looks_secret(n)) {
        return Err(typed("what stands in the place of a name looks like a secret")
            .hint("if it is a name all the same, give it as bulla://ENTRY/FIELD"));
    }
    // Before it is asked for a value that the name holds already.
    if args.field.as_ref().is_some_and(|field| field.contains('=')) {
        return Err(typed("a field is given by its name alone")
            .hint("--public FIELD=VALUE sets what is no secret"));
    }
    let target = Target::parse(&args.entry, args.field.as_deref())?;
    if target.version.is_some() {
        return Err(Failure::usage("a version that was written cannot be changed")
            .hint("without @vN the value becomes the next version"));
    }
    let public =
        args.public.iter().map(|text| public_field(text)).collect::<Result<Vec<_>, _>>()?;
    let removed = args.remove.iter().map(|text| field_name(text)).collect::<Result<Vec<_>, _>>()?;
    let only_beside = args.field.is_none()
        && target.field.is_none()
        && !(public.is_empty() && removed.is_empty());

    if only_beside && input::is_piped() {
        let fact = "standard input holds a value, and no field is named for it";
        return Err(
            Failure::usage(fact).hint("name the field, or redirect standard input from /dev/null")
        );
    }

    // The value is asked for while nothing is locked; what is there then is checked again below.
    with_vault(context, |vault| {
        let before = vault.read()?.find(&target.entry)?;
        let before = before.as_ref().and_then(|version| version.live());
        let kind = args.kind.or(before.map(Entry::kind)).unwrap_or(usual_kind(&target.entry));
        let field = match &target.field {
            _ if only_beside => None,
            Some(field) => Some(field.clone()),
            None => Some(usual_field(&target.entry, kind, before)?),
        };
        let value = match &field {
            None => None,
            Some(field) => Some(read_value(context, args, &target.entry, field)?),
        };
        let mut batch = vault.write(context.stamp(args.reason.as_deref()))?;
        let entry = batch.find(&target.entry)?;
        let mut entry = match entry.map(|version| version.state) {
            Some(bulla_vault::State::Live(entry)) => entry,
            _ => Entry::new(kind),
        };
        if args.kind.is_some_and(|kind| kind != entry.kind()) {
            let fact = format!("`{}` is a {}", target.entry, entry.kind().as_str());
            return Err(Failure::new(Exit::Conflict, "kind", fact)
                .hint("the kind of an entry does not change; use another name"));
        }
        let refresh = refresh_token(&entry);
        let unnamed = field.clone().filter(|_| target.field.is_none());
        let unchanged = Changes { field, value, public: &public, removed: &removed }.apply(
            &mut entry,
            &target.entry,
            args.expires,
        )?;
        // What was known of a refresh token is not known of the one that a person puts in, even if it
        // is one that was there before.
        if !bulla_oauth::Secret::are_same(refresh.as_ref(), refresh_token(&entry).as_ref()) {
            entry.set_token_state(None);
        }
        if let Some(expected) = args.if_version {
            let found = batch.find(&target.entry)?;
            let found = found.filter(|found| found.live().is_some()).map_or(0, |f| f.version);
            if found != expected {
                return Err(bulla_vault::WriteError::VersionMoved { expected, found }.into());
            }
        }
        let version = if unchanged {
            batch.find(&target.entry)?.map_or(0, |version| version.version)
        } else {
            let version = batch.put(&target.entry, entry, args.if_version)?;
            batch.commit()?;
            version
        };
        if context.printer.json {
            let name = target.entry.as_str();
            context
                .printer
                .value(&json!({"entry": name, "version": version, "changed": !unchanged}))?;
        } else if unchanged {
            context
                .printer
                .note(format_args!("{} is unchanged at version {version}", target.entry));
        } else {
            tell(context, vault, &target.entry, version, unnamed)?;
        }
        Ok(Exit::Done)
    })
}

/// Says what was written, and where the value is if nobody named its field. Who typed `db/password` may
/// have meant the field of an entry `db`, which is what `bulla://db/password` asks for.
fn tell(
    context: &Context,
    vault: &Vault<'_>,
    entry: &EntryName,
    version: u64,
    unnamed: Option<FieldName>,
) -> Result<(), Failure> {
    let reference = |entry: &str, field: &str| Reference::new(entry, field, None).ok();
    let Some((field, written)) =
        unnamed.and_then(|field| Some((reference(entry.as_str(), field.as_str())?, field)))
    else {
        context.printer.note(format_args!("{entry} is at version {version}"));
        return Ok(());
    };
    context.printer.note(format_args!("{entry} is at version {version}: {field}"));
    let Some((parent, last)) = entry.as_str().rsplit_once('/') else { return Ok(()) };
    let Some(meant) = reference(parent, last) else { return Ok(()) };
    let there = match EntryName::new(parent) {
        Ok(parent) => vault.read()?.find(&parent)?,
        Err(_) => None,
    };
    let field = FieldName::new(last).ok();
    let live = there.as_ref().and_then(|version| version.live());
    let is_there = live.zip(field).is_some_and(|(entry, field)| entry.field(&field).is_some());
    if is_there || last == written.as_str() {
        let is = if is_there { "is there, too" } else { "would be another one" };
        context.printer.note(format_args!("{meant}, which `{}` writes, {is}", set_command(&meant)));
    }
    Ok(())
}

/// A secret was typed, which is not repeated.
fn typed(fact: &str) -> Failure {
    Failure::usage(fact)
        .hint("pipe it in, give --from-file, or answer the prompt; what was typed is in the shell's history now: change it")
}

struct Changes<'a> {
    field: Option<FieldName>,
    value: Option<Secret>,
    public: &'a [(FieldName, String)],
    removed: &'a [FieldName],
}

impl Changes<'_> {
    /// Changes `entry`; tells whether it was like this before.
    fn apply(
        self,
        entry: &mut Entry,
        name: &EntryName,
        expires: Option<u64>,
    ) -> Result<bool, Failure> {
        let Self { field, value, public, removed } = self;
        let mut unchanged = true;
        for field in removed {
            if !entry.remove(field) {
                let fact = format!("`{name}` has no field `{field}`");
                return Err(Failure::new(Exit::Missing, "missing-field", fact)
                    .hint(format_args!("`bulla show {name}` lists its fields")));
            }
            unchanged = false;
        }
        let public = public.iter().map(|(field, text)| Field {
            name: field.clone(),
            value: Secret::copied_from(text.as_bytes()),
            public: true,
            expires: None,
        });
        let secret =
            field.zip(value).map(|(name, value)| Field { name, value, public: false, expires });
        for field in public.chain(secret) {
            unchanged &= entry.field(&field.name).is_some_and(|old| {
                old.public == field.public
                    && old.expires == field.expires
                    && old.value.same_as(&field.value)
            });
            entry.set(field).map_err(bulla_vault::WriteError::from)?;
        }
        Ok(unchanged)
    }
}

fn read_value(
    context: &Context,
    args: &SetArgs,
    entry: &EntryName,
    field: &FieldName,
) -> Result<Secret, Failure> {
    let from = match &args.from_file {
        Some(path) => From::File(path),
        None if args.exact => From::ExactStdin,
        None => From::Whatever,
    };
    input::value(context, &format!("{field} of {entry}"), from)
}

fn usual_kind(entry: &EntryName) -> Kind {
    if entry.as_str().starts_with("mailbox/") { Kind::Mailbox } else { Kind::Secret }
}

fn usual_field(name: &EntryName, kind: Kind, before: Option<&Entry>) -> Result<FieldName, Failure> {
    let text = match before {
        Some(entry) => {
            let field = only_secret(entry).ok_or_else(|| {
                let fact = format!("`{name}` does not have just one secret field");
                Failure::new(Exit::Usage, "which-field", fact).hint("name the field")
            })?;
            return Ok(field.name.clone());
        }
        None => match kind {
            Kind::OauthClient => "client-secret",
            Kind::Mailbox => "refresh-token",
            _ => "password",
        },
    };
    Ok(FieldName::new(text).expect("the names are ours"))
}

fn public_field(text: &str) -> Result<(FieldName, String), Failure> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| Failure::usage("a public field is given as FIELD=VALUE"))?;
    if looks_secret(name) || looks_secret(value) {
        return Err(typed("a field that is to be public looks like a secret")
            .hint("a field that was piped in is a secret one; `bulla import` takes public ones of every form"));
    }
    Ok((field_name(name)?, value.to_owned()))
}

fn kind(text: &str) -> Result<Kind, &'static str> {
    Kind::parse(text).ok_or("a kind is secret, oauth-client or mailbox")
}

/// A date means its end in UTC; a time is one of RFC 3339.
fn expiry(text: &str) -> Result<u64, &'static str> {
    let date = || {
        let end = text.parse::<jiff::civil::Date>().ok()?.at(23, 59, 59, 0);
        Some(jiff::tz::TimeZone::UTC.to_timestamp(end).ok()?.as_second())
    };
    let time = || Some(text.parse::<jiff::Timestamp>().ok()?.as_second());
    let seconds = date().or_else(time).ok_or("a date is written as 2027-01-31")?;
    u64::try_from(seconds).map_err(|_| "the date is before 1970")
}

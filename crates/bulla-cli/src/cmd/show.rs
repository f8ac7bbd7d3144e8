//! `bulla show`: an entry without its secrets.

use bulla_vault::{Field, Version};
use serde_json::{Value, json};

use super::Done;
use super::target::{Target, find_live, time};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::with_vault;

/// What stands for a secret. Its length tells nothing about the secret's.
const MASK: &str = "********";

#[derive(clap::Args)]
pub(crate) struct ShowArgs {
    /// Name of the entry, or a reference
    entry: String,
    /// An earlier version
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// Show the secrets as well
    #[arg(long)]
    reveal: bool,
}

pub(crate) fn run(context: &Context, args: &ShowArgs) -> Done {
    let target = Target::parse(&args.entry, None)?;
    let version = args.version.or(target.version);
    with_vault(context, |vault| {
        let snapshot = vault.read()?;
        let found = find_live(&snapshot, &target.entry, version)?;
        let author = snapshot.slots()?.into_iter().find(|slot| slot.id == found.author);
        let author = author.map_or_else(|| "a removed slot".to_owned(), |slot| slot.label);
        if context.printer.json {
            context.printer.value(&to_json(&found, &author, args.reveal))?;
        } else {
            print(context, &found, &author, args.reveal)?;
        }
        Ok(Exit::Done)
    })
}

fn print(context: &Context, found: &Version, author: &str, reveal: bool) -> Result<(), Failure> {
    let entry = found.live().expect("only entries that are there are found");
    let printer = &context.printer;
    printer.one_line(format_args!("{}  ({})", found.name, entry.kind().as_str()))?;
    let width = entry.fields().iter().map(|f| f.name.as_str().chars().count()).max().unwrap_or(0);
    for field in entry.fields() {
        let expires =
            field.expires.map_or_else(String::new, |e| format!("  (expires {})", time(e)));
        let text = shown(field, reveal);
        printer.one_line(format_args!("  {:width$}  {text}{expires}", field.name.as_str()))?;
    }
    let reason =
        if found.reason.is_empty() { String::new() } else { format!(": {}", found.reason) };
    printer.one_line(format_args!(
        "version {}, written {} by {author}{reason}",
        found.version,
        time(found.time)
    ))
}

fn shown(field: &Field, reveal: bool) -> String {
    if !field.public && !reveal {
        return MASK.to_owned();
    }
    match std::str::from_utf8(field.value.expose()) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("({} bytes that are not text)", field.value.expose().len()),
    }
}

fn to_json(found: &Version, author: &str, reveal: bool) -> Value {
    let entry = found.live().expect("only entries that are there are found");
    let fields: Vec<Value> = entry
        .fields()
        .iter()
        .map(|field| {
            let mut json = json!({
                "name": field.name.as_str(),
                "public": field.public,
                "expires": field.expires.map(time),
            });
            if field.public || reveal {
                json["value"] = shown(field, reveal).into();
            }
            json
        })
        .collect();
    json!({
        "entry": found.name.as_str(),
        "kind": entry.kind().as_str(),
        "version": found.version,
        "kept_versions": found.kept,
        "written": time(found.time),
        "author": author,
        "reason": found.reason,
        "fields": fields,
    })
}

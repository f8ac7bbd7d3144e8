//! `bulla get`: prints one value, exactly.

use base64::Engine as _;
use serde_json::json;

use super::Done;
use super::target::{Target, find_live, only_secret};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::printer::escaped;
use crate::session::with_vault;

#[derive(clap::Args)]
pub(crate) struct GetArgs {
    /// Name of the entry, or a reference
    entry: String,
    /// Name of the field [default: the only one that is not public]
    field: Option<String>,
    /// An earlier version
    #[arg(long, value_name = "N")]
    version: Option<u64>,
}

pub(crate) fn run(context: &Context, args: &GetArgs) -> Done {
    let target = Target::parse(&args.entry, args.field.as_deref())?;
    let version = args.version.or(target.version);
    with_vault(context, |vault| {
        let snapshot = vault.read()?;
        let found = find_live(&snapshot, &target.entry, version)?;
        let entry = found.live().expect("only entries that are there are found");
        let fields = || {
            let names: Vec<_> = entry.fields().iter().map(|f| format!("`{}`", f.name)).collect();
            format!("its fields are {}", names.join(", "))
        };
        let field = match &target.field {
            Some(name) => entry.field(name).ok_or_else(|| {
                let fact = format!("`{}` has no field `{name}`", target.entry);
                Failure::new(Exit::Missing, "missing-field", fact).hint(fields())
            })?,
            None => only_secret(entry).ok_or_else(|| {
                let fact = format!("`{}` does not have just one secret field", target.entry);
                Failure::new(Exit::Usage, "which-field", fact)
                    .hint(format_args!("name the field; {}", fields()))
            })?,
        };
        let value = field.value.expose();
        if context.printer.json {
            let mut json = json!({
                "entry": found.name.as_str(), "field": field.name.as_str(), "version": found.version,
            });
            match std::str::from_utf8(value) {
                Ok(text) => json["value"] = text.into(),
                Err(_) => {
                    json["base64"] = base64::engine::general_purpose::STANDARD.encode(value).into();
                }
            }
            context.printer.value(&json)?;
        } else if context.printer.out_is_terminal {
            match std::str::from_utf8(value) {
                Ok(text) => context.printer.data(format!("{}\n", escaped(text)).as_bytes())?,
                Err(_) => {
                    let fact = "the value is not text, and standard output is a terminal";
                    return Err(Failure::new(Exit::Failed, "binary", fact)
                        .hint("redirect it into a file, or use --json"));
                }
            }
        } else {
            context.printer.data(value)?;
        }
        Ok(Exit::Done)
    })
}

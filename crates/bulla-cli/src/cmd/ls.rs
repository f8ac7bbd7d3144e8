//! `bulla ls`: the entries of the vault.

use serde_json::json;

use super::Done;
use super::target::time;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::session::with_vault;

#[derive(clap::Args)]
pub(crate) struct LsArgs {
    /// Only names that begin with this
    prefix: Option<String>,
    /// Show kind, version and time as well
    #[arg(long, short)]
    long: bool,
}

struct Row {
    name: String,
    kind: &'static str,
    version: u64,
    time: u64,
}

pub(crate) fn run(context: &Context, args: &LsArgs) -> Done {
    let prefix = args.prefix.as_deref().unwrap_or_default();
    let mut rows = Vec::new();
    with_vault(context, |vault| {
        let progress = Progress::new("reading", context.printer.quiet);
        let mut seen = 0;
        vault.read()?.each::<Failure>(&mut |version| {
            seen += 1;
            progress.at(seen, 0);
            if let Some(entry) = version.live()
                && version.name.as_str().starts_with(prefix)
            {
                rows.push(Row {
                    name: version.name.to_string(),
                    kind: entry.kind().as_str(),
                    version: version.version,
                    time: version.time,
                });
            }
            Ok(())
        })
    })?;
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    print(context, args, &rows)?;
    Ok(Exit::Done)
}

fn print(context: &Context, args: &LsArgs, rows: &[Row]) -> Result<(), Failure> {
    use std::fmt::Write as _;
    let mut text = String::new();
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    for Row { name, kind, version, time: at } in rows {
        let written = if context.printer.json {
            let value =
                json!({"entry": name, "kind": kind, "version": version, "written": time(*at)});
            writeln!(text, "{value}")
        } else if args.long {
            writeln!(text, "{name:width$}  {kind:12}  v{version:<4} {}", time(*at))
        } else {
            writeln!(text, "{name}")
        };
        written.expect("a String takes everything");
    }
    // Names hold no control characters, so that the text can go out as it is, in one piece.
    context.printer.data(text.as_bytes())
}

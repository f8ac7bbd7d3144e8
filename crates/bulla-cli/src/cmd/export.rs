//! `bulla export`: every entry in clear, as lines of JSON.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use bulla_vault::Snapshot;
use zeroize::Zeroizing;

use super::Done;
use super::import::lines;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::session::with_proof;
use crate::unlock::Proof;

#[derive(clap::Args)]
pub(crate) struct ExportArgs {
    /// Say that you know: what comes out is plaintext
    #[arg(long, required = true)]
    plaintext: bool,
    /// Write to this new file, which only you can read, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print secrets even on a terminal
    #[arg(long)]
    reveal: bool,
}

pub(crate) fn run(context: &Context, args: &ExportArgs) -> Done {
    debug_assert!(args.plaintext, "clap demands it");
    if args.output.is_none() && context.printer.out_is_terminal && !args.reveal {
        let fact = "standard output is a terminal, and all secrets would be on it";
        return Err(Failure::new(Exit::Usage, "terminal", fact)
            .hint("--output FILE, or a pipe; --reveal prints them all the same"));
    }
    with_proof(context, Proof::Fresh, |vault, _| {
        let snapshot = vault.read()?;
        match &args.output {
            None => write(context, &snapshot, &mut |line| context.printer.data(line))?,
            Some(path) => {
                let failed = |error| Failure::file("write", path, &error);
                let mut file = File::options()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
                    .map_err(failed)?;
                let written = write(context, &snapshot, &mut |line| {
                    file.write_all(line).map_err(|error| Failure::file("write", path, &error))
                })
                .and_then(|()| file.sync_all().map_err(failed));
                if let Err(failure) = written {
                    // Half an export is no use to anybody but a thief.
                    let _ = std::fs::remove_file(path);
                    return Err(failure);
                }
                context.printer.note(format_args!(
                    "{} holds every secret in clear: delete it as soon as you can",
                    path.display()
                ));
            }
        }
        Ok(Exit::Done)
    })
}

/// Writes the entries in the order of their names, so that two exports can be compared.
fn write(
    context: &Context,
    snapshot: &Snapshot<'_>,
    out: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut names = Vec::new();
    snapshot.each::<Failure>(&mut |version| {
        if version.live().is_some() {
            names.push(version.name);
        }
        Ok(())
    })?;
    names.sort();
    let progress = Progress::new("exporting", context.printer.quiet);
    let mut line = Zeroizing::new(Vec::with_capacity(1 << 16));
    for (done, name) in (1..).zip(&names) {
        if let Some(version) = snapshot.find(name)?
            && let Some(entry) = version.live()
        {
            line.clear();
            lines::write(name, entry, &mut line);
            out(&line)?;
        }
        progress.at(done, names.len() as u64);
    }
    Ok(())
}

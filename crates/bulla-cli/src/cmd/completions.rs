//! `bulla completions` and `bulla man`: made from the same declarations as the command line itself.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Done;
use crate::args::{AFTER, Args};
use crate::context::Context;
use crate::failure::{Exit, Failure};

#[derive(clap::Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

#[derive(clap::Args)]
pub(crate) struct ManArgs {
    /// Write one page a command into this folder instead of the main one to standard output
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

pub(crate) fn completions(context: &Context, args: &CompletionsArgs) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "bulla", &mut script);
    context.printer.data(&script)?;
    Ok(Exit::Done)
}

pub(crate) fn man(context: &Context, args: &ManArgs) -> Done {
    let command = Args::command();
    match &args.into {
        None => {
            context.printer.data(&main_page(command).expect("a Vec takes everything"))?;
        }
        Some(folder) => {
            fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(command, folder))
                .map_err(|error| Failure::file("write", folder, &error))?;
        }
    }
    Ok(Exit::Done)
}

/// The main page, with what stands behind the help under headings of its own.
fn main_page(command: clap::Command) -> std::io::Result<Vec<u8>> {
    let man = clap_mangen::Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    for (heading, begins) in [("ENVIRONMENT", "Environment:\n"), ("EXIT STATUS", "Exit codes:\n")] {
        let (_, text) = AFTER.split_once(begins).expect("the help has these");
        let text = text.split("\n\nExit codes:").next().unwrap_or_default();
        let text = text.replace('\\', "\\e").replace('-', "\\-");
        page.extend_from_slice(format!(".SH {heading}\n.nf\n{text}\n.fi\n").as_bytes());
    }
    man.render_version_section(&mut page)?;
    Ok(page)
}

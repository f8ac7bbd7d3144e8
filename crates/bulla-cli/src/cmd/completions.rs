//! `bulla completions` and `bulla man`: made from the same declarations as the command line itself.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Done;
use crate::args::Args;
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
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).expect("a Vec takes everything");
            context.printer.data(&page)?;
        }
        Some(folder) => {
            fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(command, folder))
                .map_err(|error| Failure::file("write", folder, &error))?;
        }
    }
    Ok(Exit::Done)
}

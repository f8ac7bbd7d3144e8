//! `bulla identity`: key pairs that can open vaults.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use bulla_vault::{Identity, Kdf, ProtectedIdentity};
use clap::Subcommand;
use serde_json::json;
use zeroize::Zeroizing;

use super::Done;
use super::target::time;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::files::{folder_is_there, xdg_folder};
use crate::{env, prompt, tty};

#[derive(Subcommand)]
#[command(defer = true)]
pub(crate) enum IdentityCommand {
    /// Make an identity and print its recipient
    New(IdentityNewArgs),
}

#[derive(clap::Args)]
pub(crate) struct IdentityNewArgs {
    /// Where to write it; `-` is standard output [default: bulla/identity in the XDG config folder]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Without a passphrase, for a machine that nobody types at
    #[arg(long)]
    for_machine: bool,
}

pub(crate) fn run(context: &Context, command: IdentityCommand) -> Done {
    let IdentityCommand::New(args) = command;
    let to_stdout = args.output.as_deref() == Some(std::path::Path::new("-"));
    let path = match &args.output {
        Some(path) => path.clone(),
        None => default_path()?,
    };
    if !to_stdout && path.symlink_metadata().is_ok() {
        let fact = format!("{} exists already", path.display());
        return Err(
            Failure::new(Exit::Conflict, "exists", fact).hint("--output FILE writes another one")
        );
    }
    // Only our own folder is made, and nobody types a passphrase for what then has no place.
    let is_default = default_path().is_ok_and(|default| default == path);
    if !to_stdout && !is_default {
        folder_is_there(&path)?;
    }
    let identity = Identity::generate(&context.random)
        .map_err(|error| Failure::new(Exit::Failed, "random", error))?;
    let recipient = identity.recipient();
    let key = if args.for_machine {
        identity.to_text()
    } else {
        if !tty::is_there() {
            return Err(Failure::new(
                Exit::Usage,
                "no-terminal",
                "there is no terminal to ask for a passphrase on",
            )
            .hint("--for-machine makes an identity without one"));
        }
        let passphrase = prompt::new_passphrase("the identity")?;
        let sealed =
            ProtectedIdentity::seal(&identity, &passphrase, Kdf::DEFAULT, &context.random)?;
        Zeroizing::new(sealed.to_text())
    };
    let created = time(context.now());
    let text = Zeroizing::new(format!(
        "# made by bulla {created}\n# recipient: {recipient}\n# add the pin of a vault that you checked: `# bulla-pin: PIN`\n{}\n",
        *key
    ));
    if to_stdout {
        context.printer.data(text.as_bytes())?;
        return Ok(Exit::Done);
    }
    if is_default && let Some(folder) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| Failure::file("make", folder, &error))?;
    }
    let written = File::options().write(true).create_new(true).mode(0o600).open(&path).and_then(
        |mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        },
    );
    if let Err(error) = written {
        // Half a key would only be in the way of the next try; what others made stays.
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            let _ = fs::remove_file(&path);
        }
        return Err(Failure::file("write", &path, &error));
    }
    if context.printer.json {
        let value = json!({"identity": path, "recipient": recipient.to_string()});
        context.printer.value(&value)?;
    } else {
        context.printer.note(format_args!("identity written to {}", path.display()));
        context.printer.note(
            "Give this recipient to the owner of a vault (`bulla slot add LABEL --recipient ...`):",
        );
        context.printer.line(recipient)?;
    }
    Ok(Exit::Done)
}

fn default_path() -> Result<PathBuf, Failure> {
    let folder = xdg_folder(env::XDG_CONFIG_HOME, ".config").ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            "no-home",
            "neither HOME nor XDG_CONFIG_HOME is an absolute path",
        )
        .hint("say where to write it with --output")
    })?;
    Ok(folder.join("bulla/identity"))
}

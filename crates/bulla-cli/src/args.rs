//! The command line as it is typed. Nothing here looks at the world; that happens in
//! [`crate::context`] and in each command.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::cmd;
use crate::env;

/// An encrypted vault for credentials, and a resolver that puts them into configurations.
#[derive(Parser)]
#[command(name = "bulla", version, disable_help_subcommand = true, max_term_width = 100, after_help = AFTER)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    pub(crate) fn try_parse() -> Result<Self, clap::Error> {
        <Self as Parser>::try_parse_from(with_help(std::env::args_os().collect()))
    }
}

/// `bulla help mailbox token` and `bulla mailbox help token` as `bulla mailbox token --help`. clap's own
/// `help` would be a command of each list of commands, and double the completions.
fn with_help(mut words: Vec<OsString>) -> Vec<OsString> {
    // Most have no such word, and need not have all commands put together once more.
    if words.iter().all(|word| word != "help") {
        return words;
    }
    let commands = Args::command();
    let mut command = &commands;
    for at in 1..words.len() {
        if words[at] == "help" && command.has_subcommands() {
            words.remove(at);
            words.push("--help".into());
            break;
        }
        match words[at].to_str().and_then(|word| command.find_subcommand(word)) {
            Some(next) => command = next,
            None => break,
        }
    }
    words
}

/// What no option tells. Every variable of [`mod@env`] is in it.
pub(crate) const AFTER: &str = "\
Environment:
  BULLA_VAULT            The vault, as --vault
  BULLA_PIN              The pin, as --pin
  BULLA_MIN_EPOCH        The least epoch, as --min-epoch
  BULLA_PASSPHRASE_FILE  A file with the passphrase, which no others can read
  BULLA_IDENTITY_FILE    An identity file
  CREDENTIALS_DIRECTORY  Set by systemd; may hold a file bulla-identity
  HOME, XDG_DATA_HOME, XDG_CONFIG_HOME, XDG_STATE_HOME
                         Where vault, identity and memory are by default

The first of these opens the vault: --passphrase-fd, --identity, what `unlock`
keeps, BULLA_PASSPHRASE_FILE, BULLA_IDENTITY_FILE, bulla-identity in
CREDENTIALS_DIRECTORY, bulla/identity in the XDG config folder, and then a
question on the terminal.

Exit codes:
  0    done
  1    failed
  2    the command line makes no sense
  3    locked, or the wrong key
  4    an entry, field or file is missing
  5    the vault is damaged, or was tampered with
  6    a conflict with what is there, or busy
  7    the remote side failed for now
  8    a person has to act
  9    findings
  130  Ctrl-C";

/// Behind the options of a command, and before `--help`.
const LAST: usize = 900;

/// Options that every command takes.
#[derive(Clone, Default, clap::Args)]
pub(crate) struct Global {
    /// The vault to use [default: bulla/vault.bulla in the XDG data folder]
    #[arg(long, global = true, value_name = "PATH", env = env::VAULT, hide_env_values = true, help_heading = "Opening the vault", display_order = 0)]
    pub(crate) vault: Option<PathBuf>,

    /// Identity file to open the vault with; `-` reads it from standard input
    #[arg(long, global = true, value_name = "FILE", help_heading = "Opening the vault")]
    pub(crate) identity: Vec<PathBuf>,

    /// Read the passphrase from this file descriptor
    #[arg(long, global = true, value_name = "N", help_heading = "Opening the vault")]
    pub(crate) passphrase_fd: Option<u32>,

    /// The pin that the vault has to have
    #[arg(long, global = true, value_name = "PIN", env = env::PIN, hide_env_values = true, help_heading = "Opening the vault")]
    pub(crate) pin: Option<String>,

    /// The least epoch that the vault has to be at
    #[arg(long, global = true, value_name = "N", env = env::MIN_EPOCH, hide_env_values = true, help_heading = "Opening the vault")]
    pub(crate) min_epoch: Option<u64>,

    /// Use the vault this once although it is an older state than one seen before
    #[arg(long, global = true, help_heading = "Opening the vault")]
    pub(crate) accept_rollback: bool,

    /// Use a vault on a network file system, whose locks may not work
    #[arg(long, global = true, help_heading = "Opening the vault")]
    pub(crate) allow_network_fs: bool,

    /// Print data and errors as JSON
    #[arg(long, global = true, display_order = LAST)]
    pub(crate) json: bool,

    /// Print nothing but data, warnings and errors
    #[arg(long, short, global = true, display_order = LAST)]
    pub(crate) quiet: bool,
}

/// What to do.
//
// To make the arguments of all commands takes as long as a fast command does, so here and in each list of
// commands they are made when the command is called. A group of arguments has no documentation for this: it
// would take the place of what its commands say of themselves.
#[derive(Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Make a new vault
    Init(cmd::init::InitArgs),
    /// Write fields of an entry
    Set(cmd::set::SetArgs),
    /// Print the value of a field, exactly
    Get(cmd::get::GetArgs),
    /// Show an entry without its secrets
    Show(cmd::show::ShowArgs),
    /// List entries
    Ls(cmd::ls::LsArgs),
    /// Remove entries
    Rm(cmd::rm::RmArgs),
    /// Rename an entry
    Mv(cmd::mv::MvArgs),
    /// Show the versions of an entry, or the changes of slots
    Log(cmd::log::LogArgs),
    /// Make an earlier version of an entry the newest
    Revert(cmd::revert::RevertArgs),
    /// Move literal secrets of configurations into the vault, and leave templates
    Adopt(cmd::adopt::AdoptArgs),
    /// Rewrite references of other tools; needs no key
    Migrate(cmd::migrate::MigrateArgs),
    /// Put values in the place of references in templates
    Render(cmd::render::RenderArgs),
    /// Run a program with rendered templates in its environment and in files in memory
    Run(cmd::run::RunArgs),
    /// Find what is wrong with templates; needs no key
    Check(cmd::check::CheckArgs),
    /// Show what rendering would change, without a value
    Diff(cmd::diff::DiffArgs),
    /// Compare an earlier rendering with the files and the vault as they are now
    Receipt(cmd::receipt::ReceiptArgs),
    /// List what templates ask for; needs no key
    Refs(cmd::refs::RefsArgs),
    /// Grants that open mailboxes, and the tokens that come of them
    #[command(subcommand)]
    Mailbox(cmd::mailbox::MailboxCommand),
    /// For Genesys E-mail Server
    #[command(subcommand)]
    Genesys(cmd::genesys::GenesysCommand),
    /// Take entries in from a file of another program
    Import(cmd::import::ImportArgs),
    /// Write every entry in clear, as lines of JSON
    Export(cmd::export::ExportArgs),
    /// Keep the vault open for a while, in the kernel's keyring
    Unlock(cmd::unlock::UnlockArgs),
    /// Forget what `unlock` keeps
    Lock,
    /// Who can open the vault
    #[command(subcommand)]
    Slot(cmd::slot::SlotCommand),
    /// Make key pairs that can open vaults
    #[command(subcommand)]
    Identity(cmd::identity::IdentityCommand),
    /// Change the passphrase that you open the vault with
    Passwd(cmd::passwd::PasswdArgs),
    /// Change the vault key and seal everything again
    Rekey(cmd::rekey::RekeyArgs),
    /// Verify the whole vault
    Fsck,
    /// Copies of the vault, and coming back from one
    #[command(subcommand)]
    Backup(cmd::backup::BackupCommand),
    /// Look for what could be wrong around the vault; needs no key
    Doctor(cmd::doctor::DoctorArgs),
    /// Show the whole way of a configuration into a vault and back, in a temporary folder
    Demo(cmd::demo::DemoArgs),
    /// Print a completion script for a shell
    Completions(cmd::completions::CompletionsArgs),
    /// Print the manual page
    Man(cmd::completions::ManArgs),
}

// A positional that nobody may use: a secret typed as an argument is on the screen, in the shell's
// history and in the list of processes already, and must not be repeated by an error message too.
#[derive(clap::Args)]
pub(crate) struct NoSecrets {
    #[arg(hide = true, value_name = "SECRET", num_args = 0.., allow_hyphen_values = true, trailing_var_arg = true)]
    pub(crate) surplus: Vec<OsString>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_say_the_same_of_themselves_before_and_after_their_arguments_are_made() {
        fn compare(before: &clap::Command, after: &clap::Command) {
            for before in before.get_subcommands() {
                let after = after.find_subcommand(before.get_name()).unwrap();
                let says = |command: &clap::Command| {
                    [command.get_about(), command.get_long_about()]
                        .map(|text| text.map(ToString::to_string))
                };
                assert_eq!(says(before), says(after), "{}", before.get_name());
                assert!(before.get_about().is_some());
                compare(before, after);
            }
        }
        let mut built = Args::command();
        built.build();
        compare(&Args::command(), &built);
    }
}

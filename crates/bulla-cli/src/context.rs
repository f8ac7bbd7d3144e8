//! What a run works with, found out once.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bulla_sqlite::{Options, SqliteStore};
use bulla_vault::{Random, Secret, Stamp, SystemRandom};

use crate::args::{Args, Command, Global};
use crate::env;
use crate::failure::{Exit, Failure};
use crate::files::xdg_folder;
use crate::printer::{Printer, hex};

/// The settings of this run and the way to the world.
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) printer: Printer,
    pub(crate) random: SystemRandom,
    own: Option<Own>,
}

/// What stands in for the user's own keys and memory in a run that is to touch neither.
struct Own {
    passphrase: Secret,
    state: PathBuf,
}

/// How long to wait for another process that writes. Long enough for a large import to finish on a
/// busy machine, short enough that a person still waits.
const BUSY_WAIT: Duration = Duration::from_secs(30);

impl Context {
    pub(crate) fn new(args: Args) -> (Self, Command) {
        let Args { global, command } = args;
        let printer = Printer::new(global.json, global.quiet);
        (Self { global, printer, random: SystemRandom, own: None }, command)
    }

    /// The same run, taking an older state of the vault as it comes.
    pub(crate) fn accepting_rollback(&self) -> Self {
        let global = Global { accept_rollback: true, ..self.global.clone() };
        let printer = Printer::new(self.printer.json, self.printer.quiet);
        Self { global, printer, random: self.random, own: None }
    }

    /// The same run, on this vault unless another one was asked for.
    pub(crate) fn with_vault(&self, vault: Option<PathBuf>) -> Self {
        let vault = self.global.vault.clone().or(vault);
        let global = Global { vault, ..self.global.clone() };
        let printer = Printer::new(self.printer.json, self.printer.quiet);
        Self { global, printer, random: self.random, own: None }
    }

    /// A run on a vault of its own, opened by `passphrase` and remembered in `state`: nothing that
    /// the user has is looked at.
    pub(crate) fn elsewhere(&self, vault: PathBuf, passphrase: Secret, state: PathBuf) -> Self {
        let global = Global { vault: Some(vault), quiet: true, ..Global::default() };
        let printer = Printer::new(false, true);
        Self { global, printer, random: self.random, own: Some(Own { passphrase, state }) }
    }

    /// Whether this run is to touch nothing that the user has.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.own.is_some()
    }

    /// The passphrase of a vault of its own.
    pub(crate) fn own_passphrase(&self) -> Option<&Secret> {
        self.own.as_ref().map(|own| &own.passphrase)
    }

    /// Where to remember what was seen of vaults.
    pub(crate) fn state_folder(&self) -> Option<PathBuf> {
        match &self.own {
            Some(own) => Some(own.state.clone()),
            None => xdg_folder(env::XDG_STATE_HOME, ".local/state"),
        }
    }

    /// Sixteen random letters and digits.
    pub(crate) fn random_name(&self) -> Result<String, Failure> {
        Ok(hex(&self.random_bytes::<8>()?))
    }

    pub(crate) fn random_bytes<const N: usize>(&self) -> Result<[u8; N], Failure> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes).map_err(|e| Failure::new(Exit::Failed, "random", e))?;
        Ok(bytes)
    }

    /// Where the vault is or shall be.
    pub(crate) fn vault_path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.global.vault {
            return Ok(path.clone());
        }
        let folder = xdg_folder(env::XDG_DATA_HOME, ".local/share").ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                "no-home",
                "neither HOME nor XDG_DATA_HOME is an absolute path",
            )
            .hint("say where the vault is with --vault or BULLA_VAULT")
        })?;
        Ok(folder.join("bulla/vault.bulla"))
    }

    /// Opens the store of the vault; opening the vault itself is up to [`crate::session`].
    pub(crate) fn store(&self) -> Result<SqliteStore, Failure> {
        let path = self.vault_path()?;
        SqliteStore::open(&path, self.store_options())
            .map_err(|error| Failure::from(error).about(path.display()))
    }

    pub(crate) fn store_options(&self) -> Options {
        Options {
            busy_wait: BUSY_WAIT,
            allow_network_fs: self.global.allow_network_fs,
            ..Options::default()
        }
    }

    /// Seconds since 1970 by the system's clock, which may be wrong.
    pub(crate) fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// Marks what is written now.
    pub(crate) fn stamp(&self, reason: Option<&str>) -> Stamp {
        Stamp { time: self.now(), reason: reason.unwrap_or_default().to_owned() }
    }
}

//! Which vault was seen at which path, to notice another one in its place: one that the same key
//! opens, so that nothing else about it is wrong.
//!
//! One file in the state folder, a line a vault: its id and its path, percent-encoded. It holds no
//! secret, and losing it loses only the ability to notice.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bulla_vault::{LockedVault, VaultId};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::printer::hex;
use crate::{input, memory, prompt, tty};

/// So many places are remembered; of more, those that were seen first are forgotten.
const MOST: usize = 1_000;

/// No file that we wrote is larger.
const MAX_LEN: usize = MOST * (3 * 4096 + 64);

/// Checks that the vault at its path is the one that was seen there before, or that somebody says
/// that another one is right; tells whether it is known there already.
pub(crate) fn check(context: &Context, locked: &LockedVault<'_>) -> Result<bool, Failure> {
    let path = context.vault_path()?;
    let Some(seen) = Places::of(context).at(&path) else { return Ok(false) };
    if seen == hex(&locked.vault_id()) {
        return Ok(true);
    }
    // A pin that was given says which vault is meant; whether it is that one is found out later.
    if context.global.pin.is_some() {
        return Ok(false);
    }
    let fact = format!("{} is not the vault that was seen there before", path.display());
    if tty::is_there() {
        let pin = locked.pin();
        context.printer.note(format_args!("{fact}. The pin of this one is\n  {pin}"));
        if prompt::confirm("Is that the vault you mean?")? {
            return Ok(false);
        }
    }
    Err(Failure::new(Exit::Tampered, "other-vault", fact).hint(
        "if another one was put there on purpose, give its pin once, with --pin or BULLA_PIN",
    ))
}

/// Remembers which vault lies at its path.
pub(crate) fn remember(context: &Context, vault: &VaultId) {
    let places = Places::of(context);
    let Ok(path) = context.vault_path() else { return };
    if let (Some(file), Err(error)) = (&places.file, places.add(&path, &hex(vault))) {
        context.printer.warn(format_args!(
            "cannot write {}: {}; another vault in the place of this one would pass unnoticed",
            file.display(),
            crate::failure::io_fact(&error)
        ));
    }
}

struct Places {
    file: Option<PathBuf>,
}

impl Places {
    fn of(context: &Context) -> Self {
        Self { file: context.state_folder().map(|folder| folder.join("bulla/memory/places")) }
    }

    /// The id of the vault that was last seen at `path`.
    fn at(&self, path: &Path) -> Option<String> {
        let key = key(path);
        let text = self.read()?;
        let id = text.lines().rev().find_map(|line| line.split_once(' ').filter(|l| l.1 == key));
        id.map(|(id, _)| id.to_owned())
    }

    fn add(&self, path: &Path, id: &str) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        memory::make_folder(file)?;
        let _lock = memory::lock(file)?;
        let key = key(path);
        let text = self.read().unwrap_or_default();
        let mut lines: Vec<_> = text
            .lines()
            .filter(|line| line.split_once(' ').is_some_and(|(_, there)| there != key))
            .collect();
        lines.drain(..lines.len().saturating_sub(MOST - 1));
        let mut text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
        writeln!(text, "{id} {key}").expect("a String takes everything");
        memory::replace(file, &text)
    }

    fn read(&self) -> Option<String> {
        let bytes = input::file(self.file.as_ref()?, MAX_LEN).ok()?;
        String::from_utf8(bytes.expose().to_vec()).ok()
    }
}

/// The path without links, in visible ASCII.
fn key(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    path.as_os_str().as_bytes().iter().fold(String::new(), |mut text, &byte| {
        if byte.is_ascii_graphic() && byte != b'%' {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a String takes everything");
        }
        text
    })
}

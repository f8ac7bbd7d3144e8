//! Where this client remembers the newest state of each vault that it has seen.
//!
//! One file a vault in the state folder. It holds no secret, and losing it loses only the ability
//! to notice a vault that was rolled back: so trouble with it is a warning, not a failure.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use bulla_vault::{Remembered, VaultId};

use crate::context::Context;
use crate::printer::Printer;

/// The file in which one vault is remembered.
pub(crate) struct MemoryFile {
    path: Option<PathBuf>,
}

impl MemoryFile {
    pub(crate) fn of(context: &Context, vault: &VaultId) -> Self {
        let name = vault.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let path = context.state_folder();
        Self { path: path.map(|folder| folder.join("bulla/memory").join(name)) }
    }

    /// What is remembered; what cannot be read is forgotten with a warning.
    pub(crate) fn load(&self, printer: &Printer) -> Option<Remembered> {
        let path = self.path.as_ref()?;
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(_) => String::new(),
        };
        let remembered = Remembered::parse(&text);
        if remembered.is_none() {
            printer.warn(format_args!(
                "{} is unreadable and will be written anew; until then an older state of the vault passes unnoticed",
                path.display()
            ));
        }
        remembered
    }

    /// Saves `now` unless somebody saved something newer meanwhile. With `replace` it is saved even
    /// if it is older: after a person said that this is the true state.
    pub(crate) fn save(&self, now: &Remembered, replace: bool, printer: &Printer) {
        let Some(path) = &self.path else { return };
        if let Err(error) = save(path, now, replace) {
            printer.warn(format_args!(
                "cannot write {}: {}; an older state of the vault would pass unnoticed",
                path.display(),
                crate::failure::io_fact(&error)
            ));
        }
    }
}

fn save(path: &std::path::Path, now: &Remembered, replace: bool) -> std::io::Result<()> {
    let folder = path.parent().expect("the path has a file name");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Of two clients that save at once, the newer state has to win.
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join(".lock"))?;
    lock.lock()?;
    let earlier = fs::read_to_string(path).ok().and_then(|text| Remembered::parse(&text));
    if !replace && !now.grew_from(earlier.as_ref()) {
        return Ok(());
    }
    let new = path.with_extension("new");
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(now.to_text().as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

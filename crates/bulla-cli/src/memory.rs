//! Where this client remembers the newest state of each vault that it has seen.
//!
//! One file a vault in the state folder. It holds no secret, and losing it loses only the ability
//! to notice a vault that was rolled back: so trouble with it is a warning, not a failure.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use bulla_vault::{Remembered, VaultId};
use rustix::fs::OFlags;

use crate::context::Context;
use crate::files::open_regular;
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
        let remembered = match read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            read => read.ok().and_then(|text| Remembered::parse(&text)),
        };
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

fn read(path: &Path) -> io::Result<String> {
    let file = open_regular(path)?.ok_or(ErrorKind::InvalidInput)?;
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

fn save(path: &Path, now: &Remembered, replace: bool) -> io::Result<()> {
    let folder = path.parent().expect("the path has a file name");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Of two clients that save at once, the newer state has to win.
    let _lock = lock(&folder.join(".lock"))?;
    let earlier = read(path).ok().and_then(|text| Remembered::parse(&text));
    if !replace && !now.grew_from(earlier.as_ref()) {
        return Ok(());
    }
    let new = path.with_extension("new");
    // What a killed run left there goes first. It could be a link, which must not be followed.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(now.to_text().as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

/// Takes the lock, which nobody holds for longer than it takes to write a line.
fn lock(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let until = Instant::now() + LONGEST_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() > until => {
                return Err(ErrorKind::ResourceBusy.into());
            }
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// More bytes than any memory has.
const LONGEST: u64 = 4096;

/// For the holder of the lock to come back from whatever stopped it.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

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

use bulla_vault::{Pin, Remembered, VaultId};
use rustix::fs::OFlags;

use crate::context::Context;
use crate::files::open_regular;
use crate::printer::{Printer, hex};

/// The file in which one vault is remembered.
pub(crate) struct MemoryFile {
    path: Option<PathBuf>,
}

impl MemoryFile {
    pub(crate) fn of(context: &Context, vault: &VaultId) -> Self {
        let path = context.state_folder();
        Self { path: path.map(|folder| folder.join("bulla/memory").join(hex(vault))) }
    }

    /// What is remembered of the vault that now has this pin; what cannot be read is forgotten with a
    /// warning.
    ///
    /// A change of the vault's key is announced here before it is committed. Where it was stopped
    /// behind the commit, the announcement counts.
    pub(crate) fn load(&self, pin: Pin, printer: &Printer) -> Option<Remembered> {
        let path = self.path.as_ref()?;
        let remembered = match read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            read => read.ok().and_then(|text| Remembered::parse(&text)),
        };
        let Some(remembered) = remembered else {
            printer.warn(format_args!(
                "{} is unreadable and will be written anew; until then an older state of the vault passes unnoticed",
                path.display()
            ));
            return None;
        };
        if remembered.pin() == pin {
            return Some(remembered);
        }
        self.announced().filter(|next| next.pin() == pin).or(Some(remembered))
    }

    /// Whether `now` is more than `loaded`, or is to be remembered instead of its announcement.
    pub(crate) fn is_behind(&self, now: &Remembered, loaded: Option<&Remembered>) -> bool {
        now.grew_from(loaded) || self.announced().is_some_and(|next| next.pin() == now.pin())
    }

    fn announced(&self) -> Option<Remembered> {
        Remembered::parse(&read(&self.announcement()?).ok()?)
    }

    /// Remembers what the vault is about to become, beside what it is.
    pub(crate) fn announce(&self, next: &Remembered, printer: &Printer) {
        let Some(path) = self.announcement() else { return };
        if let Err(error) = make_folder(&path).and_then(|()| replace(&path, &next.to_text())) {
            printer.warn(format_args!(
                "cannot write {}: {}; if this run is stopped now, the vault will seem to be another one",
                path.display(),
                crate::failure::io_fact(&error)
            ));
        }
    }

    fn announcement(&self) -> Option<PathBuf> {
        Some(self.path.as_ref()?.with_extension("next"))
    }

    /// Saves `now` unless somebody saved something newer meanwhile. With `replace` it is saved even
    /// if it is older: after a person said that this is the true state.
    pub(crate) fn save(&self, now: &Remembered, replace: bool, printer: &Printer) {
        let Some(path) = &self.path else { return };
        let saved = save(path, now, replace).and_then(|()| match self.announcement() {
            Some(path) if self.announced().is_some_and(|next| next.pin() == now.pin()) => {
                fs::remove_file(path)
            }
            _ => Ok(()),
        });
        if let Err(error) = saved {
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

fn save(path: &Path, now: &Remembered, even_if_older: bool) -> io::Result<()> {
    make_folder(path)?;
    // Of two clients that save at once, the newer state has to win.
    let _lock = lock(path)?;
    let earlier = read(path).ok().and_then(|text| Remembered::parse(&text));
    if even_if_older || now.grew_from(earlier.as_ref()) {
        replace(path, &now.to_text())?;
    }
    Ok(())
}

pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().expect("the path has a file name");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes the whole file, durably or not at all.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_added_extension("new");
    // What a killed run left there goes first. It could be a link, which must not be followed.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(path.parent().expect("the path has a file name"))?.sync_all()
}

/// Keeps other processes from writing beside `path` until it is dropped. Nobody does so for longer than
/// it takes to write a line.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path.with_file_name(".lock"))?;
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

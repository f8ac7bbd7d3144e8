//! The journal of a folder: which hidden file belongs to which target, while they are replaced.
//!
//! It is also the lock on the folder. Whoever writes there holds `flock(2)` on it, which the kernel
//! lets go of when the process ends; so a journal that nobody has locked is that of a crash.
//!
//! It is a text without secrets, and names things in its own folder only:
//!
//! ```text
//! bulla-journal 1 TRANSACTION FOLDER LEAD     numbers, and the path of the first of its folders
//! folder PATH                                 of the other folders, in the lead alone
//! file N NEW OLD NAME                         numbers of the new and the old file (0: none), target
//! switch LINK NEW [OLD]                       names: a link, the folder that it shall lead to, and did
//! end
//! ```

use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::contents::{Contents, END, HEAD, HiddenName, escaped};
use super::folder::{Folder, id};
use super::recover::{Recovered, recover_folder};
use super::staged::Staged;
use super::switch::Names;
use super::{Reason, WriteError};

/// The name of every journal.
pub(super) const JOURNAL: &str = ".bulla-journal";

/// A journal of more bytes is neither written nor read. A million files with names of 200 bytes fit.
const MOST: u64 = 256 << 20;

/// The journals of all folders of one transaction, locked. Dropped, they are removed, the lead last.
pub(super) struct Journals {
    transaction: u64,
    journals: Vec<Journal>,
    names: usize,
    keep: bool,
}

impl Journals {
    /// Locks all `folders`, which come in their one order, after whatever a crash left in them has
    /// been finished or undone.
    pub(super) fn start(
        folders: Vec<Rc<Folder>>,
        until: Instant,
    ) -> Result<(Self, Vec<Recovered>), WriteError> {
        let mut recovered = Vec::new();
        loop {
            for folder in &folders {
                recovered.extend(recover_folder(folder, until)?);
            }
            let mut transaction = [0; 8];
            getrandom::fill(&mut transaction).map_err(|error| {
                WriteError::io(Path::new(JOURNAL), "name", std::io::Error::from(error))
            })?;
            let transaction = u64::from_le_bytes(transaction);
            let journals = Vec::with_capacity(folders.len());
            let mut this = Self { transaction, journals, names: 0, keep: false };
            let lead = folders.first().map(|folder| escaped(folder.path.as_os_str()));
            let mut all_free = true;
            for folder in &folders {
                let journal = Journal::lock(folder, true, until)?.expect("it was made");
                if !journal.is_empty()? {
                    // Somebody crashed just now; its journal is not ours to remove.
                    all_free = false;
                    break;
                }
                let lead = lead.as_deref().unwrap_or_default();
                let mut head = format!("{HEAD}{transaction:016x} {} {lead}\n", folder.id.1);
                // Before anything is written beside a target: a crash while that goes on is cleaned up
                // from any of the folders.
                if this.journals.is_empty() {
                    for other in &folders[1..] {
                        let _ = writeln!(head, "folder {}", escaped(other.path.as_os_str()));
                    }
                }
                this.journals.push(journal);
                let journal = this.journals.last_mut().expect("it was just pushed");
                journal.append(&head)?;
            }
            if all_free {
                return Ok((this, recovered));
            }
        }
    }

    /// The names for another file.
    pub(super) fn hidden_name(&mut self) -> HiddenName {
        self.names += 1;
        HiddenName { transaction: self.transaction, number: self.names }
    }

    /// Writes down what all the hidden files are.
    pub(super) fn write(&mut self, files: &[Staged]) -> Result<(), WriteError> {
        let mut bodies = vec![String::new(); self.journals.len()];
        for file in files {
            let number = self.journals.iter().position(|j| Rc::ptr_eq(&j.folder, &file.folder));
            let body = &mut bodies[number.expect("every folder of a file is locked")];
            let (new, old) = (file.new.unwrap_or(0), file.old.unwrap_or(0));
            let name = escaped(&file.name);
            let _ = writeln!(body, "file {} {new} {old} {name}", file.hidden.number);
        }
        for (journal, mut body) in self.journals.iter_mut().zip(bodies) {
            body.push_str(END);
            journal.append(&body)?;
        }
        Ok(())
    }

    /// Writes down which folders the link may lead to, durably.
    pub(super) fn write_switch(&mut self, names: &Names) -> Result<(), WriteError> {
        let mut line = format!("switch {} {}", escaped(&names.link), escaped(&names.new));
        if let Some(old) = &names.old {
            let _ = write!(line, " {}", escaped(old));
        }
        for journal in &mut self.journals {
            journal.append(&format!("{line}\n{END}"))?;
        }
        self.sync()
    }

    /// Makes the journals and the hidden names beside them durable, one by one.
    pub(super) fn sync(&self) -> Result<(), WriteError> {
        for journal in &self.journals {
            journal.file.sync_all().map_err(|error| journal.failed("sync", error))?;
            journal.folder.sync()?;
        }
        Ok(())
    }

    /// The same with everything else on their file systems.
    pub(super) fn sync_file_systems(&self) -> Result<(), WriteError> {
        #[cfg(target_os = "linux")]
        {
            let mut synced = std::collections::BTreeSet::new();
            for journal in self.journals.iter().filter(|j| synced.insert(j.folder.id.0)) {
                rustix::fs::syncfs(&journal.folder.fd)
                    .map_err(|error| WriteError::io(&journal.folder.path, "sync", error))?;
            }
            Ok(())
        }
        #[cfg(not(target_os = "linux"))]
        self.sync()
    }

    /// Leaves the journals for whoever comes next.
    pub(super) fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for Journals {
    fn drop(&mut self) {
        if !self.keep {
            // The lead knows all the others, so it goes last.
            for journal in self.journals.drain(..).rev() {
                // What stays is removed by whoever comes next.
                let _ = journal.remove();
            }
        }
    }
}

/// The locked journal of one folder.
pub(super) struct Journal {
    pub(super) folder: Rc<Folder>,
    file: File,
}

impl Journal {
    /// Takes the lock, which waits until nobody else has it. Without `make`, where there is no journal
    /// there is nothing to lock.
    pub(super) fn lock(
        folder: &Rc<Folder>,
        make: bool,
        until: Instant,
    ) -> Result<Option<Self>, WriteError> {
        let path = folder.path.join(JOURNAL);
        let failed = |error: Errno| WriteError::io(&path, "lock", error);
        let mut flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        flags.set(OFlags::CREATE, make);
        let mut pause = Duration::from_micros(200);
        loop {
            let opened = rustix::fs::openat(&folder.fd, JOURNAL, flags, Mode::RUSR | Mode::WUSR);
            let file = match opened {
                Ok(fd) => File::from(fd),
                Err(Errno::NOENT) if !make => return Ok(None),
                Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Err(foreign(&path)),
                // Where everyone can write, the kernel does not let us open what others made.
                Err(Errno::ACCESS) if !make || exists(folder) => return Err(foreign(&path)),
                Err(error) => return Err(failed(error)),
            };
            let stat = rustix::fs::fstat(&file).map_err(failed)?;
            if !is_ours(&stat) {
                // One that was just removed by its owner has no name any more.
                if stat.st_nlink == 0 {
                    continue;
                }
                return Err(foreign(&path));
            }
            match file.try_lock() {
                Ok(()) => {
                    let now = folder.stat(JOURNAL).map_err(failed)?;
                    if now.is_some_and(|now| id(&now) == id(&stat)) {
                        return Ok(Some(Self { folder: Rc::clone(folder), file }));
                    }
                    // Its owner removed it after it was opened here.
                    continue;
                }
                Err(TryLockError::Error(error)) => {
                    return Err(WriteError::io(&path, "lock", error));
                }
                Err(TryLockError::WouldBlock) => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(WriteError::Busy { folder: folder.path.clone() });
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    fn is_empty(&self) -> Result<bool, WriteError> {
        Ok(self.len()? == 0)
    }

    fn len(&self) -> Result<u64, WriteError> {
        let metadata = self.file.metadata().map_err(|error| self.failed("read", error))?;
        Ok(metadata.len())
    }

    fn append(&mut self, text: &str) -> Result<(), WriteError> {
        if self.len()?.saturating_add(text.len() as u64) > MOST {
            return Err(self.refused(Reason::JournalTooLarge));
        }
        self.file.write_all(text.as_bytes()).map_err(|error| self.failed("write", error))
    }

    /// What it says.
    ///
    /// # Errors
    /// It says that it belongs into another folder, or is larger than any.
    pub(super) fn read(&mut self) -> Result<Contents, WriteError> {
        if self.len()? > MOST {
            return Err(self.refused(Reason::JournalTooLarge));
        }
        let mut text = String::new();
        let read =
            self.file.rewind().and_then(|()| (&self.file).take(MOST).read_to_string(&mut text));
        read.map_err(|error| self.failed("read", error))?;
        let contents = Contents::parse(&text);
        if contents.folder.is_some_and(|number| number != self.folder.id.1) {
            return Err(self.refused(Reason::ForeignJournal));
        }
        Ok(contents)
    }

    pub(super) fn remove(self) -> Result<(), WriteError> {
        match self.folder.remove(JOURNAL) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed("remove", error)),
        }
    }

    fn refused(&self, reason: Reason) -> WriteError {
        WriteError::Refused { path: self.folder.path.join(JOURNAL), reason }
    }

    fn failed(&self, step: &'static str, error: impl Into<std::io::Error>) -> WriteError {
        WriteError::io(&self.folder.path.join(JOURNAL), step, error)
    }
}

/// Only this user can have written it, and into this place.
fn is_ours(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == rustix::process::geteuid().as_raw()
        && stat.st_mode & 0o077 == 0
        && stat.st_nlink == 1
}

fn exists(folder: &Folder) -> bool {
    matches!(folder.stat(JOURNAL), Ok(Some(_)))
}

fn foreign(path: &Path) -> WriteError {
    WriteError::Refused { path: path.to_owned(), reason: Reason::ForeignJournal }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::super::recover::recover;
    use super::*;

    /// After a crash while new files were written, `doctor FOLDER` cleaned up that folder and the lead,
    /// and left what was new in all others.
    #[test]
    fn a_crash_while_files_are_written_is_cleaned_up_from_any_folder() {
        let home = tempfile::tempdir().unwrap();
        let folders: Vec<PathBuf> = ["a", "b", "c", "d"].map(|name| home.path().join(name)).into();
        for asked in &folders {
            let mut opened = Vec::new();
            for folder in &folders {
                fs::create_dir_all(folder).unwrap();
                opened.push(Rc::new(Folder::open(folder, &folder.join("x")).unwrap()));
            }
            let until = Instant::now() + Duration::from_secs(9);
            let (mut journals, _) = Journals::start(opened, until).unwrap();
            for folder in &folders {
                fs::write(folder.join(journals.hidden_name().of_new()), "secret").unwrap();
            }
            journals.keep();
            drop(journals);
            let recovered = recover(asked, Duration::from_secs(9)).unwrap();
            assert!(!recovered.unwrap().finished);
            for folder in &folders {
                let left: Vec<_> = fs::read_dir(folder).unwrap().collect();
                assert!(left.is_empty(), "{left:?} is left after asking for {}", asked.display());
            }
        }
    }
}

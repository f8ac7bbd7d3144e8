//! What is done with the journal of a crash: its files become all new or all old.
//!
//! Which of the two is read off the files themselves, never off how far the journal had got: if any
//! target is the new file, all journals and new files were durable before it became so, and the rest
//! follows; if none is, none will be. Every step leaves a state in which the same question has the
//! same answer, or one in which nothing is left to do; so a recovery may itself be killed.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use super::WriteError;
use super::contents::{Contents, Entry, HiddenName};
use super::folder::Folder;
use super::journal::{JOURNAL, Journal};

/// What became of files that were being replaced when a process or the power ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recovered {
    /// The folder whose journal told of it.
    pub folder: PathBuf,
    /// Whether all of its files are the new ones; else all are the old ones.
    pub finished: bool,
    /// A folder that no link leads to any more, and that could not be removed whole.
    pub left: Option<PathBuf>,
}

/// Finishes or undoes what a crash left in `folder`, and in the folders that belong to it. Whoever
/// writes there just now is waited for.
///
/// # Errors
/// [`WriteError::Busy`] if that takes longer than `wait`; a journal that is not this user's; or what
/// the system refused. Then the journal stays.
pub fn recover(folder: &Path, wait: Duration) -> Result<Option<Recovered>, WriteError> {
    let folder = Rc::new(Folder::open(folder, &folder.join(JOURNAL))?);
    recover_folder(&folder, Instant::now() + wait)
}

pub(super) fn recover_folder(
    folder: &Rc<Folder>,
    until: Instant,
) -> Result<Option<Recovered>, WriteError> {
    let Some(mut journal) = Journal::lock(folder, false, until)? else { return Ok(None) };
    let contents = journal.read()?;
    let Some(transaction) = contents.transaction else {
        // Somebody got no further than to make it, and perhaps is about to lock it.
        clean(folder, None)?;
        journal.remove()?;
        return Ok(None);
    };
    let lead = contents.lead.clone();
    let mut parts = vec![Part { journal, contents }];
    if lead != folder.path {
        parts.extend(Part::find(&lead, transaction, until)?);
    }
    let others = parts.iter().flat_map(|part| part.contents.folders.clone()).collect::<Vec<_>>();
    for path in others.iter().filter(|path| **path != folder.path) {
        parts.extend(Part::find(path, transaction, until)?);
    }
    let mut finished = settle(&parts)?;
    let mut left = None;
    for part in &parts {
        if let Some(names) = &part.contents.switch {
            let folder = &part.journal.folder;
            finished = names.are_switched(folder).map_err(|error| {
                WriteError::io(&folder.path.join(&names.link), "look at", error)
            })?;
            // It was tried before. Without an end to it, every later render would fail at it, too.
            if let Err(WriteError::Io { path, .. }) = names.tidy(folder) {
                left = Some(path);
            }
        }
    }
    for part in &parts {
        part.journal.folder.sync()?;
    }
    for part in &parts {
        clean(&part.journal.folder, Some(transaction))?;
    }
    // The lead knows all the others, so it goes last.
    parts.sort_by_key(|part| part.journal.folder.path == lead);
    parts.into_iter().try_for_each(|part| part.journal.remove())?;
    Ok(Some(Recovered { folder: folder.path.clone(), finished, left }))
}

/// One folder of a transaction.
struct Part {
    journal: Journal,
    contents: Contents,
}

impl Part {
    /// The part of `transaction` in the folder at `path`, unless that is gone or done.
    fn find(path: &Path, transaction: u64, until: Instant) -> Result<Option<Self>, WriteError> {
        let folder = match Folder::open(path, &path.join(JOURNAL)) {
            Ok(folder) => Rc::new(folder),
            Err(WriteError::Io { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Some(mut journal) = Journal::lock(&folder, false, until)? else { return Ok(None) };
        let contents = journal.read()?;
        let same = contents.transaction == Some(transaction);
        Ok(same.then_some(Self { journal, contents }))
    }
}

/// Where a file stands.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Seen {
    /// The target is the new file; the old one can come back.
    Placed,
    /// The target is the new file, and the old one is gone.
    Settled,
    /// The target is the old file, and the new one is ready.
    Ready,
    /// The target can not become the new file: that is gone, or somebody else was there first.
    Stuck,
    /// The new file had its name, and somebody else has replaced or removed it since.
    Foreign,
}

/// Makes all files new or all old; tells which.
fn settle(parts: &[Part]) -> Result<bool, WriteError> {
    let mut files = Vec::new();
    for part in parts {
        for entry in &part.contents.files {
            let folder = &*part.journal.folder;
            let hidden = HiddenName {
                transaction: part.contents.transaction.unwrap_or_default(),
                number: entry.number,
            };
            let file = Found { folder, entry, hidden, path: folder.path.join(&entry.name) };
            let seen = file.look().map_err(file.failed("look at"))?;
            files.push((file, seen));
        }
    }
    let any = |wanted: Seen| files.iter().any(|(_, seen)| *seen == wanted);
    let begun = any(Seen::Placed) || any(Seen::Settled);
    if any(Seen::Settled) || begun && !any(Seen::Stuck) {
        let place = |(file, seen): &(Found<'_>, Seen)| match seen {
            Seen::Ready => file.place().map_err(file.failed("replace")),
            _ => Ok(()),
        };
        match files.iter().try_for_each(place) {
            Ok(()) => return Ok(true),
            // What is settled cannot go back, so the rest has to wait for a better day.
            Err(error) if any(Seen::Settled) => return Err(error),
            Err(_) => {}
        }
    }
    for (file, _) in &files {
        if file.look().map_err(file.failed("look at"))? == Seen::Placed {
            file.put_back().map_err(file.failed("put back"))?;
        }
    }
    Ok(false)
}

/// A file that a journal tells of.
struct Found<'a> {
    folder: &'a Folder,
    entry: &'a Entry,
    hidden: HiddenName,
    path: PathBuf,
}

impl Found<'_> {
    fn look(&self) -> Result<Seen, Errno> {
        let number = |name: &OsStr| Ok(self.folder.stat(name)?.map(|stat| stat.st_ino));
        let Entry { new, old, name, .. } = self.entry;
        let target = number(name)?;
        if target == Some(*new) {
            let kept = old.is_none() || number(OsStr::new(&self.hidden.of_old()))? == *old;
            return Ok(if kept { Seen::Placed } else { Seen::Settled });
        }
        let ready = number(OsStr::new(&self.hidden.of_new()))? == Some(*new);
        Ok(match (ready, target == *old) {
            (true, true) => Seen::Ready,
            (true, false) | (false, true) => Seen::Stuck,
            (false, false) => Seen::Foreign,
        })
    }

    fn place(&self) -> Result<(), Errno> {
        let fd = &self.folder.fd;
        if self.entry.old.is_some() {
            let name = &self.entry.name;
            match rustix::fs::linkat(fd, name, fd, self.hidden.of_old(), AtFlags::empty()) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        self.folder.rename(self.hidden.of_new(), &self.entry.name)
    }

    fn put_back(&self) -> Result<(), Errno> {
        match self.entry.old {
            Some(_) => self.folder.rename(self.hidden.of_old(), &self.entry.name),
            None => self.folder.remove(&self.entry.name),
        }
    }

    fn failed(&self, step: &'static str) -> impl Fn(Errno) -> WriteError {
        move |error| WriteError::io(&self.path, step, error)
    }
}

/// Removes the hidden files of a crash: those of its transaction, and those of this user that a
/// loss of power left without a journal. No other transaction of this user is under way here, since
/// the folder is locked.
fn clean(folder: &Folder, transaction: Option<u64>) -> Result<(), WriteError> {
    let failed = |error: Errno| WriteError::io(&folder.path, "read", error);
    let own = rustix::process::geteuid().as_raw();
    let mut left = Vec::new();
    for entry in Dir::read_from(&folder.fd).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let Some(hidden) = HiddenName::parse(name) else { continue };
        let Some(stat) = folder.stat(name).map_err(failed)? else { continue };
        let file = FileType::from_raw_mode(stat.st_mode) != FileType::Directory;
        if file && (transaction == Some(hidden.transaction) || stat.st_uid == own) {
            left.push(name.to_owned());
        }
    }
    for name in left {
        folder
            .remove(&name)
            .map_err(|error| WriteError::io(&folder.path.join(&name), "remove", error))?;
    }
    Ok(())
}

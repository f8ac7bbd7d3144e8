//! The folders of targets, each opened once: a process may not have many files open.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, Mode, Stat};
use rustix::io::Errno;

use super::walk::{Made, is_open, walk};
use super::{Reason, Target, WriteError};

/// The device and number of a file.
pub(super) type Id = (i128, u64);

/// An open folder.
pub(super) struct Folder {
    pub(super) fd: OwnedFd,
    pub(super) id: Id,
    /// Its path from the root, without symbolic links.
    pub(super) path: PathBuf,
    /// New files in it get its group.
    pub(super) gives_group: bool,
}

impl Folder {
    /// Opens the folder in which `target` lies or shall lie, at `path`.
    pub(super) fn open(path: &Path, target: &Path) -> Result<Self, WriteError> {
        Self::open_or_make(path, target, None)
    }

    fn open_or_make(
        path: &Path,
        target: &Path,
        make: Option<(&mut Made, &Target<'_>)>,
    ) -> Result<Self, WriteError> {
        let (fd, path) = walk(path, target, make)?;
        let stat = rustix::fs::fstat(&fd)
            .map_err(|error| WriteError::io(target, "look at the folder of", error))?;
        if is_open(&stat) {
            let reason = Reason::FolderOpen;
            return Err(WriteError::Refused { path: target.to_owned(), reason });
        }
        let gives_group = Mode::from_raw_mode(stat.st_mode).contains(Mode::SGID);
        Ok(Self { fd, id: id(&stat), path, gives_group })
    }

    /// What lies there under `name`, if anything does. Links are not followed.
    pub(super) fn stat(&self, name: impl rustix::path::Arg) -> Result<Option<Stat>, Errno> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn rename(
        &self,
        from: impl rustix::path::Arg,
        to: impl rustix::path::Arg,
    ) -> Result<(), Errno> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)
    }

    pub(super) fn remove(&self, name: impl rustix::path::Arg) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())
    }

    /// Makes names in it durable.
    pub(super) fn sync(&self) -> Result<(), WriteError> {
        match rustix::fs::fsync(&self.fd) {
            // Some file systems cannot sync a folder; then there is nothing to wait for.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(WriteError::io(&self.path, "sync", error)),
        }
    }
}

/// The folders of some targets.
#[derive(Default)]
pub(super) struct Folders {
    by_path: HashMap<PathBuf, Rc<Folder>>,
    by_id: BTreeMap<Id, Rc<Folder>>,
    pub(super) made: Made,
}

impl Folders {
    /// The folder of `target`, which is made if it is not there.
    pub(super) fn made_for(&mut self, target: &Target<'_>) -> Result<Rc<Folder>, WriteError> {
        self.get(target.path, Some(target))
    }

    /// The folder of the file `target`.
    pub(super) fn of(&mut self, target: &Path) -> Result<Rc<Folder>, WriteError> {
        self.get(target, None)
    }

    fn get(&mut self, target: &Path, make: Option<&Target<'_>>) -> Result<Rc<Folder>, WriteError> {
        if target.file_name().is_none() || target.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(WriteError::Refused { path: target.to_owned(), reason: Reason::NoName });
        }
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let path = parent.unwrap_or(Path::new("."));
        if let Some(folder) = self.by_path.get(path) {
            return Ok(Rc::clone(folder));
        }
        let make = make.map(|target| (&mut self.made, target));
        let folder = Rc::new(Folder::open_or_make(path, target, make)?);
        let folder = Rc::clone(self.by_id.entry(folder.id).or_insert(folder));
        self.by_path.insert(path.to_owned(), Rc::clone(&folder));
        Ok(folder)
    }

    /// All of them, in the one order in which they are locked.
    pub(super) fn all(&self) -> Vec<Rc<Folder>> {
        self.by_id.values().map(Rc::clone).collect()
    }
}

pub(super) fn id(stat: &Stat) -> Id {
    // A device is an `i32` on some systems and a `u64` on others.
    (i128::from(stat.st_dev), stat.st_ino)
}

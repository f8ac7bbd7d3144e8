//! Replaces files all together or not at all.
//!
//! Every file is first written whole, unnamed or under a hidden random name, into the folder of its
//! target, with its owner and mode before its first byte, and synced. Only when all of them are there
//! are they renamed over their targets. Until the last one is in place, each replaced file is kept
//! under a hidden name; if anything fails, it is put back.
//!
//! A crash between two renames leaves some files new and some old, and hidden names beginning with
//! `.bulla-`. A journal that lets the next run finish or undo that belongs between
//! [`Transaction::stage`] and [`Transaction::commit`], and its removal after the folders are synced.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::secret::Secret;

/// A file to be written.
pub struct Target<'a> {
    /// Where to.
    pub path: &'a Path,
    /// The whole file.
    pub contents: &'a Secret,
    /// Its permissions. Without them a new file gets 0600, and one that exists keeps what it has of
    /// these: never more.
    pub mode: Option<u32>,
    /// Its owner. Without one it belongs to whoever writes it, and an existing file keeps its group.
    pub owner: Option<Owner>,
}

/// The user and group that a file belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Owner {
    /// The number of the user.
    pub user: u32,
    /// The number of the group.
    pub group: u32,
}

/// Writes all targets or none, durably. None of them may be one of the `protected` files, which are
/// the templates and the vault.
///
/// # Errors
/// All targets that may not be written, without anything having been written; or the first failure
/// of the system, after which everything is as it was. Only [`WriteError::NotUndone`] says that
/// something is not, and where the old file is.
pub fn write_all(targets: &[Target<'_>], protected: &[&Path]) -> Result<(), Vec<WriteError>> {
    let protected: BTreeSet<_> =
        protected.iter().filter_map(|path| rustix::fs::stat(*path).ok().map(|s| id(&s))).collect();
    let mut transaction = Transaction { files: Vec::with_capacity(targets.len()) };
    let mut refused = Vec::new();
    let mut names = BTreeSet::new();
    let mut folders = Folders::new();
    for target in targets {
        match Staged::check(target, &protected, &mut folders) {
            Ok(file) if names.insert((file.folder_id, file.name.clone())) => {
                transaction.files.push(file);
            }
            Ok(file) => refused.push(file.refusal(Reason::Twice)),
            Err(error) => refused.push(error),
        }
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    transaction.stage(targets).map_err(|error| vec![error])?;
    transaction.commit()
}

/// Why files were not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The system refused a step.
    #[error("cannot {step} {}: {}", path.display(), source.kind())]
    Io {
        /// The target.
        path: PathBuf,
        /// What failed, such as `write`.
        step: &'static str,
        /// How.
        source: io::Error,
    },
    /// A target was replaced before another failed, and could not be put back.
    #[error("{} is replaced and could not be put back; the old file is {}", path.display(), old.display())]
    NotUndone {
        /// The target.
        path: PathBuf,
        /// Where its former contents are.
        old: PathBuf,
    },
    /// A target is nothing that may be written.
    #[error("will not write {}: {reason}", path.display())]
    Refused {
        /// The target.
        path: PathBuf,
        /// Why not.
        reason: Reason,
    },
}

/// What is wrong with a target.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Everyone can rename and replace files in its folder.
    #[error("everyone can write to its folder")]
    FolderOpen,
    /// It belongs to another user.
    #[error("it belongs to another user")]
    ForeignOwner,
    /// It has a second name, under which the old contents would stay.
    #[error("it has more than one hard link")]
    HardLinked,
    /// It is no name of a file, such as `..`.
    #[error("it is no name of a file")]
    NoName,
    /// It is a directory, a pipe, a socket or a device.
    #[error("it is no regular file")]
    NotAFile,
    /// It is a template, or the vault.
    #[error("it is a file that this reads from")]
    Protected,
    /// It is a symbolic link.
    #[error("it is a symbolic link")]
    SymbolicLink,
    /// It is the target of two files.
    #[error("two files would be written to it")]
    Twice,
}

/// Up to so many files are synced one by one. That costs a commit of the file system's journal each;
/// beyond, one sync of the whole file system is cheaper, unless others write a lot just then.
const SYNCED_EACH: usize = if cfg!(target_os = "linux") { 16 } else { usize::MAX };

/// The device and number of a file.
type Id = (i128, u64);

/// The files while they are being replaced. What is left over when it is dropped is removed.
struct Transaction {
    files: Vec<Staged>,
}

impl Transaction {
    /// Writes all files under hidden names.
    fn stage(&mut self, targets: &[Target<'_>]) -> Result<(), WriteError> {
        let together = self.files.len() > SYNCED_EACH;
        for (file, target) in self.files.iter_mut().zip(targets) {
            file.write(target.contents, !together)?;
        }
        if together { self.sync_file_systems() } else { Ok(()) }
    }

    /// Gives all files their names.
    fn commit(mut self) -> Result<(), Vec<WriteError>> {
        for number in 0..self.files.len() {
            if let Err(error) = self.files[number].replace() {
                return Err(self.undo(error));
            }
        }
        let mut folders = BTreeSet::new();
        for number in 0..self.files.len() {
            let file = &self.files[number];
            if folders.insert(file.folder_id)
                && let Err(error) = file.sync_folder()
            {
                return Err(self.undo(error));
            }
        }
        self.files.iter_mut().for_each(Staged::forget_old);
        Ok(())
    }

    fn sync_file_systems(&self) -> Result<(), WriteError> {
        let mut synced = BTreeSet::new();
        for file in self.files.iter().filter(|file| synced.insert(file.folder_id.0)) {
            #[cfg(target_os = "linux")]
            rustix::fs::syncfs(&file.folder).map_err(|error| file.failed("sync", error))?;
        }
        Ok(())
    }

    /// Puts back what was replaced.
    fn undo(&mut self, cause: WriteError) -> Vec<WriteError> {
        let mut errors = vec![cause];
        errors.extend(self.files.iter_mut().rev().filter_map(|file| file.put_back().err()));
        errors
    }
}

/// The folders of targets, each opened once: a process may not have many files open.
type Folders = BTreeMap<Id, Rc<OwnedFd>>;

/// One file on its way to its target.
struct Staged {
    path: PathBuf,
    folder: Rc<OwnedFd>,
    folder_id: Id,
    name: OsString,
    mode: Mode,
    owner: Option<(u32, u32)>,
    exists: bool,
    /// The hidden name of the new file.
    new: Option<OsString>,
    /// The hidden name of the file that was replaced.
    old: Option<OsString>,
    /// Whether the new file has its name.
    placed: bool,
}

impl Staged {
    /// Looks at the target without touching it.
    fn check(
        target: &Target<'_>,
        protected: &BTreeSet<Id>,
        folders: &mut Folders,
    ) -> Result<Self, WriteError> {
        let path = target.path;
        let refuse = |reason| WriteError::Refused { path: path.to_owned(), reason };
        let failed = |step| move |error| io_error(path, step, error);
        let name = path.file_name().ok_or(refuse(Reason::NoName))?;
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(refuse(Reason::NoName));
        }
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder =
            rustix::fs::openat(CWD, parent.unwrap_or(Path::new(".")), flags, Mode::empty())
                .map_err(failed("open the folder of"))?;
        let stat = rustix::fs::fstat(&folder).map_err(failed("look at the folder of"))?;
        let mode = Mode::from_raw_mode(stat.st_mode);
        if mode.contains(Mode::WOTH) && !mode.contains(Mode::SVTX) {
            return Err(refuse(Reason::FolderOpen));
        }
        let folder_id = id(&stat);
        let folder = Rc::clone(folders.entry(folder_id).or_insert_with(|| Rc::new(folder)));
        let old = match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(io_error(path, "look at", error)),
        };
        let mut mode = Mode::RUSR | Mode::WUSR;
        let mut owner = target.owner.map(|owner| (owner.user, owner.group));
        if let Some(old) = &old {
            let may_be_owned_by = target.owner.map(|owner| owner.user);
            check_old(old, may_be_owned_by, protected).map_err(refuse)?;
            mode &= Mode::from_raw_mode(old.st_mode);
            let group = rustix::process::getegid().as_raw();
            if owner.is_none() && old.st_gid != group {
                owner = Some((rustix::process::geteuid().as_raw(), old.st_gid));
            }
        }
        if let Some(wanted) = target.mode {
            mode = Mode::from_raw_mode((wanted & 0o777) as rustix::fs::RawMode);
        }
        Ok(Self {
            path: path.to_owned(),
            folder,
            folder_id,
            name: name.to_owned(),
            mode,
            owner,
            exists: old.is_some(),
            new: None,
            old: None,
            placed: false,
        })
    }

    /// Writes the contents under a hidden name, durably if that is not left to others.
    fn write(&mut self, contents: &Secret, sync: bool) -> Result<(), WriteError> {
        #[cfg(target_os = "linux")]
        if self.write_unnamed(contents, sync)? {
            return Ok(());
        }
        let name = hidden_name("new").map_err(|error| self.failed("name", error))?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.folder, &name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| self.failed("create", error))?;
        self.new = Some(name);
        self.fill(&mut File::from(fd), contents, sync)
    }

    /// Writes the contents into a file without a name, which no crash can leave behind, and then
    /// gives it a hidden one. Gives `false` where the file system or a missing `/proc` forbids that.
    #[cfg(target_os = "linux")]
    fn write_unnamed(&mut self, contents: &Secret, sync: bool) -> Result<bool, WriteError> {
        use std::os::fd::AsRawFd as _;

        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let Ok(fd) = rustix::fs::openat(&self.folder, ".", flags, mode) else { return Ok(false) };
        let mut file = File::from(fd);
        self.fill(&mut file, contents, sync)?;
        let name = hidden_name("new").map_err(|error| self.failed("name", error))?;
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        let linked = rustix::fs::linkat(CWD, unnamed, &self.folder, &name, AtFlags::SYMLINK_FOLLOW);
        Ok(linked.is_ok().then(|| self.new = Some(name)).is_some())
    }

    fn fill(&self, file: &mut File, contents: &Secret, sync: bool) -> Result<(), WriteError> {
        if let Some((user, group)) = self.owner {
            let user = rustix::fs::Uid::from_raw(user);
            let group = rustix::fs::Gid::from_raw(group);
            rustix::fs::fchown(&*file, Some(user), Some(group))
                .map_err(|error| self.failed("set the owner of", error))?;
        }
        rustix::fs::fchmod(&*file, self.mode)
            .map_err(|error| self.failed("set the mode of", error))?;
        file.write_all(contents.expose()).map_err(|error| self.failed("write", error))?;
        if sync { file.sync_all().map_err(|error| self.failed("sync", error)) } else { Ok(()) }
    }

    /// Gives the new file its name, and the old one a hidden name.
    fn replace(&mut self) -> Result<(), WriteError> {
        let Some(new) = &self.new else { return Ok(()) };
        if self.exists {
            let old = hidden_name("old").map_err(|error| self.failed("name", error))?;
            rustix::fs::linkat(&self.folder, &self.name, &self.folder, &old, AtFlags::empty())
                .map_err(|error| self.failed("keep the old", error))?;
            self.old = Some(old);
        }
        rustix::fs::renameat(&self.folder, new, &self.folder, &self.name)
            .map_err(|error| self.failed("replace", error))?;
        self.new = None;
        self.placed = true;
        Ok(())
    }

    fn sync_folder(&self) -> Result<(), WriteError> {
        match rustix::fs::fsync(&self.folder) {
            // Some file systems cannot sync a folder; then there is nothing to wait for.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(self.failed("sync the folder of", error)),
        }
    }

    /// Makes the target what it was.
    fn put_back(&mut self) -> Result<(), WriteError> {
        if !std::mem::take(&mut self.placed) {
            return Ok(());
        }
        let undone = match &self.old {
            Some(old) => rustix::fs::renameat(&self.folder, old, &self.folder, &self.name),
            None => rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty()),
        };
        match undone {
            Ok(()) => {
                self.old = None;
                let _ = rustix::fs::fsync(&self.folder);
                Ok(())
            }
            Err(_) => {
                // Whatever is left of the old file stays.
                let old = self.old.take().unwrap_or_default();
                let old = self.path.with_file_name(old);
                Err(WriteError::NotUndone { path: self.path.clone(), old })
            }
        }
    }

    fn forget_old(&mut self) {
        if let Some(old) = self.old.take() {
            let _ = rustix::fs::unlinkat(&self.folder, old, AtFlags::empty());
        }
    }

    fn failed(&self, step: &'static str, error: impl Into<io::Error>) -> WriteError {
        io_error(&self.path, step, error)
    }

    fn refusal(&self, reason: Reason) -> WriteError {
        WriteError::Refused { path: self.path.clone(), reason }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for name in [self.new.take(), self.old.take()].into_iter().flatten() {
            let _ = rustix::fs::unlinkat(&self.folder, name, AtFlags::empty());
        }
    }
}

/// Whether the file that is there may be replaced.
fn check_old(old: &Stat, owner: Option<u32>, protected: &BTreeSet<Id>) -> Result<(), Reason> {
    match FileType::from_raw_mode(old.st_mode) {
        FileType::RegularFile => {}
        FileType::Symlink => return Err(Reason::SymbolicLink),
        _ => return Err(Reason::NotAFile),
    }
    if protected.contains(&id(old)) {
        return Err(Reason::Protected);
    }
    if old.st_uid != rustix::process::geteuid().as_raw() && Some(old.st_uid) != owner {
        return Err(Reason::ForeignOwner);
    }
    if old.st_nlink > 1 {
        return Err(Reason::HardLinked);
    }
    Ok(())
}

fn io_error(path: &Path, step: &'static str, error: impl Into<io::Error>) -> WriteError {
    WriteError::Io { path: path.to_owned(), step, source: error.into() }
}

fn id(stat: &Stat) -> Id {
    // A device is an `i32` on some systems and a `u64` on others.
    (i128::from(stat.st_dev), stat.st_ino)
}

/// A name that nobody can guess or has already, for a file beside its target.
fn hidden_name(what: &str) -> io::Result<OsString> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::from)?;
    let name = format!(".bulla-{:016x}.{what}", u64::from_le_bytes(random));
    Ok(OsStr::new(&name).to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Each target once held its folder open, and 600 of them were more than a process may.
    #[test]
    fn a_folder_is_opened_once_for_all_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let contents = Secret::copied_from(b"new");
        let paths: Vec<_> = (0..3).map(|number| folder.path().join(number.to_string())).collect();
        let mut folders = Folders::new();
        for path in &paths {
            let target = Target { path, contents: &contents, mode: None, owner: None };
            Staged::check(&target, &BTreeSet::new(), &mut folders).unwrap();
        }
        assert_eq!(folders.len(), 1);
    }

    #[test]
    fn a_failure_between_two_renames_puts_everything_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), "old").unwrap();
        let contents = Secret::copied_from(b"new");
        let paths = ["a", "b", "c"].map(path);
        let targets = paths.each_ref().map(|path| Target {
            path,
            contents: &contents,
            mode: None,
            owner: None,
        });
        let mut folders = Folders::new();
        let check = |target| Staged::check(target, &BTreeSet::new(), &mut folders).unwrap();
        let files = targets.iter().map(check);
        let mut transaction = Transaction { files: files.collect() };
        transaction.stage(&targets).unwrap();
        // What nobody could know when the targets were looked at.
        fs::create_dir(path("c")).unwrap();
        let errors = transaction.commit().unwrap_err();
        assert!(matches!(&errors[..], [WriteError::Io { step: "replace", .. }]), "{errors:?}");
        assert_eq!(fs::read(path("a")).unwrap(), b"old");
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a", "c"]);
    }
}

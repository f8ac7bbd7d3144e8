//! One file on its way to its target.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use super::contents::HiddenName;
use super::folder::Folder;
use super::journal::JOURNAL;
use super::protected::Protected;
use super::{Owner, Reason, Target, WriteError};
use crate::secret::Secret;

/// A file that is, or will be, under a hidden name in the folder of its target.
pub(super) struct Staged {
    pub(super) path: PathBuf,
    pub(super) folder: Rc<Folder>,
    pub(super) name: OsString,
    pub(super) hidden: HiddenName,
    /// The number of the file that is replaced, if there is one.
    pub(super) old: Option<u64>,
    /// The number of the new file, once it is written.
    pub(super) new: Option<u64>,
    /// Everyone could read the old file, and its owner alone can read the new one.
    pub(super) narrowed: bool,
    mode: Mode,
    owner: (Option<Uid>, Option<Gid>),
    state: State,
}

/// Which names a file has.
#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    /// The target is what it was. There may be a new file under a hidden name.
    Waiting,
    /// The old file has a hidden name, too.
    Kept,
    /// The target is the new file; an old one has just its hidden name.
    Placed,
    /// The target is the new file for good.
    Settled,
}

impl Staged {
    /// Looks at the target without touching it.
    pub(super) fn check(
        target: &Target<'_>,
        folder: Rc<Folder>,
        protected: &Protected,
        hidden: HiddenName,
    ) -> Result<Self, WriteError> {
        let path = target.path;
        let refuse = |reason| WriteError::Refused { path: path.to_owned(), reason };
        let name = path.file_name().ok_or(refuse(Reason::NoName))?;
        if name == JOURNAL || HiddenName::parse(name).is_some() {
            return Err(refuse(Reason::NoName));
        }
        let old = folder.stat(name).map_err(|error| WriteError::io(path, "look at", error))?;
        if protected.covers(&folder, Path::new(name), old.as_ref()) {
            return Err(refuse(Reason::Protected));
        }
        let mut mode = Mode::RUSR | Mode::WUSR;
        let mut narrowed = false;
        if let Some(old) = &old {
            check_old(old, target.owner).map_err(refuse)?;
            let before = Mode::from_raw_mode(old.st_mode);
            // Nobody decided that a group may read what everyone may: that is just the usual mode.
            let open = before.contains(Mode::ROTH);
            mode = before & if open { mode } else { mode | Mode::RGRP };
            narrowed = open && target.mode.is_none();
        }
        if let Some(wanted) = target.mode {
            mode = Mode::from_raw_mode((wanted & 0o777) as rustix::fs::RawMode);
        }
        Ok(Self {
            path: path.to_owned(),
            name: name.to_owned(),
            hidden,
            old: old.as_ref().map(|old| old.st_ino),
            new: None,
            narrowed,
            mode,
            owner: owner(target.owner, old.as_ref(), &folder),
            folder,
            state: State::Waiting,
        })
    }

    /// Writes the contents under a hidden name, durably if that is not left to others.
    pub(super) fn write(&mut self, contents: &Secret, sync: bool) -> Result<(), WriteError> {
        #[cfg(target_os = "linux")]
        if self.write_unnamed(contents, sync)? {
            return Ok(());
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = rustix::fs::openat(&self.folder.fd, self.hidden.of_new(), flags, mode)
            .map_err(|error| self.failed("create", error))?;
        let mut file = File::from(fd);
        let made = self.look_at(&file)?;
        self.new = Some(made.st_ino);
        self.fill(&mut file, &made, contents, sync)
    }

    /// Writes the contents into a file without a name, which no crash can leave behind, and then
    /// gives it a hidden one. Gives `false` where the file system or a missing `/proc` forbids that.
    #[cfg(target_os = "linux")]
    fn write_unnamed(&mut self, contents: &Secret, sync: bool) -> Result<bool, WriteError> {
        use std::os::fd::AsRawFd as _;

        use rustix::fs::CWD;

        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let Ok(fd) = rustix::fs::openat(&self.folder.fd, ".", flags, mode) else {
            return Ok(false);
        };
        let mut file = File::from(fd);
        let made = self.look_at(&file)?;
        self.fill(&mut file, &made, contents, sync)?;
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        let (to, name) = (&self.folder.fd, self.hidden.of_new());
        let linked = rustix::fs::linkat(CWD, unnamed, to, name, AtFlags::SYMLINK_FOLLOW);
        Ok(linked.is_ok().then(|| self.new = Some(made.st_ino)).is_some())
    }

    fn look_at(&self, file: &File) -> Result<Stat, WriteError> {
        rustix::fs::fstat(file).map_err(|error| self.failed("look at", error))
    }

    /// Gives the file that was `made` its owner and mode, and then its contents.
    fn fill(
        &self,
        file: &mut File,
        made: &Stat,
        contents: &Secret,
        sync: bool,
    ) -> Result<(), WriteError> {
        let (user, group) = self.owner;
        if user.is_some() || group.is_some() {
            rustix::fs::fchown(&*file, user, group)
                .map_err(|error| self.failed("set the owner of", error))?;
        }
        // To set the mode that it has would be one more change for the file system's journal.
        if Mode::from_raw_mode(made.st_mode) != self.mode {
            rustix::fs::fchmod(&*file, self.mode)
                .map_err(|error| self.failed("set the mode of", error))?;
        }
        file.write_all(contents.expose()).map_err(|error| self.failed("write", error))?;
        if sync { file.sync_all().map_err(|error| self.failed("sync", error)) } else { Ok(()) }
    }

    /// Gives the new file its name, and the old one a hidden name.
    pub(super) fn place(&mut self) -> Result<(), WriteError> {
        let (folder, hidden) = (&self.folder, self.hidden);
        if self.old.is_some() {
            rustix::fs::linkat(
                &folder.fd,
                &self.name,
                &folder.fd,
                hidden.of_old(),
                AtFlags::empty(),
            )
            .map_err(|error| self.failed("keep the old", error))?;
            self.state = State::Kept;
            let kept =
                folder.stat(hidden.of_old()).map_err(|error| self.failed("keep the old", error))?;
            if kept.map(|kept| kept.st_ino) != self.old {
                return Err(self.refusal(Reason::Changed));
            }
        }
        folder
            .rename(hidden.of_new(), &self.name)
            .map_err(|error| self.failed("replace", error))?;
        self.state = State::Placed;
        Ok(())
    }

    /// Makes the target what it was.
    pub(super) fn put_back(&mut self) -> Result<(), WriteError> {
        if self.state != State::Placed {
            return Ok(());
        }
        let undone = match self.old {
            Some(_) => self.folder.rename(self.hidden.of_old(), &self.name),
            None => self.folder.remove(&self.name),
        };
        undone.map_err(|_| WriteError::NotUndone {
            path: self.path.clone(),
            old: self.path.with_file_name(self.hidden.of_old()),
        })?;
        self.new = None;
        self.state = State::Waiting;
        Ok(())
    }

    /// The new file is there to stay, so the old one can go.
    pub(super) fn settle(&mut self) {
        self.state = State::Settled;
    }

    /// Removes all hidden names that are of no more use; tells whether none is left.
    pub(super) fn is_clean(&mut self) -> bool {
        let gone = |removed: Result<(), Errno>| matches!(removed, Ok(()) | Err(Errno::NOENT));
        let remove_new = || self.new.is_none() || gone(self.folder.remove(self.hidden.of_new()));
        let remove_old = || self.old.is_none() || gone(self.folder.remove(self.hidden.of_old()));
        match self.state {
            State::Waiting => remove_new(),
            State::Kept => remove_new() & remove_old(),
            State::Settled => remove_old(),
            State::Placed => false,
        }
    }

    fn failed(&self, step: &'static str, error: impl Into<std::io::Error>) -> WriteError {
        WriteError::io(&self.path, step, error)
    }

    pub(super) fn refusal(&self, reason: Reason) -> WriteError {
        WriteError::Refused { path: self.path.clone(), reason }
    }
}

/// Whether the file that is there may be replaced.
fn check_old(old: &Stat, owner: Option<Owner>) -> Result<(), Reason> {
    match FileType::from_raw_mode(old.st_mode) {
        FileType::RegularFile => {}
        FileType::Symlink => return Err(Reason::SymbolicLink),
        _ => return Err(Reason::NotAFile),
    }
    let own = rustix::process::geteuid().as_raw();
    if old.st_uid != own && Some(old.st_uid) != owner.map(|owner| owner.user) {
        return Err(Reason::ForeignOwner);
    }
    if old.st_nlink > 1 {
        return Err(Reason::HardLinked);
    }
    Ok(())
}

/// What the new file has to be given, as far as it does not have it already.
fn owner(wanted: Option<Owner>, old: Option<&Stat>, folder: &Folder) -> (Option<Uid>, Option<Gid>) {
    match (wanted, old) {
        (Some(owner), _) => (Some(Uid::from_raw(owner.user)), Some(Gid::from_raw(owner.group))),
        (None, Some(old))
            if folder.gives_group || old.st_gid != rustix::process::getegid().as_raw() =>
        {
            (None, Some(Gid::from_raw(old.st_gid)))
        }
        (None, _) => (None, None),
    }
}

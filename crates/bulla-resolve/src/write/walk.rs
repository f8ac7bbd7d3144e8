//! The way to a folder, from one open folder to the next. Others may own a folder on the way and put
//! something else into it at any time; so what was looked at is what is opened, given away or entered.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use super::folder::{Id, id};
use super::{Owner, Reason, Target, WriteError};

/// Opens the folder at `path` for the file `target`; gives its path from the root without symbolic
/// links, too. What is missing is made for `make`, if that is given.
///
/// Symbolic links are followed if they belong to root or to us: who made another could lead us anywhere.
/// So could everyone who may rename what lies in a folder on the way.
pub(super) fn walk(
    path: &Path,
    target: &Path,
    mut make: Option<(&mut Made, &Target<'_>)>,
) -> Result<(OwnedFd, PathBuf), WriteError> {
    let failed = |error: Errno| WriteError::io(target, OPEN, error);
    let enter = |from: &OwnedFd, name: &OsStr| {
        rustix::fs::openat(from, name, SEARCH | FOLDER | OFlags::NOFOLLOW, Mode::empty())
    };
    let (start, real) = match path.is_absolute() {
        true => ("/", Ok(PathBuf::new())),
        false => (".", env::current_dir()),
    };
    let mut real = real.map_err(|error| WriteError::io(target, OPEN, error))?;
    let mut folder =
        rustix::fs::openat(CWD, start, SEARCH | FOLDER, Mode::empty()).map_err(failed)?;
    let mut rest = parts(path);
    let mut turns = 0;
    while let Some(name) = rest.pop() {
        if is_open(&rustix::fs::fstat(&folder).map_err(failed)?) {
            return Err(refused(target, Reason::WayOpen));
        }
        match enter(&folder, &name) {
            Ok(next) => {
                folder = next;
                match Path::new(&name).components().next() {
                    Some(Component::ParentDir) => {
                        real.pop();
                    }
                    _ => real.push(name),
                }
                continue;
            }
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let (owner, text) = read_link(&folder, &name).map_err(failed)?;
                if ![0, rustix::process::geteuid().as_raw()].contains(&owner) {
                    return Err(refused(target, Reason::ForeignLink));
                }
                rest.extend(parts(Path::new(&text)));
            }
            Err(Errno::NOENT) if let Some((made, wanted)) = &mut make => {
                match make_folder(&folder, &name, target) {
                    Ok(new) => {
                        let stat = rustix::fs::fstat(&new).map_err(failed)?;
                        real.push(&name);
                        made.0.push((real.clone(), id(&stat)));
                        open_to(&new, wanted.owner, readers(wanted.mode))
                            .map_err(|error| WriteError::io(target, MAKE, error))?;
                        folder = new;
                        continue;
                    }
                    // Somebody else made it just now.
                    Err(WriteError::Io { source, .. })
                        if source.kind() == std::io::ErrorKind::AlreadyExists =>
                    {
                        rest.push(name);
                    }
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(failed(error)),
        }
        turns += 1;
        if turns > TURNS {
            return Err(failed(Errno::LOOP));
        }
    }
    let folder =
        rustix::fs::openat(&folder, ".", OFlags::RDONLY | FOLDER, Mode::empty()).map_err(failed)?;
    Ok((folder, real))
}

/// Makes a folder that only we can enter, and opens it.
///
/// # Errors
/// What was there when it was opened is not what was made.
pub(super) fn make_folder(
    parent: &OwnedFd,
    name: &OsStr,
    target: &Path,
) -> Result<OwnedFd, WriteError> {
    let failed = |error: Errno| WriteError::io(target, MAKE, error);
    rustix::fs::mkdirat(parent, name, Mode::RWXU).map_err(failed)?;
    let flags = OFlags::RDONLY | FOLDER | OFlags::NOFOLLOW;
    let folder = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
            return Err(refused(target, Reason::Changed));
        }
        opened => opened.map_err(failed)?,
    };
    let stat = rustix::fs::fstat(&folder).map_err(failed)?;
    // Another empty one of ours would do as well; one with something in it must not be opened to others.
    if !is_private(&stat) || !is_empty(&folder).map_err(failed)? {
        return Err(refused(target, Reason::Changed));
    }
    Ok(folder)
}

/// Gives a folder its owner, and lets those enter it who are to read in it.
pub(super) fn open_to(folder: impl AsFd, owner: Option<Owner>, readers: Mode) -> Result<(), Errno> {
    if let Some(Owner { user, group }) = owner {
        rustix::fs::fchown(&folder, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
    }
    if readers.is_empty() {
        return Ok(());
    }
    rustix::fs::fchmod(&folder, Mode::RWXU | readers)
}

/// Whoever can read a file of this mode can enter its folder.
pub(super) fn readers(mode: Option<u32>) -> Mode {
    let mode = Mode::from_raw_mode(mode.unwrap_or_default() as rustix::fs::RawMode);
    let mut readers = Mode::empty();
    readers.set(Mode::RGRP | Mode::XGRP, mode.contains(Mode::RGRP));
    readers.set(Mode::ROTH | Mode::XOTH, mode.contains(Mode::ROTH));
    readers
}

/// Folders that were made for files. Dropped, those into which nothing was written are removed.
#[derive(Default)]
pub(super) struct Made(Vec<(PathBuf, Id)>);

impl Made {
    /// They are to stay.
    pub(super) fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for (path, made) in self.0.iter().rev() {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
            let Ok((parent, _)) = walk(parent, path, None) else { continue };
            let there = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW);
            if there.is_ok_and(|there| id(&there) == *made) {
                let _ = rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR);
            }
        }
    }
}

const OPEN: &str = "open the folder of";
const MAKE: &str = "make the folder of";

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// Folders on the way need not be readable.
#[cfg(target_os = "linux")]
const SEARCH: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const SEARCH: OFlags = OFlags::RDONLY;

/// After so many links Linux gives up, too.
const TURNS: usize = 40;

/// The parts of a path, the first one last.
fn parts(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter(|part| *part != Component::CurDir)
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

/// Whose a symbolic link is, and where it leads.
#[cfg(target_os = "linux")]
fn read_link(folder: &OwnedFd, name: &OsStr) -> Result<(u32, OsString), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let link = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&link)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Err(Errno::NOTDIR);
    }
    let text = rustix::fs::readlinkat(&link, "", Vec::new())?;
    Ok((stat.st_uid, OsString::from_vec(text.into_bytes())))
}

#[cfg(not(target_os = "linux"))]
fn read_link(folder: &OwnedFd, name: &OsStr) -> Result<(u32, OsString), Errno> {
    let look = || rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    let stat = look()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Err(Errno::NOTDIR);
    }
    let text = rustix::fs::readlinkat(folder, name, Vec::new())?;
    let after = look()?;
    if id(&after) != id(&stat) || after.st_ctime != stat.st_ctime {
        return Err(Errno::LOOP);
    }
    Ok((stat.st_uid, OsString::from_vec(text.into_bytes())))
}

/// Whether everyone can rename and replace what lies in a folder.
pub(super) fn is_open(folder: &Stat) -> bool {
    let mode = Mode::from_raw_mode(folder.st_mode);
    mode.contains(Mode::WOTH) && !mode.contains(Mode::SVTX)
}

fn is_private(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw() && stat.st_mode & 0o077 == 0
}

fn is_empty(folder: &OwnedFd) -> Result<bool, Errno> {
    for entry in Dir::read_from(folder)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn refused(target: &Path, reason: Reason) -> WriteError {
    WriteError::Refused { path: target.to_owned(), reason }
}

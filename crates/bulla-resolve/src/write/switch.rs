//! A whole folder of files put in the place of another at once, by a symbolic link that leads to it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::contents::HiddenName;
use super::folder::{Folder, Folders};
use super::journal::Journals;
use super::protected::Protected;
use super::recover::Recovered;
use super::walk::{make_folder, open_to, readers};
use super::{Reason, SYNCED_EACH, Target, WriteError};

/// A folder that is filled, and waits for the link to lead to it. Dropped, it is removed.
///
/// The link's readers see all old files or all new ones, never a mix.
pub struct Switch {
    link: PathBuf,
    parent: Rc<Folder>,
    names: Names,
    hidden: HiddenName,
    /// Where the link leads now, wherever that is.
    before: Option<OsString>,
    state: State,
    journals: Journals,
    recovered: Vec<Recovered>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    Waiting,
    Switched,
    Done,
}

impl Switch {
    /// Fills a new folder beside `link` with `targets`, whose paths are relative to it, durably. Their
    /// modes and owners count, for the folders on the way too.
    ///
    /// # Errors
    /// As for [`super::Transaction::prepare`], and if `link` is something else than a symbolic link.
    pub fn prepare(
        link: &Path,
        targets: &[Target<'_>],
        protected: &[&Path],
        wait: Duration,
    ) -> Result<Self, Vec<WriteError>> {
        let refuse =
            |path: &Path, reason| vec![WriteError::Refused { path: path.to_owned(), reason }];
        let mut paths = BTreeSet::new();
        for Target { path, .. } in targets {
            let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
            if !plain || path.file_name().is_none() {
                return Err(refuse(path, Reason::NoName));
            }
            if !paths.insert(*path) {
                return Err(refuse(path, Reason::Twice));
            }
        }
        let one = |error| vec![error];
        let mut folders = Folders::default();
        let parent = folders.of(link).map_err(one)?;
        let (mut journals, recovered) =
            Journals::start(folders.all(), Instant::now() + wait).map_err(one)?;
        let name = link.file_name().unwrap_or_default();
        let there = parent.stat(name).map_err(|error| one(io(link, "look at", error)))?;
        let protected = Protected::new(protected);
        if protected.covers(&parent, Path::new(name), there.as_ref()) {
            return Err(refuse(link, Reason::Protected));
        }
        let mut before = None;
        if let Some(there) = there {
            if FileType::from_raw_mode(there.st_mode) != FileType::Symlink {
                return Err(refuse(link, Reason::NotALink));
            }
            if there.st_uid != rustix::process::geteuid().as_raw() {
                return Err(refuse(link, Reason::ForeignOwner));
            }
            let text = parent.read_link(name).map_err(|error| one(io(link, "look at", error)))?;
            before = Some(text);
        }
        let hidden = journals.hidden_name();
        let names = Names::new(name, hidden.transaction, before.as_deref());
        // One that is too long for a folder would stand in the journal, and stop whoever reads that.
        parent.stat(&names.new).map_err(|error| one(io(link, "create", error)))?;
        if let Some(old) = &names.old
            && protected.lie_in(&parent.path.join(old))
        {
            return Err(refuse(link, Reason::Protected));
        }
        journals.write_switch(&names).map_err(one)?;
        let link = link.to_owned();
        let state = State::Waiting;
        let this = Self { link, parent, names, hidden, before, state, journals, recovered };
        this.fill(targets).map_err(one)?;
        Ok(this)
    }

    /// Lets the link lead to the new folder, durably, and removes the old one if it was made for this
    /// link in this way; if that is not possible, why not. What can be removed of it then is, the link
    /// leads to the new folder all the same, and [`super::recover()`] tries once more.
    ///
    /// # Errors
    /// The first failure of the system, after which everything is as it was.
    pub fn commit(mut self) -> Result<Option<WriteError>, Vec<WriteError>> {
        let switched = self.parent.rename(self.hidden.of_new(), &self.names.link);
        switched.map_err(|error| vec![io(&self.link, "replace", error)])?;
        self.state = State::Switched;
        if let Err(error) = self.parent.sync() {
            let mut errors = vec![error];
            match self.put_back() {
                Ok(()) => self.state = State::Waiting,
                Err(error) => errors.push(io(&self.link, "put back", error)),
            }
            return Err(errors);
        }
        let left = self.names.tidy(&self.parent).err();
        if left.is_some() {
            self.journals.keep();
        }
        self.state = State::Done;
        Ok(left)
    }

    /// What crashed transactions had left beside the link, and what became of it.
    #[must_use]
    pub fn recovered(&self) -> &[Recovered] {
        &self.recovered
    }

    fn fill(&self, targets: &[Target<'_>]) -> Result<(), WriteError> {
        // Only we can enter it until everything is there, so nobody can lead us elsewhere below.
        let root = make_folder(&self.parent.fd, &self.names.new, &self.link)?;
        let shown = self.parent.path.join(&self.names.new);
        let mut folders = vec![(PathBuf::from("."), Mode::empty(), None)];
        let together = targets.len() > SYNCED_EACH;
        for target in targets {
            let mut folder = PathBuf::from(".");
            let ways = target.path.parent().into_iter().flat_map(Path::components);
            for part in [None].into_iter().chain(ways.map(Some)) {
                folder.extend(part);
                match folders.iter_mut().find(|(known, ..)| *known == folder) {
                    Some((_, known, owner)) => {
                        *known |= readers(target.mode);
                        *owner = owner.or(target.owner);
                    }
                    None => {
                        rustix::fs::mkdirat(&root, &folder, Mode::RWXU)
                            .map_err(|error| io(&shown.join(&folder), "make", error))?;
                        folders.push((folder.clone(), readers(target.mode), target.owner));
                    }
                }
            }
            write(&root, target, !together)
                .map_err(|error| io(&shown.join(target.path), "write", error))?;
        }
        for (folder, readers, owner) in folders.iter().rev() {
            let opened = || {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let fd = rustix::fs::openat(&root, folder, flags, Mode::empty())?;
                open_to(&fd, *owner, *readers)?;
                File::from(fd).sync_all()
            };
            opened().map_err(|error| io(&shown.join(folder), "make", error))?;
        }
        if together {
            self.journals.sync_file_systems()?;
        }
        self.lead(&self.names.new).map_err(|error| io(&self.link, "create", error))
    }

    /// Makes the hidden link lead to `text`.
    fn lead(&self, text: &OsStr) -> Result<(), Errno> {
        rustix::fs::symlinkat(text, &self.parent.fd, self.hidden.of_new())
    }

    fn put_back(&self) -> Result<(), Errno> {
        match &self.before {
            None => self.parent.remove(&self.names.link),
            Some(before) => {
                self.lead(before)?;
                self.parent.rename(self.hidden.of_new(), &self.names.link)
            }
        }
    }
}

impl Drop for Switch {
    /// Removes whichever folder the link does not lead to, or leaves it to [`super::recover()`].
    fn drop(&mut self) {
        if self.state == State::Waiting {
            let _ = self.parent.remove(self.hidden.of_new());
        }
        if self.state != State::Done && self.names.tidy(&self.parent).is_err() {
            self.journals.keep();
        }
    }
}

/// The names of a switch, all in one folder.
pub(super) struct Names {
    pub(super) link: OsString,
    pub(super) new: OsString,
    /// The folder that the link led to, if it was made for this link.
    pub(super) old: Option<OsString>,
}

impl Names {
    fn new(link: &OsStr, transaction: u64, before: Option<&OsStr>) -> Self {
        let mut new = link.to_owned();
        new.push(format!(".bulla-{transaction:016x}"));
        let old = before.filter(|old| is_made_for(link, old)).map(OsStr::to_owned);
        Self { link: link.to_owned(), new, old }
    }

    /// Whether these can be the names of a switch, all in one folder.
    pub(super) fn are_sound(&self) -> bool {
        Path::new(&self.link).file_name() == Some(&self.link)
            && is_made_for(&self.link, &self.new)
            && self.old.as_ref().is_none_or(|old| is_made_for(&self.link, old))
    }

    /// Whether the link leads to the new folder.
    pub(super) fn are_switched(&self, parent: &Folder) -> Result<bool, Errno> {
        match parent.read_link(&self.link) {
            Ok(text) => Ok(text == self.new),
            Err(Errno::NOENT | Errno::INVAL) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes the folder that the link does not lead to.
    pub(super) fn tidy(&self, parent: &Folder) -> Result<(), WriteError> {
        let failed = |error| io(&parent.path.join(&self.link), "look at", error);
        let gone = match self.are_switched(parent).map_err(failed)? {
            true => self.old.as_ref(),
            false => Some(&self.new),
        };
        let Some(gone) = gone else { return Ok(()) };
        remove_all(&parent.fd, gone).map_err(|error| io(&parent.path.join(gone), "remove", error))
    }
}

/// Removes what is there under a name, with everything in it, and follows no link. What cannot be removed
/// keeps nothing else; the first such failure is told.
fn remove_all(parent: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            return rustix::fs::unlinkat(parent, name, AtFlags::empty());
        }
        Err(error) => return Err(error),
    };
    // It is to go, whatever was made of it meanwhile. Where that is not allowed, the next step says so.
    let _ = rustix::fs::fchmod(&folder, Mode::RWXU);
    let mut failed = None;
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let removed = match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
            // A folder, in the words of Linux and of POSIX.
            Err(Errno::ISDIR | Errno::PERM) => remove_all(&folder, name),
            removed => removed,
        };
        failed = failed.or(removed.err().filter(|error| *error != Errno::NOENT));
    }
    if let Some(error) = failed {
        return Err(error);
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}

/// Whether a folder of this name was made for the link.
fn is_made_for(link: &OsStr, folder: &OsStr) -> bool {
    let number = folder.as_bytes().strip_prefix(link.as_bytes());
    let number = number.and_then(|rest| rest.strip_prefix(b".bulla-"));
    number.is_some_and(|n| n.len() == 16 && n.iter().all(u8::is_ascii_hexdigit))
}

fn write(root: &OwnedFd, target: &Target<'_>, sync: bool) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let mut file = File::from(rustix::fs::openat(root, target.path, flags, mode)?);
    if let Some(owner) = target.owner {
        std::os::unix::fs::fchown(&file, Some(owner.user), Some(owner.group))?;
    }
    file.set_permissions(Permissions::from_mode(target.mode.unwrap_or(0o600) & 0o777))?;
    file.write_all(target.contents.expose())?;
    if sync { file.sync_all() } else { Ok(()) }
}

fn io(path: &Path, step: &'static str, error: impl Into<io::Error>) -> WriteError {
    WriteError::io(path, step, error)
}

impl Folder {
    /// Where a link in it leads.
    fn read_link(&self, name: &OsStr) -> Result<OsString, Errno> {
        use std::os::unix::ffi::OsStringExt as _;

        let text = rustix::fs::readlinkat(&self.fd, name, Vec::new())?;
        Ok(OsString::from_vec(text.into_bytes()))
    }
}

//! Replaces files all together or not at all.
//!
//! [`Transaction::prepare`] writes every file whole, unnamed or under a hidden random name, into the
//! folder of its target, with its owner and mode before its first byte, and syncs it. Only
//! [`Transaction::commit`] renames them over their targets. Until the last one is in place, each
//! replaced file is kept under a hidden name; if anything fails, it is put back.
//!
//! A journal in each folder says which hidden file belongs to which target. It is there, and
//! locked, from before the first hidden file until after the last sync; so nobody else writes there
//! meanwhile, and what a crash leaves is finished or undone by whoever comes next ([`recover`]).

mod contents;
mod folder;
mod journal;
mod protected;
mod recover;
mod staged;
mod switch;
mod walk;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::secret::Secret;
use folder::Folders;
use journal::Journals;
use protected::Protected;
use staged::Staged;
use walk::Made;

pub use recover::{Recovered, recover};
pub use switch::Switch;

/// A file to be written.
pub struct Target<'a> {
    /// Where to.
    pub path: &'a Path,
    /// The whole file.
    pub contents: &'a Secret,
    /// Its permissions. Without them a new file gets 0600, and one that exists keeps what its owner
    /// and group may read and its owner may write, unless everyone could read it: then it gets 0600.
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

/// Files that are written, and wait under hidden names for their own. Dropped, they are removed, and
/// nothing has happened.
pub struct Transaction {
    files: Vec<Staged>,
    journals: Journals,
    recovered: Vec<Recovered>,
    /// They go last, when nothing is in them any more.
    made: Made,
}

impl Transaction {
    /// Writes all targets under hidden names, durably. Folders that are not there are made: for the
    /// owner of the target, and for those to enter who may read it. None of the targets may be one of
    /// the `protected` files or lie in a `protected` folder: those are the templates, the vault and the
    /// keys. For other transactions in the same folders it waits for at most `wait`.
    ///
    /// # Errors
    /// All targets that may not be written, or the first failure of the system. Nothing has been
    /// changed, except that what a crash had left was finished or undone.
    pub fn prepare(
        targets: &[Target<'_>],
        protected: &[&Path],
        wait: Duration,
    ) -> Result<Self, Vec<WriteError>> {
        let mut folders = Folders::default();
        let mut refused = Vec::new();
        let mut places = Vec::with_capacity(targets.len());
        for target in targets {
            match folders.made_for(target) {
                Ok(folder) => places.push((target, folder)),
                Err(error) => refused.push(error),
            }
        }
        let until = Instant::now() + wait;
        let (journals, recovered) =
            Journals::start(folders.all(), until).map_err(|error| vec![error])?;
        let files = Vec::with_capacity(targets.len());
        let mut transaction = Self { files, journals, recovered, made: folders.made };
        let protected = Protected::new(protected);
        let mut names = BTreeSet::new();
        for (target, folder) in places {
            match Staged::check(target, folder, &protected, transaction.journals.hidden_name()) {
                Ok(file) if names.insert((file.folder.id, file.name.clone())) => {
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
        Ok(transaction)
    }

    /// Gives all files their names, durably.
    ///
    /// # Errors
    /// The first failure of the system, after which everything is as it was. Only
    /// [`WriteError::NotUndone`] says that something is not, and where the old file is; then the
    /// journal stays, and [`recover`] tries again.
    pub fn commit(mut self) -> Result<(), Vec<WriteError>> {
        for number in 0..self.files.len() {
            if let Err(error) = self.files[number].place() {
                return Err(self.undo(error));
            }
        }
        if let Err(error) = self.sync_folders() {
            return Err(self.undo(error));
        }
        // From here on the new files are there to stay; only traces of the old ones could remain.
        self.files.iter_mut().for_each(Staged::settle);
        self.made.keep();
        Ok(())
    }

    /// What crashed transactions had left in these folders, and what became of it.
    #[must_use]
    pub fn recovered(&self) -> &[Recovered] {
        &self.recovered
    }

    /// The targets that everyone could read, and that only their owner can from now on.
    pub fn narrowed(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().filter(|file| file.narrowed).map(|file| file.path.as_path())
    }

    /// Writes all files under hidden names, and then the journals that tell them apart.
    fn stage(&mut self, targets: &[Target<'_>]) -> Result<(), WriteError> {
        let together = self.files.len() > SYNCED_EACH;
        for (file, target) in self.files.iter_mut().zip(targets) {
            file.write(target.contents, !together)?;
        }
        self.journals.write(&self.files)?;
        match self.files.len() {
            // One rename is all or nothing by itself, and a kill does not need what is synced.
            0 | 1 => Ok(()),
            _ if together => self.journals.sync_file_systems(),
            _ => self.journals.sync(),
        }
    }

    fn sync_folders(&self) -> Result<(), WriteError> {
        let mut folders = BTreeSet::new();
        for file in self.files.iter().filter(|file| folders.insert(file.folder.id)) {
            file.folder.sync()?;
        }
        Ok(())
    }

    /// Puts back what was replaced.
    fn undo(&mut self, cause: WriteError) -> Vec<WriteError> {
        let mut errors = vec![cause];
        errors.extend(self.files.iter_mut().rev().filter_map(|file| file.put_back().err()));
        errors.extend(self.sync_folders().err());
        errors
    }
}

impl Drop for Transaction {
    /// Removes what is left under hidden names. What does not go is left to [`recover`], with the
    /// journals.
    fn drop(&mut self) {
        for file in &mut self.files {
            if !file.is_clean() {
                self.journals.keep();
            }
        }
    }
}

/// Why files were not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Another process writes into the same folder.
    #[error("another render into {} is under way", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// The system refused a step.
    #[error("cannot {step} {}: {}", path.display(), said_by(source))]
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

impl WriteError {
    fn io(path: &Path, step: &'static str, error: impl Into<io::Error>) -> Self {
        Self::Io { path: path.to_owned(), step, source: error.into() }
    }
}

/// What is wrong with a target.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Somebody else replaced it while this was being prepared.
    #[error("it was changed meanwhile")]
    Changed,
    /// Everyone can rename and replace files in its folder.
    #[error("everyone can write to its folder")]
    FolderOpen,
    /// Its folder holds a journal that this user's transactions did not write there.
    #[error(
        "its folder holds a .bulla-journal that others could write, or of another user or folder"
    )]
    ForeignJournal,
    /// Another user could let it lead anywhere.
    #[error("a symbolic link of another user leads to its folder")]
    ForeignLink,
    /// It belongs to another user.
    #[error("it belongs to another user")]
    ForeignOwner,
    /// It has a second name, under which the old contents would stay.
    #[error("it has more than one hard link")]
    HardLinked,
    /// It is no name of a file, such as `..`, or one of those that hidden files get.
    #[error("it is no name of a file")]
    NoName,
    /// It is a directory, a pipe, a socket or a device.
    #[error("it is no regular file")]
    NotAFile,
    /// It is something else than a symbolic link that could be changed.
    #[error("it is no symbolic link")]
    NotALink,
    /// Its folder holds a journal that no transaction can have written.
    #[error("its folder holds a .bulla-journal of more than 256 MiB")]
    JournalTooLarge,
    /// It is a template, the vault or a key, or lies where bulla keeps its own files.
    #[error("it is a file that this reads from")]
    Protected,
    /// It is a symbolic link.
    #[error("it is a symbolic link")]
    SymbolicLink,
    /// It is the target of two files.
    #[error("two files would be written to it")]
    Twice,
    /// Everyone can rename and replace a folder that lies on the way to it.
    #[error("everyone can write to a folder on the way to it")]
    WayOpen,
}

/// The system's words for an error, in our style.
fn said_by(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |c| c.to_lowercase().chain(letters).collect())
}

/// Up to so many files are synced one by one. That costs a commit of the file system's journal each;
/// beyond, one sync of the whole file system is cheaper, unless others write a lot just then.
const SYNCED_EACH: usize = if cfg!(target_os = "linux") { 16 } else { usize::MAX };

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Each target once held its folder open, and 600 of them were more than a process may.
    #[test]
    fn a_folder_is_opened_once_for_all_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut folders = Folders::default();
        for number in 0..3 {
            folders.of(&folder.path().join(number.to_string())).unwrap();
        }
        folders
            .of(&folder.path().join("../").join(folder.path().file_name().unwrap()).join("x"))
            .unwrap();
        assert_eq!(folders.all().len(), 1);
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
        let transaction = Transaction::prepare(&targets, &[], Duration::ZERO).unwrap();
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

//! From renderings and templates to files: prepared first, and committed when nothing else can fail.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bulla_resolve::{Owner, Reason, Recovered, Switch, Target, Transaction, WriteError};

use super::several;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::unlock;

/// Files that are written and wait for their names, in folders that were made for them. Dropped, both
/// are gone again.
pub(crate) struct Waiting {
    transaction: Transaction,
    folders: Folders,
}

impl Waiting {
    /// Writes all `targets` under hidden names. None may be one of `sources`, nor a file of bulla's.
    pub(crate) fn prepare(
        context: &Context,
        targets: &[Target<'_>],
        sources: &[&Path],
    ) -> Result<Self, Failure> {
        let folders = Folders::make(targets)?;
        let own = own_files(context);
        let protected: Vec<_> =
            sources.iter().copied().chain(own.iter().map(PathBuf::as_path)).collect();
        let transaction = Transaction::prepare(targets, &protected, WAIT)
            .map_err(|errors| failures(context, errors))?;
        for recovered in transaction.recovered() {
            context.printer.note(told(recovered));
        }
        Ok(Self { transaction, folders })
    }

    /// Gives all files their names.
    pub(crate) fn commit(mut self, context: &Context) -> Result<(), Failure> {
        let narrowed: Vec<_> = self.transaction.narrowed().map(Path::to_owned).collect();
        self.transaction.commit().map_err(|errors| failures(context, errors))?;
        self.folders.0.clear();
        for path in narrowed {
            context.printer.warn(format_args!(
                "{} was readable by everyone, and only its owner can read it now; --mode 644 leaves that to everyone",
                path.display()
            ));
        }
        Ok(())
    }
}

/// Fills a new folder with all `targets` and lets `link` lead to it.
pub(crate) fn switch(
    context: &Context,
    link: &Path,
    targets: &[Target<'_>],
    sources: &[&Path],
) -> Result<(), Failure> {
    let own = own_files(context);
    let protected: Vec<_> =
        sources.iter().copied().chain(own.iter().map(PathBuf::as_path)).collect();
    let switch = Switch::prepare(link, targets, &protected, WAIT)
        .map_err(|errors| failures(context, errors))?;
    for recovered in switch.recovered() {
        context.printer.note(told(recovered));
    }
    switch.commit().map_err(|errors| failures(context, errors))
}

/// How long to wait for another render into the same folder, which is quick.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// What a crash had left, as it is told.
pub(crate) fn told(recovered: &Recovered) -> String {
    let done = if recovered.finished { "finished" } else { "undone" };
    format!("an interrupted render into {} was {done}", recovered.folder.display())
}

/// Everything that bulla keeps for itself, whether it is there already or not.
fn own_files(context: &Context) -> Vec<PathBuf> {
    let mut files = unlock::key_files(context);
    if let Ok(vault) = context.vault_path() {
        for suffix in ["-wal", "-shm", "-journal", "-locks"] {
            let mut path = vault.clone().into_os_string();
            path.push(suffix);
            files.push(path.into());
        }
        files.push(vault);
    }
    files.extend(context.state_folder().map(|folder| folder.join("bulla/memory")));
    files
}

fn failures(context: &Context, errors: Vec<WriteError>) -> Failure {
    several(context, errors.into_iter().map(Failure::from).collect())
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        let of = |exit, code| Self::new(exit, code, &error);
        match &error {
            WriteError::Busy { .. } => of(Exit::Conflict, "busy").hint("try again"),
            WriteError::NotUndone { path, .. } => of(Exit::Failed, "write").hint(format_args!(
                "bulla doctor {}",
                path.parent()
                    .filter(|f| !f.as_os_str().is_empty())
                    .unwrap_or(Path::new("."))
                    .display()
            )),
            WriteError::Refused { reason: Reason::Changed, .. } => {
                of(Exit::Conflict, "changed").hint("nothing was written; try again")
            }
            _ => of(Exit::Failed, "write"),
        }
    }
}

/// Folders that were made for files, to be taken back if nothing is written into them.
struct Folders(Vec<PathBuf>);

impl Folders {
    /// Makes the folders of all targets that are not there. Whoever can read a file in them can
    /// enter them.
    fn make(targets: &[Target<'_>]) -> Result<Self, Failure> {
        let mut made = Self(Vec::new());
        for target in targets {
            let mut missing: Vec<_> = target
                .path
                .parent()
                .into_iter()
                .flat_map(Path::ancestors)
                .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
                .collect();
            while let Some(folder) = missing.pop() {
                fs::DirBuilder::new()
                    .mode(0o700)
                    .create(folder)
                    .map_err(|error| Failure::file("make", folder, &error))?;
                made.0.push(folder.to_owned());
                open_to(folder, target.owner, target.mode.unwrap_or_default())
                    .map_err(|error| Failure::file("make", folder, &error))?;
            }
        }
        Ok(made)
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Lets those enter a folder who may read a file of this mode in it.
fn open_to(folder: &Path, owner: Option<Owner>, mode: u32) -> std::io::Result<()> {
    if let Some(owner) = owner {
        chown(folder, Some(owner.user), Some(owner.group))?;
    }
    let readers = mode & 0o044;
    if readers == 0 {
        return Ok(());
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700 | readers | readers >> 2))
}

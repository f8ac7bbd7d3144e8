//! From renderings and templates to files: prepared first, and committed when nothing else can fail.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bulla_resolve::{Reason, Recovered, Switch, Target, Transaction, WriteError};

use super::several;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::manifest::NAME as CONFIG;
use crate::unlock;

/// Files that are written and wait for their names, in folders that were made for them. Dropped, both
/// are gone again.
pub(crate) struct Waiting(Transaction);

impl Waiting {
    /// Writes all `targets` under hidden names. None may be one of `sources`, nor a file of bulla's.
    pub(crate) fn prepare(
        context: &Context,
        targets: &[Target<'_>],
        sources: &[&Path],
    ) -> Result<Self, Failure> {
        let prepare = |protected: &[&Path]| Transaction::prepare(targets, protected, WAIT);
        let transaction = prepared(context, targets, sources, prepare)?;
        tell(context, transaction.recovered());
        Ok(Self(transaction))
    }

    /// Gives all files their names.
    pub(crate) fn commit(self, context: &Context) -> Result<(), Failure> {
        let narrowed: Vec<_> = self.0.narrowed().map(Path::to_owned).collect();
        self.0.commit().map_err(|errors| failures(context, errors))?;
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
    let prepare = |protected: &[&Path]| Switch::prepare(link, targets, protected, WAIT);
    let switch = prepared(context, targets, sources, prepare)?;
    tell(context, switch.recovered());
    let left = switch.commit().map_err(|errors| failures(context, errors))?;
    if let Some(error) = left {
        context.printer.warn(format_args!(
            "{error}: it is what {} led to before; the next render there tries again",
            link.display()
        ));
    }
    Ok(())
}

/// Prepares what writes `targets`. It is told of what it must not write: `sources`, and files of bulla's.
fn prepared<T>(
    context: &Context,
    targets: &[Target<'_>],
    sources: &[&Path],
    prepare: impl FnOnce(&[&Path]) -> Result<T, Vec<WriteError>>,
) -> Result<T, Failure> {
    no_config(targets)?;
    let own = own_files(context);
    let protected: Vec<_> =
        sources.iter().copied().chain(own.iter().map(PathBuf::as_path)).collect();
    prepare(&protected).map_err(|errors| failures(context, errors))
}

/// Finishes or undoes what a crash left where `targets` go, even if nothing is written then: until that is
/// done, files of two renderings are in use together. What stands in its way is told by who writes.
pub(crate) fn recover<'t>(context: &Context, targets: impl Iterator<Item = &'t Path>) {
    let folders: BTreeSet<_> = targets.filter_map(Path::parent).collect();
    for folder in folders {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if let Ok(Some(recovered)) = bulla_resolve::recover(folder, Duration::ZERO) {
            tell(context, &[recovered]);
        }
    }
}

fn tell(context: &Context, recovered: &[Recovered]) {
    recovered.iter().for_each(|recovered| context.printer.note(told(recovered)));
}

/// Refuses to write any file that the next command would read as the list of templates. Whoever may
/// change templates must not decide by one which commands are run.
fn no_config(targets: &[Target<'_>]) -> Result<(), Failure> {
    let is_config = |path: &Path| path.file_name().is_some_and(|n| n.eq_ignore_ascii_case(CONFIG));
    match targets.iter().find(|target| is_config(target.path)) {
        None => Ok(()),
        Some(target) => {
            let fact = format!(
                "will not write {}: it would say where secrets go and which checks are run",
                target.path.display()
            );
            Err(Failure::new(Exit::Failed, "write", fact).hint("give the file another name"))
        }
    }
}

/// How long to wait for another render into the same folder, which is quick.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// What a crash had left, as it is told.
pub(crate) fn told(recovered: &Recovered) -> String {
    let done = if recovered.finished { "finished" } else { "undone" };
    let left = recovered
        .left
        .as_ref()
        .map(|left| format!("; {} could not be removed, remove it by hand", left.display()));
    let folder = recovered.folder.display();
    format!("an interrupted render into {folder} was {done}{}", left.unwrap_or_default())
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
            WriteError::Refused { reason: Reason::ForeignJournal, .. } => of(Exit::Failed, "write")
                .hint("files there may be of two renderings; see whose it is, remove it, and render again"),
            _ => of(Exit::Failed, "write"),
        }
    }
}

//! What nothing may be written over: templates, the vault, keys and what lies beside them.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;

use super::folder::{Folder, Id, id};

/// Protected files and folders, by what they are now and by where they are or will be.
pub(super) struct Protected {
    ids: BTreeSet<Id>,
    paths: BTreeSet<PathBuf>,
}

impl Protected {
    pub(super) fn new(paths: &[&Path]) -> Self {
        let ids = paths.iter().filter_map(|path| rustix::fs::stat(*path).ok().map(|s| id(&s)));
        let mut real = HashMap::new();
        Self { ids: ids.collect(), paths: paths.iter().map(|p| place(p, &mut real)).collect() }
    }

    /// Whether `name` in `folder` is one of them, or lies in one of them.
    pub(super) fn covers(&self, folder: &Folder, name: &Path, there: Option<&Stat>) -> bool {
        there.is_some_and(|stat| self.ids.contains(&id(stat)))
            || folder.path.join(name).ancestors().any(|path| self.paths.contains(path))
    }

    /// Whether any of them lies in the folder at `path`.
    pub(super) fn lie_in(&self, path: &Path) -> bool {
        self.paths.iter().any(|protected| protected.starts_with(path))
    }
}

/// The place of `path`, whether something is there or not: the part that exists without symbolic
/// links, and the rest as it is. Many files lie in few folders, so these are kept in `real`.
fn place(path: &Path, real: &mut HashMap<PathBuf, PathBuf>) -> PathBuf {
    let Some(name) = path.file_name() else {
        return fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    };
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if let Some(known) = real.get(parent) {
        return known.join(name);
    }
    let folder = fs::canonicalize(parent).unwrap_or_else(|_| place(parent, real));
    let place = folder.join(name);
    real.insert(parent.to_owned(), folder);
    place
}

//! Which templates a command is about, and reading many of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bulla_resolve::{Format, Owner};

use crate::cmd::render::{Check, read, shown};
use crate::failure::{Exit, Failure};

/// A template and where its rendering goes.
pub(crate) struct Job {
    pub(crate) source: PathBuf,
    pub(crate) target: Option<PathBuf>,
    /// The format that it is to be read in, if it was said.
    pub(crate) format: Option<Format>,
    /// The permissions of its rendering, if they were said for it.
    pub(crate) mode: Option<u32>,
    /// The owner of its rendering, if one was said for it.
    pub(crate) owner: Option<Owner>,
    /// What its rendering has to pass before anything is replaced.
    pub(crate) check: Option<Check>,
}

impl Job {
    pub(crate) fn new(source: PathBuf, target: Option<PathBuf>, format: Option<Format>) -> Self {
        Self { source, target, format, mode: None, owner: None, check: None }
    }
}

/// The files that are named, and those in the folders that are, with what cannot be looked at.
pub(crate) fn named(paths: &[PathBuf], format: Option<Format>) -> (Vec<Job>, Vec<Failure>) {
    let (mut jobs, mut failures) = (Vec::new(), Vec::new());
    for path in paths {
        if path != Path::new("-") && path.is_dir() {
            walk(path, None, format, &mut jobs, &mut failures);
        } else {
            jobs.push(Job::new(path.clone(), None, format));
        }
    }
    (jobs, failures)
}

/// Finds the files below a folder, in the order of their names. A link could lead out of it, to what
/// nobody meant to render; what is no file is left to be refused when it is read.
pub(crate) fn walk(
    folder: &Path,
    into: Option<&Path>,
    format: Option<Format>,
    jobs: &mut Vec<Job>,
    failures: &mut Vec<Failure>,
) {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return failures.push(Failure::file("read", folder, &error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let source = entry.path();
        let target = into.map(|into| into.join(entry.file_name()));
        match entry.file_type() {
            Err(error) => failures.push(Failure::file("read", &source, &error)),
            Ok(sort) if sort.is_symlink() => failures.push(is_link(&source)),
            Ok(sort) if sort.is_dir() => walk(&source, target.as_deref(), format, jobs, failures),
            Ok(_) => jobs.push(Job::new(source, target, format)),
        }
    }
}

pub(crate) fn is_link(path: &Path) -> Failure {
    let fact = format!("{} is a symbolic link", path.display());
    Failure::new(Exit::Failed, "template", fact)
        .hint("name the file that it leads to by itself, if it is a template")
}

/// Reads all templates and lets `look` look at each, on as many processors as there are. What comes
/// back is in their order; what cannot be read is told together.
pub(crate) fn look_at<'j, T: Send>(
    jobs: &'j [Job],
    look: impl Fn(&'j Job, &str, Vec<u8>) -> T + Sync,
) -> (Vec<T>, Vec<Failure>) {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(jobs.len()));
    let work = || {
        let mut own = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(number) else { break };
            let name = shown(&job.source);
            own.push((number, read(&job.source).map(|bytes| look(job, &name, bytes))));
        }
        done.lock().expect("nobody panics while holding it").append(&mut own);
    };
    // One thread more costs about as much as reading a few files.
    let threads = thread::available_parallelism().map_or(1, usize::from).min(jobs.len() / 16 + 1);
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().expect("nobody panics while holding it");
    done.sort_by_key(|(number, _)| *number);
    let (mut looks, mut failures) = (Vec::with_capacity(done.len()), Vec::new());
    for (_, look) in done {
        match look {
            Ok(look) => looks.push(look),
            Err(failure) => failures.push(failure),
        }
    }
    (looks, failures)
}

//! Which templates a command is about, and reading many of them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bulla_resolve::{Format, Owner};
use glob::{MatchOptions, Pattern};

use crate::cmd::render::{Check, is_standard, read, shown};
use crate::failure::{Exit, Failure};
use crate::progress::Progress;

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
    /// Whether it was found in a folder, where an empty file may be meant.
    pub(crate) found: bool,
}

impl Job {
    pub(crate) fn new(source: PathBuf, target: Option<PathBuf>, format: Option<Format>) -> Self {
        Self { source, target, format, mode: None, owner: None, check: None, found: false }
    }
}

/// What is left out of folders: what git keeps for itself, and what patterns with `* ? []` and `**` say. One
/// without `/` is for the name of a file or folder wherever it lies, another for its path.
#[derive(Default)]
pub(crate) struct Exclude {
    names: Vec<Pattern>,
    paths: Vec<Pattern>,
}

impl Exclude {
    /// Adds a pattern, whose path is relative to `folder`; without one, to the current folder.
    pub(crate) fn add(&mut self, pattern: &str, folder: &Path) -> Result<(), &'static str> {
        const WRONG: &str = "this is no pattern";
        if Path::new(pattern).components().any(|part| part == Component::ParentDir) {
            return Err("a pattern has no `..` in it");
        }
        let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
        if pattern.is_empty() {
            return Err(WRONG);
        }
        let (list, whole) = if pattern.contains('/') {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let folder = std::path::absolute(folder).map_err(|_| "the current folder is gone")?;
            let folder = Pattern::escape(&folder.to_string_lossy());
            // An absolute pattern replaces the folder; a `.` in front says no more than none.
            let below = pattern.trim_start_matches("./");
            (&mut self.paths, Path::new(&folder).join(below).to_string_lossy().into_owned())
        } else {
            (&mut self.names, pattern.to_owned())
        };
        list.push(Pattern::new(&whole).map_err(|_| WRONG)?);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.paths.is_empty()
    }

    fn has(&self, path: &Path) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        let matches = |list: &[Pattern], text: &OsStr| {
            let text = text.to_string_lossy();
            list.iter().any(|pattern| pattern.matches_with(&text, options))
        };
        path.file_name().is_some_and(|name| name == ".git" || matches(&self.names, name))
            || !self.paths.is_empty()
                && std::path::absolute(path)
                    .is_ok_and(|path| matches(&self.paths, path.as_os_str()))
    }
}

/// The templates that were found, and what cannot be looked at.
pub(crate) struct Found<'e> {
    exclude: &'e Exclude,
    pub(crate) jobs: Vec<Job>,
    pub(crate) failures: Vec<Failure>,
}

impl<'e> Found<'e> {
    pub(crate) fn without(exclude: &'e Exclude) -> Self {
        Self { exclude, jobs: Vec::new(), failures: Vec::new() }
    }

    /// Finds the files that are named, and those in the folders that are.
    pub(crate) fn named(&mut self, paths: &[PathBuf], format: Option<Format>) {
        for path in paths {
            if !is_standard(path) && path.is_dir() {
                self.walk(path, None, format);
            } else {
                self.jobs.push(Job::new(path.clone(), None, format));
            }
        }
    }

    /// Finds the files below a folder, in the order of their names. A link could lead out of it, to what
    /// nobody meant to render; what is no file is left to be refused when it is read.
    pub(crate) fn walk(&mut self, folder: &Path, into: Option<&Path>, format: Option<Format>) {
        let mut links = Vec::new();
        self.below(folder, into, format, &mut links);
        // Whole systems have hundreds, among which nothing else would be seen.
        if let [first, _, _, _, ..] = &links[..] {
            let (count, folder) = (links.len(), folder.display());
            let first = first.display();
            let fact =
                format!("{folder} has {count} symbolic links in it, the first of them {first}");
            let failure = Failure::new(Exit::Failed, "template", fact).hint(
                "name the files that they lead to by themselves, if they are templates; --exclude leaves links out",
            );
            self.failures.push(failure);
        } else {
            self.failures.extend(links.iter().map(|link| is_link(link)));
        }
    }

    fn below(
        &mut self,
        folder: &Path,
        into: Option<&Path>,
        format: Option<Format>,
        links: &mut Vec<PathBuf>,
    ) {
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.failures.push(Failure::file("read", folder, &error)),
        };
        entries.sort_by_cached_key(fs::DirEntry::file_name);
        for entry in entries {
            let source = entry.path();
            if self.exclude.has(&source) {
                continue;
            }
            let target = into.map(|into| into.join(entry.file_name()));
            match entry.file_type() {
                Err(error) => self.failures.push(Failure::file("read", &source, &error)),
                Ok(sort) if sort.is_symlink() => links.push(source),
                Ok(sort) if sort.is_dir() => {
                    self.below(&source, target.as_deref(), format, links);
                }
                Ok(_) => self.jobs.push(Job { found: true, ..Job::new(source, target, format) }),
            }
        }
    }

    /// Finds the files below a folder that a pattern matches; it has one part for each component of a path,
    /// and `**` is any folders. Nothing is reached through a link: one that matches, or is a folder on the
    /// way, is told.
    pub(crate) fn matching(&mut self, folder: &Path, into: Option<&Path>, pattern: &[Pattern]) {
        let mut search = Matching { pattern, found: self };
        search.below(folder, into, &search.reached(0));
    }
}

struct Matching<'a, 'e> {
    pattern: &'a [Pattern],
    found: &'a mut Found<'e>,
}

impl Matching<'_, '_> {
    /// `reached` has the parts that the names in this folder may match.
    fn below(&mut self, folder: &Path, into: Option<&Path>, reached: &BTreeSet<usize>) {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut entries = match fs::read_dir(here).and_then(Iterator::collect::<Result<Vec<_>, _>>)
        {
            Ok(entries) => entries,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return;
            }
            Err(error) => return self.found.failures.push(Failure::file("read", folder, &error)),
        };
        entries.sort_by_cached_key(fs::DirEntry::file_name);
        for entry in entries {
            let next = self.after(reached, &entry.file_name().to_string_lossy());
            let matches = next.contains(&self.pattern.len());
            let leads_on = next.iter().any(|part| *part < self.pattern.len());
            let source = folder.join(entry.file_name());
            if self.found.exclude.has(&source) {
                continue;
            }
            let target = into.map(|into| into.join(entry.file_name()));
            match entry.file_type() {
                Err(error) => self.found.failures.push(Failure::file("read", &source, &error)),
                Ok(sort) if sort.is_symlink() => {
                    if matches || leads_on && source.is_dir() {
                        self.found.failures.push(is_link(&source));
                    }
                }
                Ok(sort) if sort.is_dir() => {
                    if leads_on {
                        self.below(&source, target.as_deref(), &next);
                    }
                }
                Ok(_) if matches => {
                    self.found.jobs.push(Job { found: true, ..Job::new(source, target, None) });
                }
                Ok(_) => {}
            }
        }
    }

    /// The parts that may match what comes behind `name`, which is matched by one of those in `reached`.
    fn after(&self, reached: &BTreeSet<usize>, name: &str) -> BTreeSet<usize> {
        let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
        let mut next = BTreeSet::new();
        for &part in reached {
            match self.pattern.get(part) {
                Some(pattern) if is_any_folders(pattern) && !name.starts_with('.') => {
                    next.append(&mut self.reached(part));
                }
                Some(pattern) if pattern.matches_with(name, options) => {
                    next.append(&mut self.reached(part + 1));
                }
                _ => {}
            }
        }
        next
    }

    /// `part` and, as `**` may also be no folder, what comes behind it.
    fn reached(&self, part: usize) -> BTreeSet<usize> {
        let skipped = self.pattern[part..].iter().take_while(|pattern| is_any_folders(pattern));
        (part..=part + skipped.count()).collect()
    }
}

fn is_any_folders(pattern: &Pattern) -> bool {
    pattern.as_str() == "**"
}

fn is_link(path: &Path) -> Failure {
    let fact = format!("{} is a symbolic link", path.display());
    Failure::new(Exit::Failed, "template", fact).hint(
        "name the file that it leads to by itself, if it is a template; --exclude leaves it out",
    )
}

/// Looks at a file once more before what was made of it is written: a passphrase or an answer may have
/// taken minutes, in which somebody saved another one. Standard input does not change.
pub(crate) fn unchanged_since(
    source: &Path,
    is_same: impl FnOnce(Vec<u8>) -> bool,
) -> Result<(), Failure> {
    if is_standard(source) || read(source).is_ok_and(is_same) {
        return Ok(());
    }
    let fact = format!("{} was changed meanwhile", source.display());
    Err(Failure::new(Exit::Conflict, "changed", fact).hint("run this again"))
}

/// Reads all templates and lets `look` look at each, on as many processors as there are, with a progress
/// bar unless `quiet`. What comes back is in their order; what cannot be read is told together.
pub(crate) fn look_at<'j, T: Send>(
    jobs: &'j [Job],
    quiet: bool,
    look: impl Fn(&'j Job, &str, Vec<u8>) -> T + Sync,
) -> (Vec<T>, Vec<Failure>) {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(jobs.len()));
    let work = |progress: Option<&Progress>| {
        let mut own = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(number) else { break };
            if let Some(progress) = progress {
                progress.at(number as u64, jobs.len() as u64);
            }
            let name = shown(&job.source);
            own.push((number, read(&job.source).map(|bytes| look(job, &name, bytes))));
        }
        done.lock().expect("nobody panics while holding it").append(&mut own);
    };
    // One thread more costs about as much as reading a few files.
    let threads = thread::available_parallelism().map_or(1, usize::from).min(jobs.len() / 16 + 1);
    thread::scope(|scope| {
        for _ in 1..threads {
            // Where the system allows no more threads, this one does it all.
            let _ = thread::Builder::new().spawn_scoped(scope, || work(None));
        }
        // The numbers that it gets are any, so each is looked at.
        work(Some(&Progress::of_slow("reading", quiet)));
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

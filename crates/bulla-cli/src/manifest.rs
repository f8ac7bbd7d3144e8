//! `bulla.toml`: the templates of a project, so that commands need not be told each time.
//!
//! The values are taken out of TOML's own tree and not through serde, whose messages quote what they
//! do not like.

use std::collections::HashSet;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use bulla_resolve::{Format, Rule};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cmd::{check, render};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::files::{open_regular, read_at_most};
use crate::source::closest;
use crate::templates::{Exclude, Found, Job};

// Where the templates are listed, if none are named, and what is none of them.
#[derive(clap::Args)]
pub(crate) struct Config {
    /// The file that lists the templates where none are named [default: bulla.toml]
    #[arg(long, value_name = "FILE", conflicts_with = "templates")]
    pub(crate) config: Option<PathBuf>,
    /// Leave out of folders what this matches: the name of a file or folder, or with a `/` its path, with
    /// * ? [] and **
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
}

impl Config {
    /// What is left out by the command line.
    pub(crate) fn exclude(&self) -> Result<Exclude, Failure> {
        let mut exclude = Exclude::default();
        for pattern in &self.exclude {
            let added = exclude.add(pattern, Path::new(""));
            added.map_err(|why| Failure::usage(format_args!("--exclude {pattern}: {why}")))?;
        }
        Ok(exclude)
    }
}

/// What a command works on: what was named, or what the file lists.
pub(crate) struct Plan {
    pub(crate) context: Context,
    pub(crate) jobs: Vec<Job>,
    /// What cannot be looked at.
    pub(crate) failures: Vec<Failure>,
    /// Rules that are allowed to be broken.
    pub(crate) allow: Vec<Rule>,
    /// The file that lists the templates, if they were not named.
    pub(crate) file: Option<PathBuf>,
}

impl Plan {
    /// The files and folders in `paths`, or without any what the file lists.
    pub(crate) fn of(
        context: &Context,
        paths: &[PathBuf],
        format: Option<Format>,
        config: &Config,
    ) -> Result<Self, Failure> {
        if paths.is_empty() {
            return Self::listed(context, format, config);
        }
        let exclude = config.exclude()?;
        let mut found = Found::without(&exclude);
        found.named(paths, format);
        Ok(Self::of_found(context, found))
    }

    /// What was found of that which was named.
    pub(crate) fn of_found(context: &Context, found: Found<'_>) -> Self {
        let Found { jobs, failures, .. } = found;
        let context = context.with_vault(None);
        Self { context, jobs, failures, allow: Vec::new(), file: None }
    }

    /// What the file lists.
    pub(crate) fn listed(
        context: &Context,
        format: Option<Format>,
        config: &Config,
    ) -> Result<Self, Failure> {
        let path = config.config.clone().unwrap_or_else(|| PathBuf::from(NAME));
        if config.config.is_none() && !path.exists() {
            return Err(Failure::usage("no templates are named, and there is no bulla.toml here")
                .hint("name templates, or list them in a bulla.toml; docs/reference.md says how"));
        }
        let text = read(&path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut document =
            Document { path: &path, text: &text, folder, exclude: config.exclude()? };
        let mut plan = document.read(context)?;
        for job in plan.jobs.iter_mut().filter(|_| format.is_some()) {
            job.format = format;
        }
        plan.file = Some(path);
        Ok(plan)
    }
}

/// Its name, in the current folder.
pub(crate) const NAME: &str = "bulla.toml";
/// Much more than anybody writes by hand.
const MAX_LEN: usize = 1 << 20;

/// Reads the file, if nobody but its owner, who is us or root, can have written it: it says where
/// secrets go.
fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error| Failure::file("read", path, &error);
    let not_used =
        |why: &str| Failure::new(Exit::Failed, "unsafe-file", format!("{} {why}", path.display()));
    let Some(mut file) = open_regular(path).map_err(failed)? else {
        return Err(not_used("is no regular file"));
    };
    let metadata = file.metadata().map_err(failed)?;
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own && metadata.uid() != 0 {
        return Err(not_used("belongs to another user, who could say where secrets go"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(not_used("can be written by others, who could say where secrets go")
            .hint(format_args!("chmod go-w {}", path.display())));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let metadata = fs::metadata(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    // In a sticky folder nobody can put another file in its place.
    if metadata.mode() & 0o022 != 0 && metadata.mode() & 0o1000 == 0 {
        return Err(not_used("lies in a folder that others can write in"));
    }
    let bytes = read_at_most(&mut file, path, MAX_LEN)?;
    let text = std::str::from_utf8(bytes.expose()).map_err(|_| not_used("is not UTF-8"))?;
    Ok(text.to_owned())
}

/// The file as it is being read.
struct Document<'a> {
    path: &'a Path,
    text: &'a str,
    /// The folder that it lies in, and its paths are relative to.
    folder: &'a Path,
    exclude: Exclude,
}

type Value<'i> = Spanned<DeValue<'i>>;

impl Document<'_> {
    fn read(&mut self, context: &Context) -> Result<Plan, Failure> {
        let table = DeTable::parse(self.text).map_err(|error| {
            self.wrong(&error.span().unwrap_or(0..0), "the file is no TOML here")
        })?;
        let exclude = table.get_ref().get("exclude").map(|list| self.array(list)).transpose()?;
        for pattern in exclude.unwrap_or_default() {
            let added = self.exclude.add(self.string(pattern)?, self.folder);
            added.map_err(|why| self.wrong(&pattern.span(), why))?;
        }
        let mut plan = Plan::of_found(context, Found::without(&self.exclude));
        let keys = ["vault", "exclude", "allow", "recipients", "template"];
        for (key, value) in table.get_ref() {
            match self.key(key.get_ref(), &key.span(), &keys)? {
                "vault" => {
                    let vault = self.folder.join(self.string(value)?);
                    plan.context = context.with_vault(Some(vault));
                }
                // It is for all templates, so it was looked at first.
                "exclude" => {}
                "allow" => {
                    for rule in self.array(value)? {
                        let found = check::rule(self.string(rule)?);
                        plan.allow.push(found.map_err(|why| self.wrong(&rule.span(), &why))?);
                    }
                }
                "template" => {
                    for template in self.array(value)? {
                        self.template(template, &mut plan)?;
                    }
                }
                // Accepted later, for bundles; to pass over it now would be to seal for nobody.
                _ => return Err(self.not_yet(key.get_ref(), &key.span())),
            }
        }
        Ok(plan)
    }

    fn template(&self, value: &Value<'_>, plan: &mut Plan) -> Result<(), Failure> {
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.wrong(&value.span(), "a template is a table, written [[template]]"));
        };
        let keys = ["path", "target", "format", "mode", "owner", "check"];
        let (mut path, mut target, mut format) = (None, None, None);
        let (mut mode, mut owner, mut check) = (None, None, None);
        for (key, value) in table {
            match self.key(key.get_ref(), &key.span(), &keys)? {
                "path" => path = Some(self.string(value)?),
                "target" => target = Some(self.string(value)?),
                "format" => {
                    let found = render::format(self.string(value)?);
                    format = Some(found.map_err(|why| self.wrong(&value.span(), &why))?);
                }
                "mode" => {
                    let found = render::mode(self.string(value)?);
                    mode = Some(found.map_err(|why| self.wrong(&value.span(), why))?);
                }
                "owner" => {
                    let found = render::owner(self.string(value)?);
                    owner = Some(found.map_err(|why| self.wrong(&value.span(), &why))?);
                }
                _ => {
                    let found = render::command(self.string(value)?);
                    check = Some(found.map_err(|why| self.wrong(&value.span(), why))?);
                }
            }
        }
        let Some(path) = path else {
            return Err(self.wrong(&value.span(), "the template has no path"));
        };
        let Found { mut jobs, mut failures, .. } = self.expand(&value.span(), path, target)?;
        plan.failures.append(&mut failures);
        // So a folder can be listed behind those of its files that need to be told more about.
        let known: HashSet<_> = plan.jobs.iter().map(|job| (&job.source, &job.target)).collect();
        let listed = jobs.len();
        jobs.retain(|job| !known.contains(&(&job.source, &job.target)));
        if jobs.is_empty() && listed > 0 {
            return Err(self.wrong(&value.span(), "templates above list all files of this one"));
        }
        for mut job in jobs {
            (job.format, job.mode, job.owner) = (format, mode, owner);
            job.check.clone_from(&check);
            plan.jobs.push(job);
        }
        Ok(())
    }

    /// A file, the files of a folder or those that a pattern matches.
    fn expand(
        &self,
        at: &Range<usize>,
        path: &str,
        target: Option<&str>,
    ) -> Result<Found<'_>, Failure> {
        let mut found = Found::without(&self.exclude);
        let into = target.map(|target| self.folder.join(target));
        let full = self.folder.join(path);
        if !path.contains(['*', '?', '[']) {
            if full.is_dir() {
                found.walk(&full, into.as_deref(), None);
                return Ok(found);
            }
            let is_folder = target.is_some_and(|target| target.ends_with('/'));
            let target = match full.file_name() {
                Some(name) if is_folder => into.map(|into| into.join(name)),
                _ => into,
            };
            found.jobs.push(Job::new(full, target, None));
            return Ok(found);
        }
        let fixed = fixed_part(path);
        let rest = Path::new(path).strip_prefix(&fixed).unwrap_or(Path::new(path));
        let parts = rest.components().map(|part| match part {
            Component::Normal(part) => glob::Pattern::new(&part.to_string_lossy()).ok(),
            _ => None,
        });
        let parts: Option<Vec<_>> = parts.collect();
        let parts =
            parts.ok_or_else(|| self.wrong(at, "the path of the template is no pattern"))?;
        found.matching(&self.folder.join(fixed), into.as_deref(), &parts);
        if found.jobs.is_empty() && found.failures.is_empty() {
            let missing = Failure {
                exit: Exit::Missing,
                ..self.wrong(at, "the path of the template matches no file")
            };
            return Err(if self.exclude.is_empty() {
                missing
            } else {
                missing.hint("`exclude` may leave all of them out")
            });
        }
        Ok(found)
    }

    /// One of the known keys.
    fn key(
        &self,
        key: &str,
        at: &Range<usize>,
        known: &[&'static str],
    ) -> Result<&'static str, Failure> {
        if let Some(found) = known.iter().find(|known| **known == key) {
            return Ok(found);
        }
        let failure = self.wrong(at, "there is no such key");
        Err(match closest(key, known.iter().copied()).first() {
            Some(near) => failure.hint(format_args!("is it `{near}`?")),
            None => failure.hint(format_args!("the keys here are {}", known.join(", "))),
        })
    }

    fn not_yet(&self, key: &str, at: &Range<usize>) -> Failure {
        self.wrong(at, &format!("{key} is not supported yet"))
            .hint("take it out; it would be passed over otherwise")
    }

    fn string<'v>(&self, value: &'v Value<'_>) -> Result<&'v str, Failure> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.wrong(&value.span(), "a text in quotes belongs here")),
        }
    }

    fn array<'v, 'i>(&self, value: &'v Value<'i>) -> Result<&'v [Value<'i>], Failure> {
        match value.get_ref() {
            DeValue::Array(array) => Ok(array),
            _ => Err(self.wrong(&value.span(), "a list belongs here")),
        }
    }

    fn wrong(&self, at: &Range<usize>, what: &str) -> Failure {
        let before = &self.text[..self.text.floor_char_boundary(at.start)];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let fact = format!("{}:{line}:{column}: {what}", self.path.display());
        Failure::new(Exit::Failed, "config", fact)
    }
}

/// The folders of a pattern before the first that is one.
fn fixed_part(pattern: &str) -> PathBuf {
    let is_fixed =
        |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    Path::new(pattern).components().take_while(is_fixed).collect()
}

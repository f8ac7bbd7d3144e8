//! `bulla render`: puts values in the place of references.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};

use bulla_resolve::{
    Answer, Format, Owner, Problem, Reason, Reference, Rendering, Rule, Secret, Source, Target,
    Template, read_template,
};
use bulla_vault::Snapshot;
use zeroize::Zeroizing;

use super::Done;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::files::{open_regular, read_at_most};
use crate::manifest::{Config, Plan};
use crate::printer::counted;
use crate::session::with_vault;
use crate::source::VaultSource;
use crate::templates::{Found, Job, look_at};
use crate::tokens::Tokens;

mod check;
mod options;
mod receipt;
mod write;

pub(crate) use check::{Check, CheckCommands, Seen, command};
pub(crate) use options::{format, formats, mode, owner};
pub(crate) use write::{WAIT, Waiting, told};

#[derive(clap::Args)]
pub(crate) struct RenderArgs {
    /// Templates, or folders of them; `-` is standard input
    #[arg(value_name = "FILE|DIR")]
    templates: Vec<PathBuf>,
    #[command(flatten)]
    targets: Targets,
    /// Write each rendering under its name into a new folder beside LINK, and then let the symbolic
    /// link LINK lead to it; the folder that it led to before is removed
    #[arg(long, value_name = "LINK", conflicts_with_all = ["output", "into"])]
    switch: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// Permissions of the rendered files [default: those of the file that is replaced, unless
    /// everyone could read it; else 600]
    #[arg(long, value_name = "OCTAL", value_parser = mode)]
    mode: Option<u32>,
    /// Who the rendered files belong to, by names or numbers; without GROUP, the user's login group
    #[arg(long, value_name = "USER[:GROUP]", value_parser = owner)]
    owner: Option<Owner>,
    /// Write into FILE what was rendered where, with which versions of what, together with the files;
    /// `bulla receipt FILE` compares that later
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    check: CheckCommands,
    /// Show values on a terminal, instead of a mask
    #[arg(long)]
    reveal: bool,
}

// Where renderings go.
#[derive(clap::Args)]
pub(crate) struct Targets {
    /// Where to write the one rendering; `-` is standard output, and the default
    #[arg(long, short, value_name = "FILE", conflicts_with = "into")]
    output: Option<PathBuf>,
    /// Write each rendering under its name into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
    #[command(flatten)]
    config: Config,
}

// How templates are read.
#[derive(clap::Args)]
pub(crate) struct Reading {
    /// The format of the templates [default: by name and content]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub(crate) format: Option<Format>,
    /// Go on in spite of this rule; the one that can stop a rendering is literal-secret, a secret in
    /// clear in a section of one of Genesys' mail clients
    #[arg(long, value_name = "RULE", value_parser = options::rule)]
    pub(crate) allow: Vec<Rule>,
}

/// The names of all renderings that checks see: below the folder that they go into; else just that of
/// each file, or where two are alike, each below the deepest folder that has them all.
pub(crate) fn check_names(jobs: &[&Job], into: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    let target = |job: &&Job| job.target.as_ref().unwrap_or(&job.source).clone();
    let targets: Vec<_> = jobs.iter().map(target).collect();
    let short = targets.iter().map(|target| match into.map(|into| target.strip_prefix(into)) {
        Some(Ok(below)) => below.to_owned(),
        _ => PathBuf::from(target.file_name().unwrap_or(target.as_os_str())),
    });
    let short: Vec<_> = short.collect();
    if first_twice(&short).is_none() {
        return Ok(short);
    }
    let whole: Vec<_> = targets.iter().map(|target| without_dots(target)).collect();
    if let Some(number) = first_twice(&whole) {
        let error = bulla_resolve::WriteError::Refused {
            path: targets[number].clone(),
            reason: Reason::Twice,
        };
        return Err(error.into());
    }
    let mut folder = whole[0].parent().unwrap_or(Path::new("")).to_owned();
    while !whole.iter().all(|target| target.starts_with(&folder)) && folder.pop() {}
    let below = |target: &PathBuf| target.strip_prefix(&folder).unwrap_or(target).to_owned();
    Ok(whole.iter().map(below).collect())
}

/// The number of the first path that was there before.
fn first_twice(paths: &[PathBuf]) -> Option<usize> {
    let mut seen = HashSet::new();
    paths.iter().position(|path| !seen.insert(path))
}

/// An absolute path as it is written, so that no `..` leads out of the folder that it is put below.
fn without_dots(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::ParentDir => _ = out.pop(),
            part => out.push(part),
        }
    }
    out
}

pub(crate) fn run(context: &Context, args: &RenderArgs) -> Done {
    if args.switch.is_some() && args.templates.is_empty() {
        return Err(not_with_a_list("--switch LINK"));
    }
    not_standard(args.receipt.as_deref(), "a receipt is a file, written together with the others")?;
    // Below the new folder all paths are relative to it.
    let into = args.targets.into.clone().or(args.switch.as_ref().map(|_| PathBuf::new()));
    let plan = plan(context, &args.templates, &args.targets, into.as_deref(), args.reading.format)?;
    let Plan { context, jobs, failures: mut unread, mut allow, file } = plan;
    let context = &context;
    allow.extend(&args.reading.allow);
    let checks = args.check.are_given(context, &jobs)?;
    let paths = receipt::Paths::of(args, &jobs)?;
    match &args.switch {
        None => write::recover(context, jobs.iter().filter_map(|job| job.target.as_deref())),
        Some(link) => write::recover(context, [link.as_path()].into_iter()),
    }
    let (templates, failures) = look_at(&jobs, context.printer.quiet, |job, name, bytes| {
        Template::parse(name, bytes, job.format)
    });
    unread.extend(failures);
    if !unread.is_empty() {
        return Err(several(context, unread));
    }
    let mut seen = Vec::new();
    let watch: Watch<'_> = &mut |_, value, _| {
        if checks {
            seen.push(Secret::copied_from(value.expose()));
        }
    };
    let mut receipt = None;
    let renderings = match &paths {
        None => render_watched(context, &templates, &allow, watch),
        // A receipt takes a key, even if no template asks for anything.
        Some(paths) => with_vault(context, |vault| {
            let tokens = Tokens::fetch(context, vault, templates.iter())?;
            let snapshot = vault.read()?;
            let renderings =
                render_from(&snapshot, tokens, context.printer.quiet, &templates, &allow, watch);
            if let Ok(renderings) = &renderings {
                receipt = Some(paths.receipt(context, &snapshot, &templates, renderings)?);
            }
            Ok(renderings)
        })
        .unwrap_or_else(|failure| Err(vec![failure])),
    }
    .map_err(|failures| several(context, failures))?;
    for (job, rendering) in jobs.iter().zip(&renderings) {
        empties_nothing(job, args.switch.as_deref(), rendering)?;
    }
    if checks {
        let jobs: Vec<_> = jobs.iter().collect();
        let names = check_names(&jobs, into.as_deref())?;
        let sight = Seen { jobs: &jobs, names: &names, renderings: &renderings, all: true };
        args.check.run(context, &sight, &mut |failed| {
            let failure = Failure::new(Exit::Failed, "check-failed", &failed.fact);
            Err(match failed.said(&renderings, &seen) {
                _ if !failed.ran() => failure,
                None => failure.hint("nothing was written"),
                Some(said) => failure.hint(said).hint("nothing was written"),
            })
        })?;
    }
    if jobs.iter().all(|job| job.target.is_none()) {
        for rendering in &renderings {
            print(context, rendering, args.reveal)?;
        }
        return Ok(Exit::Done);
    }
    let receipt = paths.as_ref().zip(receipt.as_ref());
    let receipt = receipt.map(|(paths, contents)| paths.target(contents));
    let sources = jobs.iter().map(|job| job.source.as_path()).chain(file.as_deref());
    let sources: Vec<_> = sources.collect();
    write(context, args, &jobs, &sources, &renderings, receipt)?;
    let values: usize = renderings.iter().map(|rendering| rendering.values.len()).sum();
    context.printer.note(format_args!(
        "{} rendered, {} placed",
        counted(jobs.len() as u64, "file", "files"),
        counted(values as u64, "value", "values")
    ));
    Ok(Exit::Done)
}

/// Refuses to replace a file by nothing. An empty template is most likely one that could not be made, and
/// the file one that is in use.
fn empties_nothing(job: &Job, switch: Option<&Path>, rendering: &Rendering) -> Result<(), Failure> {
    let is_blank = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_whitespace);
    let Some(target) = job.target.as_ref().filter(|_| is_blank(rendering.contents.expose())) else {
        return Ok(());
    };
    // Behind a link, the file that is in use has the same name below it.
    let target = switch.map_or_else(|| target.clone(), |link| link.join(target));
    // What cannot be read is told when it is written.
    let there = open_regular(&target).ok().flatten().map(|file| BufReader::new(file).bytes());
    if !there.is_some_and(|mut there| there.any(|byte| byte.is_ok_and(|b| !is_blank(&[b])))) {
        return Ok(());
    }
    let (source, target) = (shown(&job.source), target.display());
    let fact = format!("{source} is empty, and {target} is not: it would be emptied");
    Err(Failure::new(Exit::Conflict, "empty-template", fact).hint(format_args!(
        "nothing was written; make the template again, or remove {target} first if that is meant"
    )))
}

/// Renders with values from the vault, which is opened only if there is something to ask it.
pub(crate) fn render(
    context: &Context,
    templates: &[Template],
    allow: &[Rule],
) -> Result<Vec<Rendering>, Failure> {
    let done = render_watched(context, templates, allow, &mut |_, _, _| ());
    done.map_err(|failures| several(context, failures))
}

/// The same, showing `watch` each value that comes from the vault, with its reference and whether it
/// is public.
pub(crate) fn render_watched(
    context: &Context,
    templates: &[Template],
    allow: &[Rule],
    watch: Watch<'_>,
) -> Result<Vec<Rendering>, Vec<Failure>> {
    if templates.iter().all(|template| template.closure().is_empty()) {
        return bulla_resolve::render(templates, &Nothing, allow).map_err(as_failures);
    }
    with_vault(context, |vault| {
        let tokens = Tokens::fetch(context, vault, templates.iter())?;
        Ok(render_from(&vault.read()?, tokens, context.printer.quiet, templates, allow, watch))
    })
    .unwrap_or_else(|failure| Err(vec![failure]))
}

/// The same from one state of the vault, and with these tokens.
fn render_from(
    snapshot: &Snapshot<'_>,
    tokens: Tokens,
    quiet: bool,
    templates: &[Template],
    allow: &[Rule],
    watch: Watch<'_>,
) -> Result<Vec<Rendering>, Vec<Failure>> {
    let source = VaultSource::new(snapshot, Some(tokens)).with_progress(quiet);
    let source = Watched { source, watch: RefCell::new(watch) };
    bulla_resolve::render(templates, &source, allow).map_err(as_failures)
}

fn as_failures(problems: Vec<Problem>) -> Vec<Failure> {
    let told = problems.into_iter().map(|problem| match problem.rule {
        Rule::UnknownFormat => Failure::from(problem).hint("in a folder, --exclude leaves it out"),
        _ => Failure::from(problem),
    });
    told.collect()
}

/// What is shown the values of a rendering.
pub(crate) type Watch<'w> = &'w mut dyn FnMut(&Reference, &Secret, bool);

struct Watched<'v, 'w> {
    source: VaultSource<'v>,
    watch: RefCell<Watch<'w>>,
}

impl Source for Watched<'_, '_> {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        let answers = self.source.resolve(wanted);
        for (reference, answer) in wanted.iter().zip(&answers) {
            if let Answer::Value { secret, .. } = answer {
                self.watch.borrow_mut()(reference, secret, self.source.is_public(reference));
            }
        }
        answers
    }
}

/// The source for templates that ask for nothing.
pub(crate) struct Nothing;

impl Source for Nothing {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        debug_assert!(wanted.is_empty(), "only templates without references get here");
        Vec::new()
    }
}

/// Where renderings go is said either on the command line or in the file, never half here and half there.
fn not_with_a_list(option: &str) -> Failure {
    let fact = format!("`{option}` goes with templates that are named, and none are");
    Failure::usage(fact).hint(
        "name the templates, too; in bulla.toml, `target` says for each where its rendering goes",
    )
}

/// The templates that are named with their targets, or what `bulla.toml` lists.
pub(crate) fn plan(
    context: &Context,
    templates: &[PathBuf],
    args: &Targets,
    into: Option<&Path>,
    format: Option<Format>,
) -> Result<Plan, Failure> {
    if templates.is_empty() {
        if args.output.is_some() || args.into.is_some() {
            let option = if args.into.is_some() { "--into DIR" } else { "--output FILE" };
            return Err(not_with_a_list(option));
        }
        let plan = has_any(Plan::listed(context, format, &args.config)?)?;
        return match plan.jobs.iter().find(|job| job.target.is_none()) {
            None => Ok(plan),
            Some(job) => {
                let fact = format!("the template {} has no target", job.source.display());
                Err(Failure::usage(fact).hint("write `target` for it into the file that lists it"))
            }
        };
    }
    let exclude = args.config.exclude()?;
    let mut found = Found::without(&exclude);
    for template in templates {
        if !is_standard(template) && template.is_dir() {
            let into = into.as_ref().ok_or_else(|| {
                Failure::usage(format_args!("{} is a folder", template.display()))
                    .hint("--into DIR says where its renderings go")
            })?;
            found.walk(template, Some(into), format);
            continue;
        }
        let target = match (&args.output, into, template.file_name()) {
            (Some(output), _, _) => Some(output.clone()).filter(|output| !is_standard(output)),
            (None, Some(into), Some(name)) if !is_standard(template) => Some(into.join(name)),
            (None, Some(_), _) => {
                return Err(Failure::usage("standard input has no name to write it under")
                    .hint("--output FILE gives it one"));
            }
            (None, None, _) => None,
        };
        found.jobs.push(Job::new(template.clone(), target, format));
    }
    if into.is_none() && found.jobs.len() > 1 {
        return Err(Failure::usage("several templates do not fit into one output")
            .hint("--into DIR writes each under its name"));
    }
    has_any(Plan::of_found(context, found))
}

/// Refuses to render nothing, which passed for success where a folder had not been filled yet.
fn has_any(plan: Plan) -> Result<Plan, Failure> {
    if !plan.jobs.is_empty() || !plan.failures.is_empty() {
        return Ok(plan);
    }
    Err(Failure::new(
        Exit::Missing,
        "template",
        "there is nothing to render: no template was found",
    )
    .hint("the folders are empty, `exclude` leaves everything out, or bulla.toml lists nothing"))
}

/// Whether a path means standard input, or output where something is written.
pub(crate) fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Refuses `-` for what cannot go to standard output, for want of a file or because other data goes there.
pub(crate) fn not_standard(path: Option<&Path>, why: &str) -> Result<(), Failure> {
    match path {
        Some(path) if is_standard(path) => {
            Err(Failure::usage(why).hint("`./-` is a file of that name"))
        }
        _ => Ok(()),
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if is_standard(path) {
        let name = Path::new("standard input");
        let read = read_at_most(&mut std::io::stdin().lock(), name, Template::MAX_LEN)?;
        return Ok(read.expose().to_vec());
    }
    read_template(path).map_err(|error| match error {
        bulla_resolve::ReadError::Io(error) => Failure::file("read", path, &error),
        other => Failure::new(Exit::Failed, "template", other).about(path.display()),
    })
}

pub(crate) fn shown(path: &Path) -> String {
    if is_standard(path) { "standard input".to_owned() } else { path.display().to_string() }
}

fn print(context: &Context, rendering: &Rendering, reveal: bool) -> Result<(), Failure> {
    if !context.printer.out_is_terminal {
        return context.printer.data(rendering.contents.expose());
    }
    let text = masked(rendering, reveal);
    // Tabs are as common in configurations as they are harmless.
    let lines: Vec<_> = text.split('\t').map(crate::printer::escaped).collect();
    context.printer.data(lines.join("\t").as_bytes())?;
    if !reveal && !rendering.values.is_empty() {
        context.printer.note("values are masked on a terminal; --reveal shows them");
    }
    Ok(())
}

/// A rendering as it may be shown: with a mask in the place of each value, unless `reveal`.
pub(crate) fn masked(rendering: &Rendering, reveal: bool) -> Zeroizing<String> {
    let bytes = rendering.contents.expose();
    let mut out = Zeroizing::new(Vec::with_capacity(2 * bytes.len()));
    let mut from = 0;
    for value in &rendering.values {
        out.extend_from_slice(&bytes[from..value.start]);
        out.extend_from_slice(if reveal { &bytes[value.clone()] } else { b"********" });
        from = value.end;
    }
    out.extend_from_slice(&bytes[from..]);
    Zeroizing::new(String::from_utf8_lossy(&out).into_owned())
}

fn write(
    context: &Context,
    args: &RenderArgs,
    jobs: &[Job],
    sources: &[&Path],
    renderings: &[Rendering],
    receipt: Option<Target<'_>>,
) -> Result<(), Failure> {
    let targets: Vec<_> = jobs
        .iter()
        .zip(renderings)
        .filter_map(|(job, rendering)| {
            let path = job.target.as_deref()?;
            let contents = &rendering.contents;
            Some(Target {
                path,
                contents,
                mode: args.mode.or(job.mode),
                owner: args.owner.or(job.owner),
            })
        })
        .chain(receipt)
        .collect();
    if let Some(link) = &args.switch {
        return write::switch(context, link, &targets, sources);
    }
    Waiting::prepare(context, &targets, sources)?.commit(context)
}

/// Tells all failures but the last, which is left to the caller; the exit code is that of the worst.
pub(crate) fn several(context: &Context, mut failures: Vec<Failure>) -> Failure {
    let exit = Exit::worst(failures.iter().map(|failure| failure.exit));
    let last = failures.pop();
    for failure in &failures {
        context.printer.failure(failure);
    }
    let last = last.unwrap_or_else(|| Failure::new(Exit::Failed, "render", "nothing was rendered"));
    Failure { exit, ..last }
}

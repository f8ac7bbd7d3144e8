//! `bulla render`: puts values in the place of references.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use bulla_resolve::{
    FailureKind, Format, Kind, Problem, Rendering, Rule, Target, Template, read_template, write_all,
};

use zeroize::Zeroizing;

use super::Done;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::files::read_at_most;
use crate::manifest::{Config, Plan};
use crate::session::with_vault;
use crate::source::VaultSource;
use crate::templates::{Job, walk};
use crate::unlock;

#[derive(clap::Args)]
pub(crate) struct RenderArgs {
    /// Templates, or folders of them; `-` is standard input
    #[arg(value_name = "FILE|DIR")]
    templates: Vec<PathBuf>,
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    reading: Reading,
    /// Permissions of the rendered files [default: those of the file that is replaced, else 600]
    #[arg(long, value_name = "OCTAL", value_parser = mode)]
    mode: Option<u32>,
    /// Show values on a terminal, instead of a mask
    #[arg(long)]
    reveal: bool,
}

/// Where renderings go.
#[derive(clap::Args)]
pub(crate) struct Targets {
    /// Where to write the one template [default: standard output]
    #[arg(long, short, value_name = "FILE", conflicts_with = "into", requires = "templates")]
    output: Option<PathBuf>,
    /// Write each template under its name into this folder
    #[arg(long, value_name = "DIR", requires = "templates")]
    into: Option<PathBuf>,
    #[command(flatten)]
    config: Config,
}

/// How templates are read.
#[derive(clap::Args)]
pub(crate) struct Reading {
    /// The format of the templates [default: by name and content]
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub(crate) format: Option<Format>,
    /// Go on in spite of findings of this rule, such as literal-secret
    #[arg(long, value_name = "RULE", value_parser = rule)]
    pub(crate) allow: Vec<Rule>,
}

pub(crate) fn run(context: &Context, args: &RenderArgs) -> Done {
    let plan = plan(context, &args.templates, &args.targets, args.reading.format)?;
    let Plan { context, jobs, failures: mut unread, mut allow } = plan;
    let context = &context;
    allow.extend(&args.reading.allow);
    let mut templates = Vec::with_capacity(jobs.len());
    for job in &jobs {
        match read(&job.source) {
            Ok(bytes) => {
                let name = shown(&job.source);
                templates.push(Template::parse(&name, bytes, job.format));
            }
            Err(failure) => unread.push(failure),
        }
    }
    if !unread.is_empty() {
        return Err(several(context, unread));
    }
    let renderings = render(context, &templates, &allow)?;
    if jobs.iter().all(|job| job.target.is_none()) {
        for rendering in &renderings {
            print(context, rendering, args.reveal)?;
        }
        return Ok(Exit::Done);
    }
    write(context, args, &jobs, &renderings)?;
    let plural = if jobs.len() == 1 { "file" } else { "files" };
    let values: usize = renderings.iter().map(|rendering| rendering.values.len()).sum();
    context.printer.note(format_args!("{} {plural} rendered, {values} values placed", jobs.len()));
    Ok(Exit::Done)
}

/// Renders with values from the vault, which is opened only if there is something to ask it.
pub(crate) fn render(
    context: &Context,
    templates: &[Template],
    allow: &[Rule],
) -> Result<Vec<Rendering>, Failure> {
    let rendered = if templates.iter().all(|template| template.closure().is_empty()) {
        bulla_resolve::render(templates, &Nothing, allow)
    } else {
        with_vault(context, |vault| {
            let snapshot = vault.read()?;
            Ok(bulla_resolve::render(templates, &VaultSource::new(&snapshot), allow))
        })?
    };
    rendered.map_err(|problems| several(context, problems.into_iter().map(Failure::from).collect()))
}

/// The source for templates that ask for nothing.
struct Nothing;

impl bulla_resolve::Source for Nothing {
    fn resolve(&self, wanted: &[bulla_resolve::Reference]) -> Vec<bulla_resolve::Answer> {
        debug_assert!(wanted.is_empty(), "only templates without references get here");
        Vec::new()
    }
}

/// The templates that are named with their targets, or what `bulla.toml` lists.
pub(crate) fn plan(
    context: &Context,
    templates: &[PathBuf],
    args: &Targets,
    format: Option<Format>,
) -> Result<Plan, Failure> {
    if templates.is_empty() {
        let plan = Plan::listed(context, format, &args.config)?;
        return match plan.jobs.iter().find(|job| job.target.is_none()) {
            None => Ok(plan),
            Some(job) => {
                let fact = format!("the template {} has no target", job.source.display());
                Err(Failure::usage(fact).hint("write `target` for it into the file that lists it"))
            }
        };
    }
    let (mut jobs, mut failures) = (Vec::new(), Vec::new());
    for template in templates {
        if template != Path::new("-") && template.is_dir() {
            let into = args.into.as_ref().ok_or_else(|| {
                Failure::usage(format_args!("{} is a folder", template.display()))
                    .hint("--into DIR says where its renderings go")
            })?;
            walk(template, Some(into), format, &mut jobs, &mut failures);
            continue;
        }
        let target = match (&args.output, &args.into, template.file_name()) {
            (Some(output), _, _) => Some(output.clone()),
            (None, Some(into), Some(name)) if template != Path::new("-") => Some(into.join(name)),
            (None, Some(_), _) => {
                return Err(Failure::usage("standard input has no name to write it under")
                    .hint("--output FILE gives it one"));
            }
            (None, None, _) => None,
        };
        jobs.push(Job { source: template.clone(), target, format, mode: None });
    }
    if args.into.is_none() && jobs.len() > 1 {
        return Err(Failure::usage("several templates do not fit into one output")
            .hint("--into DIR writes each under its name"));
    }
    Ok(Plan { context: context.with_vault(None), jobs, failures, allow: Vec::new() })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") {
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
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
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
    renderings: &[Rendering],
) -> Result<(), Failure> {
    let paths: Vec<_> = jobs.iter().filter_map(|job| job.target.as_deref()).collect();
    let made = Folders::make(&paths)?;
    let targets: Vec<_> = jobs
        .iter()
        .zip(renderings)
        .filter_map(|(job, rendering)| {
            let path = job.target.as_deref()?;
            Some(Target {
                path,
                contents: &rendering.contents,
                mode: args.mode.or(job.mode),
                owner: None,
            })
        })
        .collect();
    let own: Vec<_> = context.vault_path().into_iter().chain(unlock::key_files(context)).collect();
    let sources = jobs.iter().map(|job| &job.source);
    let protected: Vec<_> = sources.chain(&own).map(PathBuf::as_path).collect();
    match write_all(&targets, &protected) {
        Ok(()) => Ok(()),
        Err(errors) => {
            made.take_back();
            Err(several(context, errors.into_iter().map(Failure::from).collect()))
        }
    }
}

/// Folders that were made for files, to be taken back if nothing is written into them.
pub(crate) struct Folders(Vec<PathBuf>);

impl Folders {
    /// Makes the folders of all `paths` that are not there.
    pub(crate) fn make(paths: &[&Path]) -> Result<Self, Failure> {
        let mut made = Self(Vec::new());
        for path in paths {
            let mut missing: Vec<_> = path
                .parent()
                .into_iter()
                .flat_map(Path::ancestors)
                .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
                .collect();
            while let Some(folder) = missing.pop() {
                if let Err(error) = fs::DirBuilder::new().mode(0o755).create(folder) {
                    made.take_back();
                    return Err(Failure::file("make", folder, &error));
                }
                made.0.push(folder.to_owned());
            }
        }
        Ok(made)
    }

    pub(crate) fn take_back(&self) {
        for folder in self.0.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
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

/// How a run ends whose source failed.
pub(crate) fn exit_of(kind: FailureKind) -> Exit {
    match kind {
        FailureKind::Busy => Exit::Conflict,
        FailureKind::Damaged => Exit::Tampered,
        FailureKind::Locked => Exit::Locked,
        FailureKind::NeedsPerson => Exit::NeedsPerson,
        FailureKind::Remote => Exit::RemoteFailed,
        _ => Exit::Failed,
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = match problem.kind {
            Kind::Missing => Exit::Missing,
            Kind::Finding => Exit::Findings,
            Kind::Conflict if problem.rule == Rule::AmbiguousFill => Exit::Conflict,
            Kind::Source(kind) => exit_of(kind),
            _ => Exit::Failed,
        };
        let failure = Self::new(exit, problem.rule.name(), &problem);
        match (problem.rule, problem.nearest.as_slice()) {
            (_, []) => match problem.rule {
                Rule::LiteralSecret => failure.hint(
                    "`bulla adopt` moves it into the vault; --allow literal-secret leaves it where it is",
                ),
                Rule::UnknownFormat => {
                    failure.hint("--format says what it is; --format text takes references in braces only")
                }
                _ => failure,
            },
            (Rule::MissingOption | Rule::MaskedValue, lines) => {
                failure.hint(format_args!("paste:\n{}", lines.join("\n")))
            }
            (_, [near]) => failure.hint(format_args!("is it `{near}`?")),
            (_, near) => failure.hint(format_args!("is it one of `{}`?", near.join("`, `"))),
        }
    }
}

impl From<bulla_resolve::WriteError> for Failure {
    fn from(error: bulla_resolve::WriteError) -> Self {
        Self::new(Exit::Failed, "write", &error)
    }
}

pub(crate) fn mode(text: &str) -> Result<u32, &'static str> {
    const WRONG: &str =
        "permissions are written in octal, as 600 or 0640, and give others nothing but reading";
    let mode = u32::from_str_radix(text, 8).map_err(|_| WRONG)?;
    // Nobody needs a secret that everybody can write, or that can be executed.
    if mode & !0o644 == 0 && mode & 0o400 != 0 { Ok(mode) } else { Err(WRONG) }
}

pub(crate) fn format(text: &str) -> Result<Format, String> {
    Format::named(text).ok_or_else(|| {
        let names: Vec<_> = Format::ALL.iter().map(|format| format.name()).collect();
        format!("the formats are {}", names.join(", "))
    })
}

fn rule(text: &str) -> Result<Rule, String> {
    Rule::ALL
        .iter()
        .copied()
        .find(|rule| rule.name() == text)
        .ok_or_else(|| "no such rule; `literal-secret` is the one that can be allowed".to_owned())
}

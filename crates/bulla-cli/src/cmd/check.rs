//! `bulla check`: what is wrong with templates, as far as it shows without a key.

mod advice;
mod report;
mod vault;

use std::path::PathBuf;

use bulla_resolve::{Check, Format, Kind, Problem, Rule, Template, rehearse};

use super::Done;
use super::render::{self, Seen, check_names, formats, several};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::manifest::{Config, Plan};
use crate::printer::counted;
use crate::templates::{Job, look_at};

#[derive(clap::Args)]
#[command(mut_arg("check_cmd", |arg| arg.help(CHECK_CMD)))]
pub(crate) struct CheckArgs {
    /// Templates, or folders of them; `-` is standard input
    #[arg(value_name = "FILE|DIR")]
    templates: Vec<PathBuf>,
    #[command(flatten)]
    config: Config,
    /// The format of the templates [default: by name and content]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    format: Option<Format>,
    /// Leave out findings of this rule, such as no-tls
    #[arg(long, value_name = "RULE", value_parser = rule)]
    allow: Vec<Rule>,
    /// The form of the report: text for people, lines of JSON, SARIF 2.1.0 for code scanning, GitLab's
    /// code quality report, or JUnit's XML
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    report: Form,
    #[command(flatten)]
    checks: render::CheckCommands,
    /// Also run what bulla.toml lists as `check`; without it, `check` runs no command from a file
    #[arg(long, conflicts_with = "templates")]
    run_checks: bool,
    /// Open the vault and see whether everything that the templates ask for is there
    #[arg(long)]
    with_vault: bool,
}

/// What it does here, as nothing is replaced.
const CHECK_CMD: &str = "Run this command on renderings with dummies in the place of values, and report if it \
    fails; {} is a copy of each in memory, {dir} the folder of all copies";

/// The form of a report.
#[derive(Clone, Copy, Default, Eq, PartialEq, clap::ValueEnum)]
enum Form {
    #[default]
    Text,
    Json,
    Sarif,
    Gitlab,
    Junit,
}

/// Something that was found, as reports tell it.
struct Finding {
    rule: Rule,
    level: Level,
    /// Where it is: file, line and column. What is about the vault is in no file.
    place: Option<(String, usize, usize)>,
    what: String,
    /// What to write instead.
    instead: String,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Level {
    Error,
    Warning,
    Note,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }

    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Note => Self::Note,
            Kind::Warning => Self::Warning,
            _ => Self::Error,
        }
    }
}

impl From<Problem> for Finding {
    fn from(problem: Problem) -> Self {
        let instead = advice::instead(&problem);
        let Problem { rule, kind, file, line, column, what, .. } = problem;
        Self { rule, level: Level::of(kind), place: Some((file, line, column)), what, instead }
    }
}

/// All that a report tells.
struct Findings {
    /// The names of the files that were looked at.
    files: Vec<String>,
    /// How many of them are of no known format, and were searched line by line.
    texts: usize,
    findings: Vec<Finding>,
    /// What could not be looked at.
    failures: Vec<Failure>,
}

pub(crate) fn run(context: &Context, args: &CheckArgs) -> Done {
    let Plan { context, mut jobs, failures, mut allow, .. } =
        Plan::of(context, &args.templates, args.format, &args.config)?;
    let context = &context;
    allow.extend(&args.allow);
    let mut not_run = 0;
    if !args.run_checks {
        not_run = jobs.iter_mut().filter_map(|job| job.check.take()).count();
    }
    let run_checks = args.checks.are_given(context, &jobs)? && !allow.contains(&Rule::CheckCommand);
    let (checks, unread) = look_at(&jobs, context.printer.quiet, |job, name, bytes| {
        let is_blank = !job.found && bytes.iter().all(u8::is_ascii_whitespace);
        let (check, template) = Check::with_template(name, bytes, job.format);
        // Most runs have no use for it, and it is large.
        let template = run_checks.then(|| Box::new((job, template)));
        (name.to_owned(), is_blank, check, template)
    });
    let mut all = Findings { files: Vec::new(), texts: 0, findings: Vec::new(), failures };
    let is_whole = unread.is_empty() && all.failures.is_empty();
    all.failures.extend(unread);
    let mut uses = Vec::new();
    let mut templates = Vec::new();
    for (name, is_blank, check, template) in checks {
        if is_blank {
            all.findings.push(empty(&name));
        }
        templates.extend(template.map(|boxed| *boxed));
        all.texts += usize::from(check.is_text);
        all.findings.extend(check.findings.into_iter().map(Finding::from));
        uses.extend(check.uses.into_iter().map(|used| (all.files.len(), used)));
        all.files.push(name);
    }
    run_on_dummies(context, &args.checks, templates, is_whole, &mut all)?;
    if args.with_vault {
        let found = vault::findings(context, &all.files, uses)?;
        all.findings.extend(found);
    }
    all.findings.retain(|finding| !allow.contains(&finding.rule));
    let form =
        if context.printer.json && args.report == Form::Text { Form::Json } else { args.report };
    if not_run > 0 {
        context.printer.note("what bulla.toml lists as `check` was not run; --run-checks does");
    }
    context.printer.data(report::write(form, context.printer.width(), &all).as_bytes())?;
    done(context, all)
}

/// A template that was named and holds nothing: most likely what was to fill it failed.
fn empty(name: &str) -> Finding {
    Finding {
        rule: Rule::EmptyTemplate,
        level: Level::Warning,
        place: Some((name.to_owned(), 1, 1)),
        what: "the template is empty".to_owned(),
        instead: advice::of_rule(Rule::EmptyTemplate).to_owned(),
    }
}

/// Runs the commands that check renderings on such with dummies in the place of values.
fn run_on_dummies(
    context: &Context,
    checks: &render::CheckCommands,
    templates: Vec<(&Job, Template)>,
    is_whole: bool,
    all: &mut Findings,
) -> Result<(), Failure> {
    let (jobs, templates): (Vec<_>, Vec<_>) = templates.into_iter().unzip();
    let files: Vec<_> = templates.iter().map(|template| template.name().to_owned()).collect();
    let (mut seen, mut names, mut renderings) = (Vec::new(), Vec::new(), Vec::new());
    let mut in_clear = Vec::new();
    for ((job, file), rehearsal) in jobs.iter().zip(&files).zip(rehearse(templates)) {
        match rehearsal {
            Ok(mut rehearsal) => {
                seen.push(*job);
                names.push(file);
                renderings.push(rehearsal.rendering);
                in_clear.append(&mut rehearsal.in_clear);
            }
            Err(problems) => {
                context.printer.note(format_args!("{file} cannot be rendered, so no check saw it"));
                for problem in problems.into_iter().map(Finding::from) {
                    let is_told =
                        |told: &Finding| told.rule == problem.rule && told.place == problem.place;
                    if !all.findings.iter().any(is_told) {
                        all.findings.push(problem);
                    }
                }
            }
        }
    }
    if seen.is_empty() {
        return Ok(());
    }
    let copies = check_names(&seen, None)?;
    let is_whole = is_whole && seen.len() == files.len();
    let sight = Seen { jobs: &seen, names: &copies, renderings: &renderings, all: is_whole };
    checks.run(context, &sight, &mut |failed| {
        if !failed.ran() {
            all.failures.push(Failure::new(Exit::Failed, "check-failed", &failed.fact));
            return Ok(());
        }
        // What it said may quote the file, which no report does.
        if let Some(said) = failed.said(&[], &in_clear) {
            context.printer.warn(format_args!("{}; {said}", failed.fact));
        }
        let rule = Rule::CheckCommand;
        all.findings.push(Finding {
            rule,
            level: Level::of(rule.kind()),
            place: Some((names[failed.number].clone(), 1, 1)),
            what: failed.fact,
            instead: advice::of_rule(rule).to_owned(),
        });
        Ok(())
    })
}

fn done(context: &Context, all: Findings) -> Done {
    let wrong = all.findings.iter().filter(|finding| finding.level != Level::Note).count();
    let texts = match (all.texts, all.files.len()) {
        (0, _) => String::new(),
        (1, 1) => " as text".to_owned(),
        (texts, _) => format!(", {texts} of them as text"),
    };
    let notes = match all.findings.len() - wrong {
        0 => String::new(),
        notes => format!(", {}", counted(notes as u64, "note", "notes")),
    };
    context.printer.note(format_args!(
        "{} checked{texts}, {}{notes}",
        counted(all.files.len() as u64, "file", "files"),
        counted(wrong as u64, "finding", "findings")
    ));
    let found = if wrong > 0 { Exit::Findings } else { Exit::Done };
    if all.failures.is_empty() {
        return Ok(found);
    }
    let mut failure = several(context, all.failures);
    if wrong > 0 {
        failure.exit = Exit::worst([failure.exit, found]);
    }
    Err(failure)
}

pub(crate) fn rule(text: &str) -> Result<Rule, String> {
    let found = Rule::ALL.iter().copied().find(|rule| rule.name() == text);
    found.ok_or_else(|| {
        let names = Rule::ALL.iter().map(|rule| rule.name());
        match crate::source::closest(text, names).first() {
            Some(near) => format!("no such rule; is it `{near}`?"),
            None => "no such rule; `--report sarif` lists them all".to_owned(),
        }
    })
}

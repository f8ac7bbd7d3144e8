//! What the problems that the resolver finds mean for the user.

use bulla_resolve::{
    About, FailureKind, Kind, Pin, Problem, RefPart, Reference, Rule, looks_secret,
};

use crate::failure::{Exit, Failure};

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

/// The way out where Helm was to make YAML of a file before.
pub(crate) const RENDER_THE_CHART: &str = "render the chart first: `helm template NAME CHART | bulla check --format yaml -`, and \
     bulla as its post-renderer to deploy it; see docs/guides/deploy-tools.md";

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
        let failure = match (problem.rule, problem.nearest.as_slice()) {
            (_, []) => match problem.rule {
                Rule::LiteralSecret => failure.hint(
                    "`bulla adopt` moves it into the vault; --allow literal-secret leaves it where it is",
                ),
                Rule::UnknownFormat => {
                    failure.hint("--format says what it is, or `format` in bulla.toml; `text` takes references in braces only")
                }
                _ => failure,
            },
            (Rule::BlankValue | Rule::MaskedValue | Rule::MissingOption, lines) => {
                failure.hint(format_args!("paste:\n{}", lines.join("\n")))
            }
            (_, [near]) => failure.hint(format_args!("is it `{near}`?")),
            (_, near) => failure.hint(format_args!("is it one of `{}`?", near.join("`, `"))),
        };
        match problem.about.as_deref() {
            Some(About::Chart) => failure.hint(RENDER_THE_CHART),
            Some(About::Comment) => {
                failure.hint("--format jsonc, or `format` in bulla.toml, takes JSON with comments")
            }
            // No command is told that would have a secret typed.
            Some(About::Filtered(it) | About::Missing(it, _))
                if looks_secret(it.entry()) || looks_secret(it.field()) =>
            {
                failure
            }
            Some(About::Filtered(reference)) => failure.hint(format_args!(
                "take the filter out, or store a value that it takes: `{}`",
                set_command(reference)
            )),
            Some(About::Missing(reference, RefPart::Version)) if problem.nearest.is_empty() => {
                let entry = quoted(reference.entry());
                failure.hint(format_args!("`bulla log {entry}` lists the versions that there are"))
            }
            // A version that is written now is a later one.
            Some(About::Missing(reference, _)) if matches!(reference.pin(), Some(Pin::Version(_))) => {
                failure
            }
            Some(About::Missing(reference, RefPart::Entry))
                if reference.entry().starts_with("mailbox/") =>
            {
                failure.hint(
                    "`bulla mailbox authorize` makes the entry of a mailbox, and so does `bulla mailbox add`",
                )
            }
            Some(About::Missing(reference, _)) => {
                failure.hint(format_args!("`{}` stores it", set_command(reference)))
            }
            _ => failure,
        }
    }
}

/// The command that stores what a reference names, ready for a shell.
pub(crate) fn set_command(reference: &Reference) -> String {
    format!("bulla set {} {}", quoted(reference.entry()), quoted(reference.field()))
}

/// A word as a shell takes it, which has nothing to quote in most names.
fn quoted(word: &str) -> std::borrow::Cow<'_, str> {
    shlex::try_quote(word).unwrap_or(word.into())
}

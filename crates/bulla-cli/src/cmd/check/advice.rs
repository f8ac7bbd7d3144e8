//! What to write instead, rule by rule.

use bulla_resolve::{About, Problem, Rule};

use crate::diagnose::RENDER_THE_CHART;

/// The way out of one finding.
pub(super) fn instead(problem: &Problem) -> String {
    match problem.about.as_deref() {
        Some(About::BesideReferences) => return BESIDE_REFERENCES.to_owned(),
        Some(About::Chart) => return RENDER_THE_CHART.to_owned(),
        Some(About::InSecret) => return IN_SECRET.to_owned(),
        _ => {}
    }
    match (problem.rule, problem.nearest.as_slice()) {
        (rule, []) => of_rule(rule).to_owned(),
        (Rule::BlankValue | Rule::MaskedValue | Rule::MissingOption, lines) => {
            format!("paste: {}", lines.join("\n"))
        }
        (_, [near]) => format!("is it `{near}`?"),
        (_, near) => format!("is it one of `{}`?", near.join("`, `")),
    }
}

/// Whether this is the way out of many findings, and so needs to be told once.
pub(super) fn is_of_many(rule: Rule, instead: &str) -> bool {
    instead == of_rule(rule) || [BESIDE_REFERENCES, IN_SECRET].contains(&instead)
}

/// The way out of a secret in a text with references, which adopting leaves as it is.
const BESIDE_REFERENCES: &str = "in a text with references, store it with `bulla set`, and write \
                                 {{ bulla://ENTRY/FIELD }} in its place by hand; replace it at its source";

/// The way out of a value in a Secret of Kubernetes.
const IN_SECRET: &str = "in a Secret of Kubernetes every value counts as a secret: move it into the vault with \
                         `bulla adopt`, and replace it at its source; what is public belongs into a ConfigMap";

/// The way out of whatever breaks a rule.
pub(super) fn of_rule(rule: Rule) -> &'static str {
    match rule {
        Rule::AccessTokenAsPassword => {
            "write the refresh token, which begins with 1//, or a reference to it"
        }
        Rule::AmbiguousFill => "write the reference that is meant",
        Rule::AuthenticationOff => "write enable-authentication = true",
        Rule::BadClientId => "copy the client id from the provider's console",
        Rule::BadDirectoryId => {
            "write the Directory (tenant) ID of the application's overview page"
        }
        Rule::BadExpression => {
            "write {{ bulla://ENTRY/FIELD }}, or {{ bulla://ENTRY/FIELD | FILTER }}"
        }
        Rule::BadReference => "write bulla://ENTRY/FIELD, with other characters percent-encoded",
        Rule::BadSecretName => {
            "name the section [secret-NAME] without white space, and write secret = NAME"
        }
        Rule::BasicAuthRetired => "log in by XOAUTH2, or by Graph",
        Rule::BlankValue => "write bulla://ENTRY/FIELD in its place",
        Rule::CannotCarry => {
            "write the reference where the format carries every value, or take the filter out"
        }
        Rule::CheckCommand => {
            "standard error has what it said; it saw dummies such as `dummy1` in the place of values"
        }
        Rule::DebugOn => "switch it off, and delete the traces",
        Rule::DuplicateOption | Rule::DuplicateSection => "leave one of them",
        Rule::EmptyTemplate => {
            "make it again: what was to fill it may have failed; `--allow empty-template` if it is meant"
        }
        Rule::EwsRetired => "write type = GRAPH, with permissions of Graph for the application",
        Rule::FilterFailed => "take the filter out, or store a value that it takes",
        Rule::ForeignReference => {
            "rewrite it with `bulla migrate`, or write bulla://ENTRY/FIELD by hand where that says why it cannot"
        }
        Rule::GmailIncomplete => {
            "write tenant-authority = https://accounts.google.com, secret, client-id and password"
        }
        Rule::LiteralSecret => {
            "move it into the vault with `bulla adopt`, or with `bulla set` and {{ bulla://ENTRY/FIELD }} in its place, in a URL {{ bulla://ENTRY/FIELD | url }}; replace it at its source"
        }
        Rule::Malformed => "mend the file, or say with --format what it is",
        Rule::MaskedValue => "write bulla://ENTRY/FIELD in the place of the mask",
        Rule::MechanismSpelling => "write XOAUTH2",
        Rule::MicrosoftIncomplete => "write client-id and directory-id of the application",
        Rule::Missing => "store it with `bulla set`, or write the reference to what is there",
        Rule::MissingOption => "write the option, and leave it empty to have it filled",
        Rule::NamesDifferInCase => "give one of them another name",
        Rule::NoIdentityCheck => "write true",
        Rule::NoTls => "write enable-ssl = true and the port of TLS",
        Rule::NotProven => "write the value's place in another style, and report this",
        Rule::NotRead => {
            "mend the file, or say with --format what it is, and check again; --allow not-read if it is meant to be so"
        }
        Rule::OptionTwice => "leave the option, and take the mail. property out",
        Rule::OptionalStarttls => "set mail.PROTOCOL.starttls.required to true as well",
        Rule::SecretOnMicrosoft => "take secret out; the application's secret goes into password",
        Rule::SecretOutsidePassword => {
            "if there is no option called password for it, guard the database"
        }
        Rule::StrayReference => {
            "write {{ bulla://ENTRY/FIELD }}, or the reference as the whole value; where it is so \
             already, see the format's rules, or name a dialect of it"
        }
        Rule::SwappedSecrets => {
            "the client secret goes into [secret-NAME], the refresh token into the mail client"
        }
        Rule::TokenOfTwoMailboxes => "write the reference to the account's own entry",
        Rule::TooManyMailboxes => "divide them among several servers",
        Rule::TrustsAnyCertificate => {
            "take it out, and add the server's authority to Java's trusted ones"
        }
        Rule::TwoLineLogin => "write mail.pop3.auth.xoauth2.two.line.authentication.format = true",
        Rule::UnencodedInUrl => "write {{ bulla://ENTRY/FIELD | url }}",
        Rule::UnknownAuthority => {
            "write https://login.microsoftonline.com, or https://accounts.google.com"
        }
        Rule::UnknownFormat => {
            "name it with --format, or `format` in bulla.toml; `text` takes references in braces only; \
             --exclude leaves it out of a folder"
        }
        Rule::UnusedEntry => "remove it with `bulla rm` if nothing else needs it",
        Rule::UnusedSecretSection => {
            "take the section out, or write secret = NAME in its mail client"
        }
        Rule::WeakerMechanisms => "leave XOAUTH2 alone",
        Rule::WrongEncoding => "save the file as UTF-8",
        Rule::WrongProtocol => "write mail.PROTOCOL.auth.mechanisms for the section's own protocol",
        _ => "",
    }
}

//! What is wrong or weak with the mail clients of a Genesys configuration.
//!
//! What the fill rule needs is told by the template itself. Here is the rest that a file shows: what
//! cannot work is a finding, what is weak or about to end a warning. Where the effect is not
//! documented, it is a warning at most.

mod client;

use std::collections::{BTreeMap, BTreeSet};

use client::{Client, reference};

use crate::adopt::shapes::is_secret_value;
use crate::adopt::signs::is_secret_name;
use crate::format::Format;
use crate::genesys::{CLIENT_SECRET, REFRESH_TOKEN, Section, Sections, Setting};
use crate::problem::{Pending, Rule, escaped};

/// Adds all findings about a file to `pending`.
pub(super) fn check(src: &[u8], format: Format, pending: &mut Vec<Pending>) {
    // What does not follow its format was told with the template.
    let Ok(sections) = Sections::of(src, format) else { return };
    let mut report = Report { pending };
    for section in &sections {
        if section.is_client() {
            Client::new(section).check(&mut report);
        } else {
            report.client_secret(section);
        }
        report.options_of_other_names(section);
    }
    let mut sets: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for section in &sections {
        sets.entry(section.set).or_default().push(section);
    }
    for sections in sets.values() {
        report.selection(sections);
        report.names(sections);
        report.tokens(sections);
        report.mailboxes(sections);
    }
}

/// How many mailboxes Genesys advises at most for one E-mail Server.
const MAILBOXES: usize = 25;

struct Report<'a> {
    pending: &'a mut Vec<Pending>,
}

impl Report<'_> {
    fn at(&mut self, at: usize, rule: Rule, what: String) {
        self.pending.push(Pending::new(at, rule, what));
    }

    /// A refresh token where the application's secret belongs.
    fn client_secret(&mut self, section: &Section) {
        let Some(password) = section.option("password") else { return };
        let refers = reference(password).is_some_and(|r| r.field() == REFRESH_TOKEN);
        if refers || password.value.starts_with(b"1//") {
            let what = format!(
                "the password of [{}] is a refresh token, where the application's client secret belongs",
                escaped(&section.name)
            );
            self.at(password.at, Rule::SwappedSecrets, what);
        }
        self.access_token(section, password);
    }

    fn access_token(&mut self, section: &Section, password: &Setting) {
        if password.value.starts_with(b"ya29.") {
            let what = format!(
                "the password of [{}] is an access token, which is dead after an hour",
                escaped(&section.name)
            );
            self.at(password.at, Rule::AccessTokenAsPassword, what);
        }
    }

    /// Secrets in options that Configuration Server does not encrypt.
    fn options_of_other_names(&mut self, section: &Section) {
        for option in &section.options {
            let name = option.name.as_str();
            // `secret` is the name of a section, a client id is public, and the others are switches.
            let public = ["password", "secret", "client-id"].contains(&name);
            if public || name.starts_with("mail.debug") || option.is_blank() {
                continue;
            }
            let text = std::str::from_utf8(&option.value).unwrap_or_default();
            let by_name = is_secret_name(name);
            if !by_name && !is_secret_value(text) {
                continue;
            }
            let (name, section) = (escaped(name), escaped(&section.name));
            let what = format!(
                "{name} of [{section}] holds a secret, and Configuration Server encrypts only \
                 options that are called password"
            );
            self.at(option.at, Rule::SecretOutsidePassword, what);
            // Those of other names are found by their signs.
            let told = name.ends_with(".password") || is_secret_value(text);
            if by_name && !option.referred && !told {
                let what = format!("{name} of [{section}] stands here in clear");
                self.at(option.at, Rule::LiteralSecret, what);
            }
        }
    }

    /// Sections with a client secret that no mail client selects.
    fn selection(&mut self, sections: &[&Section]) {
        let clients = || sections.iter().filter(|section| section.is_client());
        if clients().filter_map(|client| client.option("secret")).any(|secret| secret.referred) {
            return;
        }
        let selected: BTreeSet<_> = clients().filter_map(|client| client.text("secret")).collect();
        for section in sections.iter().filter(|section| !section.is_client()) {
            let name = section.name.strip_prefix("secret-").unwrap_or_default();
            if !selected.contains(name) {
                let what =
                    format!("no mail client selects the section [{}]", escaped(&section.name));
                self.at(section.at, Rule::UnusedSecretSection, what);
            }
        }
    }

    fn names(&mut self, sections: &[&Section]) {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for section in sections {
            let first = *seen.entry(section.name.to_lowercase()).or_insert(&section.name);
            if first != section.name {
                let what = format!(
                    "the names of [{}] and [{}] differ in case only",
                    escaped(first),
                    escaped(&section.name)
                );
                self.at(section.at, Rule::NamesDifferInCase, what);
            }
        }
    }

    /// One grant is good for one account only.
    fn tokens(&mut self, sections: &[&Section]) {
        let mut seen: BTreeMap<&[u8], &Section> = BTreeMap::new();
        for section in sections.iter().filter(|s| s.is_client() && s.uses_tokens()) {
            let password = section.option("password").filter(|password| !password.is_blank());
            // Without a `secret` it is not a grant, but the application's own secret.
            let (Some(password), Some(_)) = (password, section.option("secret")) else { continue };
            let first = *seen.entry(&password.value).or_insert(section);
            let differ = match (first.address(), section.address()) {
                (Some(a), Some(b)) => !a.eq_ignore_ascii_case(b),
                _ => false,
            };
            if differ {
                let what = format!(
                    "[{}] has the token of [{}], which is for another account",
                    escaped(&section.name),
                    escaped(&first.name)
                );
                self.at(password.at, Rule::TokenOfTwoMailboxes, what);
            }
        }
    }

    fn mailboxes(&mut self, sections: &[&Section]) {
        let mut mailboxes = sections.iter().filter(|s| s.name.starts_with("pop-client"));
        if let Some(section) = mailboxes.nth(MAILBOXES) {
            let what = format!(
                "there are more than {MAILBOXES} mailboxes, which is the most that Genesys advises \
                 for one server"
            );
            self.at(section.at, Rule::TooManyMailboxes, what);
        }
    }

    /// A client secret where the token of a mailbox belongs.
    fn refresh_token(&mut self, section: &Section, password: &Setting) {
        let refers = reference(password).is_some_and(|r| r.field() == CLIENT_SECRET);
        if refers || password.value.starts_with(b"GOCSPX-") {
            let what = format!(
                "the password of [{}] is a client secret, where the mailbox's refresh token belongs",
                escaped(&section.name)
            );
            self.at(password.at, Rule::SwappedSecrets, what);
        }
    }
}

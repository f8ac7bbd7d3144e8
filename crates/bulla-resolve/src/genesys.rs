//! The fill rule: an export of a Genesys configuration with blank or masked passwords is a template.
//!
//! A `secret = NAME` of a mail client selects the section `[secret-NAME]`, whose `password` is the
//! OAuth client's secret; under XOAUTH2 the mail client's own `password` is the refresh token of its
//! mailbox and `client-id` is the client's. Options that are there and empty, or all `*`, are filled
//! accordingly. Nothing is ever added to a file. What other passwords mean is not known from the file
//! alone: where one is needed and blank, the reference is offered that adopting would have written.

use std::ops::Range;

use memchr::memmem;
use zeroize::Zeroizing;

use crate::Reference;
use crate::check::tokens;
use crate::format::{Format, Malformed, Role, Scalar, Text};
use crate::names::{self, segment, stem};
use crate::problem::{Pending, Rule, escaped};
use crate::reference::SCHEME;
use crate::template::{Origin, Slot, Wants};

/// The fields that the rule asks for.
pub(crate) const CLIENT_ID: &str = "client-id";
pub(crate) const CLIENT_SECRET: &str = "client-secret";
pub(crate) const REFRESH_TOKEN: &str = "refresh-token";
/// The field of a password that is of no special kind.
pub(crate) const PASSWORD: &str = "password";

/// The sections with credentials, as they are found in a file.
#[derive(Default)]
pub(crate) struct Sections {
    sections: Vec<Section>,
    /// The number of the set of sections that is being read.
    set: usize,
    /// Whether the section that is being read has credentials.
    inside: bool,
    /// An option whose value has not come yet.
    key: Option<(String, usize)>,
}

pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) at: usize,
    pub(crate) options: Vec<Setting>,
    pub(crate) set: usize,
}

/// An option of a section.
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) value: Zeroizing<Vec<u8>>,
    pub(crate) at: usize,
    pub(crate) scalar: usize,
    pub(crate) depth: usize,
    pub(crate) span: Range<usize>,
    /// Whether a reference stands in it, or the rule fills it.
    pub(crate) referred: bool,
}

/// An option that is filled.
pub(crate) struct Fill {
    pub(crate) scalar: usize,
    pub(crate) depth: usize,
    pub(crate) span: Range<usize>,
    pub(crate) slot: Slot,
}

impl Sections {
    /// Takes note of one scalar of the file. `referred` says whether a reference stands in it.
    pub(crate) fn observe(&mut self, src: &[u8], number: usize, scalar: &Scalar, referred: bool) {
        let text = scalar.text.bytes(src);
        let name = || String::from_utf8_lossy(text).into_owned();
        match scalar.role {
            Role::Set => {
                self.set += 1;
                self.inside = false;
            }
            Role::Section => {
                self.inside = Self::have_credentials(&name());
                if self.inside {
                    let section = Section {
                        name: name(),
                        at: scalar.span.start,
                        options: Vec::new(),
                        set: self.set,
                    };
                    self.sections.push(section);
                }
                self.key = None;
            }
            Role::Key if self.inside => self.key = Some((name(), scalar.span.start)),
            Role::Value if self.inside => {
                if let (Some((name, at)), Some(section)) =
                    (self.key.take(), self.sections.last_mut())
                {
                    // What cannot be decoded is not blank.
                    let opaque = matches!(scalar.text, Text::Opaque);
                    let value = if opaque { &src[scalar.span.clone()] } else { text };
                    section.options.push(Setting {
                        name,
                        value: Zeroizing::new(value.to_vec()),
                        at,
                        scalar: number,
                        depth: scalar.depth,
                        span: scalar.span.clone(),
                        referred,
                    });
                }
            }
            _ => {}
        }
    }

    /// Decides which options of `file` are filled and tells what is in the way.
    pub(crate) fn fill(
        mut self,
        file: &str,
        format: Format,
        wanted: &mut Wants,
        pending: &mut Vec<Pending>,
    ) -> Vec<Fill> {
        self.report_duplicates(pending);
        let mut rule = FillRule { stem: stem(file), format, wanted, pending, fills: Vec::new() };
        for client in 0..self.sections.len() {
            if self.sections[client].is_client() {
                rule.client(&mut self.sections, client);
            }
        }
        rule.report_left(&self.sections);
        rule.fills
    }

    /// The sections of a file in which no reference is replaced yet.
    pub(crate) fn of(src: &[u8], format: Format) -> Result<Vec<Section>, Malformed> {
        let (mut sections, mut number) = (Self::default(), 0);
        format.syntax().scan(src, &mut |scalar| {
            let referred = memmem::find(scalar.text.bytes(src), SCHEME.as_bytes()).is_some();
            sections.observe(src, number, &scalar, referred);
            number += 1;
        })?;
        Ok(sections.sections)
    }

    /// The sections themselves.
    pub(crate) fn into_sections(self) -> Vec<Section> {
        self.sections
    }

    /// Whether a section of this name holds credentials.
    pub(crate) fn have_credentials(name: &str) -> bool {
        ["pop-client", "smtp-client", "secret-"].iter().any(|start| name.starts_with(start))
    }

    fn report_duplicates(&self, pending: &mut Vec<Pending>) {
        let mut sections = std::collections::BTreeSet::new();
        for section in &self.sections {
            if !sections.insert((section.set, &section.name)) {
                let what = format!("the section [{}] stands here again", escaped(&section.name));
                pending.push(Pending::new(section.at, Rule::DuplicateSection, what));
            }
            let mut options = std::collections::BTreeSet::new();
            for option in &section.options {
                if !options.insert(&option.name) {
                    let what = format!(
                        "the option {} of [{}] stands here again",
                        escaped(&option.name),
                        escaped(&section.name)
                    );
                    pending.push(Pending::new(option.at, Rule::DuplicateOption, what));
                }
            }
        }
    }
}

impl Section {
    /// Whether it is a mailbox or the outgoing mail server.
    pub(crate) fn is_client(&self) -> bool {
        self.name.starts_with("pop-client") || self.name.starts_with("smtp-client")
    }

    pub(crate) fn option(&self, name: &str) -> Option<&Setting> {
        self.options.iter().find(|option| option.name == name)
    }

    /// The value of an option, if it stands there and is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let text = std::str::from_utf8(&self.option(name)?.value).ok()?;
        (!text.is_empty()).then_some(text)
    }

    /// Who logs in: inbound it is `mailbox`, outbound `user`.
    pub(crate) fn address(&self) -> Option<&str> {
        self.text("mailbox").or_else(|| self.text("user"))
    }

    /// The entry of the client whose section `secret = NAME` selects.
    pub(crate) fn client(&self) -> Option<String> {
        self.option("secret").filter(|option| !option.referred)?;
        let name = self.text("secret").filter(|name| !name.contains(char::is_whitespace))?;
        Some(format!("secret-{name}"))
    }

    /// Whether it logs in with a token.
    pub(crate) fn uses_tokens(&self) -> bool {
        self.options.iter().any(|option| {
            option.name.starts_with("mail.")
                && option.name.ends_with(".auth.mechanisms")
                && option
                    .value
                    .split(u8::is_ascii_whitespace)
                    .any(|mechanism| mechanism.eq_ignore_ascii_case(b"XOAUTH2"))
        })
    }

    /// Whether its password is the secret of a Microsoft application.
    pub(crate) fn uses_application(&self) -> bool {
        let is = |name: &str, value: &str| {
            self.text(name).is_some_and(|text| text.eq_ignore_ascii_case(value))
        };
        self.text("secret").is_none()
            && (is("grant-type", "client_credentials")
                || is("type", "GRAPH")
                || is("server-type", "GRAPH"))
    }

    /// The entry that is named after the section.
    pub(crate) fn own_entry(&self, stem: &str) -> String {
        format!("{stem}/{}", segment(&self.name))
    }

    /// Whether it logs in at all: the outgoing server does so only where that is switched on.
    fn logs_in(&self) -> bool {
        let off = match self.option("enable-authentication") {
            Some(option) if !option.value.is_empty() => {
                !option.referred && option.value.eq_ignore_ascii_case(b"false")
            }
            _ => self.name.starts_with("smtp-client"),
        };
        self.is_client() && (!off || self.uses_tokens() || self.uses_application())
    }
}

impl Setting {
    /// Whether the value is empty or all `*`.
    pub(crate) fn is_blank(&self) -> bool {
        !self.referred && self.value.iter().all(|&b| b == b'*')
    }
}

struct FillRule<'a> {
    /// What entries are named after.
    stem: String,
    format: Format,
    wanted: &'a mut Wants,
    pending: &'a mut Vec<Pending>,
    fills: Vec<Fill>,
}

impl FillRule<'_> {
    fn client(&mut self, sections: &mut [Section], client: usize) {
        let section = &sections[client];
        let Some(secret) = section.option("secret").filter(|o| !o.value.is_empty() && !o.referred)
        else {
            return;
        };
        let Some(name) = section.text("secret").filter(|n| !n.contains(char::is_whitespace)) else {
            let what = "the option secret names no section: it is not UTF-8 or holds white space";
            return self.report(secret.at, Rule::BadSecretName, what.to_owned());
        };
        if !tokens::find(name.as_bytes()).is_empty() {
            let what = "the option secret holds what looks like a secret; it is to hold NAME, and the \
                        secret stands in the section [secret-NAME]";
            return self.report(secret.at, Rule::BadSecretName, what.to_owned());
        }
        let entry = format!("secret-{name}");
        let (at, set) = (secret.at, section.set);
        self.secret_section(sections, &entry, at, set);
        if sections[client].uses_tokens() {
            self.tokens(&mut sections[client], &entry);
        }
    }

    /// The section that the option `secret` at `at` selects.
    fn secret_section(&mut self, sections: &mut [Section], entry: &str, at: usize, set: usize) {
        let Some(section) = sections.iter_mut().find(|s| s.set == set && s.name == entry) else {
            let what = format!("the section [{}] does not exist", escaped(entry));
            let lines = self.section_to_paste(entry);
            return self.report_missing(at, what, lines);
        };
        self.fill(section, "password", [(entry, CLIENT_SECRET)].into_iter());
    }

    /// The password and client id of a mail client that logs in with tokens.
    fn tokens(&mut self, section: &mut Section, entry: &str) {
        self.fill(section, "client-id", [(entry, CLIENT_ID)].into_iter());
        let Some(address) = section.address() else {
            if section.option("password").is_none_or(Setting::is_blank) {
                let what = format!(
                    "the section [{}] has neither mailbox nor user, so its token is not known",
                    escaped(&section.name)
                );
                self.report_missing(section.at, what, Vec::new());
            }
            return;
        };
        let shared = format!("mailbox/{address}");
        let own = format!("{shared}+{}", section.name);
        let candidates = [(shared.as_str(), REFRESH_TOKEN), (own.as_str(), REFRESH_TOKEN)];
        self.fill(section, "password", candidates.into_iter());
    }

    /// Fills `option` of `section`, if it is blank, from the one of at most two candidates that
    /// exists.
    fn fill<'a>(
        &mut self,
        section: &mut Section,
        option: &str,
        candidates: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    ) {
        let required = candidates.len() == 1;
        let mut references = Vec::new();
        for (entry, field) in candidates {
            match Reference::new(entry, field, None) {
                Ok(reference) => references.push(reference),
                Err(error) => {
                    let what = format!("the value for {option} cannot be referred to: {error}");
                    return self.report(section.at, Rule::BadReference, what);
                }
            }
        }
        if section.option(option).is_none() {
            let what = format!("the section [{}] has no option {option}", escaped(&section.name));
            let lines = vec![self.option_to_paste(option, &references[0])];
            return self.report_missing(section.at, what, lines);
        }
        let Some(setting) = section.options.iter_mut().find(|o| o.name == option && o.is_blank())
        else {
            return;
        };
        let mut indices = references.into_iter().map(|reference| {
            self.wanted.add(reference, required, || Origin::Filled {
                section: section.name.clone(),
                option: option.to_owned(),
            })
        });
        let wanted = indices.next().expect("there is at least one candidate");
        let alternative = indices.next();
        let slot = Slot { at: setting.at, wanted, alternative, filters: Vec::new() };
        setting.referred = true;
        let (scalar, depth, span) = (setting.scalar, setting.depth, setting.span.clone());
        self.fills.push(Fill { scalar, depth, span, slot });
    }

    fn section_to_paste(&self, entry: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let password = Reference::new(entry, CLIENT_SECRET, None);
        if let Ok(password) = password {
            let option = self.option_to_paste("password", &password);
            if self.format == Format::GenesysIni {
                lines.extend([format!("[{entry}]"), option]);
            } else {
                let open = format!("<list_pair key=\"{}\">", xml_escaped(entry));
                lines.extend([open, option, "</list_pair>".to_owned()]);
            }
        }
        lines
    }

    fn option_to_paste(&self, option: &str, reference: &Reference) -> String {
        if self.format == Format::GenesysIni {
            format!("{option} = {reference}")
        } else {
            format!("<str_pair key=\"{option}\" value=\"{reference}\"/>")
        }
    }

    /// Passwords that stand in clear, and those that no rule fills.
    fn report_left(&mut self, sections: &[Section]) {
        for section in sections {
            // The same for all of them, and not to be sought again for each.
            let mut line = None;
            let logs_in = section.logs_in() && !self.is_told(section);
            for option in section.options.iter().filter(|o| o.name == "password" && !o.referred) {
                let name = escaped(&section.name);
                if !option.is_blank() {
                    let what = format!("the password of [{name}] stands here in clear");
                    self.report(option.at, Rule::LiteralSecret, what);
                    continue;
                }
                let (rule, state) = if !option.value.is_empty() {
                    (Rule::MaskedValue, "masked")
                } else if logs_in {
                    (Rule::BlankValue, "blank")
                } else {
                    continue;
                };
                let what = format!("the password of [{name}] is {state} and no rule fills it");
                let mut pending = Pending::new(option.at, rule, what);
                let line = line.get_or_insert_with(|| {
                    let reference = self.password_of(section, sections);
                    reference.map(|r| self.option_to_paste("password", &r))
                });
                pending.nearest.extend(line.clone());
                self.pending.push(pending);
            }
        }
    }

    /// Whether the rule was to fill the section's password and has told what is in the way.
    fn is_told(&self, section: &Section) -> bool {
        let selects = |option: &Setting| !option.value.is_empty() && !option.referred;
        section.option("secret").is_some_and(selects) && section.uses_tokens()
    }

    /// Where adopting would have put the password of a section.
    fn password_of(&self, section: &Section, sections: &[Section]) -> Option<Reference> {
        let own = section.own_entry(&self.stem);
        let (entry, field) = if !section.is_client() {
            (names::whole(&section.name).to_owned(), CLIENT_SECRET)
        } else if section.text("secret").is_some() && section.uses_tokens() {
            let shared = section.address().map(|address| format!("mailbox/{address}"));
            (shared.unwrap_or(own), REFRESH_TOKEN)
        } else if section.uses_application() {
            // All sections of one application have one secret, which is named after the first.
            let client_id = section.text(CLIENT_ID);
            let same = |other: &&Section| {
                other.set == section.set
                    && other.uses_application()
                    && other.text(CLIENT_ID) == client_id
            };
            let first = sections.iter().find(same).filter(|_| client_id.is_some());
            (first.map_or(own, |first| first.own_entry(&self.stem)), CLIENT_SECRET)
        } else {
            (own, PASSWORD)
        };
        Reference::new(&entry, field, None).ok()
    }

    fn report(&mut self, at: usize, rule: Rule, what: String) {
        self.pending.push(Pending::new(at, rule, what));
    }

    fn report_missing(&mut self, at: usize, what: String, lines: Vec<String>) {
        let mut pending = Pending::new(at, Rule::MissingOption, what);
        pending.nearest = lines;
        self.pending.push(pending);
    }
}

fn xml_escaped(name: &str) -> String {
    name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

//! One mail client: its provider, its login and its transport.

use super::Report;
use crate::Reference;
use crate::genesys::{Section, Setting};
use crate::problem::{Kind, Pending, Rule, escaped};

/// A section of a mail client, with what decides which rules apply to it.
pub(super) struct Client<'a> {
    section: &'a Section,
    name: String,
    /// Whether it fetches mail; the other kind sends it.
    fetches: bool,
    /// What `type` or `server-type` says, in capitals; empty if it is not written.
    protocol: String,
    host: Host,
    authority: Authority,
    /// Whether it logs in by XOAUTH2.
    xoauth2: bool,
    /// Whether it logs in with a token of any kind.
    tokens: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Host {
    Google,
    Microsoft,
    Other,
    /// Not written in the section.
    Unknown,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Authority {
    Google,
    Microsoft,
    /// Not written: Microsoft's is the default.
    Missing,
    Other,
    /// A reference stands there.
    Unknown,
}

/// The domains of Google's servers for mail, and of its addresses for everyone.
const GOOGLE: &[&str] = &["gmail.com", "googlemail.com"];

/// The reference that an option is, if it is one and nothing else.
pub(super) fn reference(option: &Setting) -> Option<Reference> {
    Reference::parse(std::str::from_utf8(&option.value).ok()?).ok()
}

impl<'a> Client<'a> {
    pub(super) fn new(section: &'a Section) -> Self {
        let fetches = section.name.starts_with("pop-client");
        let text = |name: &str| section.option(name).and_then(plain).unwrap_or_default();
        let protocol = text(if fetches { "type" } else { "server-type" }).to_ascii_uppercase();
        let host = match text("server").to_ascii_lowercase().trim_end_matches('.') {
            "" => Host::Unknown,
            host if is_in(host, GOOGLE) => Host::Google,
            host if is_in(host, &["office365.com", "outlook.com", "outlook.office.com"]) => {
                Host::Microsoft
            }
            _ => Host::Other,
        };
        let authority = match section.option("tenant-authority") {
            Some(option) if option.referred => Authority::Unknown,
            _ => match text("tenant-authority").to_ascii_lowercase().trim_end_matches('/') {
                "" => Authority::Missing,
                authority if authority.contains("google") => Authority::Google,
                "https://login.microsoftonline.com" => Authority::Microsoft,
                _ => Authority::Other,
            },
        };
        let xoauth2 = section.uses_tokens();
        let by_application = text("grant-type").eq_ignore_ascii_case("client_credentials");
        let tokens = xoauth2 || by_application || protocol == "GRAPH";
        let name = escaped(&section.name);
        Self { section, name, fetches, protocol, host, authority, xoauth2, tokens }
    }

    pub(super) fn check(&self, report: &mut Report<'_>) {
        if self.is_google() && self.xoauth2 {
            self.google(report);
        }
        if self.authority == Authority::Other {
            let what = format!(
                "the tenant-authority of [{}] is neither https://login.microsoftonline.com nor does \
                 it contain google",
                self.name
            );
            report.at(self.at("tenant-authority"), Rule::UnknownAuthority, what);
        }
        if self.is_microsoft() {
            self.microsoft(report);
        }
        if self.tokens {
            self.ids(report);
        }
        self.password(report);
        self.mechanisms(report);
        self.retirements(report);
        self.transport(report);
        self.traces(report);
        self.twice(report);
    }

    fn is_google(&self) -> bool {
        let is_gmail = |option: &Setting| {
            let address = plain(option).unwrap_or_default().to_ascii_lowercase();
            address.rsplit_once('@').is_some_and(|(_, domain)| GOOGLE.contains(&domain))
        };
        // Where nothing else says whose mailbox it is, its address does.
        let by_address = self.host == Host::Unknown
            && self.authority == Authority::Missing
            && ["mailbox", "user"]
                .iter()
                .filter_map(|name| self.section.option(name))
                .any(is_gmail);
        self.authority == Authority::Google || self.host == Host::Google || by_address
    }

    fn is_microsoft(&self) -> bool {
        let by_default = self.tokens && self.authority == Authority::Missing;
        !self.is_google()
            && (self.host == Host::Microsoft
                || self.authority == Authority::Microsoft
                || self.protocol == "GRAPH"
                || by_default)
    }

    fn google(&self, report: &mut Report<'_>) {
        let (name, at) = (&self.name, self.section.at);
        match self.authority {
            Authority::Missing => {
                let what = format!(
                    "[{name}] has no tenant-authority: without one, the token for Google's server is \
                     asked of Microsoft"
                );
                report.at(at, Rule::GmailIncomplete, what);
            }
            Authority::Microsoft => {
                let what = format!(
                    "the tenant-authority of [{name}] is Microsoft's, its server is Google's"
                );
                report.at(self.at("tenant-authority"), Rule::GmailIncomplete, what);
            }
            _ => {}
        }
        if self.has("secret") {
            // With a `secret`, the fill rule asks for the others.
            return;
        }
        let what =
            format!("[{name}] has no secret, which selects the section with the client secret");
        report.at(at, Rule::GmailIncomplete, what);
        for option in ["client-id", "password"] {
            if self.section.option(option).is_none() {
                report.at(at, Rule::GmailIncomplete, format!("[{name}] has no {option}"));
            }
        }
    }

    fn microsoft(&self, report: &mut Report<'_>) {
        let (name, at) = (&self.name, self.section.at);
        for option in ["client-id", "directory-id"] {
            if self.tokens && !self.has(option) {
                let what = format!("[{name}] has no {option}, which Microsoft's tokens need");
                report.at(at, Rule::MicrosoftIncomplete, what);
            }
        }
        if self.has("secret") {
            let what = format!("[{name}] is a Microsoft mailbox, where secret has no meaning");
            report.at(self.at("secret"), Rule::SecretOnMicrosoft, what);
        }
        let two_lines = "mail.pop3.auth.xoauth2.two.line.authentication.format";
        if self.xoauth2 && self.protocol == "POP3" && !self.is_on(two_lines) {
            let what = format!("[{name}] lacks {two_lines} = true, which Microsoft's POP3 needs");
            report.at(at, Rule::TwoLineLogin, what);
        }
    }

    fn ids(&self, report: &mut Report<'_>) {
        let name = &self.name;
        if let Some(id) = self.text("client-id") {
            let theirs = if self.is_google() && !id.ends_with(".apps.googleusercontent.com") {
                Some("Google's end with .apps.googleusercontent.com")
            } else if self.is_microsoft() && !is_guid(id) {
                Some("Microsoft's are GUIDs")
            } else {
                None
            };
            if let Some(theirs) = theirs {
                let what = format!("the client-id of [{name}] is none: {theirs}");
                report.at(self.at("client-id"), Rule::BadClientId, what);
            }
        }
        if self.text("directory-id").is_some_and(|id| !is_guid(id)) {
            let what = format!("the directory-id of [{name}] is no GUID");
            report.at(self.at("directory-id"), Rule::BadDirectoryId, what);
        }
    }

    fn password(&self, report: &mut Report<'_>) {
        let Some(password) = self.section.option("password") else { return };
        report.access_token(self.section, password);
        if self.is_google() && self.xoauth2 {
            report.refresh_token(self.section, password);
        }
        if !self.fetches && self.protocol != "GRAPH" && !self.is_on("enable-authentication") {
            let name = &self.name;
            let what = if self.tokens {
                format!("[{name}] may not log in, as enable-authentication is not true")
            } else {
                format!("[{name}] does not use its password, as enable-authentication is not true")
            };
            report.at(password.at, Rule::AuthenticationOff, what);
        }
    }

    fn mechanisms(&self, report: &mut Report<'_>) {
        let name = &self.name;
        let own = self.protocol.to_ascii_lowercase();
        for option in &self.section.options {
            let property = option.name.strip_prefix("mail.");
            let Some(protocol) = property.and_then(|p| p.strip_suffix(".auth.mechanisms")) else {
                continue;
            };
            let plain = protocol.strip_suffix('s').unwrap_or(protocol);
            if ["imap", "pop3", "smtp"].contains(&own.as_str()) && plain != own {
                let what = format!(
                    "{} of [{name}] has no effect, as its protocol is {}",
                    escaped(&option.name),
                    self.protocol
                );
                let mut pending = Pending::new(option.at, Rule::WrongProtocol, what);
                // Which properties the sending side looks at is not documented.
                if !self.fetches {
                    pending.kind = Kind::Warning;
                }
                report.pending.push(pending);
            }
            let words = std::str::from_utf8(&option.value).unwrap_or_default();
            let is_xoauth2 = |word: &str| word.eq_ignore_ascii_case("XOAUTH2");
            if words.split_whitespace().any(|word| is_xoauth2(word) && word != "XOAUTH2") {
                let what = format!(
                    "the mechanism of [{name}] is documented as XOAUTH2, and another spelling may not \
                     be understood"
                );
                report.at(option.at, Rule::MechanismSpelling, what);
            }
            let others = words.split_whitespace().any(|word| !is_xoauth2(word));
            if words.split_whitespace().any(is_xoauth2) && others {
                let what = format!(
                    "[{name}] lists other mechanisms beside XOAUTH2, by which the token would be sent \
                     as a password"
                );
                report.at(option.at, Rule::WeakerMechanisms, what);
            }
        }
    }

    fn retirements(&self, report: &mut Report<'_>) {
        let name = &self.name;
        if self.protocol == "EWS" && self.host != Host::Other {
            let what = format!(
                "[{name}] uses EWS, which Exchange Online blocks from 2026-10-01 on unless it is \
                 allowed there, and gives up on 2027-04-01"
            );
            let option = if self.fetches { "type" } else { "server-type" };
            report.at(self.at(option), Rule::EwsRetired, what);
        }
        if self.tokens || !self.has("password") {
            return;
        }
        let why = match (self.host, self.fetches) {
            (Host::Google, _) => {
                "Google Workspace takes only passwords of applications since May 2025"
            }
            (Host::Microsoft, true) => "Exchange Online wants tokens instead",
            (Host::Microsoft, false) => {
                "Exchange Online turns this off by default at the end of December 2026"
            }
            _ => return,
        };
        let what = format!("[{name}] logs in by password: {why}");
        report.at(self.section.at, Rule::BasicAuthRetired, what);
    }

    fn transport(&self, report: &mut Report<'_>) {
        let name = &self.name;
        let options = &self.section.options;
        let of_mail = |end: &'static str| {
            options.iter().filter(move |o| o.name.starts_with("mail.") && o.name.ends_with(end))
        };
        let by_security = |option: &Setting| {
            let is_none = |text: &str| is_off(text) || text.eq_ignore_ascii_case("none");
            option.name.ends_with("-connection-security")
                && !option.is_blank()
                && !plain(option).is_some_and(is_none)
        };
        let properties = [".ssl.enable", ".starttls.enable", ".starttls.required"];
        let on = self.is_on("enable-ssl")
            || options.iter().any(by_security)
            || properties.iter().any(|end| of_mail(end).any(is_on));
        if !on && !["EWS", "GRAPH"].contains(&self.protocol.as_str()) {
            let what = format!("nothing in [{name}] turns TLS on");
            report.at(self.section.at, Rule::NoTls, what);
        }
        for option in of_mail(".starttls.enable").filter(|option| is_on(option)) {
            let required = option.name.replace(".starttls.enable", ".starttls.required");
            if !self.is_on(&required) {
                let what = format!(
                    "[{name}] goes on without TLS where the server offers none: {} is not true",
                    escaped(&required)
                );
                report.at(option.at, Rule::OptionalStarttls, what);
            }
        }
        for option in of_mail(".ssl.trust") {
            if plain(option).is_some_and(|text| text.contains('*'))
                || option.value.as_slice() == b"*"
            {
                let what =
                    format!("{} of [{name}] trusts every certificate", escaped(&option.name));
                report.at(option.at, Rule::TrustsAnyCertificate, what);
            }
        }
        for option in of_mail(".ssl.checkserveridentity") {
            if plain(option).is_some_and(is_off) {
                let what = format!(
                    "{} of [{name}] lets any certified server stand in for this one",
                    escaped(&option.name)
                );
                report.at(option.at, Rule::NoIdentityCheck, what);
            }
        }
    }

    fn traces(&self, report: &mut Report<'_>) {
        let traces = ["enable-debug", "mail.debug", "mail.debug.auth", "mail.debug.auth.password"];
        for option in traces.into_iter().filter(|option| self.is_on(option)) {
            let what =
                format!("{option} of [{}] writes traces, which may hold credentials", self.name);
            report.at(self.at(option), Rule::DebugOn, what);
        }
    }

    /// Options that set a property of the mail library, with that property beside them.
    fn twice(&self, report: &mut Report<'_>) {
        for option in &self.section.options {
            let Some(property) = option.name.strip_prefix("mail.") else { continue };
            let of_protocol = property.split_once('.').map_or("", |(_, property)| property);
            let own = match of_protocol {
                "connectiontimeout" => "connect-timeout",
                "timeout" => "protocol-timeout",
                "user" if self.fetches => "mailbox",
                "user" => "user",
                "host" => "server",
                "port" | "socketFactory.port" => "port",
                "socketFactory.class" | "socketFactory.fallback" => "enable-ssl",
                _ if property == "debug" => "enable-debug",
                _ => continue,
            };
            if self.section.option(own).is_some() {
                let what = format!(
                    "{} of [{}] is what {own} sets, and it is not clear which of them counts",
                    escaped(&option.name),
                    self.name
                );
                report.at(option.at, Rule::OptionTwice, what);
            }
        }
    }

    /// Where an option stands, or else its section.
    fn at(&self, option: &str) -> usize {
        self.section.option(option).map_or(self.section.at, |option| option.at)
    }

    /// Whether an option is there with some value, if only a reference or a mask.
    fn has(&self, option: &str) -> bool {
        self.section.option(option).is_some_and(|option| !option.value.is_empty())
    }

    fn text(&self, option: &str) -> Option<&'a str> {
        plain(self.section.option(option)?)
    }

    fn is_on(&self, option: &str) -> bool {
        self.section.option(option).is_some_and(is_on)
    }
}

/// The text of an option, unless it is a reference, a mask or nothing.
fn plain(option: &Setting) -> Option<&str> {
    let text = std::str::from_utf8(&option.value).ok()?;
    (!option.referred && !option.is_blank()).then_some(text)
}

fn is_on(option: &Setting) -> bool {
    let words = ["true", "yes", "on", "1"];
    plain(option).is_some_and(|text| words.iter().any(|word| text.eq_ignore_ascii_case(word)))
}

fn is_off(text: &str) -> bool {
    ["false", "no", "off", "0"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn is_in(host: &str, domains: &[&str]) -> bool {
    let before = |domain: &&str| host.strip_suffix(*domain);
    domains.iter().filter_map(before).any(|before| before.is_empty() || before.ends_with('.'))
}

/// 8-4-4-4-12 hexadecimal digits (RFC 9562 section 4).
fn is_guid(text: &str) -> bool {
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

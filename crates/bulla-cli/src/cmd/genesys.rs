//! `bulla genesys template`: sections of Genesys E-mail Server for the mailboxes in the vault, with
//! references and without a secret.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bulla_oauth::{GrantType, Protocol, Server};
use bulla_resolve::{Reference, Secret, Target};
use bulla_vault::{EntryName, Kind, Snapshot};
use clap::{Subcommand, ValueEnum};

use super::Done;
use super::render::{Waiting, several};
use crate::account::{
    Account, CLIENT_SECRET, REFRESH_TOKEN, Registration, mailbox_name, of_kind, text,
};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::with_vault;

/// What to do for Genesys E-mail Server.
#[derive(Subcommand)]
#[command(defer = true)]
pub(crate) enum GenesysCommand {
    /// Write option sections for mailboxes, with references and without a secret
    Template(TemplateArgs),
}

#[derive(clap::Args)]
pub(crate) struct TemplateArgs {
    /// The addresses of mailboxes [default: every mailbox in the vault]
    addresses: Vec<String>,
    /// In which form
    #[arg(long, value_name = "FORM", default_value = "ini")]
    form: Form,
    /// How mail is fetched
    #[arg(long, value_name = "PROTOCOL", default_value = "imap")]
    fetch: Fetch,
    /// The address that sends mail [default: the first one]
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// Write it to this file, all or nothing, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The forms in which Genesys takes options.
#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Form {
    /// Sections of option=value
    Ini,
    /// The options of an application, in the XML that Genesys imports
    Xml,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Fetch {
    Imap,
    Pop3,
}

/// A section: its name, and its options.
struct Section {
    name: String,
    options: Vec<(String, String)>,
}

/// What Genesys recommends for one E-mail Server.
const MOST_MAILBOXES: usize = 25;

pub(crate) fn run(context: &Context, command: GenesysCommand) -> Done {
    let GenesysCommand::Template(args) = command;
    let wanted = |text: &String| mailbox_name(text);
    let chosen: Vec<_> = args.addresses.iter().map(wanted).collect::<Result<_, _>>()?;
    let sender = args.sender.as_ref().map(wanted).transpose()?;
    let sections = with_vault(context, |vault| {
        let snapshot = vault.read()?;
        let names =
            if chosen.is_empty() { of_kind(&snapshot, Kind::Mailbox)? } else { chosen.clone() };
        if names.len() > MOST_MAILBOXES {
            context.printer.warn(format_args!(
                "Genesys recommends at most {MOST_MAILBOXES} mailboxes for one E-mail Server; these are {}",
                names.len()
            ));
        }
        if names.is_empty() {
            let fact = "there is no mailbox in the vault";
            return Err(Failure::new(Exit::Missing, "no-mailbox", fact)
                .hint("`bulla mailbox authorize ADDRESS --client ENTRY` makes one"));
        }
        let mut sections =
            Sections { context, snapshot: &snapshot, all: Vec::new(), used: BTreeSet::new() };
        let mut unfit = Vec::new();
        let mut first = None;
        for name in &names {
            match sections.inbound(name, args.fetch) {
                Ok(()) => first = first.or(Some(name)),
                Err(failure) => unfit.push(failure),
            }
        }
        // Who is named is wanted. Of all there are, those are taken that Genesys can use.
        let Some(first) = first.filter(|_| chosen.is_empty() || unfit.is_empty()) else {
            return Err(several(context, unfit));
        };
        for failure in unfit {
            context.printer.warn(format_args!("left out: {}", failure.fact));
        }
        sections.outbound(sender.as_ref().unwrap_or(first))?;
        Ok(sections.all)
    })?;
    let text = match args.form {
        Form::Ini => ini(&sections),
        Form::Xml => xml(&sections),
    };
    match &args.output {
        None => context.printer.data(text.as_bytes())?,
        Some(path) => write(context, path, &text)?,
    }
    Ok(Exit::Done)
}

/// Writes it as renderings are written. A shell would empty the file before anything is known to be right.
fn write(context: &Context, path: &Path, text: &str) -> Result<(), Failure> {
    let contents = Secret::copied_from(text.as_bytes());
    // There is no secret in it, so who could read it before may read it.
    let mode = fs::metadata(path).ok().map(|there| there.mode() & 0o666);
    let target = Target { path, contents: &contents, mode, owner: None };
    Waiting::prepare(context, &[target], &[])?.commit(context)?;
    context.printer.note(format_args!("{} is written, without a secret in it", path.display()));
    Ok(())
}

struct Sections<'a> {
    context: &'a Context,
    snapshot: &'a Snapshot<'a>,
    all: Vec<Section>,
    used: BTreeSet<String>,
}

/// Whose OAuth a section speaks. Genesys knows two.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Authority {
    Google,
    Microsoft,
}

impl Authority {
    /// By what the client's provider is called: what is known of Google and Microsoft, their issuers too, can
    /// be replaced in the user's file of providers.
    fn of(registration: &Registration) -> Option<Self> {
        match registration.provider_name.as_str() {
            "google" => Some(Self::Google),
            "microsoft" => Some(Self::Microsoft),
            issuer if issuer.starts_with(GOOGLE) => Some(Self::Google),
            issuer if issuer.starts_with(MICROSOFT) => Some(Self::Microsoft),
            _ => None,
        }
    }
}

/// What Genesys calls them.
const GOOGLE: &str = "https://accounts.google.com";
const MICROSOFT: &str = "https://login.microsoftonline.com";

impl Sections<'_> {
    fn account(&self, name: &EntryName) -> Result<(Account, Authority), Failure> {
        let account = Account::find(self.context, self.snapshot, name)?;
        let by_itself = matches!(account.grant_type, GrantType::ClientCredentials(_));
        let unfit = |fault| Failure::new(Exit::Usage, "genesys", fault).about(name);
        match Authority::of(&account.registration) {
            Some(Authority::Google) if by_itself => {
                Err(unfit("Genesys has no client credentials for Google"))
            }
            Some(Authority::Microsoft) if !by_itself => {
                Err(unfit("Genesys takes no refresh tokens of Microsoft").hint(format_args!(
                    "`bulla mailbox add {} --client {} --app-only` is what Genesys can use",
                    account.address, account.registration.name
                )))
            }
            Some(authority) => Ok((account, authority)),
            None => Err(unfit("Genesys speaks with Google and Microsoft only").hint(format_args!(
                "it is registered with {}; where that is one of them, `bulla set {} --public provider=google` (or microsoft) says so",
                account.registration.provider_name, account.registration.name
            ))),
        }
    }

    /// Adds what fetches the mail of a mailbox, or nothing.
    fn inbound(&mut self, name: &EntryName, fetch: Fetch) -> Result<(), Failure> {
        let (account, authority) = self.account(name)?;
        let (protocol, kind) = match fetch {
            Fetch::Imap => (Protocol::Imap, "IMAP"),
            Fetch::Pop3 => (Protocol::Pop3, "POP3"),
        };
        let server = self.server(&account, protocol)?;
        let mut options = vec![
            ("type".to_owned(), kind.to_owned()),
            ("server".to_owned(), server.host.clone()),
            ("port".to_owned(), server.port.to_string()),
            ("mailbox".to_owned(), account.user.clone()),
        ];
        self.credentials(&account, authority, &mut options)?;
        let property = format!("mail.{}", kind.to_lowercase());
        options.extend(tls(&property, &server));
        if authority == Authority::Microsoft && fetch == Fetch::Pop3 {
            let two_lines = ".auth.xoauth2.two.line.authentication.format";
            options.push((format!("{property}{two_lines}"), "true".to_owned()));
        }
        let local = account.address.split('@').next().unwrap_or_default();
        let section = match self.all.iter().any(|section| section.name == "pop-client") {
            false => "pop-client".to_owned(),
            true => self.free(&format!("pop-client-{}", plain(local))),
        };
        self.push(section, options)?;
        self.secret_section(&account, authority)
    }

    /// Genesys knows one section for sending.
    fn outbound(&mut self, name: &EntryName) -> Result<(), Failure> {
        let (account, authority) = self.account(name)?;
        let server = self.server(&account, Protocol::Smtp)?;
        let mut options = vec![
            ("server-type".to_owned(), "SMTP".to_owned()),
            ("server".to_owned(), server.host.clone()),
            ("port".to_owned(), server.port.to_string()),
            ("user".to_owned(), account.user.clone()),
            ("enable-authentication".to_owned(), "true".to_owned()),
        ];
        self.credentials(&account, authority, &mut options)?;
        options.extend(tls("mail.smtp", &server));
        self.push("smtp-client".to_owned(), options)?;
        self.secret_section(&account, authority)
    }

    fn server(&self, account: &Account, protocol: Protocol) -> Result<Server, Failure> {
        let found = account.servers.iter().find(|server| server.protocol == protocol);
        found.cloned().ok_or_else(|| {
            let fact =
                format!("nobody knows the {} server of {}", protocol.name(), account.address);
            let (name, field) = (&account.name, protocol.name().to_lowercase());
            Failure::new(Exit::Usage, "no-server", fact)
                .hint(format_args!("`bulla set {name} --public {field}={field}s://HOST` says it"))
        })
    }

    fn credentials(
        &self,
        account: &Account,
        authority: Authority,
        options: &mut Vec<(String, String)>,
    ) -> Result<(), Failure> {
        let client = &account.registration.name;
        let mut put = |name: &str, value: String| options.push((name.to_owned(), value));
        put("client-id", account.registration.client.id.clone());
        match authority {
            Authority::Google => {
                put("password", reference(&account.name, REFRESH_TOKEN)?);
                put("secret", secret_name(client));
                put("tenant-authority", GOOGLE.to_owned());
            }
            Authority::Microsoft => {
                put("password", reference(client, CLIENT_SECRET)?);
                let entry = self.snapshot.find(client)?;
                let directory =
                    entry.as_ref().and_then(|version| version.live()).and_then(|entry| {
                        text(entry, "tenant").or_else(|| text(entry, "directory-id"))
                    });
                let directory = directory.ok_or_else(|| {
                    Failure::new(
                        Exit::Missing,
                        "missing-field",
                        format!("`{client}` has no tenant"),
                    )
                    .about(&account.name)
                    .hint(format_args!(
                        "`bulla set {client} --public tenant=...` is the directory (tenant) ID"
                    ))
                })?;
                put("directory-id", directory);
                put("grant-type", "client_credentials".to_owned());
                put("scope", "https://outlook.office.com/.default".to_owned());
                put("tenant-authority", MICROSOFT.to_owned());
            }
        }
        Ok(())
    }

    /// The section that `secret` selects, once for each client.
    fn secret_section(&mut self, account: &Account, authority: Authority) -> Result<(), Failure> {
        let client = &account.registration.name;
        let name = format!("secret-{}", secret_name(client));
        if authority == Authority::Google && !self.used.contains(&name) {
            let password = reference(client, CLIENT_SECRET)?;
            self.push(name, vec![("password".to_owned(), password)])?;
        }
        Ok(())
    }

    fn push(&mut self, name: String, options: Vec<(String, String)>) -> Result<(), Failure> {
        // A field of the vault may hold anything, and a line end would begin another option.
        let odd = options.iter().find(|(_, value)| value.chars().any(char::is_control));
        if let Some((option, _)) = odd {
            let fact = format!("`{option}` of [{name}] would hold a control character");
            return Err(Failure::new(Exit::Usage, "genesys", fact).hint(
                "`bulla show` shows it in the mailbox or its client, and `bulla set` mends it",
            ));
        }
        self.used.insert(name.clone());
        self.all.push(Section { name, options });
        Ok(())
    }

    fn free(&self, name: &str) -> String {
        let numbered = (2..).map(|n| format!("{name}-{n}"));
        let mut names = [name.to_owned()].into_iter().chain(numbered);
        names.find(|name| !self.used.contains(name)).expect("there are more numbers than sections")
    }
}

/// The mechanism, and TLS with a check of the server's name: JavaMail checks none by itself before 2.0.
fn tls(property: &str, server: &Server) -> Vec<(String, String)> {
    let mut options = vec![(format!("{property}.auth.mechanisms"), "XOAUTH2".to_owned())];
    let mut put = |name: &str| options.push((format!("{property}.{name}"), "true".to_owned()));
    if server.starttls {
        // Without `required`, a server that does not offer it gets the token in clear.
        put("starttls.enable");
        put("starttls.required");
    } else if property == "mail.smtp" {
        put("ssl.enable");
    }
    put("ssl.checkserveridentity");
    if !server.starttls && property != "mail.smtp" {
        options.insert(0, ("enable-ssl".to_owned(), "true".to_owned()));
    }
    options
}

/// What `secret` has to say, so that it selects the section of this client. White space is not allowed.
fn secret_name(client: &EntryName) -> String {
    let name = client.as_str();
    plain(name.strip_prefix("secret-").unwrap_or(name))
}

fn plain(text: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    text.chars().map(|c| if keep(c) { c } else { '-' }).collect()
}

fn reference(entry: &EntryName, field: &str) -> Result<String, Failure> {
    let reference = Reference::new(entry.as_str(), field, None);
    Ok(reference.map_err(|error| Failure::usage(error).about(entry))?.to_string())
}

fn ini(sections: &[Section]) -> String {
    let mut text = String::new();
    for (number, Section { name, options }) in sections.iter().enumerate() {
        let gap = if number == 0 { "" } else { "\n" };
        writeln!(text, "{gap}[{name}]").expect("a String takes everything");
        for (option, value) in options {
            writeln!(text, "{option}={value}").expect("a String takes everything");
        }
    }
    text
}

fn xml(sections: &[Section]) -> String {
    let escaped =
        |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let mut text = "<options>\n".to_owned();
    for Section { name, options } in sections {
        writeln!(text, "  <list_pair key=\"{}\">", escaped(name))
            .expect("a String takes everything");
        for (option, value) in options {
            let (option, value) = (escaped(option), escaped(value));
            writeln!(text, "    <str_pair key=\"{option}\" value=\"{value}\"/>")
                .expect("a String takes everything");
        }
        text.push_str("  </list_pair>\n");
    }
    text.push_str("</options>\n");
    text
}

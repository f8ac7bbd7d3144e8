//! The servers of `tests/testbed`, started for one test: a real authorization server and a real mail
//! server ([`Testbed`]), and one that answers as Exchange Online and Gmail do ([`Exchange`]).
//!
//! All of it is on loopback, on ports that the kernel chose, with a CA of its own. What a machine
//! cannot run is `None`, after a line that starts with `skipped: `. `tests/testbed/README.md` says
//! what the servers know: clients, scopes, faults, modes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// What a [`Testbed`] is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long access tokens live, in seconds.
    pub access_token_seconds: u32,
    /// Whether a refresh token is replaced when it is used (RFC 9700, section 4.14.2). Who uses one a
    /// second time loses the grant.
    pub rotate: bool,
    /// Refresh tokens as Google gives them: by `access_type` and `prompt`, and never replaced.
    pub google: bool,
    /// The scope that the mail server wants, if it wants one.
    pub mail_scope: Option<&'static str>,
    /// Whether there is a mail server at all; it needs root.
    pub mail: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access_token_seconds: 3600,
            rotate: true,
            google: false,
            mail_scope: None,
            mail: true,
        }
    }
}

/// A running authorization server and mail server. Both end when this is dropped.
pub struct Testbed {
    servers: Servers,
}

/// One request for a token, as the authorization server saw it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenRequest {
    /// The `grant_type`; empty if there was none.
    pub grant: String,
    /// The client; empty if it did not say.
    pub client: String,
    /// The HTTP status; `None` if the connection was dropped instead.
    pub status: Option<u16>,
    /// The error of RFC 6749, section 5.2, that the server itself answered with.
    pub error: Option<String>,
    /// The fault that the request met.
    pub fault: Option<String>,
}

impl Testbed {
    /// Starts the servers and waits until they are ready.
    ///
    /// # Panics
    ///
    /// If they do not start although everything that they need is there.
    #[must_use]
    pub fn start(options: &Options) -> Option<Self> {
        let mut arguments =
            vec![format!("--access-token-seconds={}", options.access_token_seconds)];
        let flags = [
            (!options.rotate, "--no-rotate"),
            (options.google, "--google"),
            (!options.mail, "--no-mail"),
        ];
        arguments
            .extend(flags.iter().filter(|(given, _)| *given).map(|(_, flag)| (*flag).to_owned()));
        arguments.extend(options.mail_scope.map(|scope| format!("--mail-scope={scope}")));
        Servers::start("start", &arguments).map(|servers| Self { servers })
    }

    /// The issuer's URL, without a slash at its end.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.servers.text("issuer")
    }

    /// The certificate that all servers here are verified with.
    #[must_use]
    pub fn ca(&self) -> &Path {
        self.servers.path("ca")
    }

    /// The mail server's port for `imap`, `imaps`, `pop3`, `pop3s`, `submission` or `submissions`.
    #[must_use]
    pub fn port(&self, protocol: &str) -> u16 {
        self.servers.port(protocol)
    }

    /// The mbox file that submitted mail ends in.
    #[must_use]
    pub fn sink(&self) -> &Path {
        self.servers.path("sink")
    }

    /// Breaks the next answers of the authorization server, by one fault in JSON or a list of them.
    /// An empty list ends all faults.
    pub fn fault(&self, json: &str) {
        self.servers.replace("faults", json);
    }

    /// The requests for tokens so far, in their order.
    #[must_use]
    pub fn token_requests(&self) -> Vec<TokenRequest> {
        let log = self.servers.log();
        let tokens = log.iter().filter(|line| line["request"] == "POST /token");
        tokens.map(TokenRequest::read).collect()
    }

    /// The scripted person, `tests/testbed/browser`; the caller adds where to go, and as whom.
    #[must_use]
    pub fn browser(&self) -> Command {
        self.person("browser")
    }

    /// The person with a real browser, `tests/testbed/chromium`, which prints a line starting with
    /// `skipped: ` where there is none.
    #[must_use]
    pub fn chromium(&self) -> Command {
        self.person("chromium")
    }

    /// The one who reads a rendered configuration and logs in with it, `tests/testbed/email-server`; the
    /// caller adds the file.
    #[must_use]
    pub fn email_server(&self) -> Command {
        let mut command = self.person("email-server");
        command.arg("--token-endpoint").arg(format!("{}/token", self.issuer()));
        command
    }

    fn person(&self, program: &str) -> Command {
        let mut command = Command::new(programs().join(program));
        command.arg("--ca").arg(self.ca());
        command
    }
}

impl TokenRequest {
    fn read(line: &Value) -> Self {
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        Self {
            grant: text("grant").unwrap_or_default(),
            client: text("client").unwrap_or_default(),
            status: line["status"].as_u64().and_then(|code| u16::try_from(code).ok()),
            error: text("error"),
            fault: text("fault"),
        }
    }
}

/// A running mail server that answers logins as Exchange Online and Gmail do. It ends when this is
/// dropped.
pub struct Exchange {
    servers: Servers,
}

impl Exchange {
    /// Starts it, in the mode `ok`.
    ///
    /// # Panics
    ///
    /// If it does not start although everything that it needs is there.
    #[must_use]
    pub fn start() -> Option<Self> {
        Servers::start("exchange", &[]).map(|servers| Self { servers })
    }

    /// The certificate that it is verified with.
    #[must_use]
    pub fn ca(&self) -> &Path {
        self.servers.path("ca")
    }

    /// The port for `imap`, `imaps`, `pop3`, `pop3s`, `submission` or `submissions`.
    #[must_use]
    pub fn port(&self, protocol: &str) -> u16 {
        self.servers.port(protocol)
    }

    /// What happens to logins on connections from now on: one of the words that
    /// `tests/testbed/exchange --help` lists.
    pub fn mode(&self, word: &str) {
        self.servers.replace("mode", word);
    }

    /// The logins and commands so far. A login has a `mechanism`, anything else a `command`.
    #[must_use]
    pub fn log(&self) -> Vec<Value> {
        self.servers.log()
    }
}

/// A program of the test bed that runs until its standard input is closed.
struct Servers {
    program: Child,
    folder: TempDir,
    ready: Value,
}

impl Servers {
    fn start(name: &str, arguments: &[String]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let errors = folder.path().join("errors");
        let mut program = Command::new(programs().join(name))
            .arg(folder.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors).expect("the folder is ours"))
            .spawn()
            .inspect_err(|error| skip(&format!("tests/testbed/{name} cannot run: {error}")))
            .ok()?;
        let mut line = String::new();
        let answers = program.stdout.take().expect("it is a pipe");
        let read = BufReader::new(answers).read_line(&mut line);
        let mut servers = Self { program, folder, ready: Value::Null };
        read.expect("what it prints is text");
        if let Some(why) = line.strip_prefix("skipped: ") {
            skip(why.trim_end());
            return None;
        }
        servers.ready = serde_json::from_str(&line).unwrap_or_else(|_| {
            let errors = fs::read_to_string(errors).unwrap_or_default();
            panic!("tests/testbed/{name} did not start: {errors}")
        });
        Some(servers)
    }

    fn text(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_else(|| panic!("there is no {name} here"))
    }

    fn path(&self, name: &str) -> &Path {
        Path::new(self.text(name))
    }

    fn port(&self, protocol: &str) -> u16 {
        let port = self.ready[protocol].as_u64().and_then(|port| u16::try_from(port).ok());
        port.unwrap_or_else(|| panic!("there is no server for {protocol}"))
    }

    /// Replaces a file as a whole, so that a server never reads half of it.
    fn replace(&self, name: &str, text: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, self.path(name)))
            .expect("the folder is ours");
    }

    fn log(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.path("log")).expect("the server made it");
        log.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        drop(self.program.stdin.take());
        // Without an answer it is over, too: it has nobody else's processes.
        let _ = self.program.wait();
    }
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/testbed")
}

#[expect(clippy::print_stdout, reason = "`./test` reads it from the output of tests")]
fn skip(why: &str) {
    println!("skipped: {why}");
}

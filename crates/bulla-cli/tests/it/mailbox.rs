//! The mailbox commands against the real servers of `tests/testbed`. What a machine cannot run
//! prints a line that begins with `skipped: `.

/// Consent in a browser.
mod authorize;
/// Mail clients that log in with what `bulla mailbox token` prints.
mod clients;
/// Consent on another machine.
mod elsewhere;
/// Everything that a provider may answer, and the refresh token afterwards.
mod faults;
/// The worst day, by the page that was written for it.
mod incidents;
/// Kills and full disks in the middle of a refresh.
mod killed;
/// The life of a grant: revert, another client, signals.
mod life;
/// Tokens in templates.
mod render;
/// What is told of a grant, and its withdrawal.
mod status;
/// Tokens: forms, lives, many at once.
mod token;
/// Proofs that a mailbox opens, and why it does not.
mod verify;
/// The whole way, from nothing to mailboxes that open.
mod whole;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bulla_testkit::canary::{Canary, Scanner};
use bulla_testkit::testbed::{Options, Testbed};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::support::{Ended, Home, Run, Way};

/// The servers, and a home whose vault knows their clients: `secret-test`, `public-test` and
/// `daemon-test`.
struct World {
    bed: Testbed,
    home: Home,
}

/// A bed for tests that need no mail server.
const NO_MAIL: Options = Options {
    access_token_seconds: 3600,
    rotate: true,
    google: false,
    mail_scope: None,
    mail: false,
};

impl World {
    fn start(options: &Options) -> Option<Self> {
        Self::start_with(options, Way::Identity)
    }

    /// The same with another way into the vault.
    fn start_with(options: &Options, way: Way) -> Option<Self> {
        let bed = Testbed::start(options)?;
        let home = Home::new(way);
        home.write("roots.pem", fs::read(bed.ca()).unwrap());
        let world = Self { bed, home };
        world.client("secret-test", "desktop-with-secret", "desktop-secret");
        world.client("daemon-test", "daemon", "daemon-secret");
        world.client("public-test", "desktop", "");
        Some(world)
    }

    fn client(&self, name: &str, id: &str, secret: &str) {
        let issuer = self.bed.issuer();
        let field = if secret.is_empty() { "" } else { "client-secret" };
        let line = format!(
            "set {name} {field} --kind oauth-client --public client-id={id} --public provider={issuer}"
        );
        self.run(&line).stdin(secret).succeeds();
    }

    /// Knows the bed as a provider of its own, with `scopes`, instead of by its issuer's settings.
    fn provider(&self, name: &str, scopes: &str, parameters: &str) {
        let issuer = self.bed.issuer();
        let text = format!(
            "[{name}]\nissuer = '{issuer}'\nauthorization-endpoint = '{issuer}/auth'\n\
             token-endpoint = '{issuer}/token'\nscopes = {scopes}\nparameters = {parameters}\n\
             revoking-is-wide = true\nrevocation-endpoint = '{issuer}/token/revocation'\n"
        );
        self.home.write(".config/bulla/providers.toml", text);
    }

    /// A run of `bulla` with the words of a line.
    fn run(&self, line: &str) -> Run {
        let run = self.home.bulla(line.split_whitespace());
        run.env("SSL_CERT_FILE", self.home.file("roots.pem"))
    }

    /// Where the bed's mail is, for `authorize` and `add`.
    fn servers(&self) -> String {
        let [imap, pop3, smtp] = ["imaps", "pop3", "submission"].map(|name| self.bed.port(name));
        format!(
            "--imap imaps://localhost:{imap} --pop3 pop3://localhost:{pop3} --smtp smtp://localhost:{smtp}"
        )
    }

    /// Starts an `authorize`, which waits for its browser.
    fn begin(&self, line: &str) -> Waiting {
        self.begin_below(&[], line)
    }

    /// The same below another program, such as one that traces it.
    fn begin_below(&self, program: &[&str], line: &str) -> Waiting {
        let [out, err] = [0; 2].map(|_| NamedTempFile::new().unwrap());
        let mut command = Command::new("setsid");
        command.args(program).arg(env!("CARGO_BIN_EXE_bulla")).args(line.split_whitespace());
        self.home.set(&mut command);
        let child = command
            .env("SSL_CERT_FILE", self.home.file("roots.pem"))
            .stdin(Stdio::piped())
            .stdout(out.reopen().unwrap())
            .stderr(err.reopen().unwrap())
            .spawn()
            .unwrap();
        Waiting { child, out, err }
    }

    /// Has a person go to `url`, log in and consent; gives what the browser shows in the end.
    fn visit(&self, url: &str, login: &str, how: &[&str]) -> String {
        let mut browser = self.bed.browser();
        let output = browser.args([url, login]).args(how).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Has the owner of a mailbox consent.
    fn authorize(&self, address: &str, more: &str) {
        let line = format!("mailbox authorize {address} --client secret-test {more}");
        let waiting = self.begin(&line);
        let page = self.visit(&waiting.url(address), address, &["--follow"]);
        let ended = waiting.end();
        assert_eq!(ended.code(), 0, "{ended}{page}");
    }

    /// A mailbox without servers, whose access token has too little life left for anybody.
    fn nearly_expired(&self, address: &str) {
        self.bed.fault(r#"{"merge": {"expires_in": 60}}"#);
        self.authorize(address, "--no-verify");
    }

    /// The refresh token in the vault.
    fn refresh_token(&self, address: &str) -> String {
        self.run(&format!("get mailbox/{address} refresh-token")).succeeds().out()
    }

    /// What `status` tells of one mailbox.
    fn status(&self, address: &str) -> Value {
        let ended = self.run(&format!("mailbox status {address} --json")).run();
        serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| panic!("{ended}"))
    }

    /// How often a refresh token was sent to the authorization server.
    fn refreshes(&self) -> usize {
        let requests = self.bed.token_requests();
        requests.iter().filter(|request| request.grant == "refresh_token").count()
    }

    /// Every file of the home is searched for `secrets`.
    #[track_caller]
    fn holds_nothing_readable(&self, secrets: &[&str]) {
        let canaries: Vec<_> = secrets.iter().map(|secret| Canary::of(secret)).collect();
        let found = Scanner::new(&canaries).find_in_files(self.home.path());
        assert!(found.is_empty(), "{:?}", found[0].0);
    }
}

/// An `authorize` that waits.
struct Waiting {
    child: Child,
    out: NamedTempFile,
    err: NamedTempFile,
}

/// How long to wait for what should come at once: a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);

impl Waiting {
    /// Where it sends the owner of a mailbox.
    #[track_caller]
    fn url(&self, address: &str) -> String {
        self.said(&format!("sign in as {address}:\n\n"))
    }

    /// Waits until it says a whole word after `before`.
    #[track_caller]
    fn said(&self, before: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = fs::read_to_string(self.err.path()).unwrap();
            let after = said.split_once(before).map(|(_, after)| after);
            if let Some((word, _)) = after.and_then(|after| after.split_once(char::is_whitespace)) {
                return word.to_owned();
            }
            assert!(Instant::now() < until, "`{before}` did not come: {said}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until it says these words, and tells whether it did before its end.
    fn says(&mut self, words: &str) -> bool {
        let until = Instant::now() + PATIENCE;
        loop {
            // In this order: what was said at the end is there after it.
            let has_ended = self.child.try_wait().unwrap().is_some();
            if fs::read_to_string(self.err.path()).unwrap().contains(words) {
                return true;
            }
            if has_ended {
                return false;
            }
            assert!(Instant::now() < until, "neither `{words}` nor its end came");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it was started with, as everybody on the machine may see it.
    fn seen_from_outside(&self) -> Vec<u8> {
        let files = ["cmdline", "environ"].map(|name| format!("/proc/{}/{name}", self.child.id()));
        files.into_iter().flat_map(|file| fs::read(file).unwrap()).collect()
    }

    /// Waits for the end.
    fn end(mut self) -> Ended {
        let status = self.child.wait().unwrap();
        let stdout = fs::read(self.out.path()).unwrap();
        Ended { status, stdout, stderr: fs::read_to_string(self.err.path()).unwrap() }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Both fail where it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of a parameter of an address.
fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap_or_else(|| panic!("{url}")).1;
    let mut pairs = query.split(['&', '\n']).filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).unwrap_or_else(|| panic!("{name}: {url}")).1.to_owned()
}

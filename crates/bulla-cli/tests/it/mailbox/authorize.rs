//! Consent in a browser on this machine, and everything that may come instead of it.

use std::io::{Read, Write};
use std::net::TcpStream;

use bulla_testkit::canary::{Canary, Scanner};
use bulla_testkit::testbed::Options;

use super::{NO_MAIL, Waiting, World, parameter};
use crate::pty::Session;

#[test]
fn the_owner_consents_in_a_browser() {
    let Some(world) = World::start(&Options::default()) else { return };
    strangers_are_sent_away(&world);
    another_account_changes_nothing(&world);
    a_refusal_changes_nothing(&world);
    a_code_that_brings_no_token_changes_nothing(&world);
    nobody_comes(&world);
    who_waits_can_be_interrupted(&world);
    one_of_two_fails(&world);
    what_is_missing_is_asked_for(&world);
    a_public_client_sends_no_secret(&world);
    who_may_open_it_is_not_tried(&world);
    a_token_from_elsewhere_is_tried(&world);
}

fn alice(world: &World) -> Waiting {
    let servers = world.servers();
    world.begin(&format!("mailbox authorize alice@example.com --client secret-test {servers}"))
}

/// Whatever else asks at the port gets no further, and ends nothing.
fn strangers_are_sent_away(world: &World) {
    let waiting = alice(world);
    let url = waiting.url("alice@example.com");
    let redirect = parameter(&url, "redirect_uri");
    let port = redirect.trim_end_matches("%2F").rsplit("%3A").next().unwrap().parse().unwrap();
    let state = parameter(&url, "state");
    let strangers = [
        ("GET /favicon.ico", "404"),
        ("GET /", "404"),
        ("GET /?code=x", "400"),
        ("GET /?code=x&state=wrong", "400"),
        (&format!("GET /?code=x&state={state}&state={state}"), "400"),
        (&format!("POST /?code=x&state={state}"), "404"),
        (&format!("GET /other?code=x&state={state}"), "404"),
    ];
    for (request, status) in strangers {
        let answer = ask(port, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
    // Some connect and never say anything.
    let _silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let client_secret = Canary::of("desktop-secret");
    let outside = waiting.seen_from_outside();
    assert!(Scanner::new([&client_secret]).find(&outside).is_none());

    let seen = world.visit(&url, "alice@example.com", &["--follow"]);
    let (address, page) = seen.split_once('\n').unwrap();
    assert!(page.starts_with("200 Authorised alice@example.com can be used"), "{page}");
    let ended = waiting.end();
    assert_eq!(ended.code(), 0, "{ended}");
    assert!(ended.stderr.ends_with("alice@example.com is authorised, and its mailbox opens\n"));
    assert!(ended.stdout.is_empty(), "{ended}");

    let access = world.run("mailbox token alice@example.com").succeeds().out();
    let refresh = world.refresh_token("alice@example.com");
    let code = parameter(address, "code");
    let secrets = [access.as_str(), &refresh, &code, "desktop-secret"];
    world.holds_nothing_readable(&secrets);
    let canaries = secrets.map(Canary::of);
    assert_eq!(Scanner::new(&canaries).find(ended.stderr.as_bytes()), None, "{ended}");
    TcpStream::connect(("127.0.0.1", port)).expect_err("nobody listens any more");
}

fn ask(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn another_account_changes_nothing(world: &World) {
    let before = world.refresh_token("alice@example.com");
    let waiting = alice(world);
    let seen = world.visit(&waiting.url("alice@example.com"), "mallory@example.com", &["--follow"]);
    assert!(seen.contains("400 Not authorised The grant is of another account"), "{seen}");
    let ended = waiting.end();
    assert_eq!(ended.code(), 8, "{ended}");
    assert!(ended.stderr.contains("another account, mallory@example.com\n"), "{ended}");
    assert_eq!(world.refresh_token("alice@example.com"), before);
    world.run("mailbox status alice@example.com --probe").succeeds();
}

fn a_refusal_changes_nothing(world: &World) {
    let before = world.refresh_token("alice@example.com");
    let waiting = alice(world);
    let url = waiting.url("alice@example.com");
    let seen = world.visit(&url, "alice@example.com", &["--follow", "--deny"]);
    assert!(seen.contains("400 Not authorised The provider refuses: access_denied"), "{seen}");
    let ended = waiting.end();
    assert_eq!(ended.code(), 8, "{ended}");
    assert!(ended.stderr.contains("error: alice@example.com: the provider refuses: access_denied"));
    assert_eq!(world.refresh_token("alice@example.com"), before);
}

/// A code works once, so it is not tried again.
fn a_code_that_brings_no_token_changes_nothing(world: &World) {
    let before = world.refresh_token("alice@example.com");
    for fault in [r#"{"drop": "before"}"#, r#"{"status": 503}"#, r#"{"body": "<html>"}"#] {
        let asked = world.bed.token_requests().len();
        let waiting = alice(world);
        let url = waiting.url("alice@example.com");
        world.bed.fault(fault);
        let seen = world.visit(&url, "alice@example.com", &["--follow"]);
        assert!(seen.contains("\n400 Not authorised "), "{fault}: {seen}");
        let ended = waiting.end();
        assert_eq!(ended.code(), 7, "{fault}: {ended}");
        assert!(ended.stderr.ends_with("hint: nothing was changed; begin again\n"), "{ended}");
        assert_eq!(world.bed.token_requests().len(), asked + 1, "{fault}");
        assert_eq!(world.refresh_token("alice@example.com"), before, "{fault}");
    }
}

fn who_waits_can_be_interrupted(world: &World) {
    let line = "mailbox authorize alice@example.com --client secret-test --no-verify";
    for (more, shown) in [("", "code_challenge"), ("--paste", "Paste its whole address here: ")] {
        let line = format!("{line} {more} --ca {}", world.bed.ca().display());
        let mut session = Session::start(&world.home, &line.split_whitespace().collect::<Vec<_>>());
        session.expect(shown);
        session.types("\x03");
        session.ends(130);
    }
    world.run("mailbox token alice@example.com").succeeds();
}

fn nobody_comes(world: &World) {
    let line = "mailbox authorize nobody@example.com --client secret-test --no-verify --timeout 1s";
    let ended = world.run(line).fails(8);
    assert!(ended.stderr.contains("nobody came back from the browser in time"), "{ended}");
    assert!(ended.stderr.contains("This waits 1 second for the browser to come back."), "{ended}");
    world.run("show mailbox/nobody@example.com").fails(4);
}

fn one_of_two_fails(world: &World) {
    let servers = world.servers();
    let addresses = "bob@example.com carol@example.com";
    let waiting =
        world.begin(&format!("mailbox authorize {addresses} --client secret-test {servers}"));
    world.visit(&waiting.url("bob@example.com"), "bob@example.com", &["--follow", "--deny"]);
    world.visit(&waiting.url("carol@example.com"), "carol@example.com", &["--follow"]);
    let ended = waiting.end();
    assert_eq!(ended.code(), 8, "{ended}");
    assert!(ended.stderr.contains("error: bob@example.com: "), "{ended}");
    world.run("show mailbox/bob@example.com").fails(4);
    world.run("mailbox token carol@example.com").succeeds();
}

fn what_is_missing_is_asked_for(world: &World) {
    let imap = world.bed.port("imaps");
    let fields = format!("--public client=secret-test --public imap=imaps://localhost:{imap}");
    world.run(&format!("set mailbox/erin@example.com --kind mailbox {fields}")).succeeds();
    let waiting = world.begin("mailbox authorize --all-missing");
    world.visit(&waiting.url("erin@example.com"), "erin@example.com", &["--follow"]);
    let ended = waiting.end();
    assert_eq!(ended.code(), 0, "{ended}");
    assert_eq!(ended.stderr.matches("sign in as").count(), 1, "{ended}");
    // What a person revoked is not missing.
    world.run("mailbox revoke erin@example.com --yes").succeeds();
    let ended = world.run("mailbox authorize --all-missing").succeeds();
    assert!(ended.stderr.contains("every mailbox has a grant that works"), "{ended}");
}

fn a_public_client_sends_no_secret(world: &World) {
    let line = "mailbox authorize dave@example.com --client public-test --no-verify --json";
    let waiting = world.begin(line);
    world.visit(&waiting.url("dave@example.com"), "dave@example.com", &["--follow"]);
    let ended = waiting.end();
    assert_eq!(ended.code(), 0, "{ended}");
    let expected =
        r#"{"address":"dave@example.com","entry":"mailbox/dave@example.com","version":1}"#;
    assert_eq!(ended.out(), format!("{expected}\n"));
    world.run("mailbox status dave@example.com --probe").succeeds();
    assert_eq!(world.bed.token_requests().last().unwrap().client, "desktop");
}

/// Another account may open a shared mailbox, which only its server knows.
fn who_may_open_it_is_not_tried(world: &World) {
    let line = "mailbox authorize team@example.com --client secret-test --user mallory@example.com";
    let waiting = world.begin(&format!("{line} --no-verify"));
    world.visit(&waiting.url("team@example.com"), "mallory@example.com", &["--follow"]);
    let ended = waiting.end();
    assert_eq!(ended.code(), 0, "{ended}");
    let words = "warning: mallory@example.com consented, and it was not tried whether that account \
                 may open team@example.com";
    assert!(ended.stderr.contains(words), "{ended}");
    assert!(ended.stderr.ends_with("team@example.com is authorised\n"), "{ended}");
}

fn a_token_from_elsewhere_is_tried(world: &World) {
    let servers = world.servers();
    let add = format!("mailbox add frank@example.com --client secret-test {servers}");
    let ended = world.run(&add).stdin("not-a-refresh-token").fails(8);
    assert!(ended.stderr.contains("the token is in the vault as it was given"), "{ended}");
    assert_eq!(world.refresh_token("frank@example.com"), "not-a-refresh-token");
    world.authorize("frank@example.com", &servers);
    let ended = world.run(&add).stdin("another").fails(6);
    assert!(ended.stderr.contains("has another refresh token already"), "{ended}");
    let good = world.refresh_token("frank@example.com");
    world.run("rm mailbox/frank@example.com").succeeds();
    let ended = world.run(&add).stdin(good).succeeds();
    assert!(ended.stderr.ends_with("frank@example.com opens\n"), "{ended}");
}

/// Google gives a refresh token for the first consent only, unless it is asked to ask again.
#[test]
fn a_second_consent_without_a_refresh_token_keeps_the_first() {
    let options = Options { google: true, ..NO_MAIL };
    let Some(world) = World::start(&options) else { return };
    world.provider("bed", r#"["https://mail.google.com/"]"#, r#"{ access_type = "offline" }"#);
    world.run("set secret-test --public provider=bed").succeeds();
    world.authorize("alice@example.com", "--no-verify");
    let first = world.refresh_token("alice@example.com");
    let access = world.run("mailbox token alice@example.com").succeeds().out();
    world.authorize("alice@example.com", "--no-verify");
    assert_eq!(world.refresh_token("alice@example.com"), first);
    let newer = world.run("mailbox token alice@example.com").succeeds().out();
    assert_ne!(newer, access, "the access token is the second consent's");
    world.run("mailbox status alice@example.com --probe").succeeds();
    assert_eq!(world.refresh_token("alice@example.com"), first);

    world.run("rm mailbox/alice@example.com --purge --yes").succeeds();
    let line = "mailbox authorize alice@example.com --client secret-test --no-verify";
    let waiting = world.begin(line);
    let seen = world.visit(&waiting.url("alice@example.com"), "alice@example.com", &["--follow"]);
    assert!(seen.contains("400 Not authorised"), "{seen}");
    let ended = waiting.end();
    assert_eq!(ended.code(), 8, "{ended}");
    assert!(ended.stderr.contains("error: alice@example.com: the provider gave no refresh token"));
    world.run("show mailbox/alice@example.com").fails(4);
}

/// A mailbox that was renamed while its owner was asked came back under its old name, with the grant.
#[test]
fn a_mailbox_that_is_renamed_meanwhile_does_not_come_back() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    let alice = "alice@example.com";
    world.authorize(alice, "--no-verify");
    let codes = || {
        let requests = world.bed.token_requests();
        requests.iter().filter(|request| request.grant == "authorization_code").count()
    };
    let spent = codes();
    let waiting = world.begin(&format!("mailbox authorize {alice} --no-verify"));
    let url = waiting.url(alice);
    world.run(&format!("mv mailbox/{alice} mailbox/support@example.com")).succeeds();
    let page = world.visit(&url, alice, &["--follow"]);
    let ended = waiting.end();
    assert_eq!(ended.code(), 4, "{ended}");
    assert!(ended.stderr.contains("`mailbox/alice@example.com` was renamed"), "{ended}");
    assert!(ended.stderr.contains("hint: it is `mailbox/support@example.com` now"), "{ended}");
    assert!(page.contains("Not authorised"), "{page}");
    assert_eq!(codes(), spent, "no code was spent");
    world.run(&format!("show mailbox/{alice}")).fails(4);
}

//! What a grant goes through in its life, and what must not become of it: sent to a stranger, brought
//! back from the dead, given up too early.

use std::time::{Duration, Instant};

use bulla_testkit::testbed::Options;
use serde_json::json;

use super::status::revocations;
use super::{NO_MAIL, PATIENCE, World};
use crate::pty::Session;
use crate::support::{PASSPHRASE, Way};

const ALICE: &str = "alice@example.com";
/// No token lives that long, so that each of these asks the provider, and fails as too short.
const ASK: &str = "mailbox token alice@example.com --min-ttl 2h";

/// `revert` once brought a spent refresh token back as one that works, with its old access token.
#[test]
fn a_revert_brings_no_spent_token_back() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.authorize(ALICE, "--no-verify");
    let first = world.refresh_token(ALICE);
    let name = "mailbox/alice@example.com";
    for imap in ["imaps://one.example", "imaps://two.example"] {
        world.run(&format!("set {name} --public imap={imap}")).succeeds();
        world.run(ASK).fails(1);
    }
    let newest = world.refresh_token(ALICE);
    let reverted = world.run(&format!("revert {name}")).succeeds();
    assert!(reverted.stderr.contains("is the newest one of the same grant"), "{reverted}");
    assert_eq!(world.run(&format!("get {name} imap")).succeeds().out(), "imaps://one.example");
    assert_eq!(world.refresh_token(ALICE), newest);
    assert_eq!(world.status(ALICE)["state"], "works");
    world.run(ASK).fails(1);
    let newest = world.refresh_token(ALICE);
    world.run(&format!("rm {name}")).succeeds();
    world.run(&format!("revert {name} 1")).succeeds();
    assert_eq!(world.refresh_token(ALICE), newest);
    world.run(ASK).fails(1);

    // Another consent is another grant, and it can be taken back: nobody knows what the one before is
    // worth now, and its access token is not handed out.
    let (before, version) = (world.refresh_token(ALICE), version(&world, name));
    world.authorize(ALICE, "--no-verify");
    assert!(![&before, &first].contains(&&world.refresh_token(ALICE)));
    let reverted = world.run(&format!("revert {name} {version}")).succeeds();
    assert!(reverted.stderr.contains("whether its refresh token still works is not known"));
    assert_eq!(world.refresh_token(ALICE), before);
    assert_eq!(world.status(ALICE)["state"], "untried");
    let asked = world.refreshes();
    world.run("mailbox token alice@example.com").succeeds();
    assert_eq!(world.refreshes(), asked + 1);
}

fn version(world: &World, name: &str) -> u64 {
    let shown = world.run(&format!("show {name} --json")).succeeds();
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    shown["version"].as_u64().unwrap()
}

/// A change of the client once had its secret sent to the other one's provider, and the refresh token
/// to this one's.
#[test]
fn a_grant_stays_with_its_client() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.authorize(ALICE, "--no-verify");
    let requests = || world.bed.token_requests().len();
    let set = "set mailbox/alice@example.com --public client=public-test";
    world.run(set).succeeds();
    let asked = requests();
    let ended = world.run(ASK).fails(8);
    assert!(ended.stderr.contains("never authorised with this client"), "{ended}");
    assert!(ended.stderr.contains("the client desktop-with-secret at https://"), "{ended}");
    let ended = world.run("mailbox revoke alice@example.com --yes").fails(8);
    assert!(ended.stderr.contains("never authorised with this client"), "{ended}");
    assert_eq!(world.run("mailbox status alice@example.com --probe").run().code(), 8);
    let status = world.status(ALICE);
    assert_eq!(status["state"], "new");
    // It once named no way but a new consent.
    let detail = status["detail"].as_str().unwrap();
    assert!(detail.starts_with("never authorised with this client; "), "{detail}");
    assert!(detail.contains("the client desktop-with-secret at https://"), "{detail}");
    let back = "`bulla set mailbox/alice@example.com --public client=ENTRY` goes back to that";
    assert!(detail.ends_with(back), "{detail}");
    assert_eq!(requests(), asked, "nothing was sent");

    // Nor is it kept for a client that got none of its own.
    world.bed.fault(r#"{"remove": ["refresh_token"]}"#);
    let waiting = world.begin(&format!("mailbox authorize {ALICE} --no-verify"));
    let _ = world.visit(&waiting.url(ALICE), ALICE, &["--follow"]);
    let ended = waiting.end();
    assert_eq!(ended.code(), 8, "{ended}");
    assert!(ended.stderr.contains("the provider gave no refresh token"), "{ended}");

    world.run(&set.replace("public-test", "secret-test")).succeeds();
    world.run("mailbox status alice@example.com --probe").succeeds();
    an_added_token_is_of_its_client(&world);
}

/// A token that was added and not used yet was once shown to whichever client the mailbox got next.
fn an_added_token_is_of_its_client(world: &World) {
    let add = "mailbox add bob@example.com --client secret-test --no-verify";
    world.run(add).stdin("a-refresh-token").succeeds();
    let set = "set mailbox/bob@example.com --public client=public-test";
    world.run(set).succeeds();
    let asked = world.bed.token_requests().len();
    let ended = world.run("mailbox token bob@example.com").fails(8);
    assert!(ended.stderr.contains("never authorised with this client"), "{ended}");
    assert_eq!(world.bed.token_requests().len(), asked, "nothing was sent");
    world.run(&set.replace("public-test", "secret-test")).succeeds();
    world.run("mailbox token bob@example.com").fails(8);
    assert_eq!(world.bed.token_requests().last().unwrap().client, "desktop-with-secret");
    assert_eq!(world.bed.token_requests().len(), asked + 1);
}

/// A consent without a refresh token once made the revoked one `works`.
#[test]
fn a_revoked_grant_stays_revoked() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.authorize(ALICE, "--no-verify");
    world.run("mailbox revoke alice@example.com --yes").succeeds();
    world.bed.fault(r#"{"remove": ["refresh_token"]}"#);
    let waiting = world.begin(&format!("mailbox authorize {ALICE} --no-verify"));
    let _ = world.visit(&waiting.url(ALICE), ALICE, &["--follow"]);
    let ended = waiting.end();
    assert_eq!(ended.code(), 8, "{ended}");
    assert_eq!(world.status(ALICE)["state"], "revoked");
    world.authorize(ALICE, "--no-verify");
    world.run(ASK).fails(1);
}

/// One refusal once stuck to the token, until the mailbox was removed.
#[test]
fn a_refusal_that_has_passed_is_forgotten() {
    let Some(world) = World::start(&Options { rotate: false, ..NO_MAIL }) else { return };
    world.authorize(ALICE, "--no-verify");
    let token = world.refresh_token(ALICE);
    let refuse = |error: &str| {
        let body = json!({"error": error}).to_string();
        world.bed.fault(&json!({"status": 403, "body": body}).to_string());
        let ended = world.run(ASK).fails(8);
        assert!(ended.stderr.contains(error), "{ended}");
        let status = world.status(ALICE);
        let state = if error == "invalid_grant" { "dead" } else { "declined" };
        assert_eq!(status["state"], state);
        assert_eq!(status["detail"], format!("the provider says {error}"));
    };
    for error in ["access_denied", "interaction_required"] {
        refuse(error);
        world.run(ASK).fails(1);
    }
    refuse("invalid_grant");
    let asked = world.refreshes();
    world.run(ASK).fails(8);
    assert_eq!(world.refreshes(), asked, "of that nothing better is to be hoped");
    world.run("mailbox status alice@example.com --probe").succeeds();

    refuse("invalid_grant");
    let set = "set mailbox/alice@example.com refresh-token";
    world.run(set).stdin("another").succeeds();
    world.run(set).stdin(&token).succeeds();
    assert_eq!(world.status(ALICE)["state"], "untried");
    world.run(ASK).fails(1);

    an_old_state_is_not_refreshed(&world);
    another_accounts_token_is_not_handed_out(&world);
    a_persons_log_line_stays(&world);
}

/// `--accept-rollback` once spent the token of an old state, and with it the grant of the real one.
fn an_old_state_is_not_refreshed(world: &World) {
    let asked = world.refreshes();
    let ended = world.run(ASK).args(["--accept-rollback"]).fails(1);
    assert!(ended.stderr.contains("an older state of the vault"), "{ended}");
    assert_eq!(world.refreshes(), asked);
    world.run("mailbox token alice@example.com --accept-rollback").succeeds();
}

fn another_accounts_token_is_not_handed_out(world: &World) {
    // {"email":"evil@example.com"}
    let evil = r#"{"merge": {"id_token": "e30.eyJlbWFpbCI6ImV2aWxAZXhhbXBsZS5jb20ifQ.x"}}"#;
    world.bed.fault(evil);
    let ended = world.run(ASK).fails(8);
    assert!(ended.stderr.contains("a token of another account, evil@example.com"), "{ended}");
    assert_eq!(world.status(ALICE)["state"], "other");
    world.bed.fault(evil);
    let add = "mailbox add bob@example.com --client secret-test";
    let ended = world.run(add).stdin(world.refresh_token(ALICE)).fails(8);
    assert!(ended.stderr.contains("another account, evil@example.com"), "{ended}");
    world.run(ASK).fails(1);
    assert_eq!(world.status(ALICE)["state"], "works");
}

/// A renewal once wrote over what a person had given as the reason.
fn a_persons_log_line_stays(world: &World) {
    world
        .run("set mailbox/alice@example.com --public note=x -m")
        .args(["ticket 4711: moved"])
        .succeeds();
    let log = || world.run("log mailbox/alice@example.com").succeeds().out();
    let before = log();
    assert!(before.lines().next().unwrap().ends_with("ticket 4711: moved"), "{before}");
    world.run(ASK).fails(1);
    assert_eq!(log(), before);
}

/// A wrong secret that is refused as `invalid_grant` once made every mailbox dead, and was stored.
#[test]
fn a_wrong_client_secret_costs_no_grant() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.authorize(ALICE, "--no-verify");
    world.bed.fault(r#"{"status": 400, "body": "{\"error\":\"invalid_grant\"}"}"#);
    // A wrong secret was stored untried where the mailbox does not say whose client's it is, as it need not
    // with one.
    for only in
        ["rm daemon-test", "rm public-test", "set mailbox/alice@example.com --remove client"]
    {
        world.run(only).succeeds();
    }
    let ended = world.run("mailbox rotate-client secret-test").stdin("a-wrong-secret").fails(8);
    assert!(ended.stderr.contains("the provider refuses the new secret"), "{ended}");
    assert_eq!(world.run("get secret-test client-secret").succeeds().out(), "desktop-secret");
    assert_eq!(world.status(ALICE)["state"], "works");
    world.run(ASK).fails(1);
}

/// A signal once ended a refresh whose answer was on its way, and the grant with it.
#[test]
fn a_signal_waits_for_the_answer() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.authorize(ALICE, "--no-verify");
    for signal in ["INT", "TERM", "HUP"] {
        let (before, asked) = (world.refresh_token(ALICE), world.refreshes());
        world.bed.fault(r#"{"delay_after": 2000}"#);
        let waiting = world.begin(ASK);
        let until = Instant::now() + PATIENCE;
        while world.status(ALICE)["state"] != "refreshing" {
            assert!(Instant::now() < until, "it is not being refreshed");
            std::thread::sleep(Duration::from_millis(10));
        }
        // The state says so before the request is on its way.
        while world.refreshes() == asked {
            assert!(Instant::now() < until, "nothing was asked");
            std::thread::sleep(Duration::from_millis(10));
        }
        let pid = waiting.child.id();
        world.home.sh(&format!("kill -{signal} {pid}")).succeeds();
        let ended = waiting.end();
        assert_eq!(ended.code(), 128 + signal_number(signal), "{ended}");
        // Nothing once told why it did not end.
        assert!(ended.stderr.contains("warning: a provider's answer is on its way"), "{ended}");
        assert_ne!(world.refresh_token(ALICE), before, "{signal}");
        assert_eq!(world.status(ALICE)["state"], "works", "{signal}");
    }
    world.run(ASK).fails(1);
}

/// A signal ended a withdrawal whose answer was on its way, and the grant was kept as one that works.
#[test]
fn a_signal_waits_for_a_withdrawal() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.authorize(ALICE, "--no-verify");
    world.bed.fault(r#"{"path": "/token/revocation", "delay_after": 2000}"#);
    let waiting = world.begin(&format!("mailbox revoke {ALICE} --yes"));
    let until = Instant::now() + PATIENCE;
    while revocations(&world) == 0 {
        assert!(Instant::now() < until, "nothing was asked");
        std::thread::sleep(Duration::from_millis(10));
    }
    world.home.sh(&format!("kill -INT {}", waiting.child.id())).succeeds();
    let ended = waiting.end();
    assert_eq!(ended.code(), 130, "{ended}");
    assert!(ended.stderr.contains("warning: a provider's answer is on its way"), "{ended}");
    assert!(ended.stderr.contains("the grant of alice@example.com is withdrawn"), "{ended}");
    assert_eq!(world.status(ALICE)["state"], "revoked");
}

/// One mailbox of which the vault says what cannot be kept a client from getting a new secret.
#[test]
fn a_malformed_mailbox_keeps_no_secret_from_being_tried() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    let rotate = || world.run("mailbox rotate-client secret-test").stdin("a-new-secret");
    world
        .run(
            "set mailbox/aa@example.com --kind mailbox --public client=secret-test --public imap=x",
        )
        .succeeds();
    let ended = rotate().fails(2);
    assert!(
        ended.stderr.contains("the field `imap` of `mailbox/aa@example.com` names no imap server"),
        "{ended}"
    );
    assert!(ended.stderr.contains("hint: nothing was changed; --no-verify"), "{ended}");
    assert_eq!(world.run("get secret-test client-secret").succeeds().out(), "desktop-secret");
    world.authorize(ALICE, "--no-verify");
    let good = json!({"access_token": "of-the-new-secret", "expires_in": 3600}).to_string();
    world.bed.fault(&json!({"status": 200, "body": good}).to_string());
    let ended = rotate().succeeds();
    assert!(
        ended
            .stderr
            .contains("warning: the secret was not tried with every mailbox: the field `imap`"),
        "{ended}"
    );
    assert!(
        ended.stderr.contains("it works (mailbox/alice@example.com was refreshed with it)"),
        "{ended}"
    );
}

/// Behind a prompt for a passphrase, the one signal that is not held was, and did nothing at all.
#[test]
fn who_cannot_wait_need_not() {
    let Some(world) = World::start_with(&NO_MAIL, Way::Passphrase) else { return };
    world.authorize(ALICE, "--no-verify");
    let asked = world.refreshes();
    world.bed.fault(r#"{"delay_after": 20000}"#);
    let line = format!("{ASK} --ca {}", world.bed.ca().display());
    let mut session = Session::start(&world.home, &line.split_whitespace().collect::<Vec<_>>());
    session.expect_hidden("Passphrase");
    session.types(format!("{}\n", PASSPHRASE.as_str()));
    let until = Instant::now() + PATIENCE;
    while world.refreshes() == asked {
        assert!(Instant::now() < until, "nothing was asked");
        std::thread::sleep(Duration::from_millis(10));
    }
    session.types("\x03");
    session.expect("warning: a provider's answer is on its way");
    session.types("\x1c");
    session.ends(131);
}

fn signal_number(name: &str) -> i32 {
    match name {
        "HUP" => 1,
        "INT" => 2,
        _ => 15,
    }
}

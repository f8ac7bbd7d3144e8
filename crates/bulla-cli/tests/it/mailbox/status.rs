//! What `mailbox status` tells, and `mailbox revoke`.

use std::fmt::Write as _;

use serde_json::Value;

use super::{NO_MAIL, World};
use crate::page::sections;
use crate::pty::Session;

#[test]
fn every_state_of_a_grant_is_told() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    let ended = world.run("mailbox status").succeeds();
    assert!(ended.stderr.contains("there is no mailbox in the vault"), "{ended}");

    world.run("set mailbox/new@example.com --kind mailbox --public client=secret-test").succeeds();
    is(&world, "new@example.com", "new", 8, "bulla mailbox authorize new@example.com");
    let add = "mailbox add bare@example.com --client secret-test --no-verify";
    world.run(add).stdin("a-refresh-token").succeeds();
    let probe = "bulla mailbox status --probe bare@example.com";
    is(&world, "bare@example.com", "untried", 0, probe);
    world.run("mailbox status bare@example.com --probe").run();
    is(&world, "bare@example.com", "dead", 8, "bulla mailbox authorize bare@example.com");

    world.authorize("alice@example.com", "--no-verify");
    is(&world, "alice@example.com", "works", 0, "");
    let told = world.status("alice@example.com");
    assert_eq!(told["account"], "alice@example.com");
    assert_eq!(told["scopes"], serde_json::json!(["openid", "email", "offline_access"]));
    assert_eq!(told["client"], "secret-test");
    assert!(told["used"].is_string() && told["authorized"].is_string() && told["ends"].is_null());

    // A week, as Google says it while an application is being tested.
    world.bed.fault(r#"{"merge": {"refresh_token_expires_in": 604799}}"#);
    world.authorize("bob@example.com", "--no-verify");
    is(&world, "bob@example.com", "works", 0, "");
    let line = "mailbox status bob@example.com --json --expires-within 14d";
    let soon: Value = serde_json::from_slice(&world.run(line).run().stdout).unwrap();
    assert_eq!(soon["state"], "ending");
    assert_eq!(soon["ends_because"], "as the provider said");
    assert_eq!(world.run(line).run().code(), 8);
    world.run("mailbox status bob@example.com --expires-within 6d").succeeds();

    cut_off(&world);
    withdrawn_behind_our_back(&world);
    a_client_is_refused(&world);
    withdrawn_by_us(&world);

    let table = world.run("mailbox status").run();
    assert_eq!(table.code(), 8, "{table}");
    assert!(table.out().starts_with("MAILBOX "), "{table}");
    // Sentences in the table once made lines of 130 columns of it.
    let out = table.out();
    let rows = out.lines().take_while(|line| !line.is_empty());
    assert_eq!(rows.clone().count(), 1 + 5, "{table}");
    assert!(rows.map(str::len).all(|width| width <= 80), "{table}");
    let below = "bare@example.com: the provider says invalid_grant";
    assert!(out.contains(below), "{table}");
    let to_do = "\n    bulla mailbox authorize bare@example.com\n";
    assert!(out.contains(to_do), "{table}");
    world.run("mailbox status nobody@example.com").fails(4);
}

#[track_caller]
fn is(world: &World, address: &str, state: &str, exit: i32, to_do: &str) {
    let ended = world.run(&format!("mailbox status {address} --json")).run();
    assert_eq!(ended.code(), exit, "{ended}");
    let told: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(told["state"], state, "{ended}");
    assert_eq!(told["to_do"].as_str().unwrap_or_default(), to_do, "{ended}");
    assert_eq!(told["exit"], exit, "{ended}");
}

fn cut_off(world: &World) {
    world.bed.fault(r#"{"drop": "before", "count": 3}"#);
    let ended = world.run("mailbox status alice@example.com --probe").run();
    assert_eq!(ended.code(), 7, "{ended}");
    // Nobody is at it any more. It was once told to be under way for three minutes.
    let to_do = "bulla mailbox status --probe alice@example.com";
    is(world, "alice@example.com", "cut-off", 0, to_do);
    // That the client is refused as well does not make it forgotten.
    world.bed.fault(r#"{"status": 401, "body": "{\"error\": \"invalid_client\"}"}"#);
    world.run("mailbox token alice@example.com --min-ttl 2h").fails(8);
    let to_do = "bulla mailbox rotate-client secret-test";
    is(world, "alice@example.com", "refused", 8, to_do);
    world.run("mailbox status alice@example.com --probe").succeeds();
    is(world, "alice@example.com", "works", 0, "");
}

/// Only `--probe` finds that out, since the server that uses its own copy never tells us.
fn withdrawn_behind_our_back(world: &World) {
    world.authorize("carol@example.com", "--no-verify");
    withdraw(world, &world.refresh_token("carol@example.com"));
    is(world, "carol@example.com", "works", 0, "");
    let ended = world.run("mailbox status carol@example.com --probe").run();
    assert_eq!(ended.code(), 8, "{ended}");
    let to_do = "bulla mailbox authorize carol@example.com";
    is(world, "carol@example.com", "dead", 8, to_do);
    let asked = world.refreshes();
    world.run("mailbox token carol@example.com --min-ttl 2h").fails(8);
    assert_eq!(world.refreshes(), asked, "a dead grant is not tried again");
    world.authorize("carol@example.com", "--no-verify");
    is(world, "carol@example.com", "works", 0, "");
}

/// Withdraws a grant at the provider as anybody can who has its token.
pub(super) fn withdraw(world: &World, token: &str) {
    withdraw_from(world, ("desktop-with-secret", "desktop-secret"), token);
}

/// The same of another client.
pub(super) fn withdraw_from(world: &World, (id, secret): (&str, &str), token: &str) {
    let (ca, issuer) = (world.bed.ca().display(), world.bed.issuer());
    let config = format!(
        "url = {issuer}/token/revocation\ncacert = {ca}\nsilent\nfail\n\
         data = \"client_id={id}&client_secret={secret}&token={token}\"\n"
    );
    world.home.command("curl").args(["-K", "-"]).stdin(config).succeeds();
}

fn a_client_is_refused(world: &World) {
    world.run("set secret-test client-secret").stdin("not-the-secret").succeeds();
    let ended = world.run("mailbox token alice@example.com --min-ttl 2h").fails(8);
    assert!(ended.stderr.contains("the provider refuses the client: invalid_client"), "{ended}");
    let to_do = "bulla mailbox rotate-client secret-test";
    is(world, "alice@example.com", "refused", 8, to_do);
    world.run("set secret-test client-secret").stdin("desktop-secret").succeeds();
    world.run("mailbox status alice@example.com --probe").succeeds();
    is(world, "alice@example.com", "works", 0, "");
}

fn withdrawn_by_us(world: &World) {
    let refresh = world.refresh_token("alice@example.com");
    let ended = world.run("mailbox revoke alice@example.com").fails(2);
    assert!(ended.stderr.contains("there is no terminal to ask on"), "{ended}");
    let ca = world.bed.ca().display().to_string();
    let mut session =
        Session::start(&world.home, &["mailbox", "revoke", "alice@example.com", "--ca", &ca]);
    session.expect("Withdraw the grant of alice@example.com?");
    session.types("n\n");
    session.ends(1);
    assert_eq!(revocations(world), 1, "curl's alone");
    is(world, "alice@example.com", "works", 0, "");

    world.bed.fault(r#"{"path": "/token/revocation", "status": 503}"#);
    let ended = world.run("mailbox revoke alice@example.com --yes").fails(7);
    assert!(ended.stderr.contains("nothing was changed; the grant still works"), "{ended}");
    is(world, "alice@example.com", "works", 0, "");
    let asked = revocations(world);
    let ended = world.run("mailbox revoke alice@example.com --yes").succeeds();
    assert!(ended.stderr.contains("the grant of alice@example.com is withdrawn"), "{ended}");
    assert_eq!(revocations(world), asked + 1);
    is(world, "alice@example.com", "revoked", 0, "bulla rm mailbox/alice@example.com");
    let ended = world.run("mailbox verify --all").run();
    let left_out = "alice@example.com was revoked, and is not tried";
    assert!(ended.stderr.contains(left_out), "{ended}");
    let ended = world.run("mailbox token alice@example.com").fails(8);
    assert!(ended.stderr.contains("its grant was revoked"), "{ended}");

    // The provider does not take it any more, and says so to who puts it back.
    world.run("rm mailbox/alice@example.com").succeeds();
    let add = "mailbox add alice@example.com --client secret-test";
    let ended = world.run(add).stdin(&refresh).fails(8);
    assert!(ended.stderr.contains("invalid_grant"), "{ended}");
    world.run("mailbox revoke alice@example.com --yes").succeeds();
    world.run("mailbox revoke new@example.com --yes").fails(4);
}

/// The line for cron as the guide has it once mailed a table each day, and an empty alarm.
#[test]
fn cron_is_silent_until_somebody_has_to_act() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    let guide = sections("guides/gmail.md");
    let fenced = guide.iter().find(|s| s.heading.contains("See that it works")).unwrap().fenced();
    let line = fenced.lines().find_map(|line| line.strip_prefix("0 7 * * * ")).unwrap();
    assert!(!line.contains('%'), "cron would end the line there: {line}");
    let line = line.replace("/usr/local/bin/", "");
    let cron = || world.home.sh(&line).env("SSL_CERT_FILE", world.home.file("roots.pem")).run();
    world.authorize("alice@example.com", "--no-verify");
    let ended = cron();
    assert_eq!((ended.code(), ended.out().as_str(), ended.stderr.as_str()), (0, "", ""), "{ended}");
    withdraw(&world, &world.refresh_token("alice@example.com"));
    let ended = cron();
    assert!(ended.out().starts_with("bulla ended with 8\nMAILBOX "), "{ended}");
    assert!(ended.out().contains("bulla mailbox authorize alice@example.com"), "{ended}");
    assert_eq!(ended.stderr, "", "{ended}");
    // Nobody answers a question there.
    world.home.write(".config/bulla/identity", "");
    let ended = cron();
    assert!(
        ended.out().starts_with("bulla ended with ") && ended.out().contains("error: "),
        "{ended}"
    );
}

pub(super) fn revocations(world: &World) -> usize {
    let log = world.bed.ca().with_file_name("as.log");
    std::fs::read_to_string(log).unwrap().matches("\"POST /token/revocation\"").count()
}

#[test]
fn ten_thousand_mailboxes_are_told_at_once() {
    let home = crate::support::Home::new(crate::support::Way::Identity);
    let mut lines = String::new();
    for n in 0..10_000 {
        writeln!(
            lines,
            r#"{{"entry":"mailbox/m{n}@example.com","kind":"mailbox","fields":[{{"name":"refresh-token","value":"token-{n}"}},{{"name":"client","value":"c","public":true}}]}}"#
        )
        .unwrap();
    }
    lines += r#"{"entry":"c","kind":"oauth-client","fields":[{"name":"client-id","value":"c","public":true},{"name":"provider","value":"google","public":true}]}"#;
    home.bulla(["import", "-", "--format", "jsonl", "-q"]).stdin(lines).succeeds();
    let ended = home.bulla(["mailbox", "status", "--json"]).succeeds();
    let states = ended.out().lines().filter(|line| line.contains(r#""state":"untried""#)).count();
    assert_eq!(states, 10_000);
}

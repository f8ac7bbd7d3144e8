//! docs/incidents.md on the day for which it was written: every command of it is run as it stands there,
//! and what it promises is looked for.

use std::fs;

use bulla_testkit::testbed::Options;

use super::{World, status::withdraw_from};
use crate::page::{Section, sections};
use crate::support::{Ended, Home};

const ADDRESS: &str = "support@example.com";
const CLIENT: &str = "1234.apps.googleusercontent.com";
const SECRET: &str = "GOCSPX-the-first-secret";

type Try = fn(&World, &Section);

/// Every section of the page, and what tries it.
const INCIDENTS: &[(&str, Try)] = &[
    ("A mailbox stopped: its refresh token died", a_mailbox_stopped),
    ("The wrong account consented", the_wrong_account_consented),
    ("The client secret leaked", the_client_secret_leaked),
    ("A refresh token leaked", a_refresh_token_leaked),
    ("The password of a mailbox was changed", the_password_was_changed),
    ("A colleague left", a_colleague_left),
    ("A laptop with a vault was lost", a_laptop_was_lost),
    ("The vault is gone, or was damaged", the_vault_is_gone),
];

#[test]
fn the_worst_day_ends_well() {
    let page = sections("incidents.md");
    let headings: Vec<_> = page.iter().map(|section| section.heading.as_str()).collect();
    assert_eq!(headings, INCIDENTS.iter().map(|(heading, _)| *heading).collect::<Vec<_>>());

    let Some(world) = World::start(&Options::default()) else { return };
    world.client("secret-gmail", CLIENT, SECRET);
    let add = format!("mailbox authorize {ADDRESS} --client secret-gmail {}", world.servers());
    consents(&world, &add, ADDRESS);
    let template = format!(
        "[pop-client]\nmailbox={ADDRESS}\nclient-id=bulla://secret-gmail/client-id\npassword=bulla://mailbox/{ADDRESS}/refresh-token\nsecret=gmail\n\
         mail.imap.auth.mechanisms=XOAUTH2\n\n[secret-gmail]\npassword=bulla://secret-gmail/client-secret\n"
    );
    world.home.write("t/mail.cfg", template);
    let manifest = "[[template]]\npath = \"t/mail.cfg\"\ntarget = \"out/mail.cfg\"\n";
    world.home.write("bulla.toml", manifest);
    deploy(&world);
    for (section, (_, incident)) in page.iter().zip(INCIDENTS) {
        incident(&world, section);
        section.is_tried();
    }
    world.run("mailbox verify --all").succeeds();
    world.run("fsck").succeeds();
}

/// The owner of the mailbox, or of another one, consents.
fn consents(world: &World, line: &str, login: &str) -> Ended {
    let waiting = world.begin(line);
    let page = world.visit(&waiting.url(ADDRESS), login, &["--follow"]);
    let ended = waiting.end();
    assert_eq!(ended.code() == 0, login == ADDRESS, "{ended}{page}");
    ended
}

/// Renders what holds the token and the client's secret.
fn deploy(world: &World) {
    world.run("render").succeeds();
}

/// That the deployed files hold what the vault has.
fn is_deployed(world: &World) -> bool {
    let diff = world.run("diff --exit-code").run();
    assert!([0, 9].contains(&diff.code()), "{diff}");
    diff.code() == 0
}

/// From now on the provider says no, in this word.
fn refused(world: &World, word: &str) {
    let body = format!(r#"{{\"error\":\"invalid_grant\",\"error_description\":\"{word}\"}}"#);
    world.bed.fault(&format!(r#"{{"status": 400, "body": "{body}"}}"#));
}

fn a_mailbox_stopped(world: &World, page: &Section) {
    let authorize = page.takes("bulla mailbox authorize support@example.com");
    let probe = page.takes("bulla mailbox status --probe");
    let before = world.refresh_token(ADDRESS);
    withdraw_from(world, (CLIENT, SECRET), &before);
    let ended = world.run(&probe).run();
    assert_eq!(ended.code(), 8, "{ended}");
    assert!(ended.out().contains("invalid_grant"), "{ended}");
    assert!(ended.out().contains(&format!("bulla {authorize}")), "{ended}");

    consents(world, &authorize, ADDRESS);
    let shown = world.run(&page.takes("bulla diff")).run();
    assert!(format!("{}{}", shown.out(), shown.stderr).contains("mail.cfg"), "{shown}");
    assert!(!is_deployed(world));
    deploy(world);
    assert!(is_deployed(world));
    let log = world.run(&page.takes("bulla log mailbox/support@example.com")).succeeds().out();
    let version = log.lines().count() - 1;
    let get = format!("get mailbox/{ADDRESS} refresh-token --version {version}");
    assert_eq!(world.run(&get).succeeds().out(), before, "{log}");

    for error in ["admin_policy_enforced", "deleted_client"] {
        page.says(error);
        let body = format!(r#"{{\"error\":\"{error}\"}}"#);
        world.bed.fault(&format!(r#"{{"status": 400, "body": "{body}"}}"#));
        let ended = world.run(&probe).run();
        assert_eq!(ended.code(), 8, "{ended}");
        assert!(ended.out().contains(error), "{ended}");
        consents(world, &authorize, ADDRESS);
    }

    page.says("the answer to a refresh was lost");
    world.bed.fault(r#"{"drop": "after"}"#);
    let ended = world.run(&probe).run();
    assert_eq!(ended.code(), 8, "{ended}");
    assert!(ended.out().contains("; the answer to a refresh was lost"), "{ended}");
    consents(world, &authorize, ADDRESS);
    world.run(&probe).succeeds();
    deploy(world);
}

fn the_wrong_account_consented(world: &World, page: &Section) {
    page.says("the old grant is untouched");
    let before = world.refresh_token(ADDRESS);
    let authorize = format!("mailbox authorize {ADDRESS}");
    let ended = consents(world, &authorize, "mallory@example.com");
    assert!(ended.stderr.contains("mallory@example.com"), "{ended}");
    assert_eq!(world.refresh_token(ADDRESS), before);
    consents(world, &authorize, ADDRESS);
}

fn the_client_secret_leaked(world: &World, page: &Section) {
    let rotate = page.takes("bulla mailbox rotate-client secret-gmail");
    let ended = world.run(&rotate).stdin("GOCSPX-the-second-secret").succeeds();
    assert!(ended.stderr.contains("was refreshed with it"), "{ended}");
    assert!(!is_deployed(world));
    deploy(world);
    let rendered = String::from_utf8(world.home.read("out/mail.cfg")).unwrap();
    assert!(rendered.ends_with("password=GOCSPX-the-second-secret\n"), "{rendered}");
    let verified = world.run(&page.takes("bulla mailbox verify --all")).succeeds();
    assert_eq!(verified.out().matches("opens").count(), 3, "{verified}");
}

fn a_refresh_token_leaked(world: &World, page: &Section) {
    let leaked = world.refresh_token(ADDRESS);
    let revoke = page.takes("bulla mailbox revoke support@example.com");
    world.run(&format!("{revoke} --yes")).succeeds();
    // Who has it can do nothing with it any more.
    let thief = format!("mailbox add thief@example.com --client secret-gmail {}", world.servers());
    let ended = world.run(&thief).stdin(&leaked).fails(8);
    assert!(ended.stderr.contains("invalid_grant"), "{ended}");
    world.run("rm mailbox/thief@example.com --purge --yes").succeeds();
    consents(world, &page.takes("bulla mailbox authorize support@example.com"), ADDRESS);
    world.run(&format!("mailbox verify {ADDRESS}")).succeeds();

    page.says("At Microsoft there is no address for it");
    let client =
        "set microsoft --kind oauth-client --public client-id=x --public provider=microsoft";
    world.run(client).succeeds();
    let add = "mailbox add ms@example.com --client microsoft --no-verify";
    world.run(add).stdin("a-refresh-token").succeeds();
    let ended = world.run("mailbox revoke ms@example.com --yes").fails(8);
    assert!(ended.stderr.contains("no endpoint at which a grant is withdrawn"), "{ended}");
    world.run("rm mailbox/ms@example.com").succeeds();
}

fn the_password_was_changed(world: &World, page: &Section) {
    refused(world, "Token has been expired or revoked.");
    assert_eq!(world.run("mailbox status --probe").run().code(), 8);
    consents(world, &format!("mailbox authorize {ADDRESS}"), ADDRESS);

    world.run("set basic password").stdin("old").succeeds();
    world.home.write("basic.json", r#"["bulla://basic/password"]"#);
    let set = page.takes("bulla set ENTRY").replace("ENTRY", "basic");
    world.run(&format!("{set} password")).stdin("new").succeeds();
    assert_eq!(world.run("render basic.json").succeeds().out(), r#"["new"]"#);
}

/// A slot for somebody else, by an identity of their own; gives the command that takes it away.
fn somebody_else(world: &World, label: &str, page: Option<&Section>) -> String {
    world.run(&format!("identity new --for-machine -o {label}")).succeeds();
    world.run(&format!("slot add {label} --recipient @{label}")).succeeds();
    let remove = page.map(|page| page.takes("bulla slot rm LABEL"));
    remove.unwrap_or_else(|| "slot rm LABEL".to_owned()).replace("LABEL", label)
}

/// What this home shows of the vault to who has an identity, and nothing that was seen before.
fn opened_with(home: &Home, identity: &str, pin: &str) -> Ended {
    let run = home.bulla(["ls", "--identity", identity, "--pin", pin]);
    run.env("XDG_STATE_HOME", home.file(&format!("state-of-{}", identity.replace('/', "-")))).run()
}

fn pin_of(printed: &Ended) -> String {
    let out = printed.out();
    out.lines().find_map(|line| line.strip_prefix("pin    ")).expect("a pin").to_owned()
}

fn a_colleague_left(world: &World, page: &Section) {
    let remove = somebody_else(world, "colleague", Some(page));
    let (old, old_pin) = (world.home.copy(), pin_of(&world.run("rekey").succeeds()));
    let old_pin_of_copy = pin_of(&old.bulla(["rekey"]).succeeds());
    let removed = world.run(&remove).succeeds();
    for readable in ["secret-gmail  (", "mailbox/support@example.com  ("] {
        assert!(removed.out().contains(readable), "{removed}");
    }
    let new_pin = pin_of(&removed);
    assert_ne!(new_pin, old_pin);
    assert_eq!(opened_with(&world.home, "colleague", &new_pin).code(), 3);
    page.says("Old copies of the vault still open with the old key");
    assert_eq!(opened_with(&old, "colleague", &old_pin_of_copy).code(), 0);
    page.says("Tell those who open the vault by an identity the new pin");
    let identity = ".config/bulla/identity";
    assert_eq!(opened_with(&world.home, identity, &old_pin).code(), 5);
    assert_eq!(opened_with(&world.home, identity, &new_pin).code(), 0);
}

fn a_laptop_was_lost(world: &World, page: &Section) {
    let remove = somebody_else(world, "laptop", None);
    let lost = world.home.copy();
    page.says("The vault on it is sealed");
    fs::remove_file(lost.file(".config/bulla/identity")).unwrap();
    lost.bulla(["ls"]).fails(3);
    page.says("an identity without one");
    lost.bulla(["ls", "--identity", "laptop"]).succeeds();
    page.says("Rendered configurations on its disk are in clear");
    let rendered = String::from_utf8(lost.read("out/mail.cfg")).unwrap();
    assert!(rendered.contains("GOCSPX-the-second-secret"));
    let removed = world.run(&remove).succeeds();
    assert_eq!(opened_with(&world.home, "laptop", &pin_of(&removed)).code(), 3);
}

fn the_vault_is_gone(world: &World, page: &Section) {
    world.run("backup create copy.bulla").succeeds();
    world.run("mailbox status --probe").succeeds();
    fs::remove_file(world.home.vault()).unwrap();
    world.run(&page.takes("bulla backup restore FILE").replace("FILE", "copy.bulla")).succeeds();
    page.says("refuse the old one with exit 5");
    world.run("ls").fails(5);
    let adopt = page.takes("bulla backup adopt");
    world.run(&format!("{adopt} --yes")).succeeds();
    world.run(&page.takes("bulla fsck")).succeeds();
    let ended = world.run(&page.takes("bulla mailbox status --probe")).run();
    assert_eq!(ended.code(), 8, "{ended}");
    assert!(ended.out().contains(&format!("bulla mailbox authorize {ADDRESS}")), "{ended}");
    consents(world, &format!("mailbox authorize {ADDRESS}"), ADDRESS);
}

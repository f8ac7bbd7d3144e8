//! Access tokens: in which form they are printed, how long they live, and that one refresh is enough
//! for however many ask.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bulla_sqlite::{Options, SqliteStore};
use bulla_vault::store::Store as _;
use serde_json::Value;

use super::{NO_MAIL, PATIENCE, World};
use crate::support::{Run, Way};

#[test]
fn a_token_lives_as_long_as_is_asked_for() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.nearly_expired("alice@example.com");
    forms(&world);
    lives(&world);
    nobody_has_consented(&world);
    a_client_speaks_for_itself(&world);
}

fn forms(world: &World) {
    let print =
        |form: &str| world.run(&format!("mailbox token alice@example.com{form}")).succeeds().out();
    let raw = print("");
    assert!(raw.len() > 20 && raw.bytes().all(|byte| byte.is_ascii_graphic()));
    let decoded = |form| String::from_utf8(STANDARD.decode(print(form)).unwrap()).unwrap();
    let bearer = format!("\u{1}auth=Bearer {raw}\u{1}\u{1}");
    assert_eq!(decoded(" --as xoauth2"), format!("user=alice@example.com{bearer}"));
    assert_eq!(decoded(" --as oauthbearer"), format!("n,a=alice@example.com,{bearer}"));
    let json: Value = serde_json::from_str(&print(" --as json")).unwrap();
    assert_eq!(json["access_token"], raw);
    assert_eq!(json["address"], "alice@example.com");
    assert_eq!(json["user"], "alice@example.com");
    assert!(json["expires"].as_str().unwrap().ends_with('Z'));
    assert_eq!(print(" --json"), print(" --as json"));
}

fn lives(world: &World) {
    let token =
        |life: &str| world.run(&format!("mailbox token alice@example.com --min-ttl {life}"));
    let asked = world.refreshes();
    let first = token("30m").succeeds().out();
    // For a cached token, the issuer was once asked for its settings all the same.
    world.bed.fault(r#"{"path": "*", "drop": "before", "count": 99}"#);
    assert_eq!(token("1s").succeeds().out(), first);
    assert_eq!(world.refreshes(), asked, "the cached token has life enough");
    world.bed.fault("[]");

    let short = token("2h").fails(1);
    assert!(short.stderr.contains("access tokens live for 3"), "{short}");
    assert_eq!(world.refreshes(), asked + 1);
    // It is too short, but good and paid for.
    let second = token("30m").succeeds().out();
    assert_ne!(first, second);
    assert_eq!(world.refreshes(), asked + 1);

    let full = "bulla mailbox token alice@example.com >/dev/full";
    let ended = world.home.sh(full).fails(1);
    assert!(ended.stderr.contains("no space left on device"), "{ended}");
    for life in ["5", "m", "-1s", "1.5h", "99999999999999999999s", "9999999999999999d", ""] {
        world.run("mailbox token alice@example.com").args(["--min-ttl", life]).fails(2);
    }
}

fn nobody_has_consented(world: &World) {
    world.run("set mailbox/new@example.com --kind mailbox --public client=secret-test").succeeds();
    let ended = world.run("mailbox token new@example.com").fails(8);
    assert!(ended.stderr.contains("error: new@example.com: it was never authorised"), "{ended}");
    world.run("mailbox token nobody@example.com").fails(4);
    world.run("set mailbox/plain --kind secret password").stdin("x").succeeds();
    let ended = world.run("mailbox token plain").fails(2);
    assert!(ended.stderr.contains("`mailbox/plain` is a secret"), "{ended}");
    let ended = world.run("mailbox token secret-test").fails(4);
    assert!(ended.stderr.contains("no entry `mailbox/secret-test`"), "{ended}");
}

/// Without a person, and so without a refresh token.
fn a_client_speaks_for_itself(world: &World) {
    let add = "mailbox add daemon@example.com --client daemon-test --app-only --no-verify";
    let ended = world.run(add).fails(2);
    assert!(ended.stderr.contains("--scope SCOPE says so"), "{ended}");
    // What was left of that once stood in the way of `verify --all`.
    world.run("show mailbox/daemon@example.com").fails(4);
    let scope = "https://outlook.office365.com/.default";
    world.run(add).args(["--scope", scope]).succeeds();
    let first = world.run("mailbox token daemon@example.com").succeeds().out();
    assert_eq!(world.run("mailbox token daemon@example.com").succeeds().out(), first);
    let requests = world.bed.token_requests();
    let own = requests.iter().filter(|request| request.grant == "client_credentials");
    assert_eq!(own.count(), 1);
    assert_eq!(world.status("daemon@example.com")["state"], "works");
    world.run("get mailbox/daemon@example.com refresh-token").fails(4);
}

/// With rotation, a second refresh with the same token would be the end of the grant.
#[test]
fn many_at_once_make_one_refresh() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.nearly_expired("alice@example.com");
    let token = || world.run("mailbox token alice@example.com");
    let tokens = at_once(&world, 50, &token);
    assert_eq!(tokens.len(), 1, "all get the same token");

    world.nearly_expired("bob@example.com");
    world.home.write("t.json", r#"["bulla://mailbox/bob@example.com/access-token@20m"]"#);
    let rendered = at_once(&world, 20, &|| world.run("render t.json"));
    let token = world.run("mailbox token bob@example.com").succeeds().out();
    assert_eq!(rendered, BTreeSet::from([format!("[\"{token}\"]")]));

    for address in ["alice@example.com", "bob@example.com"] {
        world.run(&format!("mailbox status {address} --probe")).succeeds();
    }
    world.run("fsck").succeeds();
}

/// Runs as many at once, and gives their different outputs.
fn at_once(world: &World, count: usize, run: &dyn Fn() -> Run) -> BTreeSet<String> {
    let asked = world.refreshes();
    let runs: Vec<_> = (0..count).map(|_| run()).collect();
    let printed = thread::scope(|scope| {
        let runs: Vec<_> =
            runs.into_iter().map(|run| scope.spawn(|| run.succeeds().out())).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(world.refreshes(), asked + 1, "{count} processes make one refresh");
    printed
}

/// What is renamed, removed or given another key while its token is being renewed waits for the new
/// token. It once went ahead, and the provider's answer found no place.
#[test]
fn nothing_is_moved_under_a_refresh() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.authorize("alice@example.com", "--no-verify");
    let changes = [
        "rekey",
        "set mailbox/alice@example.com --public imap=imaps://localhost:1",
        "mv mailbox/alice@example.com mailbox/bob@example.com",
        "rm mailbox/alice@example.com",
    ];
    let mut told = 0;
    for change in changes {
        world.bed.fault(r#"{"delay_after": 4000}"#);
        let before = world.refresh_token("alice@example.com");
        thread::scope(|scope| {
            let probe = world.run("mailbox status alice@example.com --probe");
            let probe = scope.spawn(|| probe.run());
            is_begun(&world, "alice@example.com");
            let changed = world.run(change).succeeds();
            let words = "waiting for another program that is at work on mailbox/alice@example.com";
            told += u32::from(changed.stderr.contains(words));
            let probe = probe.join().unwrap();
            assert_eq!(probe.code(), 0, "{change}: {probe}");
        });
        match change.split_whitespace().next().unwrap() {
            "mv" => world.run("mv mailbox/bob@example.com mailbox/alice@example.com").succeeds(),
            "rm" => world.run("revert mailbox/alice@example.com").succeeds(),
            _ => world.run("fsck").succeeds(),
        };
        assert_ne!(world.refresh_token("alice@example.com"), before, "{change}");
        world.run("mailbox status alice@example.com --probe").succeeds();
    }
    // They once waited for minutes without a word. One that was slow to start need not wait.
    assert!(told > 0);
    a_new_key_waits_for_those_who_begin_while_it_waits(&world);
}

fn a_new_key_waits_for_those_who_begin_while_it_waits(world: &World) {
    world.authorize("carol@example.com", "--no-verify");
    world.bed.fault(r#"[{"delay_after": 3000}, {"delay_after": 5000}]"#);
    let probe = |address: &str| world.run(&format!("mailbox status {address} --probe"));
    let [alice, carol] = ["alice@example.com", "carol@example.com"];
    let ended = thread::scope(|scope| {
        let (first, second, rekey) = (probe(alice), probe(carol), world.run("rekey"));
        let first = scope.spawn(|| first.run());
        is_begun(world, alice);
        let rekey = scope.spawn(|| rekey.run());
        let second = scope.spawn(|| second.run());
        is_begun(world, carol);
        [first, rekey, second].map(|run| run.join().unwrap())
    });
    for ended in ended {
        assert_eq!(ended.code(), 0, "{ended}");
    }
    for address in [alice, carol] {
        probe(address).succeeds();
    }
}

/// Making the new slot of a passphrase takes a while, in which others may begin: a refresh that began
/// between the last look and the write lock once lost its token.
#[test]
fn a_new_key_waits_for_those_who_begin_while_it_is_made() {
    let Some(world) = World::start_with(&NO_MAIL, Way::Passphrase) else { return };
    world.authorize("alice@example.com", "--no-verify");
    let before = world.refresh_token("alice@example.com");
    world.bed.fault(r#"{"delay_after": 10000}"#);
    let rekey = thread::scope(|scope| {
        let rekey = world.run("rekey --kdf-target 5s");
        let rekey = scope.spawn(|| rekey.run());
        // It has looked by now. If it has not, it will look later, which is as good.
        thread::sleep(Duration::from_secs(2));
        let probe = world.run("mailbox status alice@example.com --probe").run();
        assert_eq!(probe.code(), 0, "{probe}");
        rekey.join().unwrap()
    });
    assert_eq!(rekey.code(), 0, "{rekey}");
    assert_ne!(world.refresh_token("alice@example.com"), before);
    world.run("mailbox status alice@example.com --probe").succeeds();
}

/// While somebody consents there is no state of a refresh in the vault, and `rekey` went ahead: the new
/// grant could not be written any more, and the provider may have ended the old one.
#[test]
fn a_new_key_waits_for_who_is_consenting() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.authorize("alice@example.com", "--no-verify");
    let before = world.refresh_token("alice@example.com");
    let asked = world.bed.token_requests().len();
    let waiting = world.begin("mailbox authorize alice@example.com --no-verify");
    let url = waiting.url("alice@example.com");
    world.bed.fault(r#"{"delay_after": 4000}"#);
    thread::scope(|scope| {
        scope.spawn(|| world.visit(&url, "alice@example.com", &["--follow"]));
        let until = Instant::now() + PATIENCE;
        while world.bed.token_requests().len() == asked {
            assert!(Instant::now() < until, "the code was not sent");
            thread::sleep(Duration::from_millis(20));
        }
        world.run("rekey").succeeds();
    });
    let ended = waiting.end();
    assert_eq!(ended.code(), 0, "{ended}");
    assert_ne!(world.refresh_token("alice@example.com"), before);
    world.run("mailbox status alice@example.com --probe").succeeds();
}

/// A code that was sent while somebody else wrote a new vault key brought tokens that nobody could keep.
#[test]
fn no_code_is_spent_while_somebody_else_writes() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    let vault = SqliteStore::open(world.home.vault(), Options::default()).unwrap();
    let writer = vault.write().unwrap();
    let waiting =
        world.begin("mailbox authorize alice@example.com --client secret-test --no-verify");
    let url = waiting.url("alice@example.com");
    thread::scope(|scope| {
        scope.spawn(|| world.visit(&url, "alice@example.com", &["--follow"]));
        let locks = world.home.vault().with_extension("bulla-locks");
        let until = Instant::now() + PATIENCE;
        while std::fs::read_dir(&locks).map_or(0, Iterator::count) == 0 {
            assert!(Instant::now() < until, "the lock of the mailbox was not taken");
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(Duration::from_secs(2));
        assert!(world.bed.token_requests().is_empty(), "the code was sent");
        drop(writer);
    });
    let ended = waiting.end();
    assert_eq!(ended.code(), 0, "{ended}");
    world.run("mailbox token alice@example.com").succeeds();
}

/// Waits until a refresh is on its way.
fn is_begun(world: &World, address: &str) {
    let until = Instant::now() + PATIENCE;
    while world.status(address)["state"] != "refreshing" {
        assert!(Instant::now() < until, "no refresh was begun");
        thread::sleep(Duration::from_millis(20));
    }
}

//! A refresh that is killed at any system call, and one that finds the disk full when it has the new
//! token in its hands.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use bulla_testkit::testbed::Options;

use super::{NO_MAIL, PATIENCE, World};
use crate::faults::{calls_in, can_trace};
use crate::support::{Home, Way, skipped};

/// The calls between which something changes, here or at the provider.
const CALLS: &str = "write,pwrite64,fsync,fdatasync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,fchmod,flock,connect,sendto,recvfrom";

#[test]
fn a_killed_refresh_is_known_and_loses_nothing() {
    if !can_trace() {
        return;
    }
    let Some(mut world) = World::start(&Options { rotate: false, ..NO_MAIL }) else { return };
    world.authorize("alice@example.com", "--no-verify");
    let refresh = world.refresh_token("alice@example.com");
    let old = world.run("mailbox token alice@example.com").succeeds().out();
    // Each kill is in a copy of this home: without rotation the refresh token works for all of them.
    let original = std::mem::replace(&mut world.home, Home::new(Way::None));
    let begin = |world: &mut World| world.home = original.copy();

    begin(&mut world);
    assert_eq!(traced(&world, &["-e", &format!("trace={CALLS}"), "-o", "log"]), TOO_SHORT);
    let calls = calls_in(&String::from_utf8(world.home.read("log")).unwrap(), CALLS);
    assert!(calls.contains_key("sendto") && calls.contains_key("recvfrom"), "{calls:?}");
    let mut states = BTreeSet::new();
    for (call, count) in &calls {
        for n in 1..=*count {
            begin(&mut world);
            let inject = format!("inject={call}:signal=KILL:when={n}");
            let code = traced(&world, &["-e", &inject, "-o", "/dev/null"]);
            assert!(code == KILLED || code == TOO_SHORT, "{inject}: {code}");
            assert_eq!(world.refresh_token("alice@example.com"), refresh, "{inject}");
            let state = world.status("alice@example.com")["state"].as_str().unwrap().to_owned();
            // The old access token is as good as before, unless there is a new one. Once an outage in
            // the middle of a refresh took it away.
            let asked = world.refreshes();
            let token = world.run("mailbox token alice@example.com").succeeds().out();
            assert_eq!(world.refreshes(), asked, "{inject}: {state}");
            let done = token != old;
            assert!(state == "works" || state == "cut-off" && !done, "{inject}: {state}");
            world.run("mailbox status alice@example.com --probe").succeeds();
            world.run("fsck").succeeds();
            states.insert((state, done));
        }
    }
    assert_eq!(states.len(), 3, "before, in between and after: {states:?}");
}

/// With a provider that replaces refresh tokens, the new one is there, or it is told that it was lost.
#[test]
fn a_killed_rotation_is_whole_or_named() {
    if !can_trace() {
        return;
    }
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.nearly_expired("alice@example.com");
    assert_eq!(traced(&world, &["-e", &format!("trace={CALLS}"), "-o", "log"]), TOO_SHORT);
    let calls = calls_in(&String::from_utf8(world.home.read("log")).unwrap(), "fsync,recvfrom");
    let (mut whole, mut lost) = (0, 0);
    for (call, count) in &calls {
        for n in 1..=*count {
            world.nearly_expired("alice@example.com");
            let inject = format!("inject={call}:signal=KILL:when={n}");
            traced(&world, &["-e", &inject, "-o", "/dev/null"]);
            let ended = world.run("mailbox token alice@example.com").run();
            match ended.code() {
                0 => whole += 1,
                _ => {
                    assert_eq!(ended.code(), 8, "{inject}: {ended}");
                    assert!(ended.stderr.contains("hint: a refresh was cut off at 20"), "{ended}");
                    lost += 1;
                }
            }
        }
    }
    world.run("fsck").succeeds();
    assert!(whole > 0 && lost > 0, "{whole} whole, {lost} lost: {calls:?}");
}

/// Any error of a disk but a full one, once it had a new token to take, was once the end of the grant.
#[test]
fn a_disk_that_fails_is_waited_for() {
    if !can_trace() {
        return;
    }
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.nearly_expired("alice@example.com");
    let known = "pwrite64,fsync,fdatasync";
    assert_eq!(traced(&world, &["-e", &format!("trace={known}"), "-o", "log"]), TOO_SHORT);
    let calls = calls_in(&String::from_utf8(world.home.read("log")).unwrap(), known);
    let (mut waited, mut at_once) = (0, 0);
    for (call, count) in &calls {
        let error = if call == "pwrite64" { "EDQUOT" } else { "EIO" };
        for n in 1..=*count {
            world.nearly_expired("alice@example.com");
            let (before, asked) = (world.refresh_token("alice@example.com"), world.refreshes());
            let inject = format!("inject={call}:error={error}:when={n}");
            traced(&world, &["-e", &inject, "-o", "/dev/null"]);
            let is_new = world.refresh_token("alice@example.com") != before;
            assert_eq!(is_new, world.refreshes() > asked, "{inject}");
            if is_new {
                waited += 1
            } else {
                at_once += 1
            }
            world.run("mailbox token alice@example.com").succeeds();
        }
    }
    world.run("fsck").succeeds();
    assert!(waited > 0 && at_once > 0, "{waited} waited, {at_once} at once: {calls:?}");
}

/// A vault that was not in its place when the token came was given up at once, and the token with it.
#[test]
fn a_vault_that_is_away_for_a_moment_is_waited_for() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.nearly_expired(ALICE);
    let before = world.refresh_token(ALICE);
    world.bed.fault(r#"{"delay_after": 3000}"#);
    let mut waiting = world.begin(&format!("mailbox token {ALICE}"));
    let until = Instant::now() + PATIENCE;
    while world.status(ALICE)["state"] != "refreshing" {
        assert!(Instant::now() < until, "no refresh was begun");
        thread::sleep(Duration::from_millis(20));
    }
    let (vault, away) = (world.home.vault(), world.home.file("away"));
    let folder = vault.parent().unwrap();
    fs::rename(folder, &away).unwrap();
    let has_waited = waiting.says("cannot be written yet");
    fs::rename(&away, folder).unwrap();
    let ended = waiting.end();
    assert!(has_waited && ended.code() == 0, "{ended}");
    assert_ne!(world.refresh_token(ALICE), before);
    world.run(&format!("mailbox status {ALICE} --probe")).succeeds();
}

/// A consent whose grant could not be written at once was lost, and its owner asked again.
#[test]
fn a_consent_waits_for_a_disk_that_fails() {
    if !can_trace() {
        return;
    }
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.authorize(ALICE, "--no-verify");
    let below = |how: &[&str]| {
        let strace = [&["strace", "-f", "-qq"], how].concat();
        world.begin_below(&strace, &format!("mailbox authorize {ALICE} --no-verify"))
    };
    let log = world.home.file("log");
    let waiting = below(&["-e", "trace=fsync,fdatasync", "-o", log.to_str().unwrap()]);
    let _ = world.visit(&waiting.url(ALICE), ALICE, &["--follow"]);
    assert_eq!(waiting.end().code(), 0);
    let calls = calls_in(&String::from_utf8(world.home.read("log")).unwrap(), "fsync,fdatasync");
    let mut waited = 0;
    for (call, n) in calls.iter().flat_map(|(call, count)| (1..=*count).map(move |n| (call, n))) {
        let before = world.refresh_token(ALICE);
        let inject = format!("inject={call}:error=EIO:when={n}");
        let mut waiting = below(&["-e", &inject, "-o", "/dev/null"]);
        let url = waiting.url(ALICE);
        let (has_waited, ended) = thread::scope(|scope| {
            scope.spawn(|| world.visit(&url, ALICE, &["--follow"]));
            let has_waited = waiting.says("cannot be written yet");
            if has_waited {
                interrupt(waiting.child.id());
                // Whoever sent the signal is told why nothing happens. That once came only when another
                // attempt had failed.
                assert!(waiting.says("warning: a provider's answer is on its way"), "{inject}");
            }
            (has_waited, waiting.end())
        });
        assert_ne!(world.refresh_token(ALICE), before, "{inject}: {ended}");
        assert!(ended.stderr.contains("alice@example.com is authorised"), "{inject}: {ended}");
        if has_waited {
            let fact = "cannot commit the vault: the disk or its file system failed";
            assert!(ended.stderr.contains(fact), "{inject}: {ended}");
        }
        assert_eq!(ended.code(), if has_waited { 130 } else { 0 }, "{inject}: {ended}");
        waited += u32::from(has_waited);
    }
    world.run("fsck").succeeds();
    assert!(waited > 0, "{calls:?}");
}

/// Sends an interrupt to what `strace` traces.
fn interrupt(strace: u32) {
    let children = format!("/proc/{strace}/task/{strace}/children");
    let child = fs::read_to_string(children).unwrap();
    Command::new("kill").args(["-INT", child.trim()]).status().unwrap();
}

const ALICE: &str = "alice@example.com";

/// How `traced` ends: no token lives that long, so that it always asks for one.
const TOO_SHORT: i32 = 1;
const KILLED: i32 = 137;

/// Runs a refresh under strace; gives its end as a shell tells it.
fn traced(world: &World, how: &[&str]) -> i32 {
    let run = world.home.command("strace").args(["-f", "-qq"]).args(how);
    let ask = "mailbox token alice@example.com --min-ttl 2h";
    let run = run.args([env!("CARGO_BIN_EXE_bulla")]).args(ask.split(' '));
    run.env("SSL_CERT_FILE", world.home.file("roots.pem")).run().code()
}

/// The provider has replaced the refresh token, and the new one waits until there is room for it.
#[test]
fn a_full_disk_is_waited_for() {
    let home = Home::new(Way::Identity);
    if home.sh("unshare -m mount -t tmpfs none .").run().code() != 0 {
        skipped("a disk cannot be filled, which takes root");
        return;
    }
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.nearly_expired("alice@example.com");
    world.bed.fault(r#"{"delay_after": 3000}"#);
    fs::create_dir(world.home.file("disk")).unwrap();
    world.home.write("fill.sh", SCRIPT);
    let run = world.home.command("unshare").args(["-m", "sh", "fill.sh"]);
    let ended = run.env("SSL_CERT_FILE", world.home.file("roots.pem")).run();
    assert_eq!(ended.code(), 0, "{ended}");
    let [full, waits, same] =
        ended.out().lines().map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
    assert!(full.starts_with("1 error: alice@example.com: "), "{full}");
    assert!(full.ends_with("no space is left where the vault lies"), "{full}");
    assert_eq!(world.refreshes(), 2, "the one that was waited for, and a probe");
    assert_eq!(
        waits,
        "warning: what the provider answered for mailbox/alice@example.com cannot be written yet; it is kept in memory and tried again for five minutes: no space is left where the vault lies"
    );
    assert_eq!(same, "the token is there, and the grant works");
}

const SCRIPT: &str = r#"
set -e
mount -t tmpfs -o size=512k,mode=700 none disk
cp "$VAULT" disk/v.bulla
export BULLA_VAULT=disk/v.bulla

# Another one has the vault open, without which nobody can even read on a full disk. Before the
# provider is asked nothing can be lost, and there is no reason to wait.
bulla mailbox authorize bob@example.com --client secret-test --no-verify 2>waiting &
until grep -q https: waiting; do sleep 0.05; done
head -c 1M /dev/zero >disk/fill 2>/dev/null || true
bulla mailbox token alice@example.com 2>said || echo "$? $(head -n 1 said)"
kill $!
rm disk/fill

bulla mailbox token alice@example.com >token 2>said &
until bulla mailbox status --json | grep -q '"refreshing"'; do sleep 0.05; done
head -c 1M /dev/zero >disk/fill 2>/dev/null || true
until grep -q warning: said; do sleep 0.05; done
cat said
rm disk/fill
wait $!
bulla mailbox token alice@example.com | cmp - token
bulla mailbox status --probe -q >/dev/null
bulla fsck -q >/dev/null
echo the token is there, and the grant works
"#;

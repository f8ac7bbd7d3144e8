//! Consent on another machine, by a pasted address or a device's code, and in a real browser.

use std::io::Write;
use std::process::Stdio;

use bulla_testkit::testbed::Options;

use super::{World, parameter};
use crate::pty::Session;
use crate::support::skipped;

#[test]
fn the_owner_consents_on_another_machine() {
    let Some(world) = World::start(&Options::default()) else { return };
    for whole in [true, false] {
        an_address_or_code_is_piped_in(&world, whole);
    }
    what_is_no_address_is_refused(&world);
    an_address_is_pasted_on_a_terminal(&world);
    a_code_is_typed_into_a_browser(&world);
    nobody_types_the_code(&world);
    a_device_that_is_too_fast_slows_down(&world);
    a_real_browser_clicks_through(&world);
}

fn paste(world: &World) -> String {
    let servers = world.servers();
    format!("mailbox authorize alice@example.com --client secret-test --paste {servers}")
}

fn an_address_or_code_is_piped_in(world: &World, whole: bool) {
    let mut waiting = world.begin(&paste(world));
    let seen = world.visit(&waiting.url("alice@example.com"), "alice@example.com", &[]);
    let pasted = if whole { seen } else { format!("code={}\n", parameter(&seen, "code")) };
    waiting.child.stdin.take().unwrap().write_all(pasted.as_bytes()).unwrap();
    let ended = waiting.end();
    assert_eq!(ended.code(), 0, "{ended}");
    assert!(ended.stderr.ends_with("is authorised, and its mailbox opens\n"), "{ended}");
}

fn what_is_no_address_is_refused(world: &World) {
    let before = world.refresh_token("alice@example.com");
    let pastes = [
        ("", 2, "no address was pasted"),
        ("\n", 2, "no address was pasted"),
        ("https://example.com/", 1, "what came back from the browser holds no code"),
        (
            "http://127.0.0.1/?code=x&state=other",
            1,
            "what came back from the browser is not the answer to this request",
        ),
        (
            "http://127.0.0.1/?code=x",
            1,
            "what came back from the browser is not the answer to this request",
        ),
        ("two words", 1, "what came back from the browser holds no code"),
        ("hello", 1, "what came back from the browser holds no code"),
        ("code=made-up", 8, "the provider refuses: invalid_grant"),
    ];
    for (pasted, code, words) in pastes {
        let ended = world.run(&paste(world)).stdin(pasted).fails(code);
        assert!(ended.stderr.contains(words), "{pasted}: {ended}");
    }
    assert_eq!(world.refresh_token("alice@example.com"), before);
}

fn an_address_is_pasted_on_a_terminal(world: &World) {
    let line = format!("{} --ca {}", paste(world), world.bed.ca().display());
    let line = line.replace("alice", "bob");
    let mut session = Session::start(&world.home, &line.split_whitespace().collect::<Vec<_>>());
    session.expect("Paste its whole address here: ");
    // A slip of the hand once ended it.
    for slip in ["hello\n", "\n", "http://127.0.0.1/?code=x&state=other\n"] {
        session.types(slip);
        session.expect("warning: what came back from the browser ");
        session.expect("Paste its whole address here: ");
    }
    let url = session.seen().split_whitespace().find(|word| word.starts_with("https://"));
    let seen = world.visit(url.unwrap(), "bob@example.com", &[]);
    session.types(seen);
    let screen = session.ends(0);
    assert!(screen.contains("bob@example.com is authorised, and its mailbox opens"), "{screen}");
}

fn a_code_is_typed_into_a_browser(world: &World) {
    for (login, how, exit) in
        [("carol", &["--device"][..], 0), ("dave", &["--device", "--deny"], 8)]
    {
        let (address, servers) = (format!("{login}@example.com"), world.servers());
        let waiting = world
            .begin(&format!("mailbox authorize {address} --client secret-test --device {servers}"));
        let uri = waiting.said("On any machine, open ");
        let code = waiting.said("enter the code ");
        let mut browser = world.bed.browser();
        let output = browser.args([&uri, &code, &address]).args(how).output().unwrap();
        let ended = waiting.end();
        assert_eq!(ended.code(), exit, "{ended}{output:?}");
        match exit {
            0 => assert!(ended.stderr.ends_with("and its mailbox opens\n"), "{ended}"),
            _ => assert!(ended.stderr.contains("access_denied"), "{ended}"),
        }
    }
}

/// The server says `slow_down` again to who asks sooner than 10 seconds after the first one.
fn a_device_that_is_too_fast_slows_down(world: &World) {
    let before = world.bed.token_requests().len();
    world.bed.fault(r#"{"status": 400, "body": "{\"error\": \"slow_down\"}"}"#);
    let (address, servers) = ("frank@example.com", world.servers());
    let line = format!("mailbox authorize {address} --client secret-test --device {servers}");
    let waiting = world.begin(&line);
    let uri = waiting.said("On any machine, open ");
    let code = waiting.said("enter the code ");
    let mut browser = world.bed.browser();
    let output = browser.args([&uri, &code, address, "--device"]).output().unwrap();
    let ended = waiting.end();
    assert_eq!(ended.code(), 0, "{ended}{output:?}");
    let polls = world.bed.token_requests().split_off(before);
    let (last, before) = polls.split_last().unwrap();
    assert_eq!(last.status, Some(200), "{polls:?}");
    assert!(before.iter().any(|poll| poll.fault.is_some()), "{polls:?}");
    assert!(polls.iter().all(|poll| poll.error.as_deref() != Some("slow_down")), "{polls:?}");
}

/// `--timeout` was once ignored here.
fn nobody_types_the_code(world: &World) {
    let line = "mailbox authorize nobody@example.com --client secret-test --no-verify --device";
    let ended = world.run(&format!("{line} --timeout 1s")).fails(8);
    assert!(ended.stderr.contains("\nThis waits "), "{ended}");
    assert!(ended.stderr.contains("nobody typed the code in time"), "{ended}");
}

fn a_real_browser_clicks_through(world: &World) {
    let line = "mailbox authorize erin@example.com --client secret-test --no-verify";
    let waiting = world.begin(line);
    let picture = world.home.file("picture.png");
    let mut browser = world.bed.chromium();
    browser.args([&waiting.url("erin@example.com"), "erin@example.com"]).arg(&picture);
    let output = browser.stderr(Stdio::inherit()).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    if let Some(why) = shown.strip_prefix("skipped: ") {
        return skipped(why.trim_end());
    }
    let ended = waiting.end();
    assert_eq!(ended.code(), 0, "{ended}{shown}");
    let page = shown.split_once('\n').unwrap().1;
    let text = "Authorised erin@example.com can be used from now on. You can close this window.";
    assert_eq!(page, format!("Authorised - bulla\n{text}\n"));
    let picture = std::fs::read(picture).unwrap();
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 1000);
}

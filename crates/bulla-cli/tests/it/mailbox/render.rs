//! Tokens in templates, for programs that read them from files and environments.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{NO_MAIL, World};

#[test]
fn templates_get_tokens_that_live_long_enough() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.nearly_expired("alice@example.com");
    genesys(&world);
    environment(&world);
    differences(&world);
    nobody_is_asked(&world);
    failures(&world);
}

fn genesys(world: &World) {
    let template = "[pop-client]\ntype=POP3\nmailbox=alice@example.com\nenable-debug=false\n\
                    token=bulla://mailbox/alice@example.com/access-token@20m\n";
    world.home.write("t/email.cfg", template);
    world.home.write("t/login.json", r#"["bulla://mailbox/alice@example.com/xoauth2"]"#);
    let asked = world.refreshes();
    world.run("render t --into out").succeeds();
    assert_eq!(world.refreshes(), asked + 1, "one token for both");
    let token = world.run("mailbox token alice@example.com").succeeds().out();
    assert_eq!(world.refreshes(), asked + 1);
    let rendered = |name| String::from_utf8(world.home.read(name)).unwrap();
    assert!(rendered("out/email.cfg").ends_with(&format!("\ntoken={token}\n")));
    let login = format!("user=alice@example.com\u{1}auth=Bearer {token}\u{1}\u{1}");
    assert_eq!(rendered("out/login.json"), format!("[\"{}\"]", STANDARD.encode(login)));
}

fn environment(world: &World) {
    world.home.write("t.env", "TOKEN=bulla://mailbox/alice@example.com/access-token\n");
    let token = world.run("mailbox token alice@example.com").succeeds().out();
    let run = world.run("run --no-mask --env t.env -- printenv TOKEN").succeeds();
    assert_eq!(run.out(), format!("{token}\n"));
    let masked = world.run("run --env t.env -- printenv TOKEN").succeeds();
    assert!(!masked.out().contains(&token), "{masked}");
}

fn differences(world: &World) {
    let diff = "diff t/email.cfg -o out/email.cfg --exit-code";
    world.run(diff).succeeds();
    let old = world.run("mailbox token alice@example.com").succeeds().out();
    world.run("mailbox status alice@example.com --probe").succeeds();
    let ended = world.run(diff).run();
    assert_eq!(ended.code(), 9, "{ended}");
    let new = world.run("mailbox token alice@example.com").succeeds().out();
    let shown = format!("{}{}", ended.out(), ended.stderr);
    assert!(shown.contains("token="), "{ended}");
    assert!(!shown.contains(&old) && !shown.contains(&new), "{ended}");
}

/// `check` looks into the vault and asks no provider, whatever the life that is asked for.
fn nobody_is_asked(world: &World) {
    let log = world.bed.ca().with_file_name("as.log");
    let before = std::fs::read(&log).unwrap();
    world.home.write("long.json", r#"["bulla://mailbox/alice@example.com/access-token@24h"]"#);
    let with_vault = world.run("check --with-vault long.json").run();
    assert_eq!(with_vault.code(), 0, "{with_vault}");
    world.run("check long.json").run();
    world.run("refs long.json").succeeds();
    assert_eq!(std::fs::read(&log).unwrap(), before, "no request was made");
}

fn failures(world: &World) {
    let ended = world.run("render long.json -o out.json").fails(1);
    assert!(ended.stderr.contains("no token for mailbox/alice@example.com"), "{ended}");
    assert!(!world.home.file("out.json").exists());
    world.home.write("other.json", r#"["bulla://mailbox/nobody@example.com/access-token"]"#);
    world.run("render other.json").fails(4);
    world.run("set mailbox/new@example.com --kind mailbox --public client=secret-test").succeeds();
    world.home.write("new.json", r#"["bulla://mailbox/new@example.com/access-token"]"#);
    let ended = world.run("render new.json").fails(8);
    assert!(ended.stderr.contains("it was never authorised"), "{ended}");
    world.nearly_expired("bob@example.com");
    world.bed.fault(r#"{"status": 503, "headers": {"Retry-After": "60"}, "count": 9}"#);
    world.home.write("bob.json", r#"["bulla://mailbox/bob@example.com/xoauth2"]"#);
    let ended = world.run("render bob.json").fails(7);
    assert!(ended.stderr.contains("the provider is not available (HTTP 503)"), "{ended}");
    world.bed.fault("[]");
    world.run("render bob.json").succeeds();
}

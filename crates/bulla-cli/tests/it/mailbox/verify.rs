//! `mailbox verify`: a mailbox opens, or it is told why not, each reason by its own name.

use bulla_testkit::testbed::{Exchange, Options};
use serde_json::Value;

use super::World;

const MAIL: &str = "https://mail.google.com/";

#[test]
fn a_mailbox_opens_or_it_is_told_why_not() {
    let options = Options { mail_scope: Some(MAIL), ..Options::default() };
    let Some(world) = World::start(&options) else { return };
    world.provider("bed", &format!(r#"["{MAIL}", "offline_access"]"#), r#"{ prompt = "consent" }"#);
    world.run("set secret-test --public provider=bed").succeeds();
    let servers = world.servers();
    world.authorize("alice@example.com", &servers);

    for how in ["", "--mechanism oauthbearer"] {
        let all = verify(&world, "alice@example.com", how, 0);
        assert_eq!(all, [("IMAP", ""), ("POP3", ""), ("SMTP", "")].map(owned));
    }
    let ended = world.run("mailbox verify --all --protocol pop3").succeeds();
    assert_eq!(ended.out(), "alice@example.com  POP3  opens\n");
    temporary(&world);
    other_mailboxes(&world);
    a_scope_is_missing(&world);
    servers_that_are_none(&world);
    a_revoked_token(&world);
    a_changed_client(&world);
    exchange(&world);
}

/// The protocols with what is wrong with each.
fn verify(world: &World, address: &str, more: &str, exit: i32) -> Vec<(String, String)> {
    let ended = world.run(&format!("mailbox verify {address} --json {more}")).run();
    assert_eq!(ended.code(), exit, "{ended}");
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let (protocol, code) = (row["protocol"].as_str().unwrap(), row["error"]["code"].as_str());
        assert_eq!(row["opens"], code.is_none(), "{ended}");
        assert!(!line.chars().any(char::is_control), "{ended}");
        (protocol.to_owned(), code.unwrap_or_default().to_owned())
    };
    ended.out().lines().map(row).collect()
}

fn owned((protocol, code): (&str, &str)) -> (String, String) {
    (protocol.to_owned(), code.to_owned())
}

fn all_are(code: &str) -> [(String, String); 3] {
    ["IMAP", "POP3", "SMTP"].map(|protocol| owned((protocol, code)))
}

/// The mail server cannot ask about the token.
fn temporary(world: &World) {
    world.bed.fault(r#"{"path": "/token/introspection", "status": 503, "count": 99}"#);
    assert_eq!(verify(world, "alice@example.com", "", 7), all_are("server-temporary"));
    world.bed.fault("[]");
}

fn other_mailboxes(world: &World) {
    // The server knows this token, and it is not bob's.
    world.run("set mailbox/alice@example.com --public user=bob@example.com").succeeds();
    assert_eq!(verify(world, "alice@example.com", "", 8), all_are("token-refused"));
    world.run("set mailbox/alice@example.com --public user=alice@example.com").succeeds();

    // The provider says whose token it is.
    let servers = world.servers();
    world.authorize("eve@example.com", &servers);
    let eve = world.refresh_token("eve@example.com");
    world.run("rm mailbox/eve@example.com").succeeds();
    let add = format!("mailbox add bob@example.com --client secret-test {servers}");
    let ended = world.run(&add).stdin(eve).fails(8);
    assert!(ended.stderr.contains("a token of another account, eve@example.com"), "{ended}");
    // It is asked about again, and shown to no mail server.
    let ended = world.run("mailbox verify bob@example.com").run();
    assert_eq!(ended.code(), 8, "{ended}");
    assert!(ended.stderr.contains("a token of another account, eve@example.com"), "{ended}");
}

fn a_scope_is_missing(world: &World) {
    let servers = world.servers();
    let line = format!("mailbox authorize carol@example.com --client secret-test {servers}");
    world.bed.fault(r#"{"merge": {"scope": "openid email"}}"#);
    let waiting = world.begin(&line);
    world.visit(&waiting.url("carol@example.com"), "carol@example.com", &["--follow"]);
    let ended = waiting.end();
    assert_eq!(ended.code(), 8, "{ended}");
    assert!(ended.stderr.contains(&format!("the scope {MAIL} was not granted")), "{ended}");

    // Nobody asked for it when she consented.
    world.provider("bed", r#"["offline_access"]"#, r#"{ prompt = "consent" }"#);
    world.authorize("carol@example.com", &format!("{servers} --no-verify"));
    assert_eq!(verify(world, "carol@example.com", "", 8), all_are("token-refused"));
    world.provider("bed", &format!(r#"["{MAIL}", "offline_access"]"#), r#"{ prompt = "consent" }"#);
    assert_eq!(verify(world, "carol@example.com", "", 8), all_are("scope-missing"));
}

fn servers_that_are_none(world: &World) {
    let smtp = world.bed.port("submissions");
    let at = |server: &str, exit, code| {
        world.run(&format!("set mailbox/alice@example.com --public imap={server}")).succeeds();
        let found = verify(world, "alice@example.com", "--protocol imap", exit);
        assert_eq!(found, [owned(("IMAP", code))], "{server}");
    };
    at("imaps://localhost:1", 7, "server-unreachable");
    at("imaps://no-such-host.invalid:993", 7, "server-unreachable");
    at(&format!("imaps://localhost:{smtp}"), 1, "no-mail-server");
    at(&format!("imaps://localhost:{}", world.bed.port("imaps")), 0, "");
    let wrong = world.run("mailbox verify alice@example.com --protocol imap --ca /dev/null");
    assert!(wrong.fails(1).stderr.contains("holds no certificate"));

    world.run("set mailbox/alice@example.com --public imap=http://localhost/").succeeds();
    let ended = world.run("mailbox verify alice@example.com").fails(2);
    assert!(ended.stderr.contains("the field `imap`"), "{ended}");
    world.run("mailbox verify nobody@example.com").fails(4);
}

/// The grant was withdrawn behind our back, and the cached access token with it. It was once told to
/// be fresh and refused by the mail server.
fn a_revoked_token(world: &World) {
    let servers = world.servers();
    world.authorize("dave@example.com", &servers);
    super::status::withdraw(world, &world.refresh_token("dave@example.com"));
    let ended = world.run("mailbox verify dave@example.com").fails(8);
    let words =
        "error: dave@example.com: the provider wants it to be authorised again: invalid_grant";
    assert!(ended.stderr.contains(words), "{ended}");

    // Where only the access token was withdrawn, the next one opens everything.
    world.authorize("dave@example.com", &servers);
    let access = world.run("mailbox token dave@example.com").succeeds().out();
    world.bed.fault(r#"{"path": "/token/introspection", "merge": {"active": false}}"#);
    assert_eq!(verify(world, "dave@example.com", "", 0), all_are(""));
    assert_ne!(world.run("mailbox token dave@example.com").succeeds().out(), access);
}

/// The token that was kept from before once opened everything, whatever the new secret was.
fn a_changed_client(world: &World) {
    world.run("mailbox verify dave@example.com").succeeds();
    let rotate = "mailbox rotate-client secret-test --no-verify";
    world.run(rotate).stdin("not-what-the-provider-has").succeeds();
    let ended = world.run("mailbox verify dave@example.com").fails(8);
    let words = "error: dave@example.com: the provider refuses the client: invalid_client";
    assert!(ended.stderr.contains(words), "{ended}");
    assert!(ended.stderr.contains("`bulla show secret-test` shows which it is"), "{ended}");
    world.run("set secret-test client-secret").stdin("desktop-secret").succeeds();
    world.run("mailbox verify dave@example.com").succeeds();
}

/// Exchange Online, which says all this in its own way.
fn exchange(world: &World) {
    let Some(exchange) = Exchange::start() else { return };
    let roots = [world.bed.ca(), exchange.ca()].map(|ca| std::fs::read(ca).unwrap()).concat();
    world.home.write("roots.pem", roots);
    let places = |starttls: bool| {
        for (field, tls, clear) in [
            ("imap", "imaps", "imap"),
            ("pop3", "pop3s", "pop3"),
            ("smtp", "submissions", "submission"),
        ] {
            let s = if starttls { "" } else { "s" };
            let port = exchange.port(if starttls { clear } else { tls });
            let server = format!("{field}={field}{s}://localhost:{port}");
            world.run(&format!("set mailbox/alice@example.com --public {server}")).succeeds();
        }
    };
    for starttls in [false, true] {
        places(starttls);
        for (mode, exit, codes) in MODES {
            exchange.mode(mode);
            let expected =
                ["IMAP", "POP3", "SMTP"].into_iter().zip(*codes).map(|(p, c)| owned((p, c)));
            let found = verify(world, "alice@example.com", "", *exit);
            assert_eq!(found, expected.collect::<Vec<_>>(), "{mode}");
        }
    }
    exchange.mode("starttls-stripped");
    assert_eq!(verify(world, "alice@example.com", "", 1), all_are("no-starttls"));
    says_nothing(world, &exchange);
    exchange.mode("ok");
    let oauthbearer = verify(world, "alice@example.com", "--mechanism oauthbearer", 8);
    assert_eq!(oauthbearer, all_are("no-mechanism"));

    let mut logins = 0;
    for line in exchange.log() {
        if line["mechanism"].is_string() {
            assert_eq!(line["well_formed"], true, "{line}");
            assert_eq!(line["tls"], true, "no token without TLS: {line}");
            assert_eq!(line["user"], "alice@example.com", "{line}");
            logins += 1;
        }
    }
    assert!(logins >= 36, "{logins} logins");
}

/// A server that takes the connection and is silent is given up, by each protocol.
fn says_nothing(world: &World, exchange: &Exchange) {
    exchange.mode("hang");
    std::thread::scope(|scope| {
        let each = ["imap", "pop3", "smtp"].map(|protocol| {
            scope.spawn(move || {
                verify(world, "alice@example.com", &format!("--protocol {protocol}"), 7)
            })
        });
        let found: Vec<_> = each.into_iter().flat_map(|each| each.join().unwrap()).collect();
        assert_eq!(found, all_are("server-unreachable"));
    });
}

const REFUSED: [&str; 3] = ["token-refused"; 3];

/// What the server does, with the exit code and what is told of IMAP, POP3 and SMTP.
const MODES: &[(&str, i32, [&str; 3])] = &[
    ("ok", 0, [""; 3]),
    ("not-connected", 8, ["not-connected", "", ""]),
    ("refused", 8, REFUSED),
    ("challenge", 8, REFUSED),
    ("escapes", 8, REFUSED),
    ("disabled", 8, ["switched-off"; 3]),
    ("temporary", 7, ["server-temporary"; 3]),
    ("closed", 7, ["server-unreachable"; 3]),
    ("garbage", 1, ["no-mail-server"; 3]),
    ("endless", 7, ["server-unreachable"; 3]),
    ("wrong-name", 1, ["server-tls"; 3]),
];

//! Whatever a provider answers, the refresh token is there afterwards, or the newer one that came
//! with the answer, and the exit code says who has to act.

use std::io::ErrorKind;
use std::net::TcpListener;

use bulla_testkit::testbed::{Exchange, Options};
use serde_json::{Value, json};

use super::{NO_MAIL, World};
use crate::support::{Ended, SECRETS};

/// No token lives that long, so that each of these asks the provider.
const ASK: &str = "mailbox token alice@example.com --min-ttl 2h";
const PROBE: &str = "mailbox status alice@example.com --probe";

#[test]
fn no_answer_costs_the_refresh_token() {
    let Some(world) = World::start(&Options { rotate: false, ..NO_MAIL }) else { return };
    world.authorize("alice@example.com", "--no-verify");
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    for (faults, exit) in [(outages(port), 7), (refusals(), 8)] {
        for (fault, words) in faults {
            let before = world.refresh_token("alice@example.com");
            world.bed.fault(&fault.to_string());
            let ended = world.run(ASK).fails(exit);
            assert!(ended.stderr.contains(words), "{fault}: {ended}");
            is_as_before(&world, &before, &fault);
        }
    }
    assert_eq!(elsewhere.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody came");
    for fault in passing() {
        let before = world.refresh_token("alice@example.com");
        world.bed.fault(&fault.to_string());
        let ended = world.run(PROBE).succeeds();
        assert!(ended.out().contains("  works  "), "{fault}: {ended}");
        is_as_before(&world, &before, &fault);
    }
    // Who does not say how long a token lives is asked each time.
    world.bed.fault(r#"{"remove": ["expires_in"]}"#);
    let token = world.run(&format!("{ASK} --as json")).succeeds();
    assert!(token.out().contains(r#""expires":null"#), "{token}");
    world.run("mailbox token alice@example.com --min-ttl 30m").succeeds();
    discovery(&world);
    world.run("fsck").succeeds();
}

/// The refresh token is where it was, nothing was printed of it, and the next one gets a token.
fn is_as_before(world: &World, before: &str, fault: &Value) {
    world.bed.fault("[]");
    assert_eq!(world.refresh_token("alice@example.com"), before, "{fault}");
    let ended = world.run(PROBE).run();
    assert_eq!(ended.code(), 0, "after {fault}: {ended}");
}

/// Answers after which nobody knows more, with what is said of them.
fn outages(elsewhere: u16) -> Vec<(Value, &'static str)> {
    let page = "<html><h1>Welcome to the hotel</h1></html>";
    let gone = "the connection broke before the answer was there";
    let unreadable = "the answer is not JSON with tokens (HTTP 200)";
    // What is asked again, until it has been asked three times.
    let again = |mut fault: Value| {
        fault["count"] = 3.into();
        fault
    };
    let after = |time: &str| json!({"status": 429, "headers": {"Retry-After": time}});
    // What asks for a minute is left alone at once, and the test need not wait.
    let last = |mut fault: Value| {
        fault["headers"] = json!({"Retry-After": "60"});
        fault
    };
    let redirect = |to: String, status| last(json!({"redirect": to, "status": status}));
    vec![
        (again(json!({"status": 500})), "the provider is not available (HTTP 500)"),
        (last(json!({"status": 502, "type": "text/html", "body": page})), "HTTP 502"),
        (last(json!({"status": 503})), "it asks to be left alone for 60 seconds"),
        (again(after("0")), "the provider is not available (HTTP 429)"),
        (again(after("-1")), "the provider is not available (HTTP 429)"),
        (after("1000000000"), "it asks to be left alone for 1000000000 seconds"),
        (again(after("Fri, 31 Dec 2100 23:59:59 GMT")), "HTTP 429"),
        (again(json!({"status": 400})), "temporarily_unavailable"),
        (last(json!({"body": page, "type": "text/html"})), unreadable),
        (last(json!({"body": ""})), unreadable),
        (last(json!({"body": "{\"access_token\":\"x"})), unreadable),
        (last(json!({"body": "[".repeat(100_000)})), unreadable),
        (again(json!({"huge": true})), "the answer is longer than 1 MiB"),
        (again(json!({"headers": {"Content-Length": "5000"}, "body": "{}"})), gone),
        (redirect(format!("http://localhost:{elsewhere}/"), 302), "is a redirect"),
        (redirect(format!("https://localhost:{elsewhere}/"), 307), "is a redirect"),
        (redirect("file:///etc/passwd".to_owned(), 308), "is a redirect"),
        (last(json!({"status": 403, "type": "text/html", "body": page})), "HTTP 403"),
        (last(json!({"status": 418, "body": ""})), "HTTP 418"),
        (again(json!({"drop": "before"})), gone),
        (again(json!({"drop": "after"})), gone),
        (json!({"merge": {"access_token": ""}}), "there is no access token"),
        (json!({"merge": {"access_token": "a\r\nX-Header: b"}}), "there is no access token"),
        (json!({"merge": {"access_token": "a\u{0}b"}}), "there is no access token"),
        (json!({"merge": {"access_token": "x".repeat(64 << 10)}}), "there is no access token"),
        (json!({"merge": {"token_type": "mac"}}), "is not a bearer token"),
        (json!({"merge": {"expires_in": -1}}), "has expired already"),
        (json!({"merge": {"expires_in": 0}}), "has expired already"),
    ]
}

/// Answers that say that asking again is of no use.
fn refusals() -> Vec<(Value, &'static str)> {
    let says = |status: u16, error: &str| json!({"status": status, "body": json!({"error": error}).to_string()});
    vec![
        (says(401, "invalid_client"), "the provider refuses the client: invalid_client"),
        (says(200, "invalid_client"), "the provider refuses the client: invalid_client"),
        (says(400, "unauthorized_client"), "unauthorized_client"),
        (says(400, "something_new"), "something_new"),
        (says(400, "\u{1b}[31mred\u{1b}[0m"), "refuses the client: [31mred [0m\n"),
    ]
}

/// Answers that are odd and good enough.
fn passing() -> Vec<Value> {
    vec![
        json!({"status": 503, "count": 2}),
        json!({"status": 429, "headers": {"Retry-After": "1"}}),
        json!({"drop": "before"}),
        json!({"drop": "after"}),
        json!({"merge": {"expires_in": "3600"}}),
        json!({"merge": {"expires_in": 3599.5}}),
        json!({"merge": {"expires_in": 9_223_372_036_854_775_807_u64}}),
        json!({"remove": ["expires_in", "scope", "token_type", "id_token"]}),
        json!({"merge": {"expires_in": null}}),
        json!({"merge": {"token_type": "BEARER"}}),
        json!({"merge": {"refresh_token": ""}}),
        json!({"merge": {"refresh_token": null}}),
        json!({"merge": {"refresh_token": "a\r\nb"}}),
        json!({"remove": ["refresh_token"]}),
        json!({"merge": {"scope": ["openid", "email"], "more": {"access_token": 1}}}),
    ]
}

/// The settings of an issuer are read before a token is sent for the first time, and another's are not
/// believed. Who knows where tokens come from does not ask again.
fn discovery(world: &World) {
    let token = world.refresh_token("alice@example.com");
    let add = "mailbox add alice@example.com+untried --client secret-test --no-verify";
    world.run(add).stdin(token).succeeds();
    let path = "/.well-known/openid-configuration";
    let fault = |merge: Value| json!({"path": path, "merge": merge, "count": 9}).to_string();
    let broken = json!({"path": path, "drop": "before", "count": 9}).to_string();
    let settings = [
        (fault(json!({"issuer": "https://elsewhere.example"})), 1, "those of another issuer"),
        (fault(json!({"token_endpoint": "http://localhost/token"})), 1, "is not an https address"),
        (broken.clone(), 7, ""),
    ];
    for (fault, exit, words) in settings {
        let asked = world.refreshes();
        world.bed.fault(&fault);
        let ended = world.run("mailbox token alice@example.com+untried").fails(exit);
        assert!(ended.stderr.contains(words), "{fault}: {ended}");
        world.bed.fault("[]");
        assert_eq!(world.refreshes(), asked, "nothing was sent");
    }
    world.run("mailbox token alice@example.com+untried").succeeds();
    world.bed.fault(&broken);
    world.run("mailbox status alice@example.com+untried --probe").succeeds();
    world.bed.fault("[]");
}

/// A provider that replaces refresh tokens.
#[test]
fn a_new_refresh_token_is_kept_whatever_came_with_it() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.authorize("alice@example.com", "--no-verify");
    let odd = [
        json!({"merge": {"access_token": "a\r\nb"}}),
        json!({"remove": ["access_token"]}),
        json!({"merge": {"token_type": "mac"}}),
        json!({"merge": {"expires_in": -1}}),
    ];
    // These once cost the grant: the new token was thrown away, and the old one sent again.
    let good = [
        json!({"merge": {"refresh_expires_in": 60, "refresh_token_expires_in": 604_799}}),
        json!({"merge": {"token_type": 1}}),
        json!({"merge": {"id_token": {}}}),
    ];
    for fault in good {
        let before = world.refresh_token("alice@example.com");
        world.bed.fault(&fault.to_string());
        world.run(ASK).fails(1);
        assert_ne!(world.refresh_token("alice@example.com"), before, "{fault}");
        world.run(PROBE).succeeds();
    }
    for fault in odd {
        let before = world.refresh_token("alice@example.com");
        world.bed.fault(&fault.to_string());
        world.run(ASK).fails(7);
        assert_ne!(world.refresh_token("alice@example.com"), before, "{fault}");
        world.run(PROBE).succeeds();
    }
    a_wrong_authority_gets_nothing(&world);

    // The answer to a refresh is lost, with the new token in it. The old one stays where it is.
    let before = world.refresh_token("alice@example.com");
    world.bed.fault(r#"{"drop": "after"}"#);
    is_cut_off(&world.run(ASK).fails(8));
    assert_eq!(world.refresh_token("alice@example.com"), before);
    is_cut_off(&world.run("mailbox token alice@example.com --min-ttl 2h").fails(8));
    let state = world.status("alice@example.com");
    assert_eq!(state["state"], "dead");
    let detail = state["detail"].as_str().unwrap();
    assert!(detail.starts_with("the provider says invalid_grant"), "{detail}");
    assert!(detail.ends_with("; the answer to a refresh was lost"), "{detail}");
    assert_eq!(state["to_do"], "bulla mailbox authorize alice@example.com");
    world.authorize("alice@example.com", "--no-verify");
    world.run(PROBE).succeeds();
}

fn is_cut_off(ended: &Ended) {
    assert!(ended.stderr.contains("wants it to be authorised again: invalid_grant"), "{ended}");
    assert!(ended.stderr.contains("hint: a refresh was cut off at 20"), "{ended}");
    assert_eq!(SECRETS.find(ended.stderr.as_bytes()), None);
}

/// Whose certificate is not right is told nothing, and has cost nothing.
fn a_wrong_authority_gets_nothing(world: &World) {
    let Some(exchange) = Exchange::start() else { return };
    let asked = world.bed.token_requests().len();
    let wrong = exchange.ca().display();
    let ended = world.run(&format!("{ASK} --ca {wrong}")).fails(7);
    assert!(ended.stderr.contains("the certificate of the server is not valid"), "{ended}");
    world.run(&format!("{ASK} --ca /dev/null")).fails(1);
    world.run(&format!("{ASK} --ca missing.pem")).fails(1);
    assert_eq!(world.bed.token_requests().len(), asked);

    // A server with a certificate for another name, as a token endpoint.
    exchange.mode("wrong-name");
    let endpoint = format!("https://localhost:{}/token", exchange.port("imaps"));
    let provider = format!("[wrong]\ntoken-endpoint = '{endpoint}'\n");
    world.home.write(".config/bulla/providers.toml", provider);
    let fields = "--kind oauth-client --public client-id=x --public provider=wrong";
    world.run(&format!("set wrong-test {fields}")).succeeds();
    let add = format!("mailbox add bob@example.com --client wrong-test --ca {wrong}");
    let ended = world.run(&add).stdin("some-refresh-token").fails(7);
    assert!(ended.stderr.contains("the certificate of the server is for another name"), "{ended}");
    assert_eq!(world.refresh_token("bob@example.com"), "some-refresh-token");
    assert_eq!(world.status("bob@example.com")["state"], "works", "it was not even tried");
    assert!(exchange.log().is_empty());
    world.run(PROBE).succeeds();
}

/// An answer that comes byte by byte is given up after half a minute, and asked for again.
#[test]
fn a_slow_provider_is_asked_again() {
    let Some(world) = World::start(&NO_MAIL) else { return };
    world.authorize("alice@example.com", "--no-verify");
    let body = "x".repeat(100);
    world.bed.fault(&json!({"trickle": true, "body": body}).to_string());
    world.run(PROBE).succeeds();
    assert_eq!(world.refreshes(), 2);
}

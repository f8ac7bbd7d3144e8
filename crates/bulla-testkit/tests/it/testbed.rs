//! The test bed itself, with curl and no code of ours as its client.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use bulla_testkit::testbed::{Exchange, Options, Testbed};
use serde_json::Value;

const REDIRECT: &str = "http://127.0.0.1:45871/callback";
const SCOPE: &str = "openid email offline_access https://mail.google.com/";
// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[test]
fn tokens_are_given_renewed_and_let_into_a_mailbox() {
    let Some((bed, curl)) = Testbed::start(&Options::default()).zip(Curl::find()) else {
        return;
    };
    let discovery = format!("{}/.well-known/openid-configuration", bed.issuer());
    let found = curl.json(bed.ca(), &[("url", &discovery)]);
    assert_eq!(found["issuer"], bed.issuer());

    let given = authorize(&bed, &curl);
    let first = given["refresh_token"].as_str().unwrap();
    bed.fault(r#"[{"status": 503}, {"merge": {"token_type": "bearer"}, "remove": ["id_token"]}]"#);
    assert_eq!(refresh(&bed, &curl, first)["error"], "temporarily_unavailable");
    let renewed = refresh(&bed, &curl, first);
    assert_eq!(renewed["token_type"], "bearer");
    assert_eq!(renewed["id_token"], Value::Null);
    let second = renewed["refresh_token"].as_str().unwrap();
    assert_ne!(first, second);

    let token = renewed["access_token"].as_str().unwrap();
    for protocol in ["imap", "imaps", "pop3", "pop3s"] {
        let url = format!("{protocol}://localhost:{}/", bed.port(protocol));
        assert!(curl.logs_in(bed.ca(), &url, token), "{url}");
        assert!(!curl.logs_in(bed.ca(), &url, "bogus"), "{url}");
    }
    submit(&bed, &curl, token);

    // Using the first one again is theft, so the second one is void, and the access token with it.
    assert_eq!(refresh(&bed, &curl, first)["error"], "invalid_grant");
    assert_eq!(refresh(&bed, &curl, second)["error"], "invalid_grant");
    let url = format!("imaps://localhost:{}/", bed.port("imaps"));
    assert!(!curl.logs_in(bed.ca(), &url, token));

    let seen: Vec<_> = bed.token_requests();
    let seen = seen.iter().map(|request| {
        assert_eq!(request.client, "desktop");
        (request.grant.as_str(), request.status, request.error.as_deref())
    });
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            ("authorization_code", Some(200), None),
            ("refresh_token", Some(503), None),
            ("refresh_token", Some(200), None),
            ("refresh_token", Some(400), Some("invalid_grant")),
            ("refresh_token", Some(400), Some("invalid_grant")),
        ]
    );
}

#[test]
fn a_person_can_use_a_real_browser() {
    let options = Options { mail: false, ..Options::default() };
    let Some(bed) = Testbed::start(&options) else { return };
    let program = TcpListener::bind("127.0.0.1:0").unwrap();
    let redirect = format!("http://{}/callback", program.local_addr().unwrap());
    let picture = bed.ca().with_file_name("picture.png");
    let browser = bed
        .chromium()
        .args([&authorization(&bed, &redirect), "alice@example.com"])
        .arg(&picture)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let requests = answer_all(program);
    let output = browser.wait_with_output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    if output.starts_with("skipped: ") {
        print!("{output}");
        return;
    }
    let (address, page) = output.split_once('\n').unwrap();
    assert_eq!(page, "told\nYou may close this window.\n");
    let path = address.strip_prefix(redirect.trim_end_matches("/callback")).unwrap();
    let request = requests.recv().unwrap();
    assert!(request.starts_with(&format!("GET {path} HTTP/1.1")), "{request}");
    assert!(path.contains("code=") && path.contains("state=some"), "{path}");
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn exchange_lets_in_or_refuses_as_it_is_told() {
    let Some((exchange, curl)) = Exchange::start().zip(Curl::find()) else {
        return;
    };
    let url = format!("imaps://localhost:{}/", exchange.port("imaps"));
    assert!(curl.logs_in(exchange.ca(), &url, "some-token"));
    exchange.mode("refused");
    assert!(!curl.logs_in(exchange.ca(), &url, "some-token"));
    exchange.mode("wrong-name");
    assert!(!curl.logs_in(exchange.ca(), &url, "some-token"));

    let log = exchange.log();
    let logins: Vec<_> = log.iter().filter(|line| line["mechanism"] == "XOAUTH2").collect();
    assert_eq!(logins.len(), 2, "{log:?}");
    for login in logins {
        assert_eq!(login["user"], "alice@example.com");
        assert_eq!(login["well_formed"], true);
        assert!(!login.to_string().contains("some-token"));
    }
}

/// Answers each request with one page, and hands the requests on. A browser opens connections that it
/// does not use, so each has a thread.
fn answer_all(listener: TcpListener) -> mpsc::Receiver<String> {
    let (told, requests) = mpsc::channel();
    let answer = |mut connection: TcpStream, told: mpsc::Sender<String>| {
        let mut request = [0; 4096];
        let length = connection.read(&mut request).unwrap_or(0);
        if length > 0 {
            let page = "<!doctype html><title>told</title><p>You may close this window.";
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
            let _ = write!(connection, "{head}Content-Length: {}\r\n\r\n{page}", page.len());
            let _ = told.send(String::from_utf8_lossy(&request[..length]).into_owned());
        }
    };
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let told = told.clone();
            thread::spawn(move || answer(connection, told));
        }
    });
    requests
}

/// Where a client sends a person, with the client's redirect address.
fn authorization(bed: &Testbed, redirect: &str) -> String {
    let redirect = redirect.replace(':', "%3A").replace('/', "%2F");
    let scope = SCOPE.replace(' ', "%20");
    format!(
        "{}/auth?client_id=desktop&response_type=code&redirect_uri={redirect}&scope={scope}\
         &state=some&prompt=consent&code_challenge={CHALLENGE}&code_challenge_method=S256",
        bed.issuer()
    )
}

/// The answer to a code, for which the scripted person consented.
fn authorize(bed: &Testbed, curl: &Curl) -> Value {
    let address = authorization(bed, REDIRECT);
    let output = bed.browser().args([&address, "alice@example.com"]).output();
    let redirected = String::from_utf8(output.unwrap().stdout).unwrap();
    let code = redirected.strip_prefix(REDIRECT).unwrap();
    let code = code.split(['?', '&']).find_map(|each| each.strip_prefix("code="));
    token(
        bed,
        curl,
        &[
            ("grant_type", "authorization_code"),
            ("code", code.unwrap()),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ],
    )
}

fn refresh(bed: &Testbed, curl: &Curl, refresh_token: &str) -> Value {
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    token(bed, curl, &form)
}

fn token(bed: &Testbed, curl: &Curl, form: &[(&str, &str)]) -> Value {
    let url = format!("{}/token", bed.issuer());
    let pairs = [("client_id", "desktop")];
    let pairs: Vec<_> =
        pairs.iter().chain(form).map(|(name, value)| format!("{name}={value}")).collect();
    let mut options = vec![("url", url.as_str())];
    options.extend(pairs.iter().map(|pair| ("data-urlencode", pair.as_str())));
    curl.json(bed.ca(), &options)
}

fn submit(bed: &Testbed, curl: &Curl, token: &str) {
    let letter = bed.ca().with_file_name("letter");
    std::fs::write(&letter, "Subject: a letter\r\n\r\nthe end\r\n").unwrap();
    for (scheme, protocol) in [("smtp", "submission"), ("smtps", "submissions")] {
        let url = format!("{scheme}://localhost:{}/", bed.port(protocol));
        let options = [
            ("url", url.as_str()),
            ("user", "alice@example.com"),
            ("oauth2-bearer", token),
            ("mail-from", "alice@example.com"),
            ("mail-rcpt", "bob@example.com"),
            ("upload-file", letter.to_str().unwrap()),
        ];
        assert!(curl.run(bed.ca(), &options).is_some(), "{url}");
    }
    let sink = std::fs::read_to_string(bed.sink()).unwrap();
    assert_eq!(sink.matches("Subject: a letter\n\nthe end\n").count(), 2, "{sink}");
}

/// Curl, which is told everything by its standard input.
struct Curl;

impl Curl {
    fn find() -> Option<Self> {
        let there = Command::new("curl").arg("--version").output().is_ok();
        if !there {
            println!("skipped: curl is not there");
        }
        there.then_some(Self)
    }

    /// Standard output, if curl is content.
    fn run(&self, ca: &Path, options: &[(&str, &str)]) -> Option<Vec<u8>> {
        let mut curl = Command::new("curl")
            .args(["--silent", "--ssl-reqd", "--max-time", "60", "--config", "-", "--cacert"])
            .arg(ca)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = curl.stdin.take().unwrap();
        for (name, value) in options {
            writeln!(input, "{name} = \"{value}\"").unwrap();
        }
        drop(input);
        let output = curl.wait_with_output().unwrap();
        output.status.success().then_some(output.stdout)
    }

    fn json(&self, ca: &Path, options: &[(&str, &str)]) -> Value {
        serde_json::from_slice(&self.run(ca, options).unwrap()).unwrap()
    }

    fn logs_in(&self, ca: &Path, url: &str, token: &str) -> bool {
        let options = [("url", url), ("user", "alice@example.com"), ("oauth2-bearer", token)];
        self.run(ca, &options).is_some()
    }
}

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::timed::Timed;
use super::*;
use crate::words::REPEATED;

#[test]
fn servers_are_read_and_shown() {
    let all = [
        ("imaps://imap.gmail.com", "imaps://imap.gmail.com:993"),
        ("imap://localhost:19143", "imap://localhost:19143"),
        ("pop3s://p", "pop3s://p:995"),
        ("pop3://p", "pop3://p:110"),
        ("smtps://s", "smtps://s:465"),
        ("smtp://s", "smtp://s:587"),
        ("imaps://[::1]", "imaps://[::1]:993"),
        ("imaps://[::1]:1993", "imaps://[::1]:1993"),
    ];
    for (text, shown) in all {
        assert_eq!(text.parse::<Server>().unwrap().to_string(), shown);
    }
    for text in [
        "",
        "imap.gmail.com",
        "http://x",
        "imaps://",
        "imaps://x:0",
        "imaps://x:99999",
        "imaps://x/y",
        "imaps://u@x",
        "imaps://x y",
        "imaps://x\r\n",
    ] {
        assert!(text.parse::<Server>().is_err(), "{text}");
    }
}

#[test]
fn refusals_are_told_apart_as_far_as_servers_do() {
    let of = |words: &str| refused(words, words.to_owned(), None);
    let temporary = ["[UNAVAILABLE] Temporary authentication failure.", "[SYS/TEMP] later"];
    for words in temporary {
        assert!(matches!(of(words), MailError::Temporary(_)), "{words}");
    }
    let off = [
        "[ALERT] IMAP access is disabled for your domain. (Failure)",
        "[SYS/PERM] Your account is not enabled for POP access.",
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled",
    ];
    for words in off {
        assert!(matches!(of(words), MailError::SwitchedOff(_)), "{words}");
    }
    let bad = ["[AUTHENTICATIONFAILED] Invalid credentials (Failure)", "AUTHENTICATE failed."];
    for words in bad {
        assert!(matches!(of(words), MailError::Refused(_)), "{words}");
    }
}

#[test]
fn a_challenge_is_read_and_cannot_paint_the_terminal() {
    use base64::Engine;
    let of = |json: &str| wire::challenge(&base64::engine::general_purpose::STANDARD.encode(json));
    let told = of(r#"{"status":"401","schemes":"bearer","scope":"mail \u001b[2J"}"#).unwrap();
    assert_eq!(crate::words::clean(&told, 300, &[]), "status 401, scope mail [2J");
    assert_eq!(of("[]"), None);
    assert_eq!(wire::challenge("not base64!"), None);
}

const TOKEN: &str = "ya29.a0AfB-yC0mQ7zX9w_Vu8Ts6Rq4Po2Nm1Lk";

/// A visit, without TLS, to a server that answers one line after the other. In an answer `RAW` becomes
/// the token, `B64` the longest word that the client sent, and `CHALLENGE` a challenge with the token
/// in it; after the last one it hangs up.
fn visit_in_clear(scheme: &str, answers: &[&str]) -> MailError {
    use base64::Engine;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let challenge = format!(r#"{{"status":"401 {TOKEN}","scope":"mail"}}"#);
    let challenge = base64::engine::general_purpose::STANDARD.encode(challenge);
    let answers: Vec<_> = answers.iter().map(ToString::to_string).collect();
    let server = thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut sasl = String::new();
        for answer in answers {
            let answer = answer.replace("RAW", TOKEN).replace("CHALLENGE", &challenge);
            let answer = answer.replace("B64", &sasl) + "\r\n";
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            let mut said = String::new();
            stream.read_line(&mut said).unwrap();
            for word in said.split_whitespace().filter(|word| word.len() > 20) {
                sasl = word.to_owned();
            }
        }
    });
    let token = Secret::copied_from(TOKEN.as_bytes());
    let login = Login { user: "a@example.com", token: &token, mechanism: Mechanism::Xoauth2 };
    let place: Server = format!("{scheme}s://127.0.0.1:{}", address.port()).parse().unwrap();
    let roots = Roots::none();
    let stream = TcpStream::connect(address).unwrap();
    let stream = Timed::new(stream, PATIENCE, Instant::now() + PATIENCE.visit);
    let end = visit(&mut Wire::in_clear(stream, &place, &login, &roots), &place, &login);
    server.join().unwrap();
    end.unwrap_err()
}

const IMAP: [&str; 2] = ["* OK hi", "* CAPABILITY AUTH=XOAUTH2 SASL-IR\r\na1 OK"];
const POP3: [&str; 3] = ["+OK", "-ERR", "+ "];
const SMTP: [&str; 2] = ["220 hi", "250-x\r\n250 AUTH XOAUTH2"];

/// A token that was never shown was once told to be refused, though it was fresh.
#[test]
fn what_is_refused_before_the_token_is_the_mechanism() {
    for (scheme, answers) in [
        ("pop3", &["+OK", "-ERR", "-ERR unknown mechanism"][..]),
        ("imap", &["* OK hi", "* CAPABILITY AUTH=XOAUTH2\r\na1 OK", "a4 NO not that way"]),
    ] {
        let told = visit_in_clear(scheme, answers);
        assert!(matches!(told, MailError::NoMechanism("XOAUTH2")), "{scheme}: {told}");
    }
    let later = visit_in_clear("pop3", &["+OK", "-ERR", "-ERR [SYS/TEMP] later"]);
    assert!(matches!(later, MailError::Temporary(_)), "{later}");
}

/// `verify` once printed the access token, where a mail server repeats what it does not accept.
#[test]
fn no_server_has_the_token_printed() {
    let (cut, short) = (&TOKEN[..TOKEN.len() - 1], &TOKEN[9..20]);
    for words in ["RAW", "bad token RAW", "B64", "RAW / B64", cut, short] {
        for (scheme, opening, ending) in [
            ("imap", &IMAP[..], vec![format!("a4 NO {words}")]),
            ("imap", &IMAP[..], vec![format!("a4 BAD {words}")]),
            ("imap", &IMAP[..], vec![format!("* BYE {words}")]),
            ("imap", &IMAP[..], vec![format!("a4 {words}")]),
            ("imap", &IMAP[..], vec![format!("a4 NO [UNAVAILABLE] {words}")]),
            ("imap", &IMAP[..], vec!["a4 OK".to_owned(), format!("a5 BAD {words}")]),
            ("imap", &IMAP[..], vec!["a4 OK".to_owned(), format!("a5 NO {words}")]),
            ("pop3", &POP3[..], vec![format!("-ERR {words}")]),
            ("pop3", &POP3[..], vec!["+OK".to_owned(), format!("-ERR {words}")]),
            ("smtp", &SMTP[..], vec![format!("535-5.7.8\r\n535 {words}")]),
            ("smtp", &SMTP[..], vec![format!("454 {words}")]),
            ("smtp", &SMTP[..], vec![words.to_owned()]),
        ] {
            let answers: Vec<_> =
                opening.iter().copied().chain(ending.iter().map(String::as_str)).collect();
            let told = visit_in_clear(scheme, &answers).to_string();
            assert!(told.contains(REPEATED), "{scheme} {ending:?}: {told}");
            assert!(!told.contains(&TOKEN[9..17]), "{scheme} {ending:?}: {told}");
        }
    }
}

#[test]
fn no_challenge_has_the_token_printed() {
    for (scheme, opening, ending) in [
        ("imap", &IMAP[..], ["+ CHALLENGE", "a4 NO no"]),
        ("pop3", &POP3[..], ["+ CHALLENGE", "-ERR no"]),
        ("smtp", &SMTP[..], ["334 CHALLENGE", "535 no"]),
    ] {
        let answers: Vec<_> = opening.iter().copied().chain(ending).collect();
        let MailError::Refused(told) = visit_in_clear(scheme, &answers) else { panic!("{scheme}") };
        assert!(told.ends_with(&format!("no ({REPEATED})")), "{told}");
    }
    // What a refusal means is known by its codes all the same.
    let off = visit_in_clear("pop3", &[POP3[0], POP3[1], POP3[2], "-ERR [SYS/PERM] RAW"]);
    assert!(matches!(off, MailError::SwitchedOff(words) if words == REPEATED));
}

/// The token was once said to have been shown to nobody, where a server had read it and hung up.
#[test]
fn a_server_that_hangs_up_has_seen_the_token_or_not() {
    for (scheme, opening) in [("imap", &IMAP[..]), ("pop3", &POP3[..]), ("smtp", &SMTP[..])] {
        let after = visit_in_clear(scheme, opening);
        assert!(matches!(after, MailError::Lost(_)), "{scheme}: {after}");
        let before = visit_in_clear(scheme, &opening[..1]);
        assert!(matches!(before, MailError::Unreachable(_)), "{scheme}: {before}");
    }
}

/// A server that sends a byte now and then, in the middle of TLS or of a line, once kept `verify`
/// waiting for as long as it liked.
#[test]
fn no_server_keeps_anybody_waiting() {
    // A record of a handshake that is as long as one may be, or a line.
    let record =
        [b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xf0\x03\x03".to_vec(), vec![b'A'; 1000]].concat();
    let line = [b"* OK ".to_vec(), vec![b'a'; 1000]].concat();
    let second = Duration::from_secs(1);
    let of_step = Patience { step: second / 4, ..PATIENCE };
    let of_visit = Patience { visit: second / 4, ..PATIENCE };
    for (scheme, bytes) in [("imaps", record), ("imap", line)] {
        for patience in [of_step, of_visit] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let bytes = bytes.clone();
            // It ends with the connection, and waits for nobody if none came about in time.
            thread::spawn(move || {
                let mut stream = listener.accept().unwrap().0;
                for byte in bytes {
                    thread::sleep(second / 50);
                    if stream.write_all(&[byte]).is_err() {
                        break;
                    }
                }
            });
            let token = Secret::copied_from(TOKEN.as_bytes());
            let login = Login { user: "a", token: &token, mechanism: Mechanism::Xoauth2 };
            let place = format!("{scheme}://127.0.0.1:{port}").parse().unwrap();
            let end = open_within(&place, &login, &Roots::none(), patience).unwrap_err();
            let MailError::Unreachable(fact) = end else { panic!("{end}") };
            assert_eq!(fact, "it does not answer in time");
        }
    }
}

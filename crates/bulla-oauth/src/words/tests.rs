use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;
use crate::client::{Authentication, Client};
use crate::form::Form;
use crate::sasl::Mechanism;

const TOKEN: &str = "1//0gAb-cDEfGh_IjKlMnOpQr~StUvW+xyz/0123";

fn is_shown(words: &str, secret: &str) -> bool {
    let secret = Secret::copied_from(secret.as_bytes());
    clean(words, 600, &[&secret]) != REPEATED
}

/// An authorization server once got our request back onto the terminal, form-encoded.
#[test]
fn no_form_of_what_was_sent_is_shown() {
    let form = Form::default().with("refresh_token", TOKEN.as_bytes()).finish();
    let client = |authentication| Client {
        id: "me@x".to_owned(),
        secret: Some(Secret::copied_from(TOKEN.as_bytes())),
        authentication,
    };
    let (post, _) = client(Authentication::Post).authenticate(Form::default());
    let basic = client(Authentication::Basic).authenticate(Form::default()).1.unwrap();
    let token = Secret::copied_from(TOKEN.as_bytes());
    let sasl = |how: Mechanism| how.response("a@example.com", &token, Some(("h", 1)));
    let text = |secret: &Secret| secret.text().unwrap().to_owned();
    let forms = [
        TOKEN.to_owned(),
        text(&form),
        text(&post.finish()),
        text(&basic),
        text(&sasl(Mechanism::Xoauth2)),
        text(&sasl(Mechanism::Oauthbearer)),
        URL_SAFE_NO_PAD.encode(TOKEN),
        STANDARD.encode(text(&form)),
        // A log's or an address's form of the same.
        form_urlencoded::byte_serialize(text(&form).as_bytes()).collect(),
        form_urlencoded::byte_serialize(text(&basic).as_bytes()).collect(),
        TOKEN.to_ascii_uppercase(),
        TOKEN.replace('/', "\\/"),
        TOKEN.chars().map(|c| format!("{c}\u{200b}")).collect(),
        TOKEN.chars().map(|c| format!("{c} ")).collect(),
    ];
    for form in &forms {
        assert!(!is_shown(&format!("could not parse: {form}!"), TOKEN), "{form}");
        // A piece gives most of it away too, wherever it was cut out.
        for (from, to) in [(0, 1), (1, 0), (2, 0), (3, 3), (5, 8)] {
            let end = form.chars().count() - to;
            let piece: String = form.chars().take(end).skip(from).collect();
            assert!(!is_shown(&format!("got '{piece}'"), TOKEN), "{piece}");
        }
    }
    assert!(!is_shown(&TOKEN[20..28], TOKEN));
}

#[test]
fn no_short_secret_is_shown() {
    for secret in ["abc", "x", "pw-1", "s3cre", "123456", "a b%c"] {
        let pair = STANDARD.encode(format!("me:{secret}"));
        let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for words in [
            format!("wrong secret {secret}"),
            format!("\"{secret}\" is wrong"),
            format!("client_secret={encoded}&x=y"),
            format!("Authorization: Basic {pair}"),
        ] {
            assert!(!is_shown(&words, secret), "{words}");
        }
    }
    assert!(is_shown("abcd is no abc_ of it", "abc"));
}

/// What people need to see: none of these shares anything with a secret.
#[test]
fn the_words_of_providers_are_shown() {
    let words = [
        "AADSTS70008: The provided authorization code or refresh token has expired. Trace ID: 9f8c4e1a-1f6c-4a0e-8f5e-0d5f1d1c2b00 Correlation ID: 1d6a2e74-33c6-4d1f-8f0f-6a7b8c9d0e1f Timestamp: 2026-11-23 10:00:00Z",
        "Token has been expired or revoked.",
        "invalid_grant",
        "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled. [AM0PR01CA0001.eurprd01.prod.exchangelabs.com]",
        "Could not parse body: grant_type=refresh_token&refresh_token=&client_id=me",
    ];
    for words in words {
        for secret in
            [TOKEN, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "ab8Q~0123456789", "", "qz"]
        {
            assert!(is_shown(words, secret), "{words} {secret}");
        }
    }
}

#[test]
fn texts_cannot_paint_the_terminal() {
    assert_eq!(clean("a\u{1b}[31mb\u{202e}\r\nc", 600, &[]), "a [31mb c");
    assert_eq!(clean(&"x ".repeat(5000), 600, &[]).chars().count(), 601);
}

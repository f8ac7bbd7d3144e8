use super::*;

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
    let of = |words: &str| refused(words.to_owned(), None);
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
    assert_eq!(told, "status 401, scope mail [2J");
    assert_eq!(of("[]"), None);
    assert_eq!(wire::challenge("not base64!"), None);
}

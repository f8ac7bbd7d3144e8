use super::*;

fn response(status: u16, body: &str) -> Response {
    Response { status, retry_after: None, body: Secret::copied_from(body.as_bytes()) }
}

fn tokens(body: &str) -> Tokens {
    match Tokens::read(&response(200, body), &[]) {
        Ok(tokens) => tokens,
        Err(fault) => panic!("{body}: {fault:?}"),
    }
}

fn fault(status: u16, body: &str) -> AnswerFault {
    match Tokens::read(&response(status, body), &[]) {
        Ok(_) => panic!("{status} {body} was taken"),
        Err(fault) => fault,
    }
}

#[test]
fn what_google_and_microsoft_send_is_read() {
    let google = tokens(
        r#"{"access_token":"ya29.a","expires_in":3599,"scope":"openid https://mail.google.com/",
            "token_type":"Bearer","refresh_token":"1//0","refresh_token_expires_in":604799}"#,
    );
    assert_eq!(google.access.expose(), b"ya29.a");
    assert_eq!(google.expires_in, Some(3599));
    assert_eq!(google.refresh.unwrap().expose(), b"1//0");
    assert_eq!(google.refresh_expires_in, Some(604_799));
    let microsoft = tokens(
        r#"{"token_type":"bearer","scope":"IMAP.AccessAsUser.All","expires_in":"3600",
            "ext_expires_in":3600,"access_token":"EwB"}"#,
    );
    assert_eq!(microsoft.expires_in, Some(3600));
    assert!(microsoft.refresh.is_none());
}

#[test]
fn a_life_is_read_however_it_is_written() {
    let life =
        |text: &str| tokens(&format!(r#"{{"access_token":"a","expires_in":{text}}}"#)).expires_in;
    assert_eq!(life("3600"), Some(3600));
    assert_eq!(life("\"3600\""), Some(3600));
    assert_eq!(life("1.5"), Some(1));
    assert_eq!(life("9223372036854775808"), Some(LONGEST_LIFE));
    assert_eq!(life("1e300"), Some(LONGEST_LIFE));
    for unknown in ["null", "\"soon\"", "\"NaN\"", "[]", "{}"] {
        assert_eq!(life(unknown), None, "{unknown}");
    }
}

#[test]
fn a_refresh_token_that_is_none_replaces_nothing() {
    for none in ["null", "\"\"", "1", "{}", "\"a\\nb\"", "\"\\u0000\"", "\"\u{fc}\""] {
        let body = format!(r#"{{"access_token":"a","refresh_token":{none}}}"#);
        assert!(tokens(&body).refresh.is_none(), "{none}");
    }
}

/// Each of these once threw the new refresh token away, after which the old one was asked with again:
/// where tokens are replaced, that was the end of the grant.
#[test]
fn a_new_refresh_token_is_kept_whatever_stands_beside_it() {
    let long = "x".repeat(20_000);
    let beside = [
        (200, r#""refresh_expires_in":60,"refresh_token_expires_in":60"#, "new"),
        (200, r#""token_type":1"#, "new"),
        (200, r#""id_token":{}"#, "new"),
        (200, r#""expires_in":NaN"#, "new"),
        (200, r#""expires_in":1e999"#, "new"),
        (200, r#""expires_in":1,"expires_in":3600"#, "new"),
        (200, r#""error":"something","error_description":"all the same""#, "new"),
        (201, r#""expires_in":3600"#, "new"),
        (200, r#""expires_in":3600"#, "with a space"),
        (200, r#""expires_in":3600"#, &long),
    ];
    for (status, beside, refresh) in beside {
        for mark in ["", "\u{feff}"] {
            let body =
                format!(r#"{mark}{{"access_token":"a","refresh_token":"{refresh}",{beside}}}"#);
            let Ok(tokens) = Tokens::read(&response(status, &body), &[]) else {
                panic!("{status} {beside}")
            };
            assert_eq!(tokens.refresh.unwrap().expose(), refresh.as_bytes(), "{beside}");
        }
    }
    let cut = r#"{"refresh_token":"new","access_token":"a","expi"#;
    let AnswerFault::Useless { rescued: Some(rescued), .. } = fault(200, cut) else { panic!() };
    assert_eq!(rescued.refresh.expose(), b"new");
    // What stands in an error is no new token: perhaps ours, with stars in it.
    let error = r#"{"error":"invalid_grant","refresh_token":"1//0***"}"#;
    assert!(matches!(fault(400, error), AnswerFault::Refused(_)));
    assert!(matches!(fault(200, error), AnswerFault::Refused(_)));
}

#[test]
fn an_access_token_that_cannot_be_sent_is_refused_and_the_refresh_token_kept() {
    let long = format!("\"{}\"", "a".repeat((16 << 10) + 1));
    for bad in ["null", "\"\"", "\"a\\r\\nX: y\"", "\"\\u0000\"", "\"\u{fc}\"", &long] {
        let body = format!(r#"{{"access_token":{bad},"refresh_token":"new"}}"#);
        let AnswerFault::Useless { rescued: Some(rescued), .. } = fault(200, &body) else {
            panic!("{bad}")
        };
        assert_eq!(rescued.refresh.expose(), b"new");
    }
    let expired = r#"{"access_token":"a","expires_in":-1,"refresh_token":"new"}"#;
    assert!(matches!(fault(200, expired), AnswerFault::Useless { rescued: Some(_), .. }));
    let mac = r#"{"access_token":"a","token_type":"mac"}"#;
    assert!(matches!(fault(200, mac), AnswerFault::Useless { rescued: None, .. }));
}

#[test]
fn what_is_no_answer_of_a_token_endpoint_is_unreadable() {
    let deep = "[".repeat(100_000);
    let cases = [
        (200, ""),
        (200, "<html>portal</html>"),
        (200, r#"{"access_token":"a""#),
        (200, r#"{"access_token":"a"} and more"#),
        (200, &deep),
        (302, ""),
        (403, "<html>proxy</html>"),
        (404, "{}"),
        (418, ""),
        (429, r#"{"error":"rate_limited"}"#),
        (500, r#"{"error":"invalid_grant"}"#),
        (503, ""),
    ];
    for (status, body) in cases {
        let short = body.get(..40.min(body.len()));
        assert!(
            matches!(fault(status, body), AnswerFault::Unreadable { .. }),
            "{status} {short:?}"
        );
    }
}

#[test]
fn a_refusal_is_one_whatever_the_status() {
    for status in [200, 400, 401, 403] {
        let refused = fault(status, r#"{"error":"invalid_grant"}"#);
        assert!(matches!(refused, AnswerFault::Refused(_)), "{status}");
    }
}

#[test]
fn the_address_comes_out_of_an_id_token() {
    use base64::Engine;
    let of = |claims: &str| {
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
        tokens(&format!(r#"{{"access_token":"a","id_token":"e30.{claims}.x"}}"#)).email
    };
    assert_eq!(of(r#"{"email":"a@example.com"}"#).as_deref(), Some("a@example.com"));
    assert_eq!(of(r#"{"preferred_username":"b@example.com"}"#).as_deref(), Some("b@example.com"));
    assert_eq!(of(r#"{"preferred_username":"not an address"}"#), None);
    assert_eq!(tokens(r#"{"access_token":"a","id_token":"junk"}"#).email, None);
}

use super::*;
use crate::client::Authentication;

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::copied_from(text.as_bytes()))
}

fn client(id: &str) -> ClientAt {
    ClientAt { provider: "https://example.com".to_owned(), id: id.to_owned() }
}

fn consent(grant: Grant, refresh: Option<Secret>, id: &str) -> Result<Grant, NoRefreshToken> {
    let tokens = Tokens {
        access: Secret::copied_from(b"at"),
        expires_in: Some(3600),
        refresh,
        refresh_expires_in: None,
        scope: None,
        email: None,
    };
    let endpoint = TokenEndpoint {
        url: "https://example.com/token".to_owned(),
        authentication: Authentication::Post,
    };
    grant.authorized(tokens, &[], &endpoint, &client(id), 1_790_000_000)
}

fn with(life: Life) -> Grant {
    let mut grant = Grant::new(secret("old"));
    grant.renew(None, &client("me"));
    Grant { life, ..grant }
}

fn needs_person(error: &str) -> Life {
    Life::NeedsPerson {
        since: 1,
        refusal: Refusal { error: error.to_owned(), ..Refusal::default() },
        cut_off: None,
        details: Details::default(),
    }
}

/// A consent that brought no refresh token once made a dead one, or another provider's, `works`.
#[test]
fn a_consent_without_a_refresh_token_keeps_only_one_that_may_work() {
    let keeps = |life| consent(with(life), None, "me");
    assert!(keeps(Life::Live(Details::default())).is_ok());
    assert!(keeps(needs_person("consent_required")).is_ok());
    assert!(keeps(Life::Revoked { at: 1 }).is_err());
    assert!(keeps(needs_person("invalid_grant")).is_err());
    assert!(consent(with(Life::Live(Details::default())), None, "another").is_err());
    assert!(consent(with(Life::Revoked { at: 1 }), secret("new"), "another").is_ok());
    let cut = keeps(Life::Refreshing { since: 5, details: Details::default() }).unwrap();
    assert!(matches!(cut.life, Life::Refreshing { since: 5, .. }), "the loss is not forgotten");
    assert!(cut.cached(60, 1_790_000_000).is_some());
}

#[test]
fn a_token_is_known_by_the_one_that_it_began_with() {
    let given = Grant::new(secret("first"));
    let mut now = Grant::new(secret("first"));
    for next in ["second", "third"] {
        now.renew(secret(next), &client("me"));
        assert!(now.began_as(&given), "{next}");
    }
    assert!(!now.began_as(&Grant::new(secret("third"))), "put in by hand, it begins anew");
    let again = consent(now, secret("other"), "me").unwrap();
    assert!(!again.began_as(&given));
    assert!(!Grant::new(None).began_as(&Grant::new(None)));
}

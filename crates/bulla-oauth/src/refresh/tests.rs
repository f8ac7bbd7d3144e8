use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::*;
use crate::client::Authentication;
use crate::http::Response;

/// A store of one grant that can fail.
struct Kept {
    grant: RefCell<Grant>,
    stored: Cell<usize>,
    loaded: Cell<usize>,
    /// What another process leaves before the grant is loaded for the so manieth time.
    meanwhile: Cell<Option<(usize, Grant)>>,
    fails_at: Option<usize>,
}

impl Grants for Kept {
    type Error = &'static str;
    type Lock<'g> = ();

    fn lock(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn load(&self) -> Result<Grant, &'static str> {
        let then = self.loaded.get() + 1;
        self.loaded.set(then);
        if let Some((at, grant)) = self.meanwhile.take() {
            match at == then {
                true => *self.grant.borrow_mut() = grant,
                false => self.meanwhile.set(Some((at, grant))),
            }
        }
        let grant = self.grant.borrow();
        let refresh = grant.refresh.as_ref().map(Secret::duplicate);
        Ok(Grant::decode(refresh, crate::SCHEMA, &grant.encode()).unwrap())
    }

    fn store(&self, grant: &Grant, seen: Option<&Secret>) -> Result<(), &'static str> {
        self.stored.set(self.stored.get() + 1);
        if self.fails_at == Some(self.stored.get()) {
            return Err("full");
        }
        let mut kept = self.grant.borrow_mut();
        let by_hand = !Secret::are_same(kept.refresh.as_ref(), seen);
        let refresh = if by_hand { &kept.refresh } else { &grant.refresh };
        let refresh = refresh.as_ref().map(Secret::duplicate);
        *kept = Grant::decode(refresh, crate::SCHEMA, &grant.encode()).unwrap();
        Ok(())
    }
}

type Answer = Result<(u16, &'static str), HttpError>;

struct Provider<'k> {
    answers: RefCell<VecDeque<Answer>>,
    asked: RefCell<Vec<String>>,
    /// Somebody puts this token in while the request is on its way.
    meanwhile: Option<(&'k Kept, &'static str)>,
    retry_after: Option<u64>,
}

impl Http for Provider<'_> {
    fn send(&self, request: &Request<'_>) -> Result<Response, HttpError> {
        let form = request.form.as_ref().unwrap().text().unwrap().to_owned();
        self.asked.borrow_mut().push(form);
        if let Some((kept, token)) = self.meanwhile
            && self.asked.borrow().len() == 1
        {
            *kept.grant.borrow_mut() = Grant::new(Some(Secret::copied_from(token.as_bytes())));
        }
        let (status, body) = self.answers.borrow_mut().pop_front().expect("asked too often")?;
        let body = Secret::copied_from(body.as_bytes());
        Ok(Response { status, retry_after: self.retry_after, body })
    }
}

#[derive(Default)]
struct Time(Cell<u64>);

impl Clock for Time {
    fn now(&self) -> u64 {
        1_790_000_000 + self.0.get()
    }

    fn sleep(&self, time: Duration) {
        self.0.set(self.0.get() + time.as_secs());
    }

    fn jitter(&self) -> f64 {
        0.5
    }
}

fn kept(grant: Grant) -> Kept {
    Kept {
        grant: RefCell::new(grant),
        stored: Cell::new(0),
        loaded: Cell::new(0),
        meanwhile: Cell::new(None),
        fails_at: None,
    }
}

fn with_token() -> Kept {
    kept(Grant::new(Some(Secret::copied_from(b"old"))))
}

fn answers(answers: impl IntoIterator<Item = Answer>) -> Provider<'static> {
    let answers = RefCell::new(answers.into_iter().collect());
    Provider { answers, asked: RefCell::default(), meanwhile: None, retry_after: None }
}

fn client_at() -> ClientAt {
    ClientAt { provider: "https://example.com".to_owned(), id: "me".to_owned() }
}

/// Runs `work` with a refresh of `kept`.
fn with<T>(
    kept: &Kept,
    http: &Provider<'_>,
    clock: &Time,
    account: Option<&str>,
    work: impl FnOnce(&Refresh<'_, Kept>) -> T,
) -> T {
    let client = Client {
        id: "me".to_owned(),
        secret: Some(Secret::copied_from(b"client-secret")),
        authentication: Authentication::Post,
    };
    work(&Refresh {
        grants: kept,
        client: &client,
        client_at: &client_at(),
        token_endpoint: "https://example.com/token",
        account,
        grant_type: GrantType::RefreshToken,
        http,
        clock,
    })
}

fn access(
    kept: &Kept,
    http: &Provider<'_>,
    clock: &Time,
    least: u64,
) -> Result<Access, RefreshError<&'static str>> {
    with(kept, http, clock, None, |refresh| refresh.access(least))
}

fn probe(
    kept: &Kept,
    http: &Provider<'_>,
    clock: &Time,
) -> Result<Access, RefreshError<&'static str>> {
    with(kept, http, clock, None, |refresh| refresh.probe())
}

fn token(kept: &Kept) -> String {
    let grant = kept.grant.borrow();
    grant.refresh.as_ref().unwrap().text().unwrap().to_owned()
}

const GOOD: Answer = Ok((200, r#"{"access_token":"at","expires_in":3600,"refresh_token":"new"}"#));
const NO_NEW: Answer = Ok((200, r#"{"access_token":"at","expires_in":3600}"#));

fn lost() -> Answer {
    Err(HttpError::NoAnswer("the connection broke".to_owned()))
}

fn refused() -> Answer {
    Err(HttpError::NotSent("the connection was refused".to_owned()))
}

#[test]
fn a_fresh_token_is_kept_with_the_refresh_token_that_came_with_it() {
    let (kept, http, clock) = (with_token(), answers([GOOD]), Time::default());
    assert_eq!(access(&kept, &http, &clock, 60).unwrap().token.expose(), b"at");
    assert_eq!(token(&kept), "new");
    assert_eq!(
        http.asked.borrow()[0],
        "grant_type=refresh_token&refresh_token=old&client_id=me&client_secret=client-secret"
    );
    // The second one is served from what is kept, until it is too short.
    assert_eq!(access(&kept, &http, &clock, 60).unwrap().token.expose(), b"at");
    assert_eq!(http.asked.borrow().len(), 1);
}

#[test]
fn a_token_too_short_for_the_asker_is_refreshed() {
    let (kept, http, clock) = (with_token(), answers([GOOD, NO_NEW]), Time::default());
    access(&kept, &http, &clock, 60).unwrap();
    clock.0.set(3000);
    access(&kept, &http, &clock, 1200).unwrap();
    assert_eq!(http.asked.borrow().len(), 2);
    assert_eq!(token(&kept), "new", "an answer without a refresh token leaves the one there");
    let short = access(&kept, &answers([NO_NEW]), &clock, 7200).err();
    assert!(matches!(short, Some(RefreshError::TooShort { life: 3600 })));
}

#[test]
fn a_clock_that_was_set_back_makes_no_token_immortal() {
    let (kept, http, clock) = (with_token(), answers([GOOD, NO_NEW]), Time::default());
    clock.0.set(86_400);
    access(&kept, &http, &clock, 60).unwrap();
    clock.0.set(0);
    access(&kept, &http, &clock, 60).unwrap();
    assert_eq!(http.asked.borrow().len(), 2);
}

#[test]
fn a_life_that_nobody_told_is_not_relied_on() {
    let unknown = || Ok((200, r#"{"access_token":"at"}"#));
    let (kept, http, clock) = (with_token(), answers([unknown(), unknown()]), Time::default());
    access(&kept, &http, &clock, 60).unwrap();
    access(&kept, &http, &clock, 60).unwrap();
    assert_eq!(http.asked.borrow().len(), 2);
}

#[test]
fn no_fault_loses_the_refresh_token() {
    let faults: [fn() -> Answer; 8] = [
        lost,
        refused,
        || Ok((503, "")),
        || Ok((200, "<html>portal</html>")),
        || Ok((400, r#"{"error":"temporarily_unavailable"}"#)),
        || Ok((403, "<html>proxy</html>")),
        || Ok((429, "")),
        || Ok((302, "")),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let (kept, clock) = (with_token(), Time::default());
        let http = answers([fault(), fault(), fault()]);
        let error = access(&kept, &http, &clock, 60).err();
        assert!(matches!(error, Some(RefreshError::Unavailable { .. })), "{number}");
        assert_eq!(http.asked.borrow().len(), 3, "{number}");
        assert_eq!(token(&kept), "old", "{number}");
        // And once it is over, all is well.
        let http = answers([fault(), GOOD]);
        assert!(access(&kept, &http, &clock, 60).is_ok(), "{number}");
        assert_eq!(token(&kept), "new", "{number}");
    }
}

#[test]
fn a_wait_that_is_too_long_is_left_to_the_caller() {
    let (kept, clock) = (with_token(), Time::default());
    for (retry_after, asked) in [(0, 3), (3, 3), (11, 1), (1_000_000_000, 1)] {
        let busy = || Ok((429, ""));
        let http = Provider { retry_after: Some(retry_after), ..answers([busy(), busy(), busy()]) };
        let error = access(&kept, &http, &clock, 60).err();
        let Some(RefreshError::Unavailable { retry_after: told, .. }) = error else { panic!() };
        assert_eq!((told, http.asked.borrow().len()), (Some(retry_after), asked));
    }
}

#[test]
fn an_answer_that_was_lost_leaves_the_intent() {
    let (kept, clock) = (with_token(), Time::default());
    access(&kept, &answers([lost(), lost(), lost()]), &clock, 60).err().unwrap();
    assert!(matches!(kept.grant.borrow().life, Life::Refreshing { .. }));
    // The provider had replaced the token: the reason is told with the refusal.
    let invalid = || Ok((400, r#"{"error":"invalid_grant"}"#));
    let error = access(&kept, &answers([invalid()]), &clock, 60).err();
    assert!(matches!(error, Some(RefreshError::NeedsPerson { cut_off: Some(_), .. })));
    assert_eq!(token(&kept), "old");

    // So it is if we asked again at once, which once was a refusal without a reason.
    let error = access(&with_token(), &answers([lost(), invalid()]), &clock, 60).err();
    assert!(matches!(error, Some(RefreshError::NeedsPerson { cut_off: Some(_), .. })));
}

/// A provider that cannot be reached once made us forget that an answer had been lost before.
#[test]
fn an_outage_does_not_hide_a_lost_answer() {
    let (kept, clock) = (with_token(), Time::default());
    access(&kept, &answers([lost(), lost(), lost()]), &clock, 60).err().unwrap();
    access(&kept, &answers([refused(), refused(), refused()]), &clock, 60).err().unwrap();
    assert!(matches!(kept.load().unwrap().life, Life::Refreshing { since: 1_790_000_000, .. }));
}

/// A client that was refused once made us forget it as well.
#[test]
fn a_refused_client_does_not_hide_a_lost_answer() {
    let invalid_client = || Ok((401, r#"{"error":"invalid_client"}"#));
    let invalid_grant = || Ok((400, r#"{"error":"invalid_grant"}"#));
    let (kept, clock) = (with_token(), Time::default());
    access(&kept, &answers([lost(), lost(), lost()]), &clock, 60).err().unwrap();
    let error = access(&kept, &answers([invalid_client()]), &clock, 60).err();
    assert!(matches!(error, Some(RefreshError::Client(_))));
    let Life::Refreshing { details, .. } = &kept.load().unwrap().life else { panic!() };
    assert_eq!(details.trouble.as_ref().unwrap().1.error, "invalid_client");
    let error = access(&kept, &answers([invalid_grant()]), &clock, 60).err();
    assert!(matches!(error, Some(RefreshError::NeedsPerson { cut_off: Some(_), .. })));
    // So it is if it was lost a moment before.
    let kept = with_token();
    access(&kept, &answers([lost(), invalid_client()]), &clock, 60).err().unwrap();
    assert!(matches!(kept.load().unwrap().life, Life::Refreshing { .. }));
    access(&kept, &answers([GOOD]), &clock, 60).unwrap();
    assert!(kept.load().unwrap().life.details().unwrap().trouble.is_none());
}

#[test]
fn a_lost_answer_does_not_take_a_good_access_token_away() {
    let (kept, clock) = (with_token(), Time::default());
    access(&kept, &answers([GOOD]), &clock, 60).unwrap();
    access(&kept, &answers([lost(), lost(), lost()]), &clock, 7200).err().unwrap();
    assert!(matches!(kept.grant.borrow().life, Life::Refreshing { .. }));
    assert_eq!(access(&kept, &answers([]), &clock, 60).unwrap().token.expose(), b"at");
}

#[test]
fn a_request_that_never_left_leaves_no_intent() {
    let (kept, clock) = (with_token(), Time::default());
    access(&kept, &answers([refused(), refused(), refused()]), &clock, 60).err().unwrap();
    assert!(matches!(kept.grant.borrow().life, Life::Live(_)));
}

#[test]
fn a_provider_that_wants_a_person_is_not_asked_again() {
    let (kept, clock) = (with_token(), Time::default());
    let http =
        answers([Ok((400, r#"{"error":"invalid_grant","error_description":"Bad Request"}"#))]);
    for _ in 0..2 {
        let error = access(&kept, &http, &clock, 60).err();
        let Some(RefreshError::NeedsPerson { refusal, cut_off: None }) = error else { panic!() };
        assert_eq!(refusal.to_string(), "invalid_grant: Bad Request");
    }
    assert_eq!(http.asked.borrow().len(), 1);
    assert_eq!(token(&kept), "old");
}

#[test]
fn a_client_that_is_refused_says_nothing_about_the_grant() {
    let (kept, clock) = (with_token(), Time::default());
    let http = answers([Ok((401, r#"{"error":"invalid_client"}"#)), GOOD]);
    let error = access(&kept, &http, &clock, 60).err();
    assert!(matches!(error, Some(RefreshError::Client(_))));
    let Life::Live(details) = &kept.load().unwrap().life else { panic!() };
    assert_eq!(details.trouble.as_ref().unwrap().1.error, "invalid_client");
    access(&kept, &http, &clock, 60).unwrap();
    assert!(kept.load().unwrap().life.details().unwrap().trouble.is_none());
}

#[test]
fn a_newer_token_that_was_put_in_meanwhile_is_used_and_stays() {
    let clock = Time::default();
    let kept = with_token();
    let refused = Ok((400, r#"{"error":"invalid_grant"}"#));
    let http = Provider { meanwhile: Some((&kept, "by hand")), ..answers([refused, NO_NEW]) };
    access(&kept, &http, &clock, 60).unwrap();
    assert!(http.asked.borrow()[1].contains("refresh_token=by+hand"));
    assert_eq!(token(&kept), "by hand");
    let kept = with_token();
    let http = Provider { meanwhile: Some((&kept, "by hand")), ..answers([GOOD]) };
    access(&kept, &http, &clock, 60).unwrap();
    assert_eq!(
        token(&kept),
        "by hand",
        "what the provider gave for the old one is not put over it"
    );
    assert!(matches!(kept.load().unwrap().life, Life::Unknown));
}

#[test]
fn a_useless_access_token_does_not_cost_the_refresh_token_beside_it() {
    let (kept, clock) = (with_token(), Time::default());
    let http = answers([Ok((200, r#"{"access_token":"a b","refresh_token":"new"}"#))]);
    let error = access(&kept, &http, &clock, 60).err();
    assert!(matches!(error, Some(RefreshError::Unavailable { .. })));
    assert_eq!(token(&kept), "new");
}

#[test]
fn nothing_is_asked_before_the_intent_is_on_the_disk_and_nothing_given_before_the_token_is() {
    let clock = Time::default();
    let kept = Kept { fails_at: Some(1), ..with_token() };
    let http = answers([]);
    assert!(matches!(access(&kept, &http, &clock, 60).err(), Some(RefreshError::Store("full"))));
    assert!(http.asked.borrow().is_empty());
    let kept = Kept { fails_at: Some(2), ..with_token() };
    let error = access(&kept, &answers([GOOD]), &clock, 60).err();
    assert!(matches!(error, Some(RefreshError::Store("full"))));
}

/// A client secret and a refresh token were once sent to whatever provider the other was not of.
#[test]
fn a_grant_of_another_client_is_not_shown_to_this_one() {
    let clock = Time::default();
    let other = [
        ClientAt { provider: "https://elsewhere.example".to_owned(), ..client_at() },
        ClientAt { id: "somebody".to_owned(), ..client_at() },
    ];
    for other in other {
        let mut grant = Grant::new(Some(Secret::copied_from(b"old")));
        grant.renew(None, &other);
        let (kept, http) = (kept(grant), answers([]));
        let error = access(&kept, &http, &clock, 60).err();
        assert!(matches!(error, Some(RefreshError::OtherClient(told)) if told == other));
        assert!(matches!(probe(&kept, &http, &clock).err(), Some(RefreshError::OtherClient(_))));
    }
    // The first answer tells whose it is.
    let kept = with_token();
    access(&kept, &answers([GOOD]), &clock, 60).unwrap();
    assert_eq!(kept.load().unwrap().origin.client, Some(client_at()));
}

/// One `access_denied` once made a mailbox dead until it was removed and added again.
#[test]
fn a_refusal_that_may_pass_is_asked_about_again() {
    let (kept, clock) = (with_token(), Time::default());
    for error in ["access_denied", "interaction_required", "login_required", "consent_required"] {
        let body: &'static str = Box::leak(format!(r#"{{"error":"{error}"}}"#).into_boxed_str());
        let refused = access(&kept, &answers([Ok((403, body))]), &clock, 60).err();
        assert!(matches!(refused, Some(RefreshError::NeedsPerson { .. })), "{error}");
        assert!(matches!(kept.load().unwrap().life, Life::NeedsPerson { .. }), "{error}");
        clock.0.set(clock.0.get() + 4000);
        access(&kept, &answers([GOOD]), &clock, 60).unwrap();
        clock.0.set(clock.0.get() + 4000);
    }
}

#[test]
fn a_probe_asks_about_a_dead_grant_and_forgets_nothing_if_nobody_answers() {
    let (kept, clock) = (with_token(), Time::default());
    let invalid = || Ok((400, r#"{"error":"invalid_grant"}"#));
    access(&kept, &answers([lost(), invalid()]), &clock, 60).err().unwrap();
    let outage = answers([refused(), refused(), refused()]);
    let error = probe(&kept, &outage, &clock).err();
    assert!(matches!(error, Some(RefreshError::Unavailable { .. })));
    assert!(matches!(kept.load().unwrap().life, Life::NeedsPerson { cut_off: Some(_), .. }));
    let error = probe(&kept, &answers([invalid()]), &clock).err();
    assert!(matches!(error, Some(RefreshError::NeedsPerson { cut_off: Some(_), .. })));
    probe(&kept, &answers([GOOD]), &clock).unwrap();
    assert!(matches!(kept.load().unwrap().life, Life::Live(_)));
}

/// Tokens of another account were handed out, once the provider gave such.
#[test]
fn tokens_of_another_account_are_not_handed_out() {
    let clock = Time::default();
    // {"email":"evil@example.com"}
    let evil = r#"{"access_token":"at","expires_in":3600,"refresh_token":"new","id_token":"e30.eyJlbWFpbCI6ImV2aWxAZXhhbXBsZS5jb20ifQ.x"}"#;
    let right = |http: &Provider<'_>, kept: &Kept, account| {
        with(kept, http, &clock, Some(account), |refresh| refresh.access(60))
    };
    let kept = with_token();
    let error = right(&answers([Ok((200, evil))]), &kept, "a@example.com").err();
    assert!(matches!(error, Some(RefreshError::OtherAccount(a)) if a == "evil@example.com"));
    assert_eq!(token(&kept), "new", "the refresh token is kept all the same");
    let grant = kept.load().unwrap();
    assert!(
        matches!(&grant.life, Life::NeedsPerson { refusal, .. } if refusal.error == "other_account")
    );
    assert!(grant.life.details().unwrap().access.is_none());
    right(&answers([Ok((200, evil))]), &with_token(), "Evil@example.com").unwrap();
    access(&with_token(), &answers([Ok((200, evil))]), &clock, 60).unwrap();
}

/// Who waited for the lock once asked a provider that was out of order in turn, for minutes.
#[test]
fn what_came_of_a_refresh_answers_those_who_waited_for_it() {
    let clock = Time::default();
    let after = |answer: fn() -> Answer| {
        let kept = with_token();
        let http = Provider { retry_after: Some(60), ..answers([answer()]) };
        let _ = access(&kept, &http, &clock, 60);
        kept.load().unwrap()
    };
    let waited = |grant: Grant| {
        let kept = Kept { meanwhile: Cell::new(Some((2, grant))), ..with_token() };
        access(&kept, &answers([]), &clock, 7200)
    };
    let outage = waited(after(|| Ok((503, "")))).err();
    assert!(matches!(outage, Some(RefreshError::Unavailable { retry_after: Some(60), .. })));
    // Nobody knows how long it lives, but it came just now.
    assert!(waited(after(|| Ok((200, r#"{"access_token":"at"}"#)))).is_ok());
    assert!(matches!(waited(after(|| NO_NEW)).err(), Some(RefreshError::TooShort { .. })));
    // What was there before is no answer to who comes now.
    let kept = kept(after(|| Ok((503, ""))));
    assert!(access(&kept, &answers([GOOD]), &clock, 60).is_ok());
    assert_eq!(kept.load().unwrap().life.details().unwrap().outage, None);
}

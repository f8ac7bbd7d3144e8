//! The device authorization grant, for machines without a browser (RFC 8628).

use std::time::Duration;

use crate::answer::{Tokens, is_token, seconds};
use crate::authorize::{ExchangeError, asked};
use crate::client::Client;
use crate::form::Form;
use crate::http::{Http, Request};
use crate::object::Object;
use crate::provider::Provider;
use crate::refresh::Clock;
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::words::{clean, repeats};

/// A code that somebody types in a browser elsewhere.
pub struct DeviceCode {
    /// What is typed.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// Where without typing, if the provider has such an address.
    pub complete_uri: Option<String>,
    device_code: Secret,
    interval: u64,
    expires: u64,
}

/// Seconds between two questions if the provider names none, and the least there may be: a provider
/// that says 0 would be flooded.
const LEAST_INTERVAL: u64 = 5;
/// The longest wait between two questions, so that one answer cannot stall us.
const MOST_INTERVAL: u64 = 60;
/// A code that lives longer is waited for no longer than this: an hour.
const LONGEST_LIFE: u64 = 3600;

impl DeviceCode {
    /// Asks for a code.
    ///
    /// # Errors
    /// If the provider refuses, cannot be reached, or sends people to an address that is not `https`.
    pub fn ask(
        provider: &Provider,
        client: &Client,
        scopes: &[String],
        http: &dyn Http,
        clock: &dyn Clock,
    ) -> Result<Self, ExchangeError> {
        let endpoint = provider.device_authorization_endpoint.as_deref().ok_or_else(|| {
            let what = "the provider has no device authorization endpoint";
            ExchangeError::Unavailable(what.to_owned())
        })?;
        let form = Form::default().with("scope", scopes.join(" ").as_bytes());
        let response = http.send(&Request::post(endpoint, form, client));
        let response = response.map_err(|error| ExchangeError::Unavailable(error.to_string()))?;
        let sent: Vec<_> = client.secret.iter().collect();
        if let Some(refusal) = Refusal::read(response.body.expose(), &sent) {
            return Err(ExchangeError::Refused(refusal));
        }
        let nothing = || {
            let status = response.status;
            ExchangeError::Unavailable(format!("the answer is no device code (HTTP {status})"))
        };
        let body = Object::read(response.body.expose()).filter(|body| body.is_whole);
        let body = body.ok_or_else(nothing)?;
        let device_code = body.text("device_code").filter(|code| is_token(code));
        let device_code = device_code.ok_or_else(nothing)?;
        let user_code = body.text("user_code").ok_or_else(nothing)?;
        let address =
            |url: &str| url.starts_with("https://") && is_token(url) && !repeats(url, &sent);
        // Google calls it a URL.
        let uri = body.text("verification_uri").or_else(|| body.text("verification_url"));
        let uri = uri.ok_or_else(nothing)?;
        if !address(&uri) {
            let what = "the provider sends people to an address that is not https";
            return Err(ExchangeError::Unavailable(what.to_owned()));
        }
        let complete = body
            .text("verification_uri_complete")
            .or_else(|| body.text("verification_url_complete"))
            .filter(|url| address(url));
        let number = |name| body.number(name).and_then(seconds);
        Ok(Self {
            user_code: clean(&user_code, 100, &sent),
            verification_uri: uri.to_owned(),
            complete_uri: complete.map(|url| url.to_owned()),
            device_code: Secret::copied_from(device_code.as_bytes()),
            interval: number("interval").unwrap_or_default().clamp(LEAST_INTERVAL, MOST_INTERVAL),
            expires: clock.now() + number("expires_in").unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE),
        })
    }

    /// The same code, waited for no longer than for so many seconds from now on.
    #[must_use]
    pub fn within(mut self, seconds: u64, clock: &dyn Clock) -> Self {
        self.expires = self.expires.min(clock.now().saturating_add(seconds));
        self
    }

    /// How many seconds it is waited for.
    #[must_use]
    pub fn left(&self, clock: &dyn Clock) -> u64 {
        self.expires.saturating_sub(clock.now())
    }

    /// Asks until somebody typed the code and consented, declined, or let it expire.
    ///
    /// Each question may bring the tokens, which nobody gives a second time. So `ready` comes before each,
    /// and what it gives is there until the answer is, and comes with the tokens.
    ///
    /// # Errors
    /// Those of `ready`, and see [`ExchangeError`].
    pub fn wait<R, E: From<ExchangeError>>(
        mut self,
        client: &Client,
        token_endpoint: &str,
        http: &dyn Http,
        clock: &dyn Clock,
        mut ready: impl FnMut() -> Result<R, E>,
    ) -> Result<(Tokens, R), E> {
        loop {
            clock.sleep(Duration::from_secs(self.interval.min(self.left(clock))));
            if clock.now() >= self.expires {
                let error = "expired_token".to_owned();
                let refusal = Refusal { error, ..Refusal::default() };
                return Err(ExchangeError::Refused(refusal).into());
            }
            let ready = ready()?;
            let form = Form::default()
                .with("grant_type", b"urn:ietf:params:oauth:grant-type:device_code")
                .with("device_code", self.device_code.expose());
            let sent: Vec<_> = [&self.device_code].into_iter().chain(&client.secret).collect();
            match asked(http.send(&Request::post(token_endpoint, form, client)), &sent) {
                Err(ExchangeError::Refused(refusal)) => match refusal.error.as_str() {
                    "authorization_pending" => {}
                    "slow_down" => self.interval = (self.interval + 5).min(MOST_INTERVAL),
                    _ => return Err(ExchangeError::Refused(refusal).into()),
                },
                // RFC 8628, section 3.5: a network that fails is asked less often.
                Err(ExchangeError::Unavailable(_)) => {
                    self.interval = (self.interval * 2).min(MOST_INTERVAL);
                }
                Err(useless @ ExchangeError::Useless(_)) => return Err(useless.into()),
                Ok(tokens) => return Ok((tokens, ready)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use super::*;
    use crate::http::{HttpError, Response};

    #[derive(Default)]
    struct Time(Cell<u64>, RefCell<Vec<u64>>);

    impl Clock for Time {
        fn now(&self) -> u64 {
            self.0.get()
        }

        fn sleep(&self, time: Duration) {
            self.0.set(self.0.get() + time.as_secs());
            self.1.borrow_mut().push(time.as_secs());
        }

        fn jitter(&self) -> f64 {
            0.5
        }
    }

    struct Answers(RefCell<VecDeque<Option<&'static str>>>);

    impl Http for Answers {
        fn send(&self, _: &Request<'_>) -> Result<Response, HttpError> {
            let body = self.0.borrow_mut().pop_front().expect("asked too often");
            let body = body.ok_or_else(|| HttpError::NoAnswer("gone".to_owned()))?;
            let status = if body.contains("error") { 400 } else { 200 };
            let body = Secret::copied_from(body.as_bytes());
            Ok(Response { status, retry_after: None, body })
        }
    }

    fn ready() -> Result<(), ExchangeError> {
        Ok(())
    }

    fn flow(answers: &[Option<&'static str>]) -> (Result<Tokens, ExchangeError>, Vec<u64>) {
        let provider = Provider {
            device_authorization_endpoint: Some("https://as.example/device".to_owned()),
            ..Provider::default()
        };
        let client =
            Client { id: "me".to_owned(), secret: None, authentication: Default::default() };
        let (http, clock) = (Answers(RefCell::new(answers.to_vec().into())), Time::default());
        let tokens = DeviceCode::ask(&provider, &client, &[], &http, &clock)
            .and_then(|code| code.wait(&client, "https://as.example/token", &http, &clock, ready));
        (tokens.map(|(tokens, ())| tokens), clock.1.into_inner())
    }

    const CODE: Option<&str> = Some(
        r#"{"device_code":"dc","user_code":"AB-CD","verification_uri":"https://as.example/d","interval":0,"expires_in":600}"#,
    );
    const PENDING: Option<&str> = Some(r#"{"error":"authorization_pending"}"#);
    const SLOW: Option<&str> = Some(r#"{"error":"slow_down"}"#);

    #[test]
    fn it_asks_no_faster_than_it_may() {
        let good = Some(r#"{"access_token":"at","expires_in":3600}"#);
        let (tokens, waits) = flow(&[CODE, PENDING, SLOW, SLOW, None, good]);
        assert_eq!(tokens.ok().unwrap().access.expose(), b"at");
        assert_eq!(waits, [5, 5, 10, 15, 30]);
    }

    #[test]
    fn it_ends_with_the_code_or_a_refusal() {
        let mut many = vec![CODE];
        many.extend(std::iter::repeat_n(SLOW, 100));
        let Err(ExchangeError::Refused(refusal)) = flow(&many).0 else { panic!() };
        assert_eq!(refusal.error, "expired_token");
        let denied = [CODE, Some(r#"{"error":"access_denied"}"#)];
        assert!(matches!(flow(&denied).0, Err(ExchangeError::Refused(_))));
    }

    /// Where nothing could be kept, a code was once traded for tokens all the same.
    #[test]
    fn who_is_not_ready_asks_nothing() {
        let provider = Provider {
            device_authorization_endpoint: Some("https://as.example/device".to_owned()),
            ..Provider::default()
        };
        let client =
            Client { id: "me".to_owned(), secret: None, authentication: Default::default() };
        let (http, clock) = (Answers(RefCell::new([CODE, PENDING].into())), Time::default());
        let code = DeviceCode::ask(&provider, &client, &[], &http, &clock).ok().unwrap();
        let mut times = 0;
        let ended = code.wait(&client, "https://as.example/token", &http, &clock, || {
            times += 1;
            if times < 2 { Ok(()) } else { Err(ExchangeError::Unavailable("busy".to_owned())) }
        });
        assert!(matches!(ended, Err(ExchangeError::Unavailable(what)) if what == "busy"));
        assert!(http.0.borrow().is_empty(), "it was asked the first time, and not the second");
    }

    /// Numbers as texts, as Microsoft's older endpoint has them, were once no answer.
    #[test]
    fn an_answer_is_read_as_far_as_it_can_be() {
        let good = Some(r#"{"access_token":"at"}"#);
        let odd = r#"{"device_code":"dc","user_code":"AB","verification_url":"https://as.example/d",
            "verification_uri":"https://as.example/d","interval":"7","expires_in":"600","x":NaN}"#;
        let (tokens, waits) = flow(&[Some(odd), PENDING, good]);
        assert!(tokens.is_ok());
        assert_eq!(waits, [7, 7]);
        for none in ["<html>", r#"{"device_code":"dc""#, r#"{"device_code":"dc"}"#] {
            let (tokens, _) = flow(&[Some(none)]);
            assert!(
                matches!(tokens, Err(ExchangeError::Unavailable(what)) if what.ends_with("(HTTP 200)"))
            );
        }
    }

    /// `--timeout` was once ignored with `--device`.
    #[test]
    fn it_waits_no_longer_than_it_is_told_to() {
        let provider = Provider {
            device_authorization_endpoint: Some("https://as.example/device".to_owned()),
            ..Provider::default()
        };
        let client =
            Client { id: "me".to_owned(), secret: None, authentication: Default::default() };
        let answers = Answers(RefCell::new([CODE, PENDING, PENDING].into()));
        let (http, clock) = (answers, Time::default());
        let code = DeviceCode::ask(&provider, &client, &[], &http, &clock).ok().unwrap();
        assert_eq!(code.left(&clock), 600);
        let code = code.within(12, &clock);
        assert_eq!(code.left(&clock), 12);
        let ended = code.wait(&client, "https://as.example/token", &http, &clock, ready);
        let Err(ExchangeError::Refused(refusal)) = ended else { panic!() };
        assert_eq!(refusal.error, "expired_token");
        assert_eq!(clock.1.into_inner(), [5, 5, 2]);
    }

    /// A code whose tokens are of no use was once asked for until it had expired, and then nobody was
    /// said to have typed it.
    #[test]
    fn a_code_that_brought_tokens_of_no_use_is_not_asked_for_again() {
        for body in [
            r#"{"access_token":"at","token_type":"mac","refresh_token":"rt"}"#,
            r#"{"access_token":"a\u00fc"}"#,
            r#"{"access_token":"at","expires_in":0}"#,
        ] {
            let (tokens, waits) = flow(&[CODE, PENDING, Some(body)]);
            assert!(matches!(tokens, Err(ExchangeError::Useless(_))), "{body}");
            assert_eq!(waits, [5, 5]);
        }
    }

    #[test]
    fn what_is_shown_of_the_answer_repeats_no_secret() {
        let secret = "client-secret-0815";
        let ask = |user_code: &str, uri: &str| {
            let body = format!(
                r#"{{"device_code":"dc","user_code":"{user_code}","verification_uri":"{uri}"}}"#
            );
            let http = Answers(RefCell::new([Some(&*body.leak())].into()));
            let provider = Provider {
                device_authorization_endpoint: Some("https://as.example/device".to_owned()),
                ..Provider::default()
            };
            let secret = Some(Secret::copied_from(secret.as_bytes()));
            let client = Client { id: "me".to_owned(), secret, authentication: Default::default() };
            DeviceCode::ask(&provider, &client, &[], &http, &Time::default())
        };
        assert!(ask("AB-CD", "https://as.example/d").is_ok());
        assert!(!ask(secret, "https://as.example/d").ok().unwrap().user_code.contains("0815"));
        assert!(ask("AB-CD", &format!("https://as.example/d?s={secret}")).is_err());
    }

    #[test]
    fn nobody_is_sent_to_an_address_that_is_not_https() {
        for url in ["javascript:alert(1)", "http://as.example/d", "https://a\\u001b[2J"] {
            let body =
                format!(r#"{{"device_code":"dc","user_code":"x","verification_uri":"{url}"}}"#);
            let (tokens, _) = flow(&[Some(body.leak())]);
            assert!(matches!(tokens, Err(ExchangeError::Unavailable(_))), "{url}");
        }
    }
}

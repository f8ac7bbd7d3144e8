//! What the errors of the token library mean for the user.

use bulla_oauth::{
    CallbackError, DiscoveryError, ExchangeError, MailError, NoRefreshToken, OpenError,
    RefreshError, Refusal, Remedy, RevokeError, StartError, WaitError,
};

use crate::cmd::target::time;
use crate::failure::{Exit, Failure};

const AUTHORIZE: &str = "`bulla mailbox authorize ADDRESS` asks its owner to consent again";

impl From<RefreshError<Self>> for Failure {
    fn from(error: RefreshError<Self>) -> Self {
        let of = |exit, code| Self::new(exit, code, &error);
        match &error {
            RefreshError::Store(_) => {
                let RefreshError::Store(failure) = error else { unreachable!("just seen") };
                failure
            }
            RefreshError::NeverAuthorized => of(Exit::NeedsPerson, "never-authorized")
                .hint("`bulla mailbox authorize ADDRESS` asks its owner to consent"),
            RefreshError::Revoked => of(Exit::NeedsPerson, "revoked")
                .hint(AUTHORIZE)
                .hint("if nobody needs it any more, `bulla rm MAILBOX` takes it out of the vault"),
            RefreshError::OtherClient(_) => of(Exit::NeedsPerson, "other-client")
                .hint("nothing was sent; `bulla set MAILBOX --public client=ENTRY` goes back to its client")
                .hint(AUTHORIZE),
            RefreshError::OtherAccount(_) => of(Exit::NeedsPerson, "other-account")
                .hint(AUTHORIZE)
                .hint("if that account may open the mailbox, `bulla set MAILBOX --public user=ACCOUNT` says so"),
            RefreshError::NeedsPerson { refusal, cut_off } => {
                let failure = of(Exit::NeedsPerson, "needs-person");
                let failure = match cut_off {
                    Some(at) => failure.hint(format_args!(
                        "a refresh was cut off at {}, and the new token with it",
                        time(*at)
                    )),
                    None => failure,
                };
                match refusal.subtype.as_deref() {
                    Some("invalid_rapt" | "rapt_required") => failure.hint(
                        "the organisation limits how long a session lasts; its administrator can exempt the application",
                    ),
                    _ => failure,
                }
                .hint(AUTHORIZE)
            }
            RefreshError::Client(refusal) => {
                of(Exit::NeedsPerson, "client-refused").hint(client_hint(refusal))
            }
            RefreshError::Unavailable { retry_after, .. } => {
                let failure = of(Exit::RemoteFailed, "provider-unavailable");
                match retry_after {
                    Some(seconds) => {
                        failure.hint(format_args!("it asks to be left alone for {seconds} seconds"))
                    }
                    None => failure.hint("the refresh token is kept; try again later"),
                }
            }
            RefreshError::TooShort { .. } => of(Exit::Failed, "too-short")
                .hint("ask for less with --min-ttl, or @20m in a reference"),
        }
    }
}

fn client_hint(refusal: &Refusal) -> &'static str {
    match refusal.error.as_str() {
        "invalid_client" | "unauthorized_client" => {
            "the client-id or the client-secret in the vault is not the application's; `bulla show CLIENT` shows which it is"
        }
        "deleted_client" => "the application was deleted; Google restores one within 30 days",
        _ => "the mailbox's grant is not at fault; look at the application at the provider",
    }
}

impl From<ExchangeError> for Failure {
    fn from(error: ExchangeError) -> Self {
        match &error {
            ExchangeError::Refused(refusal) => of_refusal(refusal),
            ExchangeError::Unavailable(_) => {
                Self::new(Exit::RemoteFailed, "provider-unavailable", &error)
                    .hint("nothing was changed; begin again")
            }
            ExchangeError::Useless(_) => Self::new(Exit::RemoteFailed, "no-tokens", &error)
                .hint("nothing was changed; the code is used up, so begin again"),
        }
    }
}

fn of_refusal(refusal: &Refusal) -> Failure {
    if refusal.error == "expired_token" {
        return Failure::new(Exit::NeedsPerson, "no-answer", "nobody typed the code in time")
            .hint("nothing was changed; begin again, and --timeout TIME waits for longer if the code lives on");
    }
    let hint = match (refusal.error.as_str(), refusal.remedy()) {
        ("access_denied", _) => {
            "nothing was changed; the owner declined, or an administrator has to allow the application"
        }
        ("redirect_uri_mismatch", _) => "the client has to be one for desktop applications",
        (_, Remedy::Client) => client_hint(refusal),
        _ => "nothing was changed; begin again",
    };
    Failure::new(Exit::NeedsPerson, "refused", format!("the provider refuses: {refusal}"))
        .hint(hint)
}

impl From<CallbackError> for Failure {
    fn from(error: CallbackError) -> Self {
        match &error {
            CallbackError::Refused(refusal) => of_refusal(refusal),
            CallbackError::NotOurs => Self::new(Exit::Failed, "not-the-answer", &error)
                .hint("paste the address that the browser shows after this request, whole"),
            CallbackError::OtherIssuer => Self::new(Exit::Failed, "other-issuer", &error)
                .hint("nothing was changed; do not use this browser session, and begin again"),
            CallbackError::NoCode => Self::new(Exit::Failed, "no-code", &error)
                .hint("the browser shows an address that begins with http://127.0.0.1 or http://localhost; paste all of it"),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let code = match error {
            StartError::NoRandomness => "random",
            StartError::NoEndpoint => "no-endpoint",
        };
        Self::new(Exit::Failed, code, error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let hint = match error {
            OpenError::Elsewhere(_) => {
                "--paste does without it; a field `redirect` in providers.toml that begins with http://127.0.0.1:{port} is one"
            }
            OpenError::Io(_) => "--paste and --device do without one",
        };
        Self::new(Exit::Failed, "no-port", error).hint(hint)
    }
}

impl From<WaitError> for Failure {
    fn from(error: WaitError) -> Self {
        let failure = Self::new(Exit::NeedsPerson, "no-answer", &error);
        match error {
            WaitError::TimedOut => failure.hint(
                "begin again; where the browser is on another machine, --paste or --device does without this port",
            ),
            WaitError::Io(_) => failure,
        }
    }
}

impl From<NoRefreshToken> for Failure {
    fn from(error: NoRefreshToken) -> Self {
        Self::new(Exit::NeedsPerson, "no-refresh-token", error).hint(
            "nothing was changed; withdraw the application's access in the account's settings, and authorise again",
        )
    }
}

impl From<RevokeError> for Failure {
    fn from(error: RevokeError) -> Self {
        match &error {
            RevokeError::Refused(refusal) => of_refusal(refusal),
            RevokeError::Unavailable(_) => {
                Self::new(Exit::RemoteFailed, "provider-unavailable", &error)
                    .hint("nothing was changed; the grant still works")
            }
        }
    }
}

impl From<DiscoveryError> for Failure {
    fn from(error: DiscoveryError) -> Self {
        let exit = match error {
            DiscoveryError::Http(_) | DiscoveryError::NoDocument(_) => Exit::RemoteFailed,
            DiscoveryError::Issuer => Exit::Usage,
            _ => Exit::Failed,
        };
        let hint = match error {
            DiscoveryError::Http(_) => "nothing was asked or changed; try again later",
            _ => {
                "the field `provider` of the client is an issuer's address, as its documentation gives it"
            }
        };
        Self::new(exit, "issuer", error).hint(hint)
    }
}

impl From<MailError> for Failure {
    fn from(error: MailError) -> Self {
        let (exit, code, hint) = match &error {
            MailError::Unreachable(_) => (
                Exit::RemoteFailed,
                "server-unreachable",
                "the server was not shown the token; try again later",
            ),
            MailError::Lost(_) => (
                Exit::RemoteFailed,
                "server-unreachable",
                "try again later; the access token that it saw ends by itself",
            ),
            MailError::Temporary(_) => (Exit::RemoteFailed, "server-temporary", "try again later"),
            MailError::Tls(_) => (
                Exit::Failed,
                "server-tls",
                "the server was not shown the token; --ca FILE believes an authority of your own",
            ),
            MailError::NoStartTls => (
                Exit::Failed,
                "no-starttls",
                "the server was not shown the token; imaps:// and the like begin with TLS at once",
            ),
            MailError::NoMechanism(_) => {
                (Exit::NeedsPerson, "no-mechanism", "its administrator can switch on OAuth")
            }
            MailError::Refused(_) => (
                Exit::NeedsPerson,
                "token-refused",
                "the token is fresh and its scopes and account are right, as far as is known here: look whether the mailbox exists and lets this protocol in",
            ),
            MailError::SwitchedOff(_) => (
                Exit::NeedsPerson,
                "switched-off",
                "the owner or an administrator can switch the protocol on in the settings of the mailbox",
            ),
            MailError::NotConnected(_) => (
                Exit::NeedsPerson,
                "not-connected",
                "the account has no mailbox, no licence, or no right to this one",
            ),
            MailError::Protocol(..) => {
                (Exit::Failed, "no-mail-server", "look at the server's address and port")
            }
        };
        Self::new(exit, code, error).hint(hint)
    }
}

//! What a provider says when it says no, in its own words.

use crate::object::Object;
use crate::secret::Secret;
use crate::words::clean;

/// An error of a provider (RFC 6749, section 5.2), with what Google and Microsoft add to it.
///
/// Its texts come from the network: they are cut to a bearable length and hold no control
/// characters. One that repeats a secret that was sent, or a piece of it, in whatever form, is left out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Refusal {
    /// `error`, such as `invalid_grant`.
    pub error: String,
    /// `error_subtype` of Google's, `suberror` of Microsoft's.
    pub subtype: Option<String>,
    /// `error_description`, in the provider's words.
    pub description: Option<String>,
    /// `error_uri`.
    pub uri: Option<String>,
}

/// Names by which something is decided. They are words of the protocol, and no server repeats with them
/// what it was sent, even if they are in a secret that somebody made up.
const NAMES: [&str; 20] = [
    "access_denied",
    "account_selection_required",
    "admin_policy_enforced",
    "authorization_pending",
    "consent_required",
    "deleted_client",
    "expired_token",
    "interaction_required",
    "invalid_client",
    "invalid_grant",
    "invalid_rapt",
    "invalid_token",
    "login_required",
    "rapt_required",
    "redirect_uri_mismatch",
    "server_error",
    "slow_down",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// Who has to do something about a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Remedy {
    /// The owner of the mailbox has to consent again; the token at hand will not work again.
    Consent,
    /// The application or its settings have to be put right. Nothing is said about the grant.
    Client,
    /// Trying again later may help.
    Wait,
}

impl Refusal {
    /// Who has to act. Decided by the names of errors, never by texts: the same error has had
    /// different texts within a day.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self.error.as_str() {
            "invalid_grant"
            | "access_denied"
            | "interaction_required"
            | "login_required"
            | "consent_required"
            | "account_selection_required"
            | "admin_policy_enforced"
            | "expired_token" => Remedy::Consent,
            "temporarily_unavailable" | "server_error" | "slow_down" | "authorization_pending" => {
                Remedy::Wait
            }
            // `invalid_client`, `unauthorized_client`, `deleted_client`, `invalid_scope`,
            // `org_internal`, and whatever is new: no reason to give a good token up.
            _ => Remedy::Client,
        }
    }

    /// Whether it is about the refresh token itself, so that the same one need not be tried again.
    /// Who was declined or has to log in may be let through later with the token at hand.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.error.as_str(), "invalid_grant" | "expired_token")
    }

    /// Reads the body of an answer as an error, if it is one.
    pub(crate) fn read(body: &[u8], sent: &[&Secret]) -> Option<Self> {
        let object = Object::read(body).filter(|object| object.is_whole)?;
        let error = object.text("error").filter(|error| !error.is_empty())?;
        // What is no text is left out: `error` alone decides.
        let subtype = object.text("error_subtype").or_else(|| object.text("suberror"));
        Some(Self::from_parts(
            &error,
            subtype.as_deref(),
            object.text("error_description").as_deref(),
            object.text("error_uri").as_deref(),
            sent,
        ))
    }

    pub(crate) fn from_parts(
        error: &str,
        subtype: Option<&str>,
        description: Option<&str>,
        uri: Option<&str>,
        sent: &[&Secret],
    ) -> Self {
        let clean = |text: &str, longest| match NAMES.contains(&text) {
            true => text.to_owned(),
            false => clean(text, longest, sent),
        };
        let some = |text: Option<&str>, longest| {
            text.map(|text| clean(text, longest)).filter(|text| !text.is_empty())
        };
        Self {
            error: clean(error, 100),
            subtype: some(subtype, 100),
            description: some(description, 600),
            uri: some(uri, 300),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)?;
        if let Some(subtype) = &self.subtype {
            write!(f, " ({subtype})")?;
        }
        if let Some(description) = &self.description {
            write!(f, ": {description}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<Refusal> {
        Refusal::read(body.as_bytes(), &[])
    }

    #[test]
    fn google_and_microsoft_are_read_alike() {
        let google = read(r#"{"error":"invalid_grant","error_subtype":"invalid_rapt","error_description":"reauth related error","x":[1]}"#).unwrap();
        assert_eq!(google.to_string(), "invalid_grant (invalid_rapt): reauth related error");
        assert_eq!(google.remedy(), Remedy::Consent);
        let microsoft = read(r#"{"error":"invalid_grant","error_description":"AADSTS50076: MFA.\r\nTrace ID: 1","error_codes":[50076],"suberror":"basic_action","claims":"{\"access_token\":{}}"}"#).unwrap();
        assert_eq!(microsoft.subtype.as_deref(), Some("basic_action"));
        assert_eq!(microsoft.description.as_deref(), Some("AADSTS50076: MFA. Trace ID: 1"));
    }

    /// A number for a description made an `invalid_grant` an outage that is tried again for ever.
    #[test]
    fn odd_members_beside_an_error_do_not_hide_it() {
        let odd = [
            r#"{"error":"invalid_grant","error_description":123,"error_uri":["a"]}"#,
            r#"{"error":"invalid_grant","suberror":"a","error_subtype":"b"}"#,
            r#"{"error":"x","error":"invalid_grant","error_description":null}"#,
        ];
        for body in odd {
            assert_eq!(read(body).unwrap().remedy(), Remedy::Consent, "{body}");
        }
        assert_eq!(read(odd[1]).unwrap().subtype.as_deref(), Some("b"));
    }

    #[test]
    fn what_is_no_error_is_none() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"error":""}"#,
            r#"{"error":{"code":1}}"#,
            r#"{"error":"a""#,
        ] {
            assert!(read(body).is_none(), "{body}");
        }
    }

    #[test]
    fn new_names_never_give_a_grant_up() {
        for error in ["invalid_client", "unheard_of", "invalid_request"] {
            let refusal = Refusal { error: error.to_owned(), ..Refusal::default() };
            assert_eq!(refusal.remedy(), Remedy::Client);
        }
    }

    #[test]
    fn a_secret_of_common_words_changes_no_decision() {
        let secret = Secret::copied_from(b"invalid_grant client");
        let body = br#"{"error":"invalid_grant","error_description":"Invalid grant"}"#;
        let refusal = Refusal::read(body, &[&secret]).unwrap();
        assert_eq!(refusal.remedy(), Remedy::Consent);
        assert_eq!(refusal.description.as_deref(), Some(crate::words::REPEATED));
    }

    #[test]
    fn texts_cannot_paint_the_terminal_or_repeat_a_secret() {
        let secret = Secret::copied_from(b"1//refresh");
        let body = "{\"error\":\"a\\u001b[31mb\\u202e\",\"error_description\":\"got 1//refresh\"}";
        let refusal = Refusal::read(body.as_bytes(), &[&secret]).unwrap();
        assert_eq!(refusal.error, "a [31mb");
        assert_eq!(refusal.description.as_deref(), Some(crate::words::REPEATED));
    }
}

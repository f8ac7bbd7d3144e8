//! The shapes of secrets: tokens that their issuers have marked, keys, and URLs that are secrets.
//!
//! The list stands in docs/reference.md.

/// Whether a value has the shape of a token or a private key.
pub(crate) fn is_secret_value(value: &str) -> bool {
    // Most values begin with another letter than all of them.
    let may_begin = value.bytes().next().is_some_and(|b| BEGINS_TOKEN[usize::from(b)]);
    (may_begin && TOKENS.iter().any(|token| token.is(value)))
        || is_private_key(value)
        || is_signed_token(value.as_bytes())
        || is_entra_secret(value)
        || is_webhook(value)
}

/// Whether a value is the URL of a webhook of Slack or Discord: whoever knows it can write there.
pub(super) fn is_webhook(value: &str) -> bool {
    let Some(path) = WEBHOOKS.iter().find_map(|url| value.strip_prefix(url)) else { return false };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let key = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let is_key =
        key.len() >= 8 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    // Documentation writes XXXX.
    is_key && path.contains('/') && key.bytes().any(|b| b != key.as_bytes()[0])
}

fn is_private_key(value: &str) -> bool {
    value.trim_start().starts_with("-----BEGIN ") && value.contains("PRIVATE KEY-----")
}

/// A JSON Web Token, RFC 7519: three parts, the first a base64url-encoded JSON object.
pub(crate) fn is_signed_token(value: &[u8]) -> bool {
    let is_part = |part: &[u8]| {
        part.len() > 10 && part.iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b))
    };
    let mut parts = value.split(|&b| b == b'.');
    value.starts_with(b"eyJ")
        && (0..3).all(|_| parts.next().is_some_and(is_part))
        && parts.next().is_none()
}

/// What Microsoft Entra gives applications: 40 characters, of which the fourth to sixth are `8Q~` or
/// the like.
fn is_entra_secret(value: &str) -> bool {
    let bytes = value.as_bytes();
    (34..=44).contains(&bytes.len())
        && bytes[3].is_ascii_digit()
        && &bytes[4..6] == b"Q~"
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(b))
}

/// The beginning of a token, how many letters follow at least, and what they are. Many beginnings are
/// common words: `npm_config_yes`, `hf_transfer`, `sk-ant-`.
pub(crate) struct Token(pub(crate) &'static str, usize, Rest);

/// What follows the beginning of a token.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Rest {
    Alphanumeric,
    /// All but white space.
    Any,
    /// Capital letters, digits and `-`.
    Capitals,
    /// Letters, digits, `-`, `_` and `=`.
    Word,
}

impl Token {
    fn is(&self, value: &str) -> bool {
        let Self(prefix, least, rest) = self;
        let Some(text) = value.strip_prefix(prefix) else { return false };
        let fits = |b: &u8| match rest {
            Rest::Any => true,
            Rest::Alphanumeric => b.is_ascii_alphanumeric(),
            Rest::Capitals => b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'-',
            Rest::Word => b.is_ascii_alphanumeric() || b"-_=".contains(b),
        };
        // Documentation writes xxxx.
        let last = text.bytes().last();
        text.bytes().take_while(fits).count() >= *least
            && !value.contains(char::is_whitespace)
            && text.bytes().skip(2).any(|b| Some(b) != last)
    }
}

/// How tokens begin that their issuers have marked, and what follows at least.
pub(crate) const TOKENS: &[Token] = &[
    Token("1//0", 8, Rest::Any),
    Token("AGE-SECRET-KEY-", 58, Rest::Capitals),
    Token("AIza", 8, Rest::Any),
    Token("ATATT3", 40, Rest::Word),
    Token("GOCSPX-", 8, Rest::Any),
    Token("SG.", 8, Rest::Any),
    Token("dckr_pat_", 20, Rest::Word),
    Token("dop_v1_", 8, Rest::Any),
    Token("gho_", 8, Rest::Any),
    Token("ghp_", 8, Rest::Any),
    Token("ghs_", 8, Rest::Any),
    Token("ghu_", 8, Rest::Any),
    Token("github_pat_", 8, Rest::Any),
    Token("gldt-", 20, Rest::Word),
    Token("glpat-", 8, Rest::Any),
    Token("glrt-", 20, Rest::Word),
    Token("glsa_", 32, Rest::Alphanumeric),
    Token("hf_", 34, Rest::Alphanumeric),
    Token("hvs.", 8, Rest::Any),
    Token("npm_", 36, Rest::Alphanumeric),
    Token("pypi-", 40, Rest::Word),
    Token("rk_live_", 8, Rest::Any),
    Token("shpat_", 32, Rest::Alphanumeric),
    Token("sk-ant-", 20, Rest::Word),
    Token("sk-proj-", 20, Rest::Word),
    Token("sk_live_", 8, Rest::Any),
    Token("whsec_", 24, Rest::Alphanumeric),
    Token("xapp-", 8, Rest::Any),
    Token("xoxb-", 8, Rest::Any),
    Token("xoxp-", 8, Rest::Any),
    Token("ya29.", 8, Rest::Any),
];

/// The letters that [`TOKENS`] begin with.
pub(super) const BEGINS_TOKEN: [bool; 256] = {
    let mut marked = [false; 256];
    let mut number = 0;
    while number < TOKENS.len() {
        marked[TOKENS[number].0.as_bytes()[0] as usize] = true;
        number += 1;
    }
    marked
};

/// How the URLs of webhooks begin.
const WEBHOOKS: &[&str] = &[
    "https://discord.com/api/webhooks/",
    "https://discordapp.com/api/webhooks/",
    "https://hooks.slack.com/",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_by_what_follows_their_beginnings() {
        for value in [
            "https://discord.com/api/webhooks/123456789012345678/abCd-efGh_ijkLmnop?wait=true",
            "AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSAAAAAA",
            "AGE-SECRET-KEY-PQ-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSAAAAAA",
            "ATATT3xFfGF0abcdefghijklmnopqrstuvwxyz-_0123456789=ABCDEF12",
            "dckr_pat_abCdefGhijkLmnopqRstuvwx123",
            "gldt-abCdefGhijkLmnopqRst",
            "glrt-abCdefGhijkLmnopqRst",
            "glsa_abCdefGhijkLmnopqRstuvwxyz012345_0a1b2c3d",
            "hf_abCdefGhijkLmnopqRstuvwxyzABCDEFGH",
            "npm_abCdefGhijkLmnopqRstuvwxyz0123456789",
            "shpat_0123456789abcdef0123456789abcdef",
            "sk-ant-api03-abCdefGhijkLmnop",
            "sk-proj-abCdefGhijkLmnopqRst",
            "whsec_abCdefGhijkLmnopqRstuvwx",
        ] {
            assert!(is_secret_value(value), "{value}");
        }
        for value in [
            // npm's own variables were tokens.
            "npm_config_yes=true",
            "npm_config_registry=https://example.com/abcdefghijklmnopqrstuvw",
            "npm_package_json",
            "hf_transfer_is_a_package_of_a_long_name",
            "pypi-attestations==0.0.27",
            "whsec_",
            "glrt-xxxxxxxxxxxxxxxxxxxx",
            "ghp_XXXXXXXXXXXX",
            "AGE-SECRET-KEY-1",
            "https://discord.com/api/webhooks/ID/{TOKEN}",
        ] {
            assert!(!is_secret_value(value), "{value}");
        }
    }
}

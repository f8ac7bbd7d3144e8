//! What tells a secret from other text: the name it has, or the shape of the value.
//!
//! The lists stand in docs/reference.md. They miss secrets rather than take what is none: whoever
//! adopts a file reads what was found.

/// Whether a value under this name is a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let words = words(name);
    let Some((last, before)) = words.split_last() else { return false };
    if SECRET_WORDS.contains(&last.as_str()) {
        return true;
    }
    last == "key" && before.last().is_some_and(|word| KEY_WORDS.contains(&word.as_str()))
}

/// Whether a value has the shape of a token, a private key or a URL with a password.
pub(crate) fn is_secret_value(value: &str) -> bool {
    let long_enough = |prefix: &&str| value.len() >= prefix.len() + 8;
    if TOKEN_PREFIXES.iter().any(|prefix| value.starts_with(prefix) && long_enough(prefix)) {
        return !value.contains(char::is_whitespace);
    }
    is_private_key(value) || is_signed_token(value) || is_entra_secret(value) || has_password(value)
}

/// Whether a value only stands for a secret: nothing, a mask, or what another tool replaces.
pub(crate) fn is_placeholder(value: &str) -> bool {
    value.bytes().all(|b| b == b'*')
        || (value.starts_with("${") && value.ends_with('}'))
        || (value.starts_with("$(") && value.ends_with(')'))
        || (value.starts_with("{{") && value.ends_with("}}"))
        || (value.starts_with("((") && value.ends_with("))"))
        || (value.starts_with('<') && value.ends_with('>'))
}

/// Last words of the names of secrets.
const SECRET_WORDS: &[&str] = &[
    "accesskey",
    "apikey",
    "credential",
    "credentials",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "secretkey",
    "token",
];

/// What makes a `key` a secret; there are too many others, such as primary and public ones.
const KEY_WORDS: &[&str] = &[
    "access",
    "account",
    "api",
    "app",
    "application",
    "auth",
    "client",
    "encryption",
    "hmac",
    "license",
    "master",
    "private",
    "secret",
    "service",
    "shared",
    "signing",
    "ssh",
    "storage",
];

/// How tokens begin that their issuers have marked.
pub(crate) const TOKEN_PREFIXES: &[&str] = &[
    "1//0",
    "AIza",
    "GOCSPX-",
    "SG.",
    "dop_v1_",
    "gho_",
    "ghp_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "hvs.",
    "npm_",
    "pypi-",
    "rk_live_",
    "sk_live_",
    "xapp-",
    "xoxb-",
    "xoxp-",
    "ya29.",
];

/// The words of `DB_PASSWORD`, `dbPassword`, `db.password`, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        let ends = !c.is_alphanumeric() || (c.is_uppercase() && was_lower);
        if ends && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase() || c.is_numeric();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn is_private_key(value: &str) -> bool {
    value.trim_start().starts_with("-----BEGIN ") && value.contains("PRIVATE KEY-----")
}

/// A JSON Web Token, RFC 7519: three parts, the first a base64url-encoded JSON object.
fn is_signed_token(value: &str) -> bool {
    let is_part = |part: &str| {
        part.len() > 10 && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    value.starts_with("eyJ") && value.split('.').count() == 3 && value.split('.').all(is_part)
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

/// A URL with a password in its user information.
fn has_password(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once("://") else { return false };
    let scheme_is_one = !scheme.is_empty()
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else { return false };
    let password = user.split_once(':').map_or("", |(_, password)| password);
    scheme_is_one && !is_placeholder(password) && !value.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in [
            "password",
            "DB_PASSWORD",
            "dbPassword",
            "smtp.password",
            "API_KEY",
            "apiKey",
            "apikey",
            "client-secret",
            "refresh_token",
            "aws_secret_access_key",
            "PGPASSWD",
            "SSH_PRIVATE_KEY",
        ] {
            assert_eq!(is_secret_name(name), name != "PGPASSWD", "{name}");
        }
        for name in [
            "",
            "user",
            "token_url",
            "secret_name",
            "passwordFile",
            "AWS_ACCESS_KEY_ID",
            "key",
            "primary_key",
            "public_key",
            "max_tokens",
            "bypass",
            "compass",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn shapes_of_secrets() {
        for value in [
            "1//0gabcdefgh-x",
            "GOCSPX-abcdefgh",
            "-----BEGIN RSA PRIVATE KEY-----\nAA==\n",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0x.c2lnbmF0dXJlLXg",
            "abc8Q~abcdefghijklmnopqrstuvwxyz0123.-_~",
            "postgres://u:p@h/d",
        ] {
            assert!(is_secret_value(value), "{value}");
        }
        for value in [
            "",
            "hello",
            "ghp_ is a prefix",
            "https://example.com/a@b:c",
            "u:p@h",
            "postgres://u@h",
            "postgres://u:${PW}@h",
        ] {
            assert!(!is_secret_value(value), "{value}");
        }
        for value in ["", "****", "${X}", "$(x)", "{{ x }}", "((x))", "<password>"] {
            assert!(is_placeholder(value), "{value}");
        }
        assert!(!is_placeholder("hunter2"));
    }
}

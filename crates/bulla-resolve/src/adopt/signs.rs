//! What tells a secret from other text: the name it has, or the shape of the value.
//!
//! The lists stand in docs/reference.md. They miss secrets rather than take what is none: whoever
//! adopts a file reads what was found.

use std::ops::Range;

use super::otherwise::{is_named_otherwise, is_no_secret, is_public};
use super::shapes::{BEGINS_TOKEN, TOKENS, is_secret_value};
use crate::indirect::indirect;

/// Whether a value is a secret by its name: some names are those of other things too, which the form of
/// the value tells.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    is_secret_name(name) && !is_named_otherwise(name, value.trim())
}

/// Whether a value is a secret where each one is, whatever its name, as in a Secret of Kubernetes. What is
/// none under the name of a secret is none there either, nor are certificates and public keys.
pub(super) fn is_secret_anywhere(value: &str) -> bool {
    let value = value.trim();
    !is_placeholder(value) && !is_no_secret(value) && !is_public(value)
}

/// Whether a value under this name may be a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    // Most names are none, and taking them apart is slow.
    if name.is_ascii() && !ends_like_secret(name) {
        return false;
    }
    let mut words = words(name);
    // What names the bytes of a key names the key: `client-key-data` of Kubernetes.
    if words.last().is_some_and(|word| word == DATA) {
        words.pop();
        if words.last().is_none_or(|word| word != "key") {
            return false;
        }
    }
    let Some((last, before)) = words.split_last() else { return false };
    // Alone, it is a country.
    if last == "pw" && before.is_empty() {
        return false;
    }
    // `PGPASSWORD` and `rootpassword` are written as one word.
    if SECRET_WORDS.contains(&last.as_str()) || last.ends_with(PASSWORD) {
        return true;
    }
    last == "key" && before.last().is_some_and(|word| KEY_WORDS.contains(&word.as_str()))
}

/// Whether the letters at the end of an ASCII name are those of a word that tells a secret.
fn ends_like_secret(name: &str) -> bool {
    let name = name.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).as_bytes();
    // Most names end with another letter than all of them.
    if !name.last().is_some_and(|b| ENDS_SECRET[usize::from(b.to_ascii_lowercase())]) {
        return false;
    }
    let is_end = |word: &&str| {
        let word = word.as_bytes();
        name.len() >= word.len() && name[name.len() - word.len()..].eq_ignore_ascii_case(word)
    };
    SECRET_WORDS.iter().any(is_end) || is_end(&"key") || is_end(&DATA)
}

/// Whether a value is so plain that only its name can tell that it is a secret, or stands for one. Most
/// values are, and to look at their bytes once is quicker than everything else.
pub(super) fn is_plain(value: &[u8]) -> bool {
    // Signed tokens begin with `eyJ`.
    let begins = |&b: &u8| BEGINS_TOKEN[usize::from(b)] || b == b'e';
    !value.first().is_some_and(begins)
        // Most are short, and without a branch for each byte that is quicker than to stop early.
        && value.iter().fold(true, |all, &b| all & PLAIN[usize::from(b)])
}

/// Whether a text has the shape of a secret, so that it should not stand where a name or something
/// public belongs. It misses secrets rather than take a name such as `npm_registry_token` for one.
#[must_use]
pub fn looks_secret(text: &str) -> bool {
    let is_words = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b"-_.".contains(&b));
    let begins_name = TOKENS.iter().any(|token| is_words(token.0) && text.starts_with(token.0));
    let is_name = begins_name && is_words(text);
    (is_secret_value(text) || password_in_url(text).is_some()) && !is_name
}

/// The passwords in the parameters of a JDBC URL, `jdbc:postgresql://h/d?password=p` or
/// `jdbc:sqlserver://h;password=p`: their names and where they stand.
pub(crate) fn passwords_in_jdbc(url: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    let is_one = url.starts_with(JDBC);
    let ends = |c: char| matches!(c, '?' | '&' | ';' | '#');
    let mut at = 0;
    url.split(ends).skip(1).filter_map(move |parameter| {
        // The parameters are parts of the URL, in order.
        at += url[at..].find(ends)? + 1;
        let (name, value) = parameter.split_once('=')?;
        let start = at + name.len() + 1;
        // `sslpassword` is one word.
        let is_password = name.to_ascii_lowercase().ends_with("password") || is_secret_name(name);
        (is_one && is_password && is_literal(value)).then_some((name, start..start + value.len()))
    })
}

/// Whether a value only stands for a secret: nothing, a mask, or what another tool replaces or has
/// encrypted.
pub(crate) fn is_placeholder(value: &str) -> bool {
    let variable = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    value.bytes().all(|b| b == b'*')
        || value.bytes().all(|b| b == b'.')
        || value.strip_prefix('$').is_some_and(variable)
        || (value.starts_with("${") && value.ends_with('}'))
        || (value.starts_with("$(") && value.ends_with(')'))
        || (value.starts_with("{{") && value.ends_with("}}"))
        || (value.starts_with("((") && value.ends_with("))"))
        || value.strip_prefix("#{").is_some_and(|rest| {
            let name = rest.strip_suffix('#').unwrap_or(rest).strip_suffix('}');
            name.is_some_and(|name| variable(&name.replace('.', "_")))
        })
        || (value.starts_with('<') && value.ends_with('>'))
        // Maven's and CMake's, with a name between them.
        || (value.len() > 2 && value.starts_with('@') && value.ends_with('@') && is_dotted(value))
        || says_what_stands_there(value)
        || indirect(value).is_some()
}

/// Whether a value only says what is to stand there: `xxxxxxxx`, `your-token`, `CHANGE_ME`, `[password]`. Not
/// `changeme`, which is used.
fn says_what_stands_there(value: &str) -> bool {
    let first = value.bytes().next().unwrap_or_default();
    let is_repeated =
        value.len() >= 4 && !first.is_ascii_digit() && value.bytes().all(|b| b == first);
    let is_words =
        |text: &str| text.bytes().all(|b| b.is_ascii_alphabetic() || b" _-".contains(&b));
    if is_repeated || !is_words(value.trim_matches(['[', ']'])) {
        return is_repeated;
    }
    let is_yours = value.get(..4).is_some_and(|your| your.eq_ignore_ascii_case("your"))
        && (value[4..].starts_with([' ', '_', '-'])
            || (value.starts_with("your") && value[4..].starts_with(char::is_uppercase))
            || is_secret_name(&value[4..]));
    let is_in_brackets = value.len() > 2 && value.starts_with('[') && value.ends_with(']');
    is_yours || is_in_brackets || TO_DO.iter().any(|word| value.eq_ignore_ascii_case(word))
}

fn is_dotted(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_alphanumeric() || b"@._-".contains(&b))
}

/// Whether a piece of a text is what it says, and nothing in it is replaced by another tool.
pub(crate) fn is_literal(value: &str) -> bool {
    !is_placeholder(value) && !["${", "$(", "{{", "(("].iter().any(|open| value.contains(open))
}

/// How long the rest of a URL is that begins with the `://` at the start of `text`: to where `ends` says,
/// or to the comma or semicolon before the next URL of a list.
pub(crate) fn url_length(text: &[u8], ends: impl Fn(usize) -> bool) -> usize {
    /// No scheme is longer.
    const SCHEME: usize = 32;
    let is_next = |at: usize| {
        let rest = &text[at + 1..];
        let is_scheme = |b: &&u8| b.is_ascii_alphanumeric() || b"+.-".contains(b);
        let scheme = rest.iter().take(SCHEME).take_while(is_scheme).count();
        scheme > 0 && rest[scheme..].starts_with(b"://")
    };
    let end = |&at: &usize| ends(at) || (matches!(text[at], b',' | b';') && is_next(at));
    (0..text.len()).find(end).unwrap_or(text.len())
}

/// Where the password stands in a URL with one in its user information.
pub(crate) fn password_in_url(value: &str) -> Option<Range<usize>> {
    memchr::memchr(b':', value.as_bytes())?;
    let (scheme, rest) = value.split_at(memchr::memmem::find(value.as_bytes(), b"://")?);
    let rest = &rest["://".len()..];
    let scheme_is_one = !scheme.is_empty()
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, _) = authority.rsplit_once('@')?;
    let (name, password) = user.split_once(':')?;
    let start = scheme.len() + "://".len() + name.len() + 1;
    let is_one = scheme_is_one
        && is_literal(password)
        && !value.contains(char::is_whitespace)
        && !is_example(name, password);
    is_one.then_some(start..start + password.len())
}

/// Whether the login of a URL only says what stands there: `user:password@`, or `[user[:password]@]host`.
fn is_example(user: &str, password: &str) -> bool {
    let is = |words: &[&str], text: &str| {
        let text = text.trim_matches(['[', ']']);
        words.iter().any(|word| text.eq_ignore_ascii_case(word))
    };
    is(&["user", "username"], user) && is(PASSWORD_WORDS, password)
}

/// What asks for another value.
const TO_DO: &[&str] = &["change-me", "change_me", "replace-me", "replace_me", "todo"];

/// What a password is called where none is shown.
const PASSWORD_WORDS: &[&str] = &["pass", "passwd", "password", "pwd"];

/// What URLs for JDBC begin with.
pub(crate) const JDBC: &str = "jdbc:";

/// The last word of a name for the bytes of something.
const DATA: &str = "data";

/// Last words of the names of secrets.
const SECRET_WORDS: &[&str] = &[
    "accesskey",
    "apikey",
    "bindpw",
    "credential",
    "credentials",
    "dbpass",
    "dnpass",
    "identitytoken",
    "masterauth",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "presharedkey",
    "privatekey",
    "psk",
    "pw",
    "pwd",
    "registrytoken",
    "requirepass",
    "rootpw",
    "secret",
    "secretkey",
    "sshpass",
    "token",
];

/// What the last word of a name may end with, too.
const PASSWORD: &str = "password";

/// What makes a `key` a secret; there are too many others, such as primary and public ones.
const KEY_WORDS: &[&str] = &[
    "access",
    "account",
    "api",
    "app",
    "application",
    "auth",
    "client",
    "deploy",
    "encrypt",
    "encryption",
    "hmac",
    "jwt",
    "license",
    "master",
    "preshared",
    "private",
    "secret",
    "service",
    "shared",
    "signing",
    "ssh",
    "storage",
];

/// What plain values are made of. Nothing that is no secret itself and holds one is without another sign:
/// URLs, options, lists of settings, placeholders, what other tools have encrypted or put there.
const PLAIN: [bool; 256] = {
    let mut marked = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        marked[byte] =
            (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'.' | b'_');
        byte += 1;
    }
    marked
};

/// The letters that the last words of names of secrets end with.
const ENDS_SECRET: [bool; 256] = {
    // Those of `key` and [`DATA`].
    let mut marked = [false; 256];
    marked[b'y' as usize] = true;
    marked[b'a' as usize] = true;
    let mut number = 0;
    while number < SECRET_WORDS.len() {
        let word = SECRET_WORDS[number].as_bytes();
        marked[word[word.len() - 1] as usize] = true;
        number += 1;
    }
    marked
};

/// The words of `DB_PASSWORD`, `dbPassword`, `db.password`, in lower case.
pub(crate) fn words(name: &str) -> Vec<String> {
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
            "SSH_PRIVATE_KEY",
            "PGPASSWORD",
            "rootpassword",
            "DBPASS",
            "SSHPASS",
            "requirepass",
            "masterauth",
            "bind_pw",
            "bindpw",
            "adminPw",
            "rootpw",
            "dnpass",
            "wpa_psk",
            "PresharedKey",
            "jwt_key",
            "DEPLOY_KEY",
            "encryptKey",
        ] {
            assert!(is_secret_name(name), "{name}");
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
            "client-certificate-data",
            "secret-data",
            "public-key-data",
            "bypass",
            "compass",
            "PW",
            "hpw",
            "key_pws",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn passwords_of_jdbc_urls() {
        let found = |url: &str| {
            let found =
                passwords_in_jdbc(url).map(|(name, range)| format!("{name} {}", &url[range]));
            found.collect::<Vec<_>>().join(", ")
        };
        for (url, passwords) in [
            (
                "jdbc:postgresql://h/d?user=u&password=p%20q&sslpassword=s",
                "password p%20q, sslpassword s",
            ),
            ("jdbc:sqlserver://h:1433;databaseName=d;password=p=q;", "password p=q"),
            ("jdbc:mysql://h/d?password=${PW}&x=y", ""),
            ("jdbc:mysql://h/d?password=", ""),
            ("https://h/d?password=p", ""),
        ] {
            assert_eq!(found(url), passwords, "{url}");
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
            "https://hooks.slack.com/services/T0AB1CD2E/B0AB1CD2E/abCdefGhijkLmnopqRstuvwx",
        ] {
            assert!(is_secret_value(value), "{value}");
        }
        let url = "postgres://u:p:p@h/d";
        assert_eq!(password_in_url(url).map(|range| &url[range]), Some("p:p"));
        for value in [
            "",
            "hello",
            "ghp_ is a prefix",
            "https://example.com/a@b:c",
            "u:p@h",
            "postgres://u@h",
            "postgres://u:${PW}@h",
            "postgres://u:$PW@h",
            "postgres://u:a${PW}@h",
            "postgres://u:@h",
            "postgres://user:password@h/d",
            "http://Username:PASS@h",
            "news://][username[:password]@]server",
            "http://[user:passwd@]h",
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
            "https://hooks.slack.com/services/${T}/${B}/${KEY}",
            "https://hooks.slack.com/",
        ] {
            assert!(!is_secret_value(value) && password_in_url(value).is_none(), "{value}");
        }
        for text in ["GOCSPX-abcdefg1", "postgres://u:p@h/d"] {
            assert!(looks_secret(text), "{text}");
        }
        for value in ["", "value-12345", "linter2", "7.2.3", "E", "vault", "v".repeat(40).as_str()]
        {
            let is_other = is_secret_value(value) || password_in_url(value).is_some();
            assert!(
                is_plain(value.as_bytes()) && !is_other && indirect(value).is_none(),
                "{value}"
            );
        }
        for value in [
            "1//0gabcdefgh-x",
            "SG.abcdefgh",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0x.c2lnbmF0dXJlLXg",
            "abc8Q~abcdefghijklmnopqrstuvwxyz0123.-_~",
            "--password=x",
            "a:b@c",
            "ENC(x)",
            "a b",
            "\u{e9}",
        ] {
            assert!(!is_plain(value.as_bytes()), "{value}");
        }
        assert!(TOKENS.iter().all(|token| !is_plain(token.0.as_bytes())));
        for text in ["npm_registry_token", "pypi-password", "client-secret", "bulla://a@b/c"] {
            assert!(!looks_secret(text), "{text}");
        }
        for value in
            ["", "****", "$X_1", "${X}", "$(x)", "{{ x }}", "((x))", "<password>", "...", "#{x}#"]
        {
            assert!(is_placeholder(value), "{value}");
        }
        // Texts left some of these out, and all other formats none.
        for value in [
            "xxxxxxxx",
            "XXXX",
            "----",
            "your-secret-here",
            "YOUR_TOKEN",
            "yourTokenHere",
            "yourpassword",
            "REPLACE_ME",
            "change-me",
            "TODO",
            "[password]",
            "[your password]",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        // A bracket in a user's name made an example of a login.
        for url in [
            "postgres://user:hunter2@h",
            "postgres://root:password@h",
            "postgres://svc[eu:Hunter2!x@db/d",
            "postgres://[user:Hunter2!x@]db/d",
        ] {
            assert!(password_in_url(url).is_some(), "{url}");
        }
        // What begins and ends as another tool's variable was one, whatever stood between.
        for value in ["#{Tr0ub4dor&3}", "#{a}Hunter2x9#{b}", "#{}", "#{a}##"] {
            assert!(!is_placeholder(value), "{value}");
        }
        for value in ["#{Db.Password_1}", "#{x}"] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in [
            "hunter2",
            "$2y$10$x",
            "$",
            "#",
            "a.",
            "xxx",
            "0000",
            "changeme",
            "yourself",
            "your_pw1",
            "[hunter2]",
            "[]",
            "[x",
            "youré",
        ] {
            assert!(!is_placeholder(value), "{value}");
        }
    }
}

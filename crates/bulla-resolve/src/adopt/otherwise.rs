//! What has the name of a secret, or stands where secrets do, and is none: the form of a value tells it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::signs::{is_secret_name, words};
use crate::format::Format;

/// What sort of file it is, for what its names say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    All,
    /// `package.json`, whose scripts have names of what they do, and whose dependencies those of packages.
    Package,
    /// Texts of a user interface, in a language.
    Translation,
}

impl Scope {
    pub(super) fn of(name: &str, format: Format) -> Self {
        let has_texts = matches!(
            format,
            Format::Json
                | Format::Jsonc
                | Format::Properties
                | Format::Toml
                | Format::Xml
                | Format::Yaml
        );
        let mut parts: Vec<_> = name.split(['/', '\\']).map(str::to_ascii_lowercase).collect();
        let file = parts.pop().unwrap_or_default();
        if file == "package.json" {
            return Self::Package;
        }
        let stem = file.rsplit_once('.').map_or(&*file, |(stem, _)| stem);
        let is_texts = |name: &str| TEXTS.contains(&name);
        // `i18n/pt-BR/app.yaml`, `locales/de.json`, `config/locales/app.de.yml`
        let ends = [stem, stem.rsplit_once('.').map_or(stem, |(_, end)| end)];
        let in_folder = parts.windows(2).any(|pair| is_texts(&pair[0]) && is_language(&pair[1]))
            || (parts.last().is_some_and(|folder| is_texts(folder))
                && ends.into_iter().any(is_language));
        // `messages_de.properties`
        let by_file = stem
            .split_once(['.', '_', '-'])
            .is_some_and(|(first, rest)| is_texts(first) && is_language(rest));
        if has_texts && (in_folder || by_file) { Self::Translation } else { Self::All }
    }
}

/// Whether a name is that of a language, perhaps with a script and a region: `de`, `pt-br`, `zh_hant_tw`.
fn is_language(name: &str) -> bool {
    let is_letters = |part: &str| part.bytes().all(|b| b.is_ascii_lowercase());
    let mut parts = name.split(['-', '_']).peekable();
    let is_one =
        parts.next().is_some_and(|first| LANGUAGES.split(' ').any(|language| language == first));
    parts.next_if(|part| SCRIPTS.contains(part));
    parts.next_if(|part| {
        (part.len() == 2 && is_letters(part)) || (part.len() == 3 && is_number(part))
    });
    is_one && parts.next().is_none()
}

/// Whether a value in a file of translations is a text for people: words, a word with letters outside of
/// ASCII, or what its name is called. In doubt it is none.
pub(super) fn is_text(name: &str, value: &str) -> bool {
    let value = value.trim();
    if value.contains(char::is_whitespace) {
        return true;
    }
    let is_title = |part: &str| {
        let rest = part.strip_prefix(|c: char| c.is_ascii_uppercase());
        rest.is_some_and(|rest| {
            rest.bytes().all(|b| b.is_ascii_lowercase())
                || rest.bytes().all(|b| b.is_ascii_uppercase())
        })
    };
    // `Passwort` for `password`
    let word = words(name).pop().unwrap_or_default();
    let start: String = word.chars().take(4).collect();
    let parts = || value.trim_end_matches([':', '?']).split('-');
    let is_called =
        parts().all(is_title) && parts().any(|part| part.to_ascii_lowercase().starts_with(&start));
    is_called || (!value.is_ascii() && !value.bytes().any(|b| b.is_ascii_digit()))
}

/// Whether the names around a value in a `package.json` end with that of a script or of a package. What a
/// package is replaced by may be written below the names of others, or of the tool.
pub(super) fn are_names_in_package<'n>(names: impl Iterator<Item = &'n str>) -> bool {
    let mut names = names.skip_while(|name| TOOLS.contains(name));
    let first = names.next().unwrap_or_default();
    match names.count() {
        0 => false,
        1 => OF_PACKAGES.contains(&first) || OF_REPLACED.contains(&first),
        _ => OF_REPLACED.contains(&first),
    }
}

/// What in a `package.json` holds names of scripts or packages.
const OF_PACKAGES: &[&str] =
    &["dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "scripts"];

/// What holds names of packages below one another.
const OF_REPLACED: &[&str] = &["overrides", "resolutions"];

/// What may stand around that.
const TOOLS: &[&str] = &["pnpm"];

/// What folders and files with translations are called.
const TEXTS: &[&str] = &[
    "_locales",
    "i18n",
    "l10n",
    "lang",
    "langs",
    "language",
    "languages",
    "locale",
    "locales",
    "messages",
    "strings",
    "translation",
    "translations",
];

/// The scripts of ISO 15924 that tell translations apart.
const SCRIPTS: &[&str] = &["arab", "cyrl", "hans", "hant", "latn"];

/// ISO 639-1.
const LANGUAGES: &str = "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs \
    cu cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu \
    hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln \
    lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps \
    pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to \
    tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu";

/// Whether a value under the name of a secret is something else: the path of a file with the secret in it,
/// a switch, an amount, the name of an object of Kubernetes, or what the key to a secret is called.
pub(super) fn is_named_otherwise(name: &str, value: &str) -> bool {
    if is_no_secret(value) || is_variable(value) {
        return true;
    }
    let words = words(name);
    let Some((last, before)) = words.split_last() else { return false };
    let follows = |list: &[&str]| before.last().is_some_and(|word| list.contains(&word.as_str()));
    match last.as_str() {
        _ if before.iter().any(|word| CONDITIONS.contains(&word.as_str())) && is_number(value) => {
            true
        }
        "token" if is_number(value) => before.iter().any(|word| AMOUNTS.contains(&word.as_str())),
        // An annotation such as `nginx.ingress.kubernetes.io/auth-secret` may name a namespace, too.
        "secret" if follows(OBJECT_WORDS) || name.contains('/') => {
            value.split('/').all(is_object_name)
        }
        "apikey" | "key" | "token" => {
            let is_words = |b: u8| b.is_ascii_lowercase() || b"-_".contains(&b);
            value.eq_ignore_ascii_case(last)
                || (value.bytes().all(is_words) && is_secret_name(value))
                || (last == "token" && is_name_of_token(value))
        }
        _ => false,
    }
}

/// Whether a value is no secret under any name.
pub(super) fn is_no_secret(value: &str) -> bool {
    is_path(value)
        || is_version(value)
        || SWITCHES.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Whether a value is certificates or public keys in PEM (RFC 7468) and nothing else.
pub(super) fn is_public(value: &str) -> bool {
    let block = |text: &str| -> Option<usize> {
        let (label, behind) = text.strip_prefix("-----BEGIN ")?.split_once("-----")?;
        let end = format!("-----END {label}-----");
        let (body, rest) = behind.split_once(&end)?;
        let is_body = |b: u8| b.is_ascii_alphanumeric() || b"+/=\r\n".contains(&b);
        let is_one = PUBLIC.contains(&label) && body.bytes().all(is_body);
        is_one.then_some(text.len() - rest.trim_start().len())
    };
    let mut rest = value;
    while let Some(length) = block(rest) {
        rest = &rest[length..];
    }
    rest.is_empty() && !value.is_empty()
}

/// Whether a value is what kubeseal makes of a secret: in base64, the length of a key that RSA has
/// encrypted, that key, and what AES-GCM has encrypted with it.
pub(super) fn is_sealed(value: &str) -> bool {
    let sealed = STANDARD.decode(value).unwrap_or_default();
    let [high, low, rest @ ..] = &sealed[..] else { return false };
    let key = usize::from(u16::from_be_bytes([*high, *low]));
    key >= SMALLEST_RSA && rest.len() >= key + TAG
}

/// Whether a value is the path of a file, in one of the folders in which such files lie, or behind a
/// variable. A key in base64 may begin with `/`, too.
fn is_path(value: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/@%+:${}".contains(&b);
    let behind_variable = || {
        let rest = value.strip_prefix("%d").or_else(|| {
            let name = value.strip_prefix('$')?;
            let name = name.strip_prefix('{').unwrap_or(name);
            let rest =
                name.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "._".contains(c));
            (rest.len() < name.len()).then_some(rest.strip_prefix('}').unwrap_or(rest))
        });
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    value.bytes().all(is_plain)
        && (FOLDERS.iter().any(|folder| value.starts_with(folder)) || behind_variable())
}

/// Whether a value is a version of a package, `1.0.0`, or says which will do: `^1.0`.
fn is_version(value: &str) -> bool {
    let number = value.strip_prefix(['^', '~']);
    let is_exact = value.split('.').count() == 3;
    number.or(is_exact.then_some(value)).is_some_and(|number| number.split('.').all(is_number))
}

/// Whether a value is what the variable with a secret is called: `DB_PASSWORD`.
fn is_variable(value: &str) -> bool {
    let is_name = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    value.contains('_') && value.bytes().all(is_name) && is_secret_name(value)
}

/// Whether a value is what a token is called where one asks for the next page: `NextToken`.
fn is_name_of_token(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_alphabetic())
        && words(value).split_last().is_some_and(|(last, before)| {
            last == "token" && !before.is_empty() && before.iter().all(|word| word.len() > 2)
        })
}

fn is_number(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a value has the form of an object's name in Kubernetes (RFC 1123), and not that of a key.
fn is_object_name(value: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && (word.len() < 16 || !word.bytes().any(|b| b.is_ascii_digit()))
    };
    value.split(['-', '.']).all(is_word)
}

/// Values that are switches or say what is done with a secret, and are none.
const SWITCHES: &[&str] = &[
    "false",
    "include",
    "nil",
    "no",
    "none",
    "null",
    "off",
    "omit",
    "on",
    "optional",
    "read",
    "required",
    "same-origin",
    "true",
    "write",
    "yes",
];

/// What in PEM is public.
const PUBLIC: &[&str] = &["CERTIFICATE", "CERTIFICATE REQUEST", "PUBLIC KEY", "X509 CRL"];

/// How long what RSA encrypts is with keys of 2048 bits, and the tag of AES-GCM, in bytes.
const SMALLEST_RSA: usize = 256;
const TAG: usize = 16;

/// What makes a secret something that there may or has to be.
const CONDITIONS: &[&str] = &["allow", "require", "requires", "use"];

/// What makes the amount of something of a `token`.
const AMOUNTS: &[&str] = &["count", "limit", "max", "maximum", "min", "minimum", "number", "per"];

/// What makes a `secret` the name of an object in which one is kept; a client, an application or a token
/// has a secret itself.
const OBJECT_WORDS: &[&str] = &[
    "ca",
    "cert",
    "certificate",
    "credentials",
    "existing",
    "image",
    "password",
    "pull",
    "ssl",
    "tls",
];

/// How the paths of files with secrets in them begin.
const FOLDERS: &[&str] = &[
    "../",
    "./",
    "/dev/",
    "/etc/",
    "/home/",
    "/mnt/",
    "/opt/",
    "/proc/",
    "/root/",
    "/run/",
    "/secrets/",
    "/srv/",
    "/tmp/",
    "/usr/",
    "/var/",
    "/vault/",
    "file:/",
    "~/",
];

#[cfg(test)]
mod tests {
    use super::super::signs::is_secret;
    use super::*;

    #[test]
    fn values_that_names_of_secrets_have_and_are_none() {
        for (name, value) in [
            ("existingSecret", "my-secret"),
            ("imagePullSecret", "regcred"),
            ("tlsSecret", "www.example.com-tls"),
            ("passwordSecret", "db2"),
            ("maxToken", "4096"),
            ("auth_key", "key"),
            ("secretKey", "db-password"),
            ("output_token", "nextToken"),
            ("input_token", "NextContinuationToken"),
            ("db_password", "/run/secrets/db_password"),
            ("ssl_key_password", "file:/etc/pw"),
            ("api_key", "${CREDENTIALS_DIRECTORY}/api"),
            ("api_key", "$D/api"),
            ("api_key", "%d/api"),
            ("auth_token", "none"),
            ("use_password", "True"),
            ("MYSQL_ALLOW_EMPTY_PASSWORD", "1"),
            ("id-token", "write"),
            ("credentials", "include"),
            ("require_password", "required"),
            ("password", "^1.0.0"),
            ("@octokit/auth-token", "6.0.0"),
            ("password", "DB_PASSWORD"),
            ("nginx.ingress.kubernetes.io/auth-secret", "basic-auth"),
            ("nginx.ingress.kubernetes.io/auth-tls-secret", "web/ca"),
            ("privateKey", "${user.home}/.ssh/id_rsa"),
        ] {
            assert!(is_secret_name(name) && !is_secret(name, value), "{name} {value}");
        }
        for (name, value) in [
            ("existingSecret", "Hunter2"),
            ("auth-secret", "basic-auth"),
            ("password", "^hunter2"),
            ("token", "1"),
            ("existingSecret", "0123456789abcdef0"),
            ("clientSecret", "my-secret"),
            ("token_secret", "abc"),
            ("accessToken", "4096"),
            ("password", "password"),
            ("PASSWORD", "PASSWORD"),
            ("password", "10.0"),
            ("password", "A_PASSWORD_B"),
            ("secretKey", "/wJalrXUtnFEMI/K7MDENG/bPxRfiCY"),
            ("password", "/run/secrets and more"),
            ("password", "$D"),
            ("db_password", "4096"),
            ("secretKey", "key1"),
            ("token", "aXbYTokenZ"),
            ("password", "NextToken"),
            ("token", "NextToken1"),
        ] {
            assert!(is_secret(name, value), "{name} {value}");
        }
    }

    #[test]
    fn files_of_translations_are_told_by_their_paths() {
        for name in [
            "locales/de.json",
            "src/lang/ar-SY.json",
            "i18n/zh_TW/translation.json",
            "_locales/en/messages.json",
            "config/locales/devise.de.yml",
            "i18n/zh-Hans/app.json",
            "locales/sr-Latn-RS.yaml",
            "locales/es_419.json",
            "messages_de.properties",
            "messages_pt_BR.properties",
            "strings-de-AT.json",
        ] {
            let format = Format::detect(name, b"").unwrap();
            assert_eq!(Scope::of(name, format), Scope::Translation, "{name}");
        }
        // Names of services and stages made translations of the configurations of theirs.
        for name in [
            "lang/app.json",
            "de/app.yaml",
            "locales/.env",
            "a/locales.d/de.json",
            "de.json",
            "tr/services/messages/qa/values.yaml",
            "services/messages/qa/de/values.yaml",
            "translation-service.yaml",
            "messages-api.yaml",
            "i18n/db.yaml",
            "i18n/de-prod.yaml",
            "messages-prod.properties",
            "messages.yaml",
        ] {
            let format = Format::detect(name, b"").unwrap();
            assert_eq!(Scope::of(name, format), Scope::All, "{name}");
        }
        assert_eq!(Scope::of("a/package.json", Format::Json), Scope::Package);
    }

    #[test]
    fn texts_are_told_from_secrets() {
        for (name, text) in [
            ("password", "Passwort"),
            ("forgotPassword", "Passwort vergessen?"),
            ("new_password", "Password:"),
            ("apiKey", "API-Schlüssel"),
            ("apiKey", "API-Key"),
            ("password", "密码"),
            ("token", "OAuth2 token"),
        ] {
            assert!(is_text(name, text), "{text}");
        }
        for (name, value) in [
            ("password", "hunter2"),
            ("password", "hunter2\n"),
            ("password", "correctHorseBatteryStaple"),
            ("password", "PasswordHunter"),
            ("admin_password", "Administrator"),
            ("password", "Bär2024!"),
            ("token", "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGhIj"),
            ("password", ""),
        ] {
            assert!(!is_text(name, value), "{value}");
        }
    }
}

//! What stands for a secret and is none: the references of other tools, what these have encrypted, and
//! what they replace by a variable or the content of a file.

use crate::adopt::signs::password_in_url;

/// What another tool makes the value of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Indirect {
    /// It has encrypted the value; why that cannot be rewritten as a reference.
    Encrypted(&'static str),
    /// It reads it from a store of secrets.
    Reference,
    /// It reads it from a variable, an option or a file.
    Variable,
}

/// What a whole value is to another tool, if it stands for something else. What every tool has, such as
/// `${NAME}` and `{{ }}`, is told by its braces elsewhere.
pub(crate) fn indirect(value: &str) -> Option<Indirect> {
    let value = value.trim();
    let begins = |start: &str| value.starts_with(start);
    let between = |start: &str, end: &str| begins(start) && value.ends_with(end);
    let found = match value.as_bytes().first()? {
        b'E' if begins("ENC[AES256_GCM,") => Indirect::Encrypted(SOPS),
        b'E' if between("ENC(", ")") => Indirect::Encrypted(JASYPT),
        b'{' if begins("{cipher}") => Indirect::Encrypted(SPRING),
        b'$' if begins("$ANSIBLE_VAULT;") => Indirect::Encrypted(ANSIBLE_VAULT),
        b'$' if begins("$__") && value.ends_with('}') => {
            let provider = value[3..].split('{').next().unwrap_or_default();
            ["env", "file", "vault"].contains(&provider).then_some(Indirect::Variable)?
        }
        b'%' if between("%(", ")s") || between("%{", "}") => Indirect::Variable,
        b'%' => {
            let name = value.strip_prefix('%')?.strip_suffix('%')?;
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_()".contains(&b));
            is_name.then_some(Indirect::Variable)?
        }
        b'o' | b'r' | b's' => {
            let rest = ["op://", "ref+", "secretref+", "secrets+"]
                .iter()
                .find_map(|start| value.strip_prefix(start))?;
            // A login in it is one in clear.
            let is_one = rest.contains('/')
                && !rest.starts_with(char::is_whitespace)
                && password_in_url(value).is_none();
            is_one.then_some(Indirect::Reference)?
        }
        b'v' => is_bank_vaults(value).then_some(Indirect::Reference)?,
        _ => return None,
    };
    Some(found)
}

/// `vault:PATH#KEY` of Bank-Vaults.
pub(crate) fn is_bank_vaults(value: &str) -> bool {
    value.starts_with("vault:") && value.contains('/') && value.contains('#')
}

pub(crate) const SOPS: &str =
    "SOPS has encrypted it: decrypt the file with `sops`, and adopt what comes out";
pub(crate) const ANSIBLE_VAULT: &str =
    "ansible-vault has encrypted it: decrypt it with `ansible-vault`, and adopt what comes out";
const JASYPT: &str = "Jasypt has encrypted it: decrypt it with that, and adopt what comes out";
const SPRING: &str =
    "Spring Cloud Config has encrypted it: decrypt it at its `/decrypt`, and adopt what comes out";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_secret_is_told_from_one() {
        for value in
            ["op://Prod/db/password", "ref+vault://secret/db#/p", "secretref+gcpsecrets://p/s"]
        {
            assert_eq!(indirect(value), Some(Indirect::Reference), "{value}");
        }
        for value in ["secrets+age-import:///k#y", "vault:secret/data/db#password"] {
            assert_eq!(indirect(value), Some(Indirect::Reference), "{value}");
        }
        for value in [
            "ENC[AES256_GCM,data:Tr7o=,iv:1=,tag:k=,type:str]",
            "ENC(G6N718UuyPE5bHyWKyuLQSm02auQPUtm)",
            "{cipher}682bc583f4641835fa2db009355293665d2647dade3375c0ee201de2a49f7bda",
            "$ANSIBLE_VAULT;1.1;AES256\n6231\n",
        ] {
            assert!(matches!(indirect(value), Some(Indirect::Encrypted(_))), "{value}");
        }
        for value in ["$__file{/run/p}", "$__env{P}", "%(password)s", "%DB_PASSWORD%", "%{p}"] {
            assert_eq!(indirect(value), Some(Indirect::Variable), "{value}");
        }
        for value in [
            "",
            "ENC",
            "{cipher",
            "%",
            "%%",
            "%1x%",
            "100%",
            "op://",
            "op:// x/y",
            "ref+vault://u:hunter2@h/p",
            "$__other{x}",
            "vault:x",
            "hunter2",
        ] {
            assert_eq!(indirect(value), None, "{value}");
        }
    }
}

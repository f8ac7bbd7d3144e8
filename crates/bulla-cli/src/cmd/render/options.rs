//! What stands behind the options of `render`, and behind the keys of `bulla.toml` that say the same.

use bulla_resolve::{Format, Owner, Rule};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use nix::unistd::{Gid, Group, Uid, User};

/// Permissions in octal.
pub(crate) fn mode(text: &str) -> Result<u32, &'static str> {
    const WRONG: &str =
        "permissions are written in octal, as 600 or 0640, and give others nothing but reading";
    let mode = u32::from_str_radix(text, 8).map_err(|_| WRONG)?;
    // Nobody needs a secret that everybody can write, or that can be executed.
    if mode & !0o644 == 0 && mode & 0o400 != 0 { Ok(mode) } else { Err(WRONG) }
}

/// The formats by name, for the help and completions too.
pub(crate) fn formats() -> impl TypedValueParser<Value = Format> {
    let names = Format::ALL.iter().map(|format| format.name());
    PossibleValuesParser::new(names)
        .map(|name| Format::named(&name).expect("only names of formats are possible"))
}

/// A user, and perhaps a group, by names or numbers.
pub(crate) fn owner(text: &str) -> Result<Owner, String> {
    let failed = |error: nix::Error| format!("the system cannot look it up: {}", error.desc());
    let (user, group) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
    let found = match user.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(user),
    };
    let found = found.map_err(failed)?;
    let number = user.parse().ok().or(found.as_ref().map(|user| user.uid.as_raw()));
    let Some(number) = number else { return Err("there is no such user".to_owned()) };
    let group = match group {
        None => found.map(|user| user.gid).ok_or("a user without a login needs a group")?,
        Some(group) => match group.parse() {
            Ok(number) => Gid::from_raw(number),
            Err(_) => Group::from_name(group).map_err(failed)?.ok_or("there is no such group")?.gid,
        },
    };
    Ok(Owner { user: number, group: group.as_raw() })
}

/// The format of a name that stands in a file.
pub(crate) fn format(text: &str) -> Result<Format, String> {
    Format::named(text).ok_or_else(|| {
        let names: Vec<_> = Format::ALL.iter().map(|format| format.name()).collect();
        format!("the formats are {}", names.join(", "))
    })
}

/// A rule whose findings `render` can go on in spite of.
pub(super) fn rule(text: &str) -> Result<Rule, String> {
    Rule::ALL
        .iter()
        .copied()
        .find(|rule| rule.name() == text)
        .ok_or_else(|| "no such rule; `literal-secret` is the one that can be allowed".to_owned())
}

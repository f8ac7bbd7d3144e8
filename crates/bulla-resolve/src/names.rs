//! How entries are named that nothing else names: after the file, and the section or keys in it.

use std::collections::BTreeMap;

use zeroize::Zeroize as _;

use crate::adopt::signs;
use crate::check::tokens;

/// The name of what has none that could be one.
pub(crate) const NAMELESS: &str = "unnamed";

/// What stands in the place of a name that is too long to be anybody's, which tells a secret where the end
/// of the name does. The end itself is not shown, as the name may be a secret.
pub(crate) fn too_long(name: &[u8]) -> Option<&'static str> {
    const LONGEST: usize = 1_000;
    const END: usize = 100;
    (name.len() > LONGEST).then(|| {
        let end = String::from_utf8_lossy(&name[name.len() - END..]);
        if signs::is_secret_name(&end) { "(too long) password" } else { "(too long)" }
    })
}

/// What entries of a file are named after: its name without folder, leading dot and extension.
pub(crate) fn stem(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = match file.strip_prefix('.') {
        Some(hidden) => hidden,
        None => file.rsplit_once('.').map_or(file, |(stem, _)| stem),
    };
    segment(stem)
}

/// A name as a part of an entry's name, which is no secret: one that looks like it is left out.
pub(crate) fn segment(name: &str) -> String {
    if !tokens::in_name(name).is_empty() {
        return NAMELESS.to_owned();
    }
    let plain = |c: char| if c.is_alphanumeric() || "-._~+@".contains(c) { c } else { '-' };
    let segment: String = name.chars().take(100).map(plain).collect();
    let segment = segment.trim_matches(['-', '.']);
    if segment.is_empty() { NAMELESS.to_owned() } else { segment.to_owned() }
}

/// A name that is an entry's name as it is, unless it looks like a secret.
pub(crate) fn whole(name: &str) -> &str {
    if tokens::in_name(name).is_empty() { name } else { NAMELESS }
}

/// Names that look like secrets, by the numbers that stand for them.
#[derive(Default)]
pub(crate) struct SecretNames(BTreeMap<String, usize>);

impl SecretNames {
    /// What stands in an entry's name for one that looks like a secret, as anybody may read it there.
    pub(crate) fn number(&mut self, name: &str) -> Option<String> {
        if whole(name) == name {
            return None;
        }
        let next = self.0.len() + 1;
        let number = *self.0.entry(name.to_owned()).or_insert(next);
        Some(format!("{NAMELESS}-{number}"))
    }

    /// The secrets that these are taken for.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0
            .keys()
            .flat_map(|name| tokens::in_name(name).into_iter().filter_map(|token| name.get(token)))
    }
}

impl Drop for SecretNames {
    fn drop(&mut self) {
        std::mem::take(&mut self.0).into_keys().for_each(|mut name| name.zeroize());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_named_after_files() {
        for (name, expected) in [
            ("conf/app.yaml", "app"),
            (".env", "env"),
            (".env.production", "env.production"),
            ("prod.env", "prod"),
            ("a b.c.json", "a-b.c"),
            ("--", "unnamed"),
        ] {
            assert_eq!(stem(name), expected);
        }
    }

    /// What was too long told no secret, whatever it ended with.
    #[test]
    fn the_end_of_a_name_tells_a_secret_however_long_it_is() {
        let name = |end: &str| "x".repeat(990) + end;
        for end in ["_db_password", "_api_key_of_many"] {
            let told = too_long(name(end).as_bytes()).unwrap();
            assert_eq!(signs::is_secret_name(told), signs::is_secret_name(&name(end)), "{end}");
        }
        assert_eq!(too_long(name("_password").as_bytes()), None);
    }

    /// A key of a file that was a token became the name of an entry, which is no secret.
    #[test]
    fn secrets_are_no_names_of_entries() {
        assert_eq!(segment("ghp_0123456789abcdefghijklmnopqrstuvwxyzABCD"), "unnamed");
        assert_eq!(segment("secret-ghp_0123456789abcdefghijklmnopqrstuvwxyzABCD"), "unnamed");
        assert_eq!(segment("npm_registry_token"), "npm_registry_token");
    }
}

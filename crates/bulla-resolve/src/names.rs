//! How entries are named that nothing else names: after the file, and the section or keys in it.

/// What entries of a file are named after: its name without folder, leading dot and extension.
pub(crate) fn stem(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = match file.strip_prefix('.') {
        Some(hidden) => hidden,
        None => file.rsplit_once('.').map_or(file, |(stem, _)| stem),
    };
    segment(stem)
}

/// A name as a part of an entry's name.
pub(crate) fn segment(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-._~+@".contains(c) { c } else { '-' };
    let segment: String = name.chars().take(100).map(plain).collect();
    let segment = segment.trim_matches(['-', '.']);
    if segment.is_empty() { "unnamed".to_owned() } else { segment.to_owned() }
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
}

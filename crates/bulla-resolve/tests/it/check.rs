//! Checking files: what is found in each.
//!
//! A case in `tests/check` is a line `name: FILE`, perhaps one `format: FORMAT`, then sections `--- file`
//! and `--- findings` with lines `LINE:COLUMN RULE`, behind which stands `(warning)` or `(note)`
//! for what is no error.

use std::fs;
use std::path::Path;

use bulla_resolve::{Check, Format, Kind, Rule};

#[test]
fn every_file_is_found_fault_with_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut failed = String::new();
    let mut rules = Vec::new();
    for path in &paths {
        let text = fs::read_to_string(path).unwrap();
        let (head, rest) = text.split_once("--- file\n").unwrap();
        let (file, expected) = rest.split_once("--- findings\n").unwrap();
        let header = |key: &str| head.lines().find_map(|line| line.strip_prefix(key));
        let format = header("format: ").map(|name| Format::named(name).unwrap());
        let file = file.replace("<NUL>", "\0");
        let check = Check::of(header("name: ").unwrap(), file.clone().into_bytes(), format);
        let mut found = String::new();
        for problem in &check.findings {
            let level = match problem.kind {
                Kind::Note => " (note)",
                Kind::Warning => " (warning)",
                _ => "",
            };
            found +=
                &format!("{}:{} {}{level}\n", problem.line, problem.column, problem.rule.name());
            rules.push(problem.rule);
            // Names stand in messages, and the values of these files are none.
            assert!(!problem.what.contains("SECRET"), "{}", problem.what);
        }
        if found != expected {
            failed += &format!("== {}\nexpected:\n{expected}found:\n{found}", path.display());
        }
    }
    assert!(failed.is_empty(), "{failed}");
    // These need a vault or a command, are about values, or hang on how a file was named.
    let elsewhere = [
        Rule::AmbiguousFill,
        Rule::CheckCommand,
        Rule::EmptyTemplate,
        Rule::FilterFailed,
        Rule::Missing,
        Rule::NotProven,
        Rule::SourceFailed,
        Rule::UnusedEntry,
    ];
    for rule in Rule::ALL.iter().filter(|rule| !elsewhere.contains(rule)) {
        assert!(rules.contains(rule), "no case breaks {}", rule.name());
    }
}

#[test]
fn what_holds_nothing_is_not_found_fault_with() {
    for (name, file) in [
        ("a.json", &b"{\"port\": 1}"[..]),
        ("a.bin", b"\x00\xff\xfe"),
        ("a.yaml", b"a: [unclosed"),
        ("", b""),
    ] {
        let check = Check::of(name, file.to_vec(), None);
        assert!(check.findings.is_empty() && check.uses.is_empty(), "{name}");
    }
}

//! Rewriting the references of other tools.
//!
//! A case in `tests/migrate` is a line `name: FILE`, perhaps with ` variables: ENTRY` behind it, then sections
//! `--- file`, `--- moved` with lines `LINE:COLUMN TOOL FOREIGN -> EXPRESSION`, `--- left` with lines
//! `LINE:COLUMN WHY`, and `--- template`.

use std::fs;
use std::path::Path;

use bulla_resolve::{Format, Migration, Naming, Reference, Template};
use proptest::prelude::*;

#[test]
fn every_migration_is_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/migrate");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 8, "cases are lost");
    let mut failed = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let (head, rest) = text.split_once("--- file\n").unwrap();
        let head = head.trim().strip_prefix("name: ").unwrap();
        let (name, variables) = match head.split_once(" variables: ") {
            Some((name, variables)) => (name, Some(variables)),
            None => (head, None),
        };
        let (file, expected) = rest.split_once("--- moved\n").unwrap();
        let format = name.ends_with(".txt").then_some(Format::Text);
        let naming = Naming { variables, prefix: None };
        let migration = match Migration::of(name, file.as_bytes(), format, naming) {
            Ok(migration) => migration,
            Err(problem) => panic!("{}: {problem}", path.display()),
        };
        let mut found = String::new();
        for m in &migration.moved {
            let (tool, foreign) = (m.tool, &m.foreign);
            found += &format!("{}:{} {tool} {foreign} -> {}\n", m.line, m.column, m.expression);
        }
        found += "--- left\n";
        for left in &migration.left {
            found += &format!("{}:{} {}\n", left.line, left.column, left.why);
        }
        found += "--- template\n";
        found += std::str::from_utf8(migration.contents.expose()).unwrap();
        if found != expected {
            failed.push(format!("{}:\n{found}", path.display()));
        }
        asks_for_just_that(name, format, file.as_bytes(), &migration);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The template asks for what is told and for what it asked for before; and there is nothing more to be
/// done.
fn asks_for_just_that(name: &str, format: Option<Format>, file: &[u8], migration: &Migration) {
    let mut told = references(name, format, file);
    told.extend(migration.moved.iter().map(|moved| moved.reference.clone()));
    told.sort();
    assert_eq!(references(name, format, migration.contents.expose()), told);
    let naming = Naming::default();
    let again = Migration::of(name, migration.contents.expose(), format, naming).ok().unwrap();
    assert!(again.moved.is_empty());
    assert_eq!(again.contents.expose(), migration.contents.expose());
}

fn references(name: &str, format: Option<Format>, bytes: &[u8]) -> Vec<Reference> {
    let template = Template::parse(name, bytes.to_vec(), format);
    let mut references: Vec<_> = template.uses().into_iter().map(|used| used.reference).collect();
    references.sort();
    references
}

proptest! {
    /// Whatever stands around references of other tools, the result asks for what is told.
    #[test]
    fn no_text_makes_a_migration_tell_something_else(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 1..7),
        format in prop::sample::select(Format::ALL),
    ) {
        let value = pieces.concat();
        let quoted = value.replace('"', "\\\"");
        let file = match format {
            Format::Json | Format::Jsonc => format!("{{\"a\": \"{quoted}\", \"b\": 1}}\n"),
            Format::Yaml => format!("a: {value}\nb: \"{quoted}\"\n"),
            Format::Toml => format!("a = \"{quoted}\"\n"),
            Format::Xml | Format::GenesysXml => {
                format!("<a b=\"{}\">x</a>\n", value.replace('"', "&quot;").replace('<', "&lt;"))
            }
            Format::Systemd => format!("[Service]\nEnvironment=A={value}\n"),
            Format::Text => value,
            _ => format!("A={value}\nB=\"{value}\"\n"),
        };
        let naming = Naming { variables: Some("env"), prefix: None };
        if let Ok(migration) = Migration::of("x", file.as_bytes(), Some(format), naming) {
            let mut told = references("x", Some(format), file.as_bytes());
            told.extend(migration.moved.iter().map(|moved| moved.reference.clone()));
            told.sort();
            let found = references("x", Some(format), migration.contents.expose());
            prop_assert_eq!(found, told);
        }
    }
}

const PIECES: &[&str] = &[
    "op://v/i/f",
    "{{ op://v/i/s/f }}",
    "{{op://V x/i/f}}",
    "ref+vault://p/q#/k",
    "ref+vault://p/q#/k+",
    "{{ with secret \"a/b\" }}{{ .Data.data.k }}{{ end }}",
    "{{ (secret \"a/b\").Data.k }}",
    "${A}",
    "$A",
    "$$",
    "${A:-b}",
    "{{ bulla://x/y }}",
    "bulla://x/y",
    " ",
    "x",
    "postgres://u:",
    "@h/d",
    "'",
    "#",
    "{{",
    "}}",
    ": ",
    "\\",
    "ENC[AES256_GCM,data:x]",
    "<path:a/b#c>",
    "{{ lookup('x') }}",
];

/// Braces that never end, and many of them, are looked through once.
#[test]
fn long_files_take_no_square_of_their_length() {
    for piece in
        ["{{", "${", "op:// ", "ref+x://", "ref+", "{{ with secret \"a\" }}", "{{ op://a/b/c }} "]
    {
        let text = piece.repeat(400_000);
        let migration =
            Migration::of("x.txt", text.as_bytes(), Some(Format::Text), Naming::default());
        assert!(migration.is_ok());
    }
    let text = "- {{ op://a/b/c }}\n".repeat(100_000);
    let migration = Migration::of("x.yaml", text.as_bytes(), None, Naming::default()).ok().unwrap();
    assert_eq!(migration.contents.expose(), "- bulla://a/b/c\n".repeat(100_000).as_bytes());
}

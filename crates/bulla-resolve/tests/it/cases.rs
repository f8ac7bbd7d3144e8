//! Runs the files in `tests/cases`.
//!
//! A case is a text file: a line `name: FILE`, optionally `format: FORMAT` and `allow: RULE`, then
//! sections that begin with a line `--- template`, `--- values`, `--- rendered` or `--- problems`.
//! A value is a line `ENTRY/FIELD = TEXT` with `\n`, `\r`, `\t`, `\\` and `\xNN` decoded in the text;
//! a problem is a line `LINE:COLUMN RULE`, then what comes nearest after ` ; `. In templates and
//! renderings, `<BOM>`, `<CR>`, `<LS>`, `<NEL>`, `<NUL>`, `<PS>` and `<NO-NL>` (at the end) stand for
//! what an editor would not keep or show.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bulla_resolve::{Answer, Format, RefPart, Reference, Rule, Secret, Source, Template, render};

#[test]
fn every_case_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 30, "cases are lost");
    let failed: Vec<_> = paths.iter().filter_map(|path| check(path).err()).collect();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), paths.len(), failed.join("\n"));
}

fn check(path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).unwrap();
    let case = Case::parse(&text);
    let format = case.format.map(|name| Format::named(name).expect("the case names a format"));
    let template = Template::parse(case.name, case.template, format);
    let found = match render(&[template], &case.values, &case.allow) {
        Ok(renderings) => {
            let [rendering] = &renderings[..] else { panic!("one template, one rendering") };
            Ok(rendering.contents.expose().to_vec())
        }
        Err(problems) => Err(problems
            .iter()
            .map(|p| {
                let nearest: String = p.nearest.iter().map(|n| format!(" ; {n}")).collect();
                format!("{}:{} {}{nearest}\n", p.line, p.column, p.rule.name())
            })
            .collect::<String>()),
    };
    if found == case.expected {
        return Ok(());
    }
    let shown = |result: &Result<Vec<u8>, String>| match result {
        Ok(bytes) => format!("rendered:\n{}", String::from_utf8_lossy(bytes).escape_debug()),
        Err(problems) => format!("problems:\n{problems}"),
    };
    let name = path.file_name().unwrap().to_string_lossy();
    Err(format!("== {name}\nexpected {}\nfound {}\n", shown(&case.expected), shown(&found)))
}

struct Case<'a> {
    name: &'a str,
    format: Option<&'a str>,
    allow: Vec<Rule>,
    template: Vec<u8>,
    values: Values,
    expected: Result<Vec<u8>, String>,
}

impl<'a> Case<'a> {
    fn parse(text: &'a str) -> Self {
        let (head, rest) = text.split_once("--- template\n").expect("a case has a template");
        let mut case = Self {
            name: "",
            format: None,
            allow: Vec::new(),
            template: Vec::new(),
            values: Values(BTreeMap::new()),
            expected: Err(String::new()),
        };
        for line in head.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.split_once(": ").expect("a header is `key: value`") {
                ("name", name) => case.name = name,
                ("format", format) => case.format = Some(format),
                ("allow", rule) => {
                    let rule = Rule::ALL.iter().find(|r| r.name() == rule);
                    case.allow.push(*rule.expect("the case allows a rule"));
                }
                (other, _) => panic!("unknown header {other}"),
            }
        }
        let (template, rest) = rest.split_once("--- values\n").expect("a case has values");
        case.template = bytes(template);
        let (values, expected) = rest.split_once("--- ").expect("a case expects something");
        for line in values.lines() {
            let (name, value) = line.split_once(" = ").expect("a value is `ENTRY/FIELD = TEXT`");
            let value = if value == "<locked>" { None } else { Some(decoded(value)) };
            case.values.0.insert(name.to_owned(), value);
        }
        let (kind, expected) = expected.split_once('\n').unwrap();
        case.expected = match kind {
            "rendered" => Ok(bytes(expected)),
            "problems" => Err(expected.to_owned()),
            other => panic!("unknown section {other}"),
        };
        case
    }
}

/// What a template or rendering in a case stands for.
fn bytes(text: &str) -> Vec<u8> {
    let text = text.strip_suffix("<NO-NL>\n").unwrap_or(text);
    let marks = [
        ("<BOM>", "\u{feff}"),
        ("<CR>", "\r"),
        ("<LS>", "\u{2028}"),
        ("<NEL>", "\u{85}"),
        ("<NUL>", "\0"),
        ("<PS>", "\u{2029}"),
    ];
    let replaced = |text: String, (mark, bytes)| text.replace(mark, bytes);
    marks.into_iter().fold(text.to_owned(), replaced).into_bytes()
}

fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'\\') => out.push(b'\\'),
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap();
                out.push(u8::from_str_radix(digits, 16).unwrap());
            }
            other => panic!("unknown escape {other:?}"),
        }
    }
    out
}

/// Values by `ENTRY/FIELD`; `None` is one that is locked.
struct Values(BTreeMap<String, Option<Vec<u8>>>);

impl Source for Values {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        assert!(wanted.is_sorted_by(|a, b| a < b), "sorted, and none twice");
        let answer = |reference: &Reference| {
            let name = format!("{}/{}", reference.entry(), reference.field());
            match self.0.get(&name) {
                Some(Some(value)) => {
                    Answer::Value { secret: Secret::copied_from(value), version: 1 }
                }
                Some(None) => Answer::Failed(bulla_resolve::Failure {
                    kind: bulla_resolve::FailureKind::Locked,
                    what: "the vault is locked".to_owned(),
                }),
                None => {
                    let near = |known: &&String| known[..3.min(known.len())] == name[..3];
                    let nearest = self.0.keys().filter(near).cloned().collect();
                    Answer::Missing { part: RefPart::Entry, nearest }
                }
            }
        };
        wanted.iter().map(answer).collect()
    }
}

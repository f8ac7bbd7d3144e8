//! Adopting files: what is found, and that every template gives its file back.
//!
//! A case in `tests/adopt` is a line `name: FILE`, then sections `--- file`, `--- finds` with lines
//! `LINE:COLUMN KIND ENTRY/FIELD = VALUE`, `--- left` with lines
//! `LINE:COLUMN WHY`, and `--- template`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_resolve::{
    Adoption, Answer, EntryKind, Format, Left, RefPart, Reference, Rule, Secret, Source, Stays,
    Template, render,
};
use proptest::prelude::*;

#[test]
fn every_adoption_is_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adopt");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 7, "cases are lost");
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let (head, rest) = text.split_once("--- file\n").unwrap();
        let name = head.trim().strip_prefix("name: ").unwrap();
        let (file, rest) = rest.split_once("--- finds\n").unwrap();
        let (finds, rest) = rest.split_once("--- left\n").unwrap();
        let (left, template) = rest.split_once("--- template\n").unwrap();
        let file = file.replace("<CR>", "\r");
        let adoption = Adoption::find(name, file.as_bytes(), None).unwrap();
        let shown: String = adoption
            .finds
            .iter()
            .map(|find| {
                let kind = match find.kind {
                    EntryKind::Mailbox => "mailbox",
                    EntryKind::OauthClient if find.public => "public oauth-client",
                    EntryKind::OauthClient => "oauth-client",
                    _ => "secret",
                };
                let value = String::from_utf8_lossy(find.value.expose()).replace('\n', "\\n");
                let (line, column) = (find.line, find.column);
                format!("{line}:{column} {kind} {}/{} = {value}\n", find.entry, find.field)
            })
            .collect();
        assert_eq!(shown, finds, "{}", path.display());
        let place = |left: &Left| {
            let why = match left.why {
                Stays::Aliased => "alias",
                Stays::CannotCarry => "cannot carry",
                Stays::Comment => "comment",
                Stays::NoBase64 => "no base64",
                Stays::NoValue => "no value",
                Stays::Spelling => "spelling",
                Stays::Unclear => "unclear",
                Stays::Url => "url",
                _ => panic!("a reason that the cases do not know"),
            };
            format!("{}:{} {why}\n", left.problem.line, left.problem.column)
        };
        let places: String = adoption.left.iter().map(place).collect();
        assert_eq!(places, left, "{}", path.display());
        let references: Vec<_> = adoption.finds.iter().map(|find| find.reference()).collect();
        let made = String::from_utf8(adoption.template(&references).unwrap()).unwrap();
        assert_eq!(made, template.replace("<CR>", "\r"), "{}", path.display());
        assert_comes_back(name, None, file.as_bytes());
    }
}

#[test]
fn a_find_without_a_reference_stays() {
    let file = b"A_TOKEN=one\nB_TOKEN=two\n";
    let adoption = Adoption::find(".env", file, None).unwrap();
    let reference = Reference::parse("bulla://other/name").unwrap();
    let template = adoption.template(&[None, Some(reference)]).unwrap();
    assert_eq!(template, b"A_TOKEN=one\nB_TOKEN=bulla://other/name\n");
}

/// Adopts a file and renders the template; gives how many secrets were found.
pub(crate) fn assert_comes_back(name: &str, format: Option<Format>, file: &[u8]) -> usize {
    let adoption = Adoption::find(name, file, format).unwrap();
    let references: Vec<_> = adoption.finds.iter().map(|find| find.reference()).collect();
    let template = adoption.template(&references).unwrap();
    let mut values = Values(BTreeMap::new());
    for (find, reference) in adoption.finds.iter().zip(references) {
        let value = find.value.expose().to_vec();
        let before = values.0.insert(reference.unwrap(), value.clone());
        assert!(before.is_none_or(|before| before == value), "one field, one value");
    }
    // What was referred to before has a value of its own.
    let old = Reference::parse("bulla://x/old").unwrap();
    values.0.insert(old, b"OLD".to_vec());
    let expected = match std::str::from_utf8(file) {
        Ok(text) => text.replace("{{ bulla://x/old }}", "OLD").replace("bulla://x/old", "OLD"),
        Err(_) => panic!("these files are text"),
    };
    let template = Template::parse(name, template, format);
    let allowed = [Rule::LiteralSecret];
    match render(&[template], &values, &allowed) {
        Ok(renderings) => assert_eq!(renderings[0].contents.expose(), expected.as_bytes()),
        Err(problems) => {
            let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
            panic!("{shown:#?}");
        }
    }
    adoption.finds.len()
}

struct Values(BTreeMap<Reference, Vec<u8>>);

impl Source for Values {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        let answer = |reference: &Reference| match self.0.get(reference) {
            Some(value) => Answer::Value { secret: Secret::copied_from(value), version: 1 },
            None => Answer::Missing { part: RefPart::Entry, nearest: Vec::new() },
        };
        wanted.iter().map(answer).collect()
    }
}

pub(crate) fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9/._~+-]{1,30}",
        "[ -~]{1,20}",
        "\\PC{1,10}",
        "[\\x00-\\x20\"'\\\\#:{}\u{2028}\u{feff}x]{1,8}",
        Just("no".to_owned()),
        "[0-9]{1,5}",
    ]
}

/// A text with secrets inside.
fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        value().prop_map(|value| format!("--password={value}")),
        value().prop_map(|value| format!("--api-key='{value}'")),
        value().prop_map(|value| format!("--token=\"{value}\"")),
        value().prop_map(|value| format!("A_SECRET={value}")),
        value().prop_map(|value| format!("https://u:{value}@h/")),
        "[a-z:#{(\\[,]{0,3}",
        Just("{{ .Value }}".to_owned()),
    ];
    prop::collection::vec(word, 1..5).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn secrets_inside_texts_come_back(texts in prop::collection::vec((text(), 0..6u8), 1..5)) {
        let mut json = String::from("[");
        let mut yaml = String::from("a:\n");
        let mut env = String::new();
        for (number, (text, style)) in texts.iter().enumerate() {
            let quoted = serde_json::to_string(text).unwrap();
            json += &format!("{quoted}, {{\"cmd\": {quoted}, \"auths\": {{\"h\": {{\"auth\": {quoted}}}}}}},");
            let single = format!("'{}'", text.replace('\'', "''"));
            let item = match style {
                0 | 1 => text.clone(),
                2 => single,
                3 => format!("[{text}, {quoted}]"),
                4 => format!("|\n      {text}"),
                _ => quoted,
            };
            // Not all of that is YAML.
            let file = format!("- {item} # why\n");
            if Adoption::find("a.yaml", file.as_bytes(), None).is_ok() {
                yaml += &format!("  - {item}\n");
            }
            let quote = ["", "'", "\""][usize::from(*style % 3)];
            env += &format!("A{number}={quote}{text}{quote}\n");
        }
        json += "1]";
        assert_comes_back("config.json", None, json.as_bytes());
        assert_comes_back(".env", None, env.as_bytes());
        if Adoption::find("a.yaml", yaml.as_bytes(), None).is_ok() {
            assert_comes_back("a.yaml", None, yaml.as_bytes());
        }
    }

    #[test]
    fn json_comes_back(values in prop::collection::vec((value(), 0..3u8), 1..6)) {
        let mut file = String::from("{\"a\": [");
        for (value, style) in &values {
            let mut text = serde_json::to_string(value).unwrap();
            match style {
                0 => {}
                1 => text = text.replace('/', "\\/"),
                _ if text.contains('\\') => {}
                _ => text = text.replace('a', "\\u0061"),
            }
            file += &format!("\n  {{ \"password\" : {text}, \"token\":{} }},", value.len());
        }
        file.pop();
        file += "]}";
        let found = assert_comes_back("app.json", None, file.as_bytes());
        prop_assert!(found >= values.len(), "the numbers at least");
    }

    #[test]
    fn json_with_comments_comes_back(values in prop::collection::vec(value(), 1..6)) {
        let mut file = String::from("// \"password\": \"x\"\n[");
        for value in &values {
            let text = serde_json::to_string(value).unwrap();
            file += &format!("\n  {{ \"password\" /* : */ : {text}, // why\n }},");
        }
        assert_comes_back("app.jsonc", None, (file + "]").as_bytes());
    }

    #[test]
    fn toml_comes_back(values in prop::collection::vec((value(), 0..5u8), 1..6), crlf: bool) {
        let mut file = String::new();
        for (value, style) in &values {
            let raw = !value.contains(|c: char| c.is_ascii_control() || "'\"\\".contains(c));
            let text = match style {
                0 if raw => format!("'{value}'"),
                1 if raw => format!("\"\"\"\n{value}\"\"\""),
                2 if raw => format!("'''{value}\n'''"),
                3 => value.len().to_string(),
                // What JSON escapes, TOML reads alike.
                _ => serde_json::to_string(value).unwrap().replace('\u{7f}', "\\u007F"),
            };
            file += &format!("[[a]] # why\npassword = {text}\nx = {{ token = {text} }}\n");
        }
        if crlf {
            file = file.replace('\n', "\r\n");
        }
        assert_comes_back("app.toml", None, file.as_bytes());
    }

    #[test]
    fn properties_come_back(
        values in prop::collection::vec((value(), "[ \t]{0,2}[=: ][ \t]{0,2}(\\\\\n )?", any::<bool>()), 1..6),
        crlf: bool,
    ) {
        let mut file = String::new();
        for (number, (value, separator, escaped)) in values.iter().enumerate() {
            // As Java writes them, or as they are.
            let mut text = value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
            if *escaped {
                for mark in ["=", ":", "#", "!"] {
                    text = text.replace(mark, &format!("\\{mark}"));
                }
            }
            file += &format!("k{number}.password{separator}{text}\n");
        }
        if crlf {
            file = file.replace('\n', "\r\n");
        }
        assert_comes_back("app.properties", None, file.as_bytes());
    }

    #[test]
    fn kubernetes_secrets_come_back(
        values in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..20), 0..4u8), 1..6),
    ) {
        let mut file = String::from("apiVersion: v1\ndata:\n");
        for (number, (value, style)) in values.iter().enumerate() {
            let text = STANDARD.encode(value);
            let text = match style {
                0 => text,
                1 => format!("'{text}'"),
                2 => format!("|\n    {text}"),
                _ => format!("\"{text}\""),
            };
            file += &format!("  k{number}: {text}\n");
        }
        assert_comes_back("app.yaml", None, (file + "kind: Secret\n").as_bytes());
    }

    #[test]
    fn yaml_comes_back(values in prop::collection::vec((value(), 0..4u8), 1..6)) {
        let mut file = String::from("top:\n");
        for (value, style) in &values {
            let plain = value.chars().all(|c| c.is_ascii_alphanumeric());
            let text = match style {
                0 if plain => value.clone(),
                1 if !value.contains(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{feff}') => {
                    format!("'{}'", value.replace('\'', "''"))
                }
                2 if plain => format!("|\n      {value}"),
                _ => serde_json::to_string(value).unwrap(),
            };
            file += &format!("  - password: {text}\n    user: x # why\n");
        }
        assert_comes_back("app.yaml", None, file.as_bytes());
    }

    #[test]
    fn dotenv_comes_back(values in prop::collection::vec((value(), 0..3u8), 1..6)) {
        let mut file = String::new();
        for (number, (value, style)) in values.iter().enumerate() {
            let quote = ["", "'", "\""][usize::from(*style)];
            file += &format!("K{number}_TOKEN={quote}{value}{quote}\n");
        }
        assert_comes_back(".env", None, file.as_bytes());
    }

    #[test]
    fn genesys_comes_back(values in prop::collection::vec(value(), 1..6), crlf: bool) {
        let mut ini = String::from("[proxy]\npassword=x\n");
        let mut xml = String::from("<o>");
        for (number, value) in values.iter().enumerate() {
            let value = value.trim();
            let masked = value.bytes().all(|b| b == b'*');
            if !masked && !value.contains(['\n', '\r']) {
                ini += &format!("[secret-{number}]\npassword = {value}\n");
            }
            if !masked && !value.contains(|c: char| c.is_control()) {
                let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
                xml += &format!(
                    "<list_pair key=\"pop-client{number}\"><str_pair value=\"{value}\" \
                     key=\"password\"/></list_pair>"
                );
            }
        }
        if crlf {
            ini = ini.replace('\n', "\r\n");
        }
        assert_comes_back("app.cfg", Some(Format::GenesysIni), ini.as_bytes());
        assert_comes_back("app.xml", Some(Format::GenesysXml), (xml + "</o>").as_bytes());
    }
}

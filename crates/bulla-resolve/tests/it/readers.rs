//! Nasty values in every format, judged by real readers: they read exactly the value, or it was
//! refused. A reader that is not on this machine is skipped with a line that says so.

use std::fs;
use std::path::Path;
use std::process::Command;

use bulla_resolve::{Answer, Format, Kind, Reference, Secret, Source, Template, render};
use proptest::prelude::*;
use tempfile::TempDir;

#[test]
fn json_is_read_by_python() {
    judge(Format::Json, "json", JSON, PYTHON, &["a", "b", "c"], &format!("{COMMON}{PY_JSON}"));
}

#[test]
fn yaml_is_read_by_pyyaml() {
    let keys = ["a", "b", "c", "d", "e", "f"];
    judge(Format::Yaml, "yaml", YAML, PYTHON, &keys, &format!("{COMMON}{PY_YAML}"));
}

#[test]
fn genesys_ini_is_read_by_configparser() {
    judge(Format::GenesysIni, "cfg", INI, PYTHON, &["a"], &format!("{COMMON}{PY_INI}"));
}

#[test]
fn genesys_xml_is_read_by_elementtree() {
    let keys = ["a", "b", "c", "d"];
    judge(Format::GenesysXml, "xml", XML, PYTHON, &keys, &format!("{COMMON}{PY_XML}"));
}

#[test]
fn dotenv_is_read_by_bash() {
    judge(Format::Dotenv, "env", ENV, &["bash", "-c"], &["a", "b", "c"], BASH);
}

#[test]
fn dotenv_is_read_by_dash() {
    judge(Format::Dotenv, "env", ENV, &["dash", "-c"], &["a", "b", "c"], BASH);
}

#[test]
fn dotenv_is_read_by_node() {
    judge(Format::Dotenv, "env", ENV, &["node", "-e"], &["a", "b", "c"], NODE);
}

#[test]
fn dotenv_is_read_by_python_dotenv() {
    judge(Format::Dotenv, "env", ENV, PYTHON, &["a", "b", "c"], &format!("{COMMON}{PY_ENV}"));
}

/// Values that somebody's template has been broken by.
pub(crate) fn nasty() -> Vec<Vec<u8>> {
    let texts = [
        "",
        " ",
        "x",
        "plain-token_1",
        "1//0g~x.y",
        "\n",
        "a\nb",
        "a\n",
        "\na",
        "a\n\nb\n\n",
        "a\r\nb",
        "a\rb",
        "x\nadmin: true",
        "x\nadmin=true",
        "x\n[admin]",
        "a#b",
        "a #b",
        "#",
        "a: b",
        ": ",
        "- a",
        "'",
        "\"",
        "''",
        "\"\"",
        "it's",
        "a'b\"c",
        "\\",
        "a\\",
        "\\\\",
        "\\n",
        "\\'",
        "a\\\"b",
        "$X",
        "${X}",
        "$(id)",
        "`id`",
        "%s",
        "%(x)s",
        "%%",
        "!x",
        "!",
        "&x",
        "*x",
        "?",
        "|",
        ">",
        "@x",
        "%x",
        "=",
        "==",
        "~",
        "~/x",
        "a:~/x",
        "\t",
        "a\tb",
        " a",
        "a ",
        "\u{a0}",
        "\u{2028}",
        "a\u{2029}b",
        "\u{feff}x",
        "\u{85}",
        "\u{7f}",
        "\u{1b}[2J",
        "\u{1}",
        "\u{0}",
        "a\u{0}b",
        "\u{fffe}",
        "\u{ffff}",
        "\u{e9}",
        "\u{1f511}",
        "null",
        "true",
        "no",
        "y",
        "1e3",
        "0x1F",
        "0o17",
        "007",
        "1_000",
        "12:30:45",
        "2001-01-01",
        ".inf",
        ".nan",
        "<<",
        "{",
        "}",
        "[]",
        "{{ x }}",
        "((x))",
        "bulla://a/b",
        "<x>",
        "]]>",
        "&amp;",
        "&#10;",
        "<!--",
        "a,b",
        "a;b",
        "; x",
        "//x",
        "/*x*/",
        "---",
        "...",
        "--- x",
        "a=b",
        "export",
        "EOF",
        "p$x#y \"q\" \\n z",
        "-----BEGIN X-----\nAA==\n-----END X-----\n",
        "  a\n b",
        "a\n  \nb",
    ];
    let mut values: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    values.extend([vec![0xff], vec![0xc3], b"a\xc3\x28b".to_vec(), vec![b'x'; 100_000]]);
    values
}

const JSON: &str = "{\"a\": \"V\", \"b\": \"x{{ V }}y\", \"c\": [\"{{ V }}\"], \"end\": 1}\n";
const YAML: &str = "a: V\nb: \"x{{ V }}y\"\nc: 'V'\nd: |\n  u\n  {{ V }}\n  v\ne: [V, z]\n\
                    f: >-\n  u {{ V }} v\nend: 1\n";
const INI: &str = "[s]\na = V\nend = 1\n";
const XML: &str = "<o><p a=\"V\" b='x{{ V }}y'/><c>x{{ V }}y</c><d><![CDATA[V]]></d><end/></o>\n";
const ENV: &str = "a=V\nb='x{{ V }}y'\nc=\"{{ V }}\"\nend=1\n";

const PYTHON: &[&str] = &["python3", "-c"];

/// Each script gets a folder of numbered files, and prints the key and number of every one that it
/// does not read as the file beside it with the expected bytes. Status 77 means that the reader is
/// not there.
const COMMON: &str = r#"
import sys, glob, os
def check(ext, read):
    for path in sorted(glob.glob(sys.argv[1] + '/*.' + ext)):
        number, key = os.path.basename(path).split('.')[:2]
        want = open(path + '.want', 'rb').read()
        try: got = read(path, key).encode('utf-8', 'surrogatepass')
        except Exception as e: got = type(e).__name__.encode()
        if got != want: print(number, key, ascii(want[:60]), ascii(got[:60]))
"#;
const PY_JSON: &str = r#"
import json
def read(path, key):
    tree = json.load(open(path, 'rb'))
    assert tree['end'] == 1
    return tree['c'][0] if key == 'c' else tree[key]
check('json', read)
"#;
const PY_YAML: &str = r#"
try: import yaml
except ImportError: sys.exit(77)
def read(path, key):
    tree = yaml.safe_load(open(path, 'rb'))
    assert tree['end'] == 1
    return tree['e'][0] if key == 'e' else tree[key]
check('yaml', read)
"#;
const PY_INI: &str = r#"
import configparser
def read(path, key):
    for interpolation in (None, configparser.BasicInterpolation()):
        tree = configparser.ConfigParser(interpolation=interpolation)
        tree.read(path, encoding='utf-8')
        assert tree['s']['end'] == '1'
        value = tree['s'][key]
    return value
check('cfg', read)
"#;
const PY_XML: &str = r#"
import xml.etree.ElementTree as tree
def read(path, key):
    root = tree.parse(path).getroot()
    assert root[-1].tag == 'end'
    return root.find(key).text or '' if key in 'cd' else root[0].get(key)
check('xml', read)
"#;
const PY_ENV: &str = r#"
try: import dotenv
except ImportError: sys.exit(77)
def read(path, key):
    values = dotenv.dotenv_values(path)
    assert values['end'] == '1'
    return values[key]
check('env', read)
"#;
const BASH: &str = r#"
for path in "$0"/*.env; do
    key=${path##*/}; key=${key#*.}; key=${key%%.*}
    ( a=; b=; c=; end=; . "$path" && [ "$end" = 1 ] && eval "printf %s \"\$$key\"" > "$path.got" )
done
exit 0
"#;
const NODE: &str = r"
const fs = require('fs'), util = require('util'), folder = process.argv[1];
if (!util.parseEnv) process.exit(77);
for (const name of fs.readdirSync(folder).filter(name => name.endsWith('.env'))) {
    const path = folder + '/' + name, [number, key] = name.split('.');
    const values = util.parseEnv(fs.readFileSync(path, 'utf8'));
    const want = fs.readFileSync(path + '.want');
    if (values.end !== '1' || !Buffer.from(values[key] ?? '').equals(want)) console.log(number, key);
}
";

/// Renders every nasty value at every place and lets the reader check.
fn judge(
    format: Format,
    extension: &str,
    template: &str,
    reader: &[&str],
    keys: &[&str],
    script: &str,
) {
    let folder = TempDir::new().unwrap();
    let mut carried = 0;
    for (number, value) in nasty().iter().enumerate() {
        for key in keys {
            let single = only(template, key);
            let Some(rendered) = rendered(format, &single, value) else { continue };
            carried += 1;
            let path = folder.path().join(format!("{number}.{key}.{extension}"));
            fs::write(&path, rendered).unwrap();
            let want =
                [around(template, key).0.as_bytes(), value, around(template, key).1.as_bytes()];
            let mut name = path.into_os_string();
            name.push(".want");
            fs::write(name, want.concat()).unwrap();
        }
    }
    assert!(carried >= 2 * keys.len(), "{} carries next to nothing", format.name());
    let Ok(output) =
        Command::new(reader[0]).args(&reader[1..]).arg(script).arg(folder.path()).output()
    else {
        println!("skipped: {} is not there", reader[0]);
        return;
    };
    if output.status.code() == Some(77) {
        println!("skipped: {} cannot read {}", reader[0], format.name());
        return;
    }
    let mut complaints = String::from_utf8_lossy(&output.stdout).into_owned();
    if script == BASH {
        complaints += &compare(folder.path());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(complaints.is_empty(), "{} reads otherwise:\n{complaints}{errors}", reader[0]);
}

/// The cases of which a shell did not write what is wanted; it has no way to compare bytes itself.
fn compare(folder: &Path) -> String {
    let mut complaints = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let want = entry.unwrap().path();
        if want.extension().is_some_and(|extension| extension == "want")
            && fs::read(want.with_extension("got")).ok() != fs::read(&want).ok()
        {
            complaints += &format!("{}\n", want.display());
        }
    }
    complaints
}

/// The template with the reference at `key` only; elsewhere stands a harmless text.
fn only(template: &str, key: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    let at = position(template, key);
    while let Some(found) = rest.find('V') {
        let here = template.len() - rest.len() + found;
        out += &rest[..found];
        out += if here == at { "bulla://a/b" } else { "harmless" };
        rest = &rest[found + 1..];
    }
    // What is left of the other braces would be text.
    (out + rest).replace("{{ harmless }}", "harmless")
}

/// Where the placeholder of `key` stands.
fn position(template: &str, key: &str) -> usize {
    let name = ["\"K\":", "\nK:", "\nK =", " K=", "<K>", "\nK="]
        .iter()
        .find_map(|form| format!("\n{template}").find(&form.replace('K', key)))
        .expect("the template has the key");
    name + template[name..].find('V').unwrap()
}

/// The text around the value of `key` in its scalar.
fn around(template: &str, key: &str) -> (&'static str, &'static str) {
    match (template, key) {
        (YAML, "d") => ("u\n", "\nv\n"),
        (YAML, "f") => ("u ", " v"),
        (JSON | YAML | ENV | XML, "b") | (XML, "c") => ("x", "y"),
        _ => ("", ""),
    }
}

/// The rendered file, or `None` if the value was refused for the right reason.
pub(crate) fn rendered(format: Format, template: &str, value: &[u8]) -> Option<Vec<u8>> {
    let template = Template::parse("nasty", template.as_bytes().to_vec(), Some(format));
    match render(&[template], &One(value), &[]) {
        Ok(renderings) => Some(renderings[0].contents.expose().to_vec()),
        Err(problems) => {
            let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
            assert!(problems.iter().all(|p| p.kind == Kind::CannotCarry), "{value:?}: {shown:?}");
            None
        }
    }
}

struct One<'a>(&'a [u8]);

impl Source for One<'_> {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        let answer = |_| Answer::Value { secret: Secret::copied_from(self.0), version: 1 };
        wanted.iter().map(answer).collect()
    }
}

/// What carries every text does so; what carries only some refuses the rest.
#[test]
fn json_and_yaml_carry_every_text() {
    for value in nasty() {
        let is_text = std::str::from_utf8(&value).is_ok();
        for (format, template, keys) in [
            (Format::Json, JSON, &["a", "b", "c"][..]),
            (Format::Yaml, YAML, &["a", "b", "c", "d", "e", "f"]),
        ] {
            for key in keys {
                let carried = rendered(format, &only(template, key), &value).is_some();
                assert_eq!(carried, is_text, "{} {key} {value:?}", format.name());
            }
        }
    }
    for value in nasty() {
        assert!(rendered(Format::Text, "x {{ bulla://a/b }} y", &value).is_some());
    }
}

const YAML_NODES: &[&str] = &[
    "K:\n",
    "K: # none\n",
    "K: bulla://a/b\n",
    "K: bulla://a/b # c\n",
    "K: \"bulla://a/b\"\n",
    "K: '{{ bulla://a/b }}'  # \u{e9}\n",
    "K: |\n  {{ bulla://a/b }}\n",
    "K: |-\n  a\n  {{ bulla://a/b }}\n\n",
    "K: |+\n  ((bulla://a/b))\n\n\n",
    "K: >\n  a\n  ((bulla://a/b))\n  c\n",
    "K: |\n",
    "K: &K \u{e9}\u{1f511}\n",
    "K: !!str\n",
    "K: {a, b: , c: bulla://a/b}\n",
    "K: [ ~ , bulla://a/b]\n",
    "K:\n- bulla://a/b\n-\n- - bulla://a/b\n  -\n",
    "? K\n",
    "? K\n: bulla://a/b\n",
    "# bulla://a/b\n\n",
    "K: a\n  ((bulla://a/b))\n\n  c\n",
];

proptest! {
    #[test]
    fn every_value_is_carried_or_refused(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            "\\PC{0,12}".prop_map(String::into_bytes),
            "[ \\t\\n\\r#:'\"\\\\{}\\[\\]$|>&*!%@`,a-]{0,12}".prop_map(String::into_bytes),
        ],
    ) {
        for (format, template) in [
            (Format::Json, JSON),
            (Format::Yaml, YAML),
            (Format::GenesysIni, INI),
            (Format::GenesysXml, XML),
            (Format::Dotenv, ENV),
        ] {
            rendered(format, &template.replace('V', "bulla://a/b"), &value);
        }
    }

    /// Whatever stands around a place, its value is carried: the proof finds nothing else moved.
    #[test]
    fn neighbours_of_a_place_do_not_matter(
        nodes in prop::collection::vec(0..YAML_NODES.len(), 1..8),
        crlf: bool,
        value in "[ -~\\n\u{e9}]{0,8}",
    ) {
        let mut file = String::new();
        for (number, node) in nodes.into_iter().enumerate() {
            file += &YAML_NODES[node].replace('K', &format!("k{number}"));
        }
        if crlf {
            file = file.replace('\n', "\r\n");
        }
        prop_assert!(rendered(Format::Yaml, &file, value.as_bytes()).is_some());
    }

    #[test]
    fn no_file_makes_a_parser_panic(
        file in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "[ \\n\\r\\t#:'\"\\\\{}\\[\\]$|>&*!<>/=a-c-]{0,60}".prop_map(String::into_bytes),
        ],
        at in any::<prop::sample::Index>(),
    ) {
        let mut file = file;
        let at = at.index(file.len() + 1);
        file.splice(at..at, b"{{ bulla://a/b }}".iter().copied());
        for &format in Format::ALL {
            let template = Template::parse("x", file.clone(), Some(format));
            let _ = render(&[template], &One(b"value"), &[]);
            let _ = bulla_resolve::Adoption::find("x", &file, Some(format));
        }
    }
}

//! YAML, and Kubernetes Secrets in it.

use std::fs;

use bulla_resolve::{Format, Template};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{Trial, is_text, python, rendered};
use crate::matrix::run;

pub(super) const TRIAL: Trial = Trial {
    format: Format::Yaml,
    extension: "yaml",
    template: "a: @@\nb: \"x{{ @@ }}y\"\nc: '@@'\nd: |\n  u\n  {{ @@ }}\n  v\ne: [@@, z]\n\
               f: >-\n  u {{ @@ }} v\ng: u:{{ @@ }} [v]@#w\nh: [--x=((@@)), z]\n\
               i: 12{{ @@ }}34\nj:\n  k: [\n    \"@@\"\n  ]\nl:\n  m: ['@@', # n\n\"o\"\n]\n\
               end: 1\n",
    keys: &[
        ("a", "", ""),
        ("b", "x", "y"),
        ("c", "", ""),
        ("d", "u\n", "\nv\n"),
        ("e", "", ""),
        ("f", "u ", " v"),
        ("g", "u:", " [v]@#w"),
        ("h", "--x=", ""),
        ("i", "12", "34"),
        ("j", "", ""),
        ("l", "", ""),
    ],
};

/// References in base64, alone and in a text; the filter; and what is no data.
const SECRET: Trial = Trial {
    format: Format::Yaml,
    extension: "yaml",
    template: "kind: Other\ndata: {a: eA==}\n---\napiVersion: v1\ndata:\n  a: YnVsbGE6Ly9hL2I=\n  \
               b: \"eHt7IGJ1bGxhOi8vYS9iIH19eQ==\" # x\n  c: '{{ bulla://a/b | base64 }}'\n  d: |\n    \
               YnVsbGE6\n    Ly9hL2I=\nkind: Secret\n",
    keys: &[("a", "", ""), ("b", "x", "y"), ("c", "", ""), ("d", "", "")],
};

#[test]
fn yaml_carries_every_text() {
    TRIAL.carries_just(is_text);
}

#[test]
fn yaml_is_read_by_pyyaml() {
    TRIAL.judge("PyYAML", &["python3", "-c", &python(PY)]);
}

/// It reads YAML 1.2, and PyYAML 1.1.
#[test]
fn yaml_is_read_by_ruamel() {
    TRIAL.judge("Python ruamel.yaml", &["python3", "-c", &python(RUAMEL)]);
}

#[test]
fn kubernetes_secrets_carry_every_byte() {
    SECRET.carries_just(|_| true);
}

#[test]
fn kubernetes_secrets_are_read_by_pyyaml() {
    SECRET.judge("PyYAML, data of a Secret", &["python3", "-c", &python(PY_SECRET)]);
}

/// The parser refuses brackets that end in the column of their key, behind text in quotes. What is read in
/// spite of that has to be just what others read.
#[test]
fn lines_in_brackets_may_stand_anywhere_as_with_pyyaml_and_ruamel() {
    let mut files = Vec::new();
    for item in [
        "x",
        "\"x\"",
        "'x', y",
        "[\"x\"]",
        "b: 'x'",
        "{b: \"x\"}",
        "\"x\nw\"",
        "&x \"x\"",
        "\u{e9} 'x",
    ] {
        for line_end in ["\n", ",\n", " # ]\n", ", # ]\n", "\r\n", ",\n\n", "\n  \n"] {
            for rest in
                ["]", ",]", "'y']", "y ]", "# ]\n]", "---\n]", "...]", "... ]", "%y]", "- y]", "}"]
            {
                for indent in 0..4 {
                    let blanks = " ".repeat(indent);
                    files.push(format!(
                        "k:\n  a: [{item}{line_end}{blanks}{rest}\n  z: bulla://a/b\n"
                    ));
                }
            }
        }
    }
    let folder = TempDir::new().unwrap();
    for (number, file) in files.iter().enumerate() {
        fs::write(folder.path().join(format!("{number}.yaml")), file).unwrap();
    }
    if !run(&["python3", "-c", PY_READS], folder.path()) {
        println!("skipped: PyYAML or ruamel.yaml is not there");
        return;
    }
    let mut others = String::new();
    for (number, file) in files.iter().enumerate() {
        let got = fs::read_to_string(folder.path().join(format!("{number}.yaml.got"))).unwrap();
        let is_read =
            Template::parse("x", file.clone().into(), Some(Format::Yaml)).problems().is_empty();
        if got != format!("{is_read} {is_read}") {
            others += &format!("{file:?}: {is_read}, others {got}\n");
        }
    }
    assert!(others.is_empty(), "{others}");
}

const PY_READS: &str = r#"
import glob, sys
try:
    import yaml
    from ruamel.yaml import YAML
except ImportError: sys.exit(77)
def reads(load, path):
    try: return str(load(open(path, 'rb'))['k']['z'] == 'bulla://a/b').lower()
    except Exception: return 'false'
ruamel = YAML(typ='safe', pure=True)
for path in glob.glob(sys.argv[1] + '/*.yaml'):
    open(path + '.got', 'w').write(reads(yaml.safe_load, path) + ' ' + reads(ruamel.load, path))
"#;
const PY: &str = r#"
try: import yaml
except ImportError: sys.exit(77)
def read(path, key):
    tree = yaml.safe_load(open(path, 'rb'))
    assert tree['end'] == 1
    value = list(tree[key].values())[0] if key in 'jl' else tree[key]
    return value[0] if key in 'ehjl' else value
check('yaml', read)
"#;
const RUAMEL: &str = r#"
try: from ruamel.yaml import YAML
except ImportError: sys.exit(77)
def read(path, key):
    tree = YAML(typ='safe', pure=True).load(open(path, 'rb'))
    assert tree['end'] == 1
    value = list(tree[key].values())[0] if key in 'jl' else tree[key]
    return value[0] if key in 'ehjl' else value
check('yaml', read)
"#;
const PY_SECRET: &str = r#"
try: import yaml
except ImportError: sys.exit(77)
import base64
def read(path, key):
    other, secret = yaml.safe_load_all(open(path, 'rb'))
    assert other['data']['a'] == 'eA==' and secret['kind'] == 'Secret'
    return base64.b64decode(secret['data'][key], validate=True)
check('yaml', read)
"#;

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
    "K: a:((bulla://a/b)) #c\n",
    "K: [a ((bulla://a/b)), --b=((bulla://a/b))#c]\n",
];

proptest! {
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
}

//! YAML, and Kubernetes Secrets in it.

use bulla_resolve::Format;
use proptest::prelude::*;

use super::{Trial, is_text, python, rendered};

pub(super) const TRIAL: Trial = Trial {
    format: Format::Yaml,
    extension: "yaml",
    template: "a: @@\nb: \"x{{ @@ }}y\"\nc: '@@'\nd: |\n  u\n  {{ @@ }}\n  v\ne: [@@, z]\n\
               f: >-\n  u {{ @@ }} v\ng: u:{{ @@ }} [v]@#w\nh: [--x=((@@)), z]\n\
               i: 12{{ @@ }}34\nend: 1\n",
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

const PY: &str = r#"
try: import yaml
except ImportError: sys.exit(77)
def read(path, key):
    tree = yaml.safe_load(open(path, 'rb'))
    assert tree['end'] == 1
    return tree[key][0] if key in 'eh' else tree[key]
check('yaml', read)
"#;
const RUAMEL: &str = r#"
try: from ruamel.yaml import YAML
except ImportError: sys.exit(77)
def read(path, key):
    tree = YAML(typ='safe', pure=True).load(open(path, 'rb'))
    assert tree['end'] == 1
    return tree[key][0] if key in 'eh' else tree[key]
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

//! YAML.

use bulla_resolve::Format;
use proptest::prelude::*;

use super::{PYTHON, Reader, Trial, is_text, python, rendered};

pub(super) const TRIAL: Trial = Trial {
    format: Format::Yaml,
    extension: "yaml",
    template: "a: @@\nb: \"x{{ @@ }}y\"\nc: '@@'\nd: |\n  u\n  {{ @@ }}\n  v\ne: [@@, z]\n\
               f: >-\n  u {{ @@ }} v\nend: 1\n",
    keys: &[
        ("a", "", ""),
        ("b", "x", "y"),
        ("c", "", ""),
        ("d", "u\n", "\nv\n"),
        ("e", "", ""),
        ("f", "u ", " v"),
    ],
};

#[test]
fn yaml_carries_every_text() {
    TRIAL.carries_just(is_text);
}

#[test]
fn yaml_is_read_by_pyyaml() {
    TRIAL.judge(&Reader { command: PYTHON, script: &python(PY) });
}

const PY: &str = r#"
try: import yaml
except ImportError: sys.exit(77)
def read(path, key):
    tree = yaml.safe_load(open(path, 'rb'))
    assert tree['end'] == 1
    return tree['e'][0] if key == 'e' else tree[key]
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

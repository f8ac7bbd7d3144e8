//! TOML, in all its ways to write a string.

use bulla_resolve::Format;
use proptest::prelude::*;

use super::{Trial, is_text, python, rendered};

pub(super) const TRIAL: Trial = Trial {
    format: Format::Toml,
    extension: "toml",
    template: "a = \"@@\"\nb = \"x{{ @@ }}y\"\nc = '@@' # '\nd = \"\"\"@@\"\"\"\ne = \"\"\"\n\\\"{{ @@ }}\"\"\"\n\
               f = '''@@'''\ng = '''\nu\n{{ @@ }}\nv'''\nh = [[1], {x.\"y\" = '@@'},\n]\n[end]\nend = 1\n",
    keys: &[
        ("a", "", ""),
        ("b", "x", "y"),
        ("c", "", ""),
        ("d", "", ""),
        ("e", "\"", ""),
        ("f", "", ""),
        ("g", "u\n", "\nv"),
        ("h", "", ""),
    ],
};

#[test]
fn toml_carries_every_text() {
    TRIAL.carries_just(is_text);
}

/// Each with places in it, or none.
const NODES: &[&str] = &[
    "K = \"bulla://a/b\"\n",
    "K = 'x{{ bulla://a/b }}' # \u{e9}\n",
    "K.\"K\" = \"\"\"\n\"{{ bulla://a/b }}\"\"\"\n",
    "[K]\n",
    "[[K.x]]\ny = '''bulla://a/b'''\n",
    "K = [\n  'bulla://a/b', # '\n  [{ x.y = \"bulla://a/b\", z = 1.5 }],\n]\n",
    "# bulla://a/b\n\n",
    "K = 1979-05-27 07:32:00Z\n",
    "K = \"\\u00e9\\\"{{ bulla://a/b }}((bulla://a/b))\"\n",
];

proptest! {
    /// Whatever stands around a place, its value is carried: the proof finds nothing else moved.
    #[test]
    fn neighbours_in_toml_do_not_matter(
        nodes in prop::collection::vec(0..NODES.len(), 1..8),
        crlf: bool,
        value in "[ -~\\n\u{e9}]{0,8}",
    ) {
        let mut file = String::new();
        for (number, node) in nodes.into_iter().enumerate() {
            file += &NODES[node].replace('K', &format!("k{number}"));
        }
        if crlf {
            file = file.replace('\n', "\r\n");
        }
        prop_assert!(rendered(Format::Toml, &file, value.as_bytes()).is_some());
    }
}

#[test]
fn toml_is_read_by_tomllib() {
    let script = python("try: from tomllib import loads\nexcept ImportError: sys.exit(77)\n") + PY;
    TRIAL.judge("Python tomllib", &["python3", "-c", &script]);
}

#[test]
fn toml_is_read_by_tomlkit() {
    let script = python("try: from tomlkit import loads\nexcept ImportError: sys.exit(77)\n") + PY;
    TRIAL.judge("Python tomlkit", &["python3", "-c", &script]);
}

const PY: &str = r#"
def read(path, key):
    tree = loads(open(path, 'rb').read().decode())
    assert tree['end']['end'] == 1 and tree['h'][0] == [1]
    return tree['h'][1]['x']['y'] if key == 'h' else tree[key]
check('toml', read)
"#;

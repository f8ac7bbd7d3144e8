//! JSON, and JSON with comments.

use bulla_resolve::Format;

use super::{Trial, is_text, python};
use crate::matrix::{Reader, judge_odd};

pub(super) const TRIAL: Trial = Trial {
    format: Format::Json,
    extension: "json",
    template: "{\"a\": \"@@\", \"b\": \"x{{ @@ }}y\", \"c\": [\"{{ @@ }}\"], \"end\": 1}\n",
    keys: &[("a", "", ""), ("b", "x", "y"), ("c", "", "")],
};

pub(super) const WITH_COMMENTS: Trial = Trial {
    format: Format::Jsonc,
    extension: "jsonc",
    template: "// \"a\": [\n{\"a\": \"@@\", /* \" */ \"b\": \"x{{ @@ }}y\" /*/ } */,\n \"c\": [\"{{ @@ }}\",//]\n\
               ], \"end\": 1 , }",
    keys: &[("a", "", ""), ("b", "x", "y"), ("c", "", "")],
};

#[test]
fn json_carries_every_text() {
    TRIAL.carries_just(is_text);
    WITH_COMMENTS.carries_just(is_text);
}

#[test]
fn json_is_read_by_python() {
    TRIAL.judge("Python json", &["python3", "-c", &python(PY)]);
}

#[test]
fn json_is_read_by_node() {
    TRIAL.judge("node", &["node", "-e", NODE]);
}

#[test]
fn json_is_read_by_php() {
    TRIAL.judge("PHP", &["php", "-n", "-r", PHP]);
}

#[test]
fn json_with_comments_is_read_as_visual_studio_code_does() {
    WITH_COMMENTS.judge("npm jsonc-parser", &["node", "-e", NODE_COMMENTS]);
}

/// JavaScript rounds larger ones.
#[test]
fn numbers_are_read_by_node() {
    let script = "
const fs = require('fs'), folder = process.argv[1];
for (const name of fs.readdirSync(folder).filter(name => name.endsWith('.json'))) {
    const { a } = JSON.parse(fs.readFileSync(folder + '/' + name, 'utf8'));
    fs.writeFileSync(folder + '/' + name + '.got', typeof a === 'number' ? String(a) : typeof a);
}
";
    let reader = Reader { name: "node", command: &["node", "-e", script] };
    let file = ["{\"a\": \"{{ bulla://a/b | int }}\"}".to_owned()];
    let values = [
        "0",
        "-7",
        "9007199254740991",
        "-9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "-9007199254740993",
        "9223372036854775807",
    ];
    judge_odd(Format::Json, "json", &file, &values, &reader);
}

const PY: &str = r#"
import json
def read(path, key):
    tree = json.load(open(path, 'rb'))
    assert tree['end'] == 1
    return tree['c'][0] if key == 'c' else tree[key]
check('json', read)
"#;
const NODE: &str = r"
const fs = require('fs'), folder = process.argv[1];
for (const name of fs.readdirSync(folder).filter(name => name.endsWith('.json'))) {
    const path = folder + '/' + name, key = name.split('.')[1];
    const tree = JSON.parse(fs.readFileSync(path, 'utf8'));
    if (tree.end === 1) fs.writeFileSync(path + '.got', key === 'c' ? tree.c[0] : tree[key]);
}
";
const NODE_COMMENTS: &str = r"
const fs = require('fs'), folder = process.argv[1];
let parser;
try { parser = require('jsonc-parser'); } catch { process.exit(77); }
for (const name of fs.readdirSync(folder).filter(name => name.endsWith('.jsonc'))) {
    const path = folder + '/' + name, key = name.split('.')[1], errors = [];
    const options = { allowTrailingComma: true };
    const tree = parser.parse(fs.readFileSync(path, 'utf8'), errors, options);
    if (errors.length || tree.end !== 1) continue;
    fs.writeFileSync(path + '.got', key === 'c' ? tree.c[0] : tree[key]);
}
";
const PHP: &str = r"
foreach (glob($argv[1] . '/*.json') as $path) {
    $key = explode('.', basename($path))[1];
    $tree = json_decode(file_get_contents($path), true, 512, JSON_THROW_ON_ERROR);
    $got = $key === 'c' ? $tree['c'][0] : $tree[$key];
    if ($tree['end'] === 1 && is_string($got)) file_put_contents($path . '.got', $got);
}
";

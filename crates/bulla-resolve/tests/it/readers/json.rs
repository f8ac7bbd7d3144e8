//! JSON, and JSON with comments.

use bulla_resolve::Format;

use super::{PYTHON, Reader, Trial, is_text, python};

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
    TRIAL.judge(&Reader { command: PYTHON, script: &python(PY) });
}

#[test]
fn json_with_comments_is_read_as_visual_studio_code_does() {
    WITH_COMMENTS.judge(&Reader { command: &["node", "-e"], script: NODE });
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
let parser;
try { parser = require('jsonc-parser'); } catch { process.exit(77); }
for (const name of fs.readdirSync(folder).filter(name => name.endsWith('.jsonc'))) {
    const path = folder + '/' + name, [number, key] = name.split('.'), errors = [];
    const options = { allowTrailingComma: true };
    const tree = parser.parse(fs.readFileSync(path, 'utf8'), errors, options);
    const got = key === 'c' ? tree.c[0] : tree[key];
    const want = fs.readFileSync(path + '.want');
    const same = Buffer.from(got ?? '').equals(want);
    if (errors.length || tree.end !== 1 || !same) console.log(number, key);
}
";

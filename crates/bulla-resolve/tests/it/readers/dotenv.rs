//! Dotenv files, read by shells and libraries.

use bulla_resolve::Format;

use super::{PYTHON, Reader, Trial, python};

pub(super) const TRIAL: Trial = Trial {
    format: Format::Dotenv,
    extension: "env",
    template: "# it's a `note`\n\nd=x # it's\na=@@\n e='f' # \"\nb='x{{ @@ }}y'  \n#\nc=\"{{ @@ }}\"\n\
               end=1\n",
    keys: &[("a", "", ""), ("b", "x", "y"), ("c", "", "")],
};

#[test]
fn dotenv_is_read_by_bash() {
    TRIAL.judge(&Reader { command: &["bash", "-c"], script: SHELL });
}

#[test]
fn dotenv_is_read_by_dash() {
    TRIAL.judge(&Reader { command: &["dash", "-c"], script: SHELL });
}

#[test]
fn dotenv_is_read_by_node() {
    TRIAL.judge(&Reader { command: &["node", "-e"], script: NODE });
}

#[test]
fn dotenv_is_read_by_python_dotenv() {
    TRIAL.judge(&Reader { command: PYTHON, script: &python(PY) });
}

const SHELL: &str = r#"
for path in "$0"/*.env; do
    key=${path##*/}; key=${key#*.}; key=${key%%.*}
    ( a=; b=; c=; end=; . "$path" && [ "$end" = 1 ] && eval "printf %s \"\$$key\"" > "$path.got" )
    cmp -s "$path.want" "$path.got" || echo "$path"
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
const PY: &str = r#"
try: import dotenv
except ImportError: sys.exit(77)
def read(path, key):
    values = dotenv.dotenv_values(path)
    assert values['end'] == '1'
    return values[key]
check('env', read)
"#;

//! Dotenv files, read by shells and libraries.

use bulla_resolve::Format;

use super::{Trial, python};

pub(super) const TRIAL: Trial = Trial {
    format: Format::Dotenv,
    extension: "env",
    template: "# it's a `note`\n\nd=x # it's\na=@@\n e='f' # \"\nb='x{{ @@ }}y'  \n#\nc=\"{{ @@ }}\"\n\
               end=1\n",
    keys: &[("a", "", ""), ("b", "x", "y"), ("c", "", "")],
};

#[test]
fn dotenv_is_read_by_bash() {
    TRIAL.judge("bash", &["bash", "-c", SHELL]);
}

#[test]
fn dotenv_is_read_by_dash() {
    TRIAL.judge("dash", &["dash", "-c", SHELL]);
}

#[test]
fn dotenv_is_read_by_zsh() {
    TRIAL.judge("zsh", &["zsh", "-fc", SHELL]);
}

#[test]
fn dotenv_is_read_by_node() {
    TRIAL.judge("node", &["node", "-e", NODE]);
}

#[test]
fn dotenv_is_read_by_python_dotenv() {
    TRIAL.judge("Python dotenv", &["python3", "-c", &python(PY)]);
}

const SHELL: &str = r#"
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
    const path = folder + '/' + name, key = name.split('.')[1];
    const values = util.parseEnv(fs.readFileSync(path, 'utf8'));
    if (values.end === '1') fs.writeFileSync(path + '.got', values[key] ?? '');
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

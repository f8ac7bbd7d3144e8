//! INI files and their dialects, judged by Python's configparser, git, MariaDB, npm's ini and PHP.

use bulla_resolve::Format;
use proptest::prelude::*;

use crate::matrix::{Place, Reader, alone, judge};
use crate::readers::rendered;
use crate::{readers_shell, readers_systemd, readers_xml};

/// Has Python's configparser judge, with what it expands.
fn by_python(format: Format, places: &[Place], name: &str, parser: &str) {
    let script = PY_INI.replace("PARSER", parser);
    judge(format, "ini", places, &Reader { name, command: &["python3", "-c", &script] });
}

fn by_shell(format: Format, places: &[Place], name: &str, script: &str) {
    judge(format, "ini", places, &Reader { name, command: &["sh", "-c", script] });
}

#[test]
fn ini_is_read_by_configparser() {
    for (name, expansion) in [
        ("Python configparser", "BasicInterpolation()"),
        ("Python configparser, no interpolation", "None"),
        ("Python configparser, ExtendedInterpolation", "ExtendedInterpolation()"),
    ] {
        by_python(Format::Ini, INI, name, &format!("ConfigParser(interpolation={expansion})"));
    }
}

#[test]
fn ini_is_read_by_git() {
    by_shell(Format::Ini, INI, "git", GIT);
}

#[test]
fn ini_is_read_by_mariadb() {
    by_shell(Format::Ini, INI, "MariaDB", MYSQL);
}

#[test]
fn ini_is_read_by_npms_ini() {
    judge(Format::Ini, "ini", INI, &Reader { name: "npm ini", command: &["node", "-e", NPM] });
}

#[test]
fn ini_is_read_by_php() {
    let reader = Reader { name: "PHP, INI_SCANNER_RAW", command: &["php", "-n", "-r", PHP] };
    judge(Format::Ini, "ini", INI, &reader);
}

#[test]
fn ini_python_is_read_by_configparser() {
    by_python(Format::IniPython, PYTHON_INI, "Python configparser", "ConfigParser()");
}

#[test]
fn ini_python_raw_is_read_by_configparser() {
    for (name, parser) in [
        ("Python configparser, no interpolation", "ConfigParser(interpolation=None)"),
        ("Python RawConfigParser", "RawConfigParser()"),
    ] {
        by_python(Format::IniPythonRaw, PYTHON_INI, name, parser);
    }
}

#[test]
fn ini_git_is_read_by_git() {
    by_shell(Format::IniGit, GIT_INI, "git", GIT);
}

#[test]
fn ini_mysql_is_read_by_mariadb() {
    by_shell(Format::IniMysql, MYSQL_INI, "MariaDB", MYSQL);
}

pub(crate) const INI: &[Place] = &[
    alone("[s]\na = bulla://a/b\nend = 1\n"),
    Place {
        template: "; x\n[s]\nx=y\na=x{{ bulla://a/b }}y\n\n# z\nend=1\n",
        before: "x",
        after: "y",
    },
];
pub(crate) const PYTHON_INI: &[Place] = &[
    alone("[s]\na = bulla://a/b\nend = 1\n"),
    alone("[s]\r\n  a: bulla://a/b\r\n  end: 1\r\n"),
    Place {
        template: "[s]\na =\n  u\n  {{ bulla://a/b }}\n\n  v\nend = 1\n",
        before: "\nu\n",
        after: "\n\nv",
    },
];
pub(crate) const GIT_INI: &[Place] = &[
    alone("[s]\na = bulla://a/b\nend = 1\n"),
    alone("[s] a = \"bulla://a/b\" ; c\r\nend = 1\r\n"),
    alone("[s]\na = \\\n  {{ bulla://a/b }}\nend = 1\n"),
    alone("[s]\na = \"\" {{ bulla://a/b }}\nend = 1\n"),
    Place {
        template: "[S]\n\ta=x \"{{ bulla://a/b }}\"\\\n y#c\nend=1",
        before: "x ",
        after: " y",
    },
];
pub(crate) const MYSQL_INI: &[Place] = &[
    alone("[s]\na = bulla://a/b\nend = 1\n"),
    alone("[s]\na=\"bulla://a/b\" # c\nend = 1\n"),
    alone("[s]\r\n a = 'bulla://a/b'\r\nend = 1\r\n"),
    Place { template: "[s]\na = x\\n{{ bulla://a/b }}y # c\nend = 1\n", before: "x\n", after: "y" },
];

const PY_INI: &str = r#"
import glob, sys
from configparser import *
for path in glob.glob(sys.argv[1] + '/*.ini'):
    tree = PARSER
    try:
        tree.read(path, encoding='utf-8')
        got = tree['s']['a'] if tree['s']['end'] == '1' else 'no end'
    except Exception as e: got = repr(e)
    open(path + '.got', 'wb').write(got.encode('utf-8', 'surrogatepass'))
"#;
const GIT: &str = r#"
command -v git >/dev/null || exit 77
for path in "$0"/*.ini; do
    [ "$(git config -f "$path" --get s.end)" = 1 ] || continue
    git config -z -f "$path" --get s.a | tr -d '\0' > "$path.got"
done
exit 0
"#;
/// It prints a line `--KEY=VALUE` for each option, the value as it is.
const MYSQL: &str = r#"
command -v my_print_defaults >/dev/null || exit 77
for path in "$0"/*.ini; do
    my_print_defaults --defaults-file="$path" s |
        awk 'BEGIN { RS = "\001\001"; ORS = "" } {
            sub(/^(--x=y\n)?--a=/, ""); if (sub(/\n--end=1\n$/, "")) print }' > "$path.got"
done
exit 0
"#;

/// `./test --install` puts npm's into a folder of its own, which `NODE_PATH` names.
const NPM: &str = r"
const fs = require('fs'), folder = process.argv[1];
let ini;
try { ini = require('ini'); } catch { process.exit(77); }
for (const name of fs.readdirSync(folder).filter(name => name.endsWith('.ini'))) {
    const tree = ini.parse(fs.readFileSync(folder + '/' + name, 'utf8'));
    // It makes some words something else than text.
    const got = typeof tree.s.a === 'string' ? tree.s.a : typeof tree.s.a;
    if (tree.s.end === '1') fs.writeFileSync(folder + '/' + name + '.got', got);
}
";
const PHP: &str = r"
foreach (glob($argv[1] . '/*.ini') as $path) {
    $tree = parse_ini_file($path, true, INI_SCANNER_RAW);
    if ($tree && $tree['s']['end'] === '1') file_put_contents($path . '.got', $tree['s']['a']);
}
";

proptest! {
    /// Whatever the value and wherever its place, it is proven or refused for a reason.
    #[test]
    fn every_value_is_carried_or_refused(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            "\\PC{0,12}".prop_map(String::into_bytes),
            "[ \\t\\n\\r#:;'\"\\\\{}()$%<&!,=abnrsx0-]{0,12}".prop_map(String::into_bytes),
        ],
    ) {
        for (format, places) in [
            (Format::DotenvDocker, readers_shell::DOCKER_ENV),
            (Format::DotenvNode, readers_shell::ENV),
            (Format::DotenvPython, readers_shell::ENV),
            (Format::Ini, INI),
            (Format::IniGit, GIT_INI),
            (Format::IniMysql, MYSQL_INI),
            (Format::IniPython, PYTHON_INI),
            (Format::IniPythonRaw, PYTHON_INI),
            (Format::Shell, readers_shell::SHELL),
            (Format::Shell, readers_shell::DOLLAR_QUOTES),
            (Format::Systemd, readers_systemd::ENVIRONMENT),
            (Format::Systemd, readers_systemd::ARGUMENTS),
            (Format::Systemd, readers_systemd::OTHERS),
            (Format::Xml, readers_xml::XML),
        ] {
            for place in places {
                rendered(format, place.template, &value);
            }
        }
    }
}

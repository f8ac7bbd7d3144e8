//! INI files and their dialects, judged by Python's configparser, git and MariaDB.

use std::fs;
use std::path::Path;
use std::process::Command;

use bulla_resolve::Format;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::readers::{nasty, rendered};
use crate::{readers_shell, readers_systemd, readers_xml};

/// A file with one reference, and the text around it in its scalar.
pub(crate) struct Place {
    pub(crate) template: &'static str,
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
}

/// A place that is nothing but the value.
pub(crate) const fn alone(template: &'static str) -> Place {
    Place { template, before: "", after: "" }
}

/// Renders every nasty value at every place and lets a program read the files. It gets a folder of
/// files `NUMBER.EXTENSION` and writes what it has read from each to a file that is named
/// `NUMBER.EXTENSION.got`; status 77 means that it cannot. At least `carried` of a hundred values have
/// to be carried, or the test would be empty.
pub(crate) fn judge(
    format: Format,
    extension: &str,
    places: &[Place],
    reader: &[&str],
    carried: usize,
) {
    let folder = TempDir::new().unwrap();
    let values = nasty();
    let mut wanted = Vec::new();
    for place in places {
        for value in &values {
            let Some(file) = rendered(format, place.template, value) else { continue };
            let path = folder.path().join(format!("{}.{extension}", wanted.len()));
            fs::write(&path, file).unwrap();
            let want = [place.before.as_bytes(), value, place.after.as_bytes()].concat();
            wanted.push((path, want));
        }
    }
    let least = carried * values.len() * places.len() / 100;
    assert!(wanted.len() >= least, "{} carries only {}", format.name(), wanted.len());
    if !run(reader, folder.path()) {
        println!("skipped: {} cannot judge {}", reader[0], format.name());
        return;
    }
    let mut complaints = String::new();
    for (path, want) in wanted {
        let mut got = path.clone().into_os_string();
        got.push(".got");
        let got = fs::read(got).ok();
        if got.as_ref() != Some(&want) {
            let file = fs::read(path).unwrap();
            let shown = |bytes: &[u8]| bytes[..bytes.len().min(120)].escape_ascii().to_string();
            let got = got.map_or("nothing".to_owned(), |got| shown(&got));
            complaints += &format!("{}\n  {got}\n  in {}\n", shown(&want), shown(&file));
        }
    }
    assert!(complaints.is_empty(), "{} reads otherwise:\n{complaints}", reader[0]);
}

/// Whether the reader is there and did its work.
fn run(reader: &[&str], folder: &Path) -> bool {
    let Ok(output) = Command::new(reader[0]).args(&reader[1..]).arg(folder).output() else {
        return false;
    };
    if output.status.code() == Some(77) {
        return false;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", reader[0]);
    true
}

#[test]
fn ini_is_read_alike_by_all() {
    for reader in [
        python(PY_INI, "BasicInterpolation()"),
        python(PY_INI, "None"),
        python(PY_INI, "ExtendedInterpolation()"),
        shell("sh", GIT),
        shell("sh", MYSQL),
    ] {
        judge(Format::Ini, "ini", INI, &words(&reader), 50);
    }
}

#[test]
fn ini_python_is_read_by_configparser() {
    let reader = python(PY_INI, "BasicInterpolation()");
    judge(Format::IniPython, "ini", PYTHON_INI, &words(&reader), 75);
}

#[test]
fn ini_python_raw_is_read_by_configparser() {
    let reader = python(PY_INI, "None");
    judge(Format::IniPythonRaw, "ini", PYTHON_INI, &words(&reader), 75);
    let raw = PY_INI.replace("ConfigParser(interpolation", "RawConfigParser(interpolation");
    judge(Format::IniPythonRaw, "ini", PYTHON_INI, &words(&python(&raw, "None")), 75);
}

#[test]
fn ini_git_is_read_by_git() {
    judge(Format::IniGit, "ini", GIT_INI, &words(&shell("sh", GIT)), 97);
}

#[test]
fn ini_mysql_is_read_by_mariadb() {
    judge(Format::IniMysql, "ini", MYSQL_INI, &words(&shell("sh", MYSQL)), 96);
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
import configparser, glob, sys
from configparser import BasicInterpolation, ExtendedInterpolation
for path in glob.glob(sys.argv[1] + '/*.ini'):
    tree = configparser.ConfigParser(interpolation=INTERPOLATION)
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

/// A command that runs a Python script.
fn python(script: &str, interpolation: &str) -> Vec<String> {
    let script = script.replace("INTERPOLATION", interpolation);
    vec!["python3".to_owned(), "-c".to_owned(), script]
}

/// A command that runs a script in a shell.
pub(crate) fn shell(name: &str, script: &str) -> Vec<String> {
    vec![name.to_owned(), "-c".to_owned(), script.to_owned()]
}

/// A command as it is run.
pub(crate) fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

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

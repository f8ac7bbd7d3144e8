//! Nasty values in every format, judged by real readers: they read exactly the value, or it was
//! refused. A reader that is not on this machine is skipped with a line that says so.

mod dotenv;
mod genesys;
mod java;
mod json;
mod toml;
mod yaml;

use std::fs;
use std::process::Command;

use bulla_resolve::{Answer, Format, Kind, Reference, Secret, Source, Template, render};
use proptest::prelude::*;
use tempfile::TempDir;

/// A template, and the keys under which values stand in it.
struct Trial {
    format: Format,
    extension: &'static str,
    /// `@@` stands for a reference.
    template: &'static str,
    /// The key of each place, and the text before and behind the value in its scalar.
    keys: &'static [(&'static str, &'static str, &'static str)],
}

/// What reads renderings, and the script that makes it judge them.
struct Reader<'a> {
    command: &'a [&'a str],
    script: &'a str,
}

impl Trial {
    /// Renders every nasty value at every place and lets the reader check.
    fn judge(&self, reader: &Reader<'_>) {
        let folder = TempDir::new().unwrap();
        let mut carried = 0;
        for (number, value) in nasty().iter().enumerate() {
            for (place, &(key, before, after)) in self.keys.iter().enumerate() {
                let Some(rendered) = rendered(self.format, &self.only(place), value) else {
                    continue;
                };
                carried += 1;
                let path = folder.path().join(format!("{number}.{key}.{}", self.extension));
                fs::write(&path, rendered).unwrap();
                let mut name = path.into_os_string();
                name.push(".want");
                fs::write(name, [before.as_bytes(), value, after.as_bytes()].concat()).unwrap();
            }
        }
        assert!(carried >= 2 * self.keys.len(), "{} carries next to nothing", self.format.name());
        let Reader { command: [program, options @ ..], script } = reader else {
            panic!("a reader is a program")
        };
        let command = Command::new(program).args(options).arg(script).arg(folder.path()).output();
        let Ok(output) = command else {
            println!("skipped: {program} is not there");
            return;
        };
        if output.status.code() == Some(77) {
            println!("skipped: {program} cannot read {}", self.format.name());
            return;
        }
        let complaints = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert!(complaints.is_empty(), "{program} reads otherwise:\n{complaints}{errors}");
    }

    /// Every value that is `fit` is carried at every place, and no other is.
    fn carries_just(&self, fit: impl Fn(&[u8]) -> bool) {
        for value in nasty() {
            for (place, (key, ..)) in self.keys.iter().enumerate() {
                let carried = rendered(self.format, &self.only(place), &value).is_some();
                assert_eq!(carried, fit(&value), "{} {key} {value:?}", self.format.name());
            }
        }
    }

    /// The template with the reference at that place only; elsewhere stands a harmless text.
    fn only(&self, place: usize) -> String {
        let mut pieces = self.template.split("@@");
        let mut out = pieces.next().unwrap_or_default().to_owned();
        for (number, piece) in pieces.enumerate() {
            out += if number == place { "bulla://a/b" } else { "harmless" };
            out += piece;
        }
        // What is left of the other braces would be text.
        out.replace("{{ harmless }}", "harmless")
    }
}

fn is_text(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok()
}

/// Values that somebody's template has been broken by.
pub(crate) fn nasty() -> Vec<Vec<u8>> {
    let texts = [
        "",
        " ",
        "x",
        "plain-token_1",
        "1//0g~x.y",
        "\n",
        "a\nb",
        "a\n",
        "\na",
        "a\n\nb\n\n",
        "a\r\nb",
        "a\rb",
        "x\nadmin: true",
        "x\nadmin=true",
        "x\n[admin]",
        "a#b",
        "a #b",
        "#",
        "a: b",
        ": ",
        "- a",
        "'",
        "\"",
        "''",
        "\"\"",
        "it's",
        "a'b\"c",
        "\\",
        "a\\",
        "\\\\",
        "\\n",
        "\\'",
        "a\\\"b",
        "$X",
        "${X}",
        "$(id)",
        "`id`",
        "%s",
        "%(x)s",
        "%%",
        "!x",
        "!",
        "&x",
        "*x",
        "?",
        "|",
        ">",
        "@x",
        "%x",
        "=",
        "==",
        "~",
        "~/x",
        "a:~/x",
        "\t",
        "a\tb",
        " a",
        "a ",
        "\u{a0}",
        "\u{2028}",
        "a\u{2029}b",
        "\u{feff}x",
        "\u{85}",
        "\u{7f}",
        "\u{1b}[2J",
        "\u{1}",
        "\u{0}",
        "a\u{0}b",
        "\u{fffe}",
        "\u{ffff}",
        "\u{e9}",
        "\u{1f511}",
        "null",
        "true",
        "no",
        "y",
        "1e3",
        "0x1F",
        "0o17",
        "007",
        "1_000",
        "12:30:45",
        "2001-01-01",
        ".inf",
        ".nan",
        "<<",
        "{",
        "}",
        "[]",
        "{{ x }}",
        "((x))",
        "bulla://a/b",
        "<x>",
        "]]>",
        "&amp;",
        "&#10;",
        "<!--",
        "a,b",
        "a;b",
        "; x",
        "//x",
        "/*x*/",
        "---",
        "...",
        "--- x",
        "a=b",
        "export",
        "EOF",
        "p$x#y \"q\" \\n z",
        "-----BEGIN X-----\nAA==\n-----END X-----\n",
        "  a\n b",
        "a\n  \nb",
    ];
    let mut values: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    values.extend([vec![0xff], vec![0xc3], b"a\xc3\x28b".to_vec(), vec![b'x'; 100_000]]);
    values
}

const PYTHON: &[&str] = &["python3", "-c"];

/// Each script gets a folder of numbered files, and prints the key and number of every one that it
/// does not read as the file beside it with the expected bytes. Status 77 means that the reader is
/// not there.
const COMMON: &str = r#"
import sys, glob, os
def check(ext, read):
    for path in sorted(glob.glob(sys.argv[1] + '/*.' + ext)):
        number, key = os.path.basename(path).split('.')[:2]
        want = open(path + '.want', 'rb').read()
        try:
            got = read(path, key)
            if isinstance(got, str): got = got.encode('utf-8', 'surrogatepass')
        except Exception as e: got = type(e).__name__.encode()
        if got != want: print(number, key, ascii(want[:60]), ascii(got[:60]))
"#;

/// The script with what all of them need.
fn python(script: &str) -> String {
    format!("{COMMON}{script}")
}

/// The rendered file, or `None` if the value was refused for the right reason.
pub(crate) fn rendered(format: Format, template: &str, value: &[u8]) -> Option<Vec<u8>> {
    let template = Template::parse("nasty", template.as_bytes().to_vec(), Some(format));
    match render(&[template], &One(value), &[]) {
        Ok(renderings) => Some(renderings[0].contents.expose().to_vec()),
        Err(problems) => {
            let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
            assert!(problems.iter().all(|p| p.kind == Kind::CannotCarry), "{value:?}: {shown:?}");
            None
        }
    }
}

struct One<'a>(&'a [u8]);

impl Source for One<'_> {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        let answer = |_| Answer::Value { secret: Secret::copied_from(self.0), version: 1 };
        wanted.iter().map(answer).collect()
    }
}

#[test]
fn plain_text_carries_every_byte() {
    for value in nasty() {
        assert!(rendered(Format::Text, "x {{ bulla://a/b }} y", &value).is_some());
    }
}

proptest! {
    #[test]
    fn every_value_is_carried_or_refused(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            "\\PC{0,12}".prop_map(String::into_bytes),
            "[ \\t\\n\\r#:'\"\\\\{}\\[\\]$|>&*!%@`,a-]{0,12}".prop_map(String::into_bytes),
        ],
    ) {
        for trial in [
            &dotenv::TRIAL,
            &genesys::INI,
            &genesys::XML,
            &java::TRIAL,
            &json::TRIAL,
            &json::WITH_COMMENTS,
            &toml::TRIAL,
            &yaml::TRIAL,
        ] {
            rendered(trial.format, &trial.template.replace("@@", "bulla://a/b"), &value);
        }
    }

    #[test]
    fn no_file_makes_a_parser_panic(
        file in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "[ \\n\\r\\t#:'\"\\\\{}\\[\\]$|>&*!<>/=a-c-]{0,60}".prop_map(String::into_bytes),
        ],
        at in any::<prop::sample::Index>(),
    ) {
        let mut file = file;
        let at = at.index(file.len() + 1);
        file.splice(at..at, b"{{ bulla://a/b }}".iter().copied());
        for &format in Format::ALL {
            let template = Template::parse("x", file.clone(), Some(format));
            let _ = render(&[template], &One(b"value"), &[]);
            let _ = bulla_resolve::Adoption::find("x", &file, Some(format));
        }
    }
}

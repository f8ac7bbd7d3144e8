//! Every value and every form of reference, judged by the real readers of each format, and the tables
//! of it in `tests/references`.
//!
//! A reader reads each rendered value as exactly that value, or bulla has refused it. What stands in the
//! tables is what the run has found: `BULLA_WRITE_TABLES=1` writes them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use bulla_resolve::{Format, Reference, Template};
use tempfile::TempDir;

use crate::readers::rendered;

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

/// A program that reads files: what the tables call it, and its command.
///
/// It gets a folder of files `NUMBER.EXTENSION` or `NUMBER.KEY.EXTENSION`, and writes what it has read
/// from each into a file of that name and `.got`. Status 77 means that it cannot.
pub(crate) struct Reader<'a> {
    pub(crate) name: &'a str,
    pub(crate) command: &'a [&'a str],
}

/// A template with one reference, the end of the name of its files, and the text around the value.
pub(crate) struct Spot {
    pub(crate) template: String,
    pub(crate) suffix: String,
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
}

/// Has the reader judge every value at every place, and every form of reference at the first.
pub(crate) fn judge(format: Format, extension: &str, places: &[Place], reader: &Reader<'_>) {
    let spots: Vec<_> = places
        .iter()
        .map(|&Place { template, before, after }| Spot {
            template: template.to_owned(),
            suffix: extension.to_owned(),
            before,
            after,
        })
        .collect();
    examine(format, &spots, reader);
}

/// The same for places in one template.
pub(crate) fn examine(format: Format, spots: &[Spot], reader: &Reader<'_>) {
    let folder = TempDir::new().unwrap();
    let mut files = Vec::new();
    let mut write = |suffix: &str, contents: &[u8], want: Vec<u8>| {
        let path = folder.path().join(format!("{}.{suffix}", files.len()));
        fs::write(&path, contents).unwrap();
        files.push((path, want));
    };
    let mut counts = vec![(0, 0); CLASSES.len()];
    for spot in spots {
        for (class, value) in VALUES.iter() {
            counts[*class].1 += 1;
            let Some(file) = rendered(format, &spot.template, value) else { continue };
            counts[*class].0 += 1;
            let want = [spot.before.as_bytes(), value, spot.after.as_bytes()].concat();
            write(&spot.suffix, &file, want);
        }
    }
    let shown = counts.iter().map(|(carried, of)| format!("{carried}/{of}")).collect();
    VALUES_TABLE.hold((format.name(), reader.name), shown);
    let mut forms = Vec::new();
    for form in FORMS {
        let spot = &spots[0];
        let written = form.written(format, spot).filter(|file| form.is_seen(format, file));
        if let Some(file) = &written {
            let want = format!("{}{}{}", spot.before, form.text, spot.after);
            write(&spot.suffix, file.as_bytes(), want.into_bytes());
        }
        forms.push(written.is_some());
    }
    let with_forms = files.len() - forms.iter().filter(|fit| **fit).count();
    if !run(reader.command, folder.path()) {
        println!("skipped: {} cannot judge {}", reader.name, format.name());
        return;
    }
    let (values, with_forms) = files.split_at(with_forms);
    let mut complaints = String::new();
    for (path, want) in values {
        let got = fs::read(got(path)).ok();
        if got.as_ref() != Some(want) {
            let file = fs::read(path).unwrap();
            let shown = |bytes: &[u8]| bytes[..bytes.len().min(120)].escape_ascii().to_string();
            let got = got.map_or("nothing".to_owned(), |got| shown(&got));
            complaints += &format!("{}\n  {got}\n  in {}\n", shown(want), shown(&file));
        }
    }
    assert!(complaints.is_empty(), "{} reads otherwise:\n{complaints}", reader.name);
    // Where no reference is in clear, there are no forms of it.
    if with_forms.is_empty() {
        return;
    }
    let mut with_forms = with_forms.iter();
    let cell = |fit| match fit {
        false => "refused",
        true => read_or_not(with_forms.next().expect("one file for each")),
    };
    let cells = forms.into_iter().map(cell).map(str::to_owned).collect();
    FORMS_TABLE.hold((format.name(), reader.name), cells);
}

/// Has the reader judge these values in files in which bulla may resolve nothing: what it places is read as just
/// that. Nothing of it stands in the tables.
pub(crate) fn judge_odd(
    format: Format,
    extension: &str,
    templates: &[String],
    values: &[&str],
    reader: &Reader<'_>,
) {
    let folder = TempDir::new().unwrap();
    let mut files = Vec::new();
    for text in templates {
        let template = Template::parse("x", text.clone().into_bytes(), Some(format));
        if !template.problems().is_empty() {
            continue;
        }
        for value in values {
            let Some(file) = rendered(format, text, value.as_bytes()) else { continue };
            let path = folder.path().join(format!("{}.{extension}", files.len()));
            fs::write(&path, file).unwrap();
            files.push((path, value.as_bytes()));
        }
    }
    assert!(!files.is_empty(), "{} carries nothing of this", format.name());
    if !run(reader.command, folder.path()) {
        println!("skipped: {} cannot judge {}", reader.name, format.name());
        return;
    }
    let mut complaints = String::new();
    for (path, want) in files {
        let got = fs::read(got(&path)).unwrap_or_else(|_| b"nothing".into());
        if got != want {
            let file = fs::read(path).unwrap();
            complaints += &format!("{}\n  in {}\n", got.escape_ascii(), file.escape_ascii());
        }
    }
    assert!(complaints.is_empty(), "{} reads otherwise:\n{complaints}", reader.name);
}

/// The same for what only passes templates on, such as an engine of templates: it reads no values.
pub(crate) fn pass(reader: &Reader<'_>) {
    let folder = TempDir::new().unwrap();
    let files: Vec<_> = FORMS
        .iter()
        .enumerate()
        .map(|(number, form)| {
            let path = folder.path().join(format!("{number}.txt"));
            fs::write(&path, form.text).unwrap();
            (path, form.text.as_bytes().to_vec())
        })
        .collect();
    if !run(reader.command, folder.path()) {
        println!("skipped: {} is not there", reader.name);
        return;
    }
    let cells = files.iter().map(|file| read_or_not(file).to_owned()).collect();
    FORMS_TABLE.hold(("any", reader.name), cells);
}

fn read_or_not((path, want): &(PathBuf, Vec<u8>)) -> &'static str {
    if fs::read(got(path)).ok().as_ref() == Some(want) { "read" } else { "otherwise" }
}

fn got(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".got");
    name.into()
}

/// Whether the reader is there and did its work.
pub(crate) fn run(command: &[&str], folder: &Path) -> bool {
    let Ok(output) = Command::new(command[0]).args(&command[1..]).arg(folder).output() else {
        return false;
    };
    if output.status.code() == Some(77) {
        return false;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", command[0]);
    true
}

/// A form of reference.
pub(crate) struct Form {
    pub(crate) name: &'static str,
    /// What a reader should see of it.
    text: &'static str,
    /// The reference that bulla sees in it.
    reference: &'static str,
}

pub(crate) const FORMS: &[Form] = &[
    Form { name: "bare", text: "bulla://a/b", reference: "bulla://a/b" },
    Form {
        name: "`@` in a name",
        text: "bulla://mailbox/x@example.com/refresh-token",
        reference: "bulla://mailbox/x@example.com/refresh-token",
    },
    Form { name: "`@v3`", text: "bulla://a/b@v3", reference: "bulla://a/b@v3" },
    Form { name: "`%20`", text: "bulla://a%20b/c", reference: "bulla://a%20b/c" },
    Form { name: "`{{ }}`", text: "{{ bulla://a/b }}", reference: "bulla://a/b" },
    Form { name: "`{{}}`", text: "{{bulla://a/b}}", reference: "bulla://a/b" },
    Form { name: "`(( ))`", text: "(( bulla://a/b ))", reference: "bulla://a/b" },
    Form { name: "`(())`", text: "((bulla://a/b))", reference: "bulla://a/b" },
    Form { name: "filter", text: "(( bulla://a/b | url ))", reference: "bulla://a/b" },
    Form { name: ESCAPED, text: "bulla://a/b", reference: "bulla://a/b" },
];
/// Written as the format's own programs escape it.
const ESCAPED: &str = "escaped";

impl Form {
    /// The template with this form in the place of the reference; `None` where that has no reference
    /// that stands for itself, or the format no escapes.
    fn written(&self, format: Format, spot: &Spot) -> Option<String> {
        let template = spot.template.replace("{{ bulla://a/b }}", "bulla://a/b");
        let (before, after) = template.split_once("bulla://a/b")?;
        if after.trim_start().starts_with('|') {
            return None;
        }
        let text = match format {
            Format::IniPython | Format::Systemd => self.text.replace('%', "%%"),
            _ => self.text.to_owned(),
        };
        let text = match (self.name, format) {
            (ESCAPED, Format::Json | Format::Jsonc) => r"bulla:\/\/a\/b",
            (ESCAPED, Format::Properties) => r"bulla\://a/b",
            (ESCAPED, Format::Yaml) => r#""bulla:\/\/a\/b""#,
            (ESCAPED, Format::Toml) => r"bulla:\u002F\u002Fa/b",
            (ESCAPED, Format::Xml | Format::GenesysXml) => "bulla:&#47;&#x2f;a/b",
            (ESCAPED, Format::Systemd) => r"bulla:\x2f/a/b",
            (ESCAPED, Format::Shell) => r"b\ulla://a/b",
            (ESCAPED, Format::IniGit) => r#"bul"la://a/b""#,
            (ESCAPED, _) => return None,
            _ => &text,
        };
        Some([before, text, after].concat())
    }

    /// Whether bulla sees the reference in the file, and nothing wrong.
    fn is_seen(&self, format: Format, file: &str) -> bool {
        let template = Template::parse("x", file.as_bytes().to_vec(), Some(format));
        let reference = Reference::parse(self.reference).unwrap();
        let found = template.closure().iter().map(|wanted| &wanted.reference);
        template.problems().is_empty() && found.eq([&reference])
    }
}

/// The values with the number of their class, from `tests/references/values`; each mark of ASCII
/// before, behind, between and alone; and very long ones.
pub(crate) static VALUES: LazyLock<Vec<(usize, Vec<u8>)>> = LazyLock::new(|| {
    let mut values = Vec::new();
    let mut class = usize::MAX;
    for line in read("values").lines() {
        match line.strip_prefix("== ") {
            Some(name) => class = CLASSES.iter().position(|known| *known == name).expect(name),
            None => values.push((class, decoded(line))),
        }
    }
    let class = CLASSES.len() - 2;
    for mark in (b' '..=b'~').chain([b'\t']).filter(|byte| !byte.is_ascii_alphanumeric()) {
        let (x, y) = (b'x', b'y');
        let around = [vec![mark, x], vec![x, mark], vec![x, mark, y], vec![mark, mark]];
        values.extend(around.map(|value| (class, value)));
    }
    for length in [5_000, 100_000] {
        values.push((CLASSES.len() - 1, vec![b'x'; length]));
    }
    assert!(values.len() > 270, "values are lost");
    values
});

/// The classes of values, as in the file.
pub(crate) const CLASSES: &[&str] = &[
    "plain",
    "empty",
    "blanks",
    "line ends",
    "carriage returns",
    "comment marks",
    "quotes",
    "backslashes",
    "dollars",
    "percent",
    "words",
    "marks",
    "markup",
    "templates",
    "beyond ASCII",
    "control",
    "NUL",
    "not UTF-8",
    "each mark",
    "long",
];

fn decoded(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let (kind, after) = rest.split_first().expect("an escape goes on");
        rest = after;
        out.push(match kind {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'\\' => b'\\',
            b'x' => {
                let digits = std::str::from_utf8(&rest[..2]).unwrap();
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).unwrap()
            }
            _ => panic!("unknown escape in {line}"),
        });
    }
    out
}

/// A table with a row for each format and reader, in a file of tab-separated values.
pub(crate) struct Table {
    file: &'static str,
    /// Tests run at the same time, and each may write its row.
    turn: Mutex<()>,
}

pub(crate) static VALUES_TABLE: Table = Table { file: "values.tsv", turn: Mutex::new(()) };
pub(crate) static FORMS_TABLE: Table = Table { file: "forms.tsv", turn: Mutex::new(()) };

/// The cells behind each format and reader.
pub(crate) type Rows = BTreeMap<(String, String), Vec<String>>;

impl Table {
    /// Compares with the row, or writes it.
    fn hold(&self, (format, reader): (&str, &str), cells: Vec<String>) {
        let turn = self.turn.lock().unwrap();
        let mut rows =
            if writing() && !path(self.file).exists() { Rows::new() } else { self.rows() };
        let key = (format.to_owned(), reader.to_owned());
        if !writing() {
            drop(turn);
            assert_eq!(rows.get(&key), Some(&cells), "{format} by {reader}, in {}", self.file);
            return;
        }
        rows.insert(key, cells);
        let heads: Vec<_> = match self.file {
            "values.tsv" => CLASSES.to_vec(),
            _ => FORMS.iter().map(|form| form.name).collect(),
        };
        let mut text = format!("format\treader\t{}\n", heads.join("\t"));
        for ((format, reader), cells) in rows {
            text += &format!("{format}\t{reader}\t{}\n", cells.join("\t"));
        }
        fs::write(path(self.file), text).unwrap();
    }

    pub(crate) fn rows(&self) -> Rows {
        let mut rows = Rows::new();
        for line in read(self.file).lines().skip(1) {
            let mut cells = line.split('\t').map(str::to_owned);
            let key = (cells.next().unwrap(), cells.next().unwrap());
            rows.insert(key, cells.collect());
        }
        rows
    }
}

/// Whether tables are written and not compared with.
pub(crate) fn writing() -> bool {
    std::env::var_os("BULLA_WRITE_TABLES").is_some()
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/references").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

#[test]
fn references_pass_through_jinja() {
    let reader = Reader { name: "Jinja2", command: &["python3", "-c", JINJA] };
    pass(&reader);
}

/// docker's `--format` is Go's text/template, and needs no daemon to list contexts.
#[test]
fn references_pass_through_templates_of_go() {
    let reader = Reader { name: "Go text/template", command: &["sh", "-c", GO] };
    pass(&reader);
}

const JINJA: &str = r"
import glob, sys
try: import jinja2
except ImportError: sys.exit(77)
for path in glob.glob(sys.argv[1] + '/*.txt'):
    try: got = jinja2.Template(open(path).read()).render()
    except jinja2.TemplateError as e: got = type(e).__name__
    open(path + '.got', 'w').write(got)
";
const GO: &str = r#"
command -v docker >/dev/null || exit 77
export DOCKER_CONFIG="$0/docker"
for path in "$0"/*.txt; do
    printf %s "$(docker context ls --format "$(cat "$path")" 2>&1)" > "$path.got"
done
exit 0
"#;

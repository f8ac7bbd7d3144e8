//! Two hundred configurations of ten tenants, rendered in one run and read back by the programs that
//! they are for. `tests/tree` holds the templates and the readers.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::support::{Home, Way, skipped, walk};

#[test]
fn a_tree_of_configurations_is_read_back_by_real_programs() {
    let home = Home::new(Way::Identity);
    let tree = Tree::planted(&home);
    home.bulla(["import", "values.jsonl"]).succeeds();

    let refs = home.bulla(["refs", "--json"]).succeeds().out();
    let asked = refs.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["reference"].as_str().unwrap().to_owned()
    });
    // A token may be that of a section, too.
    let asked = asked.filter(|name| !name.contains('+'));
    assert!(asked.eq(tree.values.keys().cloned()), "refs tells the closure: {refs}");
    home.bulla(["check", "--with-vault"]).succeeds();

    let rendered = home.bulla(["render"]).succeeds().stderr;
    assert!(tree.files >= 200, "files are lost");
    assert!(rendered.starts_with(&format!("{} files rendered", tree.files)), "{rendered}");
    let diff = home.bulla(["diff", "--exit-code"]).succeeds();
    assert!(diff.stdout.is_empty(), "{diff}");
    for name in ["helm/templates/deployment.yaml", "nginx/logo.png"] {
        let [before, after] = ["in", "out"].map(|side| home.read(&format!("{side}/t07/{name}")));
        assert!(before == after, "{name} is not copied");
    }

    let Some(read) = read_back(&home, &[]) else { return };
    let (complaints, notes): (Vec<_>, Vec<_>) = read
        .lines()
        .partition(|line| !line.starts_with("skipped: ") && !line.starts_with("values: "));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    let (skips, totals): (Vec<_>, Vec<_>) =
        notes.into_iter().partition(|line| line.starts_with("skipped: "));
    skips.iter().for_each(|line| skipped(&line["skipped: ".len()..]));
    let [total] = totals[..] else { panic!("no total in {read}") };
    let total: usize = total["values: ".len()..].parse().unwrap();
    assert!(!skips.is_empty() || total >= tree.values.len(), "only {total} values are read");

    // The readers do see what is wrong.
    let path = home.file("out/t03/helm/values.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("replicaCount: 2", "replicaCount: 3", 1)).unwrap();
    let read = read_back(&home, &["helm/values.yaml"]).unwrap();
    assert!(read.starts_with("skipped: ") || read.contains("replicaCount: b'2'"), "{read}");
}

/// What the readers have to say; `None` if there is no Python.
fn read_back(home: &Home, names: &[&str]) -> Option<String> {
    let mut command = Command::new("timeout");
    command.args(["900", "python3"]).arg(source().join("read.py"));
    let output = command
        .args(["in", "out", "values.json"].map(|name| home.file(name)))
        .args(names)
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .output()
        .unwrap();
    if output.status.code() == Some(127) {
        skipped("python3, to read a tree of configurations");
        return None;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}

struct Tree {
    files: usize,
    /// The value of each reference.
    values: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// Writes the templates and the values into the home.
    fn planted(home: &Home) -> Self {
        let seeds = source().join("seeds");
        let mut paths: Vec<PathBuf> = Vec::new();
        walk(&seeds, &mut |path, metadata| {
            if metadata.is_file() {
                paths.push(path.to_owned());
            }
        });
        let mut tree = Self { files: 0, values: BTreeMap::new() };
        for tenant in (1..=10).map(|number| format!("t{number:02}")) {
            for path in &paths {
                let name = path.strip_prefix(&seeds).unwrap().display();
                let seed = fs::read(path).unwrap();
                let text = match String::from_utf8(seed) {
                    Ok(seed) => {
                        let text = seed.replace("@@@", &format!("@{tenant}"));
                        let text = text.replace("@@", &tenant);
                        tree.add_references(&text);
                        text.into_bytes()
                    }
                    Err(other) => other.into_bytes(),
                };
                home.write(&format!("in/{tenant}/{name}"), text);
                tree.files += 1;
            }
            // What the fill rule of Genesys configurations asks for.
            for field in ["client-id", "client-secret"] {
                tree.add(&format!("secret-{tenant}/{field}"));
            }
            tree.add(&format!("mailbox/support@{tenant}.example.com/refresh-token"));
        }
        let encoded: BTreeMap<_, _> =
            tree.values.iter().map(|(name, value)| (name, BASE64_STANDARD.encode(value))).collect();
        home.write("values.json", serde_json::to_vec(&encoded).unwrap());
        home.write("values.jsonl", tree.lines());
        home.write("bulla.toml", fs::read(source().join("bulla.toml")).unwrap());
        tree
    }

    fn add_references(&mut self, text: &str) {
        // Some formats escape what is in them.
        let text = text.replace('\\', "");
        for rest in text.split("bulla://").skip(1) {
            let end = |c: char| c.is_whitespace() || "\"'|(){}<".contains(c);
            let name = rest.split(end).next().unwrap();
            // One stands in a comment, which no value is placed in.
            if name != "x/y" {
                self.add(name);
            }
        }
    }

    fn add(&mut self, name: &str) {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let number = hasher.finish();
        let value = match name.rsplit_once('/').unwrap() {
            (_, "client-id") => b"100000000000-x.apps.googleusercontent.com".to_vec(),
            (_, "bytes") => vec![0xff, 0, 0xfe, b'\n'],
            _ => {
                let fits = |value: &&&str| fits(name, value);
                let fit: Vec<_> = VALUES.iter().filter(fits).collect();
                fit[usize::try_from(number % fit.len() as u64).unwrap()].as_bytes().to_vec()
            }
        };
        self.values.insert(format!("bulla://{name}"), value);
    }

    /// The values as `bulla import` takes them.
    fn lines(&self) -> String {
        let mut entries: BTreeMap<&str, Vec<serde_json::Value>> = BTreeMap::new();
        for (name, value) in &self.values {
            let (entry, field) = name["bulla://".len()..].rsplit_once('/').unwrap();
            let value = BASE64_STANDARD.encode(value);
            let field = serde_json::json!({ "name": field, "base64": value });
            entries.entry(entry).or_default().push(field);
        }
        let line = |(entry, fields)| serde_json::json!({ "entry": entry, "fields": fields });
        entries.into_iter().map(|entry| format!("{}\n", line(entry))).collect()
    }
}

/// Whether the formats of the files that ask for it carry the value, as docs/reference.md says. What
/// goes into text has to fit the program's own language.
fn fits(name: &str, value: &str) -> bool {
    let word = || value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/+~-".contains(&b));
    let line = || !value.contains(char::is_control);
    let file = name.split('/').nth(1).and_then(|entry| entry.split('-').next()).unwrap_or_default();
    match file {
        _ if name.starts_with("secret-") || name.starts_with("mailbox/") => word(),
        _ if name.contains("/compose-smtp/") => {
            line() && !value.contains(['\'', '"', '`', '$', '\\'])
        }
        // Compose itself expands what its YAML says.
        "compose" => !value.contains('$'),
        "nginx" | "postfix" | "dovecot" | "genesys" => word(),
        _ if name.contains("/terraform-stage/") => word(),
        "systemd" | "tomcat" => line(),
        // As a whole value it begins behind the blanks.
        "alembic" => line() && value.trim() == value && !value.starts_with(['#', ';']),
        _ => true,
    }
}

const VALUES: &[&str] = &[
    "plain-token_1",
    "1//0g~x.y",
    "ya29.a0AfB/by+x",
    "GOCSPX-x_y",
    "007",
    "1e3",
    "no",
    "null",
    "0x1F",
    "12.50",
    "true",
    "a b",
    " a ",
    "it's",
    "say \"x\"",
    "a'b\"c",
    "p$x#y \"q\" \\n z",
    "C:\\dir\\",
    "${HOME}",
    "$(id)",
    "`id`",
    "50%",
    "%s%(x)s%%",
    "a#b",
    "a #b",
    "; x",
    "a: b",
    "- a",
    "1,2,3",
    "{{ x }}",
    "{\"a\": [1]}",
    "((bulla://a/b))",
    "<b>&amp;</b>",
    "]]>",
    "&x *y !z",
    "@at|pipe>",
    "Gr\u{fc}\u{df}e \u{1f511}",
    "a\tb",
    "x\nadmin: true\n[admin]\nadmin=1",
    "-----BEGIN X-----\nAA==\n-----END X-----\n",
    "a\n\n  b\n\n",
    "a\r\nb",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tree")
}

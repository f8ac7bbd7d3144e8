//! Comparing a rendering with whatever is there: nothing of that is shown.

use bulla_resolve::{
    Answer, Diff, Piece, Pin, RefPart, Reference, Secret, Sign, Source, Template, diff, render,
};
use proptest::prelude::*;

/// Two versions of every value, the second the newest. A field `same` has the same in both.
struct Two;

const OLD: &str = "OLDVALUE";
const NEW: &str = "NEWVALUE";
const KEPT: &str = "KEPTVALUE";

impl Source for Two {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        let answer = |reference: &Reference| {
            let (value, version) = match (reference.pin(), reference.field()) {
                (Some(Pin::Version(1)), "same") => (KEPT, 1),
                (Some(Pin::Version(2)) | None, "same") => (KEPT, 2),
                (Some(Pin::Version(1)), _) => (OLD, 1),
                (Some(Pin::Version(2)) | None, _) => (NEW, 2),
                _ => return Answer::Missing { part: RefPart::Entry, nearest: Vec::new() },
            };
            Answer::Value { secret: Secret::copied_from(value.as_bytes()), version }
        };
        wanted.iter().map(answer).collect()
    }
}

fn compared(name: &str, template: &str, old: &str) -> Diff {
    let template = Template::parse(name, template.as_bytes().to_vec(), None);
    let renderings = render(std::slice::from_ref(&template), &Two, &[]).unwrap();
    diff(&template, &renderings[0], old.as_bytes(), &Two)
}

fn shown(diff: &Diff) -> String {
    told(diff, |reference| reference.entry().to_owned())
}

/// The same, with the fields of values.
fn fields(diff: &Diff) -> String {
    told(diff, |reference| format!("{}/{}", reference.entry(), reference.field()))
}

fn told(diff: &Diff, name: fn(&Reference) -> String) -> String {
    let mut out = String::new();
    for row in &diff.rows {
        out.push(match row.sign {
            Sign::Added => '+',
            Sign::Removed => '-',
            Sign::Same => ' ',
        });
        for piece in &row.pieces {
            match piece {
                Piece::Hidden => out.push('?'),
                Piece::Text(text) => out.push_str(text),
                Piece::Value { reference, version } => {
                    out.push_str(&format!("<{}:{version}>", name(reference)));
                }
            }
        }
        out.push('\n');
    }
    out
}

const TEMPLATE: &str = "a: 1\nb: bulla://b/x\nc: 'u:{{ bulla://c/x }}:{{ bulla://d/x }}'\n";

#[test]
fn values_are_told_by_their_versions() {
    for (old, expected) in [
        ("a: 1\nb: NEWVALUE\nc: 'u:NEWVALUE:NEWVALUE'\n", " a: 1\n b: <b:2>\n c: u:<c:2>:<d:2>\n"),
        (
            "a: 1\nb: OLDVALUE\nc: 'u:NEWVALUE:OLDVALUE'\n",
            " a: 1\n-b: <b:1>\n+b: <b:2>\n-c: u:<c:2>:<d:1>\n+c: u:<c:2>:<d:2>\n",
        ),
        (
            "a: 1\nb: SECRET\nz: SECRET\ny: SECRET\n",
            " a: 1\n-b: ?\n+b: <b:2>\n-?\n+c: u:<c:2>:<d:2>\n",
        ),
        ("SECRET", "-?\n+a: 1\n+b: <b:2>\n+c: u:<c:2>:<d:2>\n"),
        ("", "+a: 1\n+b: <b:2>\n+c: u:<c:2>:<d:2>\n"),
    ] {
        assert_eq!(shown(&compared("t.yaml", TEMPLATE, old)), expected, "{old:?}");
    }
}

/// A row in which two entries have other versions was not shown, though both were known.
#[test]
fn several_entries_of_a_row_are_told_by_their_versions() {
    let names = ["bulla://b/x", "bulla://c/x", "bulla://d/same", "bulla://e/x", "bulla://b/x"];
    let row = |values: &[&str]| format!("[\"{}\"]\n", values.join("\",\""));
    let new = "+[<b:2>,<c:2>,<d:2>,<e:2>,<b:2>]\n";
    for (old, expected) in [
        ([OLD, NEW, KEPT, OLD, OLD], "-[<b:1>,<c:2>,<d:2>,<e:1>,<b:1>]\n"),
        ([OLD, OLD, KEPT, OLD, OLD], "-[<b:1>,<c:1>,<d:2>,<e:1>,<b:1>]\n"),
        ([NEW, OLD, KEPT, OLD, NEW], "-[<b:2>,<c:1>,<d:2>,<e:1>,<b:2>]\n"),
        // One entry has one version.
        ([OLD, NEW, KEPT, OLD, NEW], "-[?\n"),
        ([OLD, "SECRET", KEPT, OLD, OLD], "-[?\n"),
        ([OLD, OLD, KEPT, OLD, "SECRET"], "-[?\n"),
    ] {
        let told = shown(&compared("t.json", &row(&names), &row(&old)));
        assert_eq!(told, format!("{expected}{new}"), "{old:?}");
    }
    // Places are compared whole, and with each pair of versions there would be too many.
    let old = "a: 1\nb: NEWVALUE\nc: 'u:OLDVALUE:OLDVALUE'\n";
    assert!(shown(&compared("t.yaml", TEMPLATE, old)).contains("\n-c: ?\n"));
}

#[test]
fn a_file_that_is_one_value_is_compared_as_such() {
    let template = "{{ bulla://b/x }}";
    let of = |old: &str| {
        let template = Template::parse(
            "token",
            template.as_bytes().to_vec(),
            Some(bulla_resolve::Format::Text),
        );
        let renderings = render(std::slice::from_ref(&template), &Two, &[]).unwrap();
        shown(&diff(&template, &renderings[0], old.as_bytes(), &Two))
    };
    assert_eq!(of("NEWVALUE"), " <b:2>\n");
    assert_eq!(of("OLDVALUE"), "-<b:1>\n+<b:2>\n");
    // One that only begins as the value is another one.
    assert_eq!(of("NEWVALUEx"), "-?\n+<b:2>\n");
    assert_eq!(of("NEWVALUE\nmore"), "-?\n+<b:2>\n-?\n");
}

/// What a Secret of Kubernetes has in base64 was compared as if it stood there in clear.
#[test]
fn values_in_base64_are_told_by_their_versions() {
    let secret = |data: &str| format!("apiVersion: v1\nkind: Secret\ndata:\n  a: {data}\n");
    // `x={{ bulla://b/x }}`, and the same with the first value.
    let (template, old) = (secret("eD17eyBidWxsYTovL2IveCB9fQ=="), secret("eD1PTERWQUxVRQ=="));
    let told = shown(&compared("t.yaml", &template, &old));
    assert!(told.ends_with("-  a: x=<b:1>\n+  a: x=<b:2>\n"), "{told}");
}

/// A value that did not change was told as changed, if another field of its entry did in the same row.
#[test]
fn what_a_new_version_left_alone_is_told_as_the_same() {
    // `{{ bulla://b/same }}:{{ bulla://b/x }}`, and the same with values.
    let data = |data| format!("apiVersion: v1\nkind: Secret\ndata:\n  a: {data}\n");
    for (name, template, old, expected) in [
        (
            "t.yaml",
            "a: '{{ bulla://b/same }}:{{ bulla://b/x | url }}'\n".to_owned(),
            format!("a: '{KEPT}:{OLD}'\n"),
            "-a: <b/same:2>:<b/x:1>\n+a: <b/same:2>:<b/x:2>\n",
        ),
        (
            "t.yaml",
            "a: |\n  {{ bulla://b/same }}\n  {{ bulla://b/x }}\n".to_owned(),
            format!("a: |\n  {KEPT}\n  {OLD}\n"),
            " a: |\n   <b/same:2>\n-  <b/x:1>\n+  <b/x:2>\n",
        ),
        (
            "t.json",
            r#"["bulla://b/same","bulla://b/x"]"#.to_owned(),
            format!(r#"["{KEPT}","{OLD}"]"#),
            "-[<b/same:2>,<b/x:1>]\n+[<b/same:2>,<b/x:2>]\n",
        ),
        (
            "t.yaml",
            data("e3sgYnVsbGE6Ly9iL3NhbWUgfX06e3sgYnVsbGE6Ly9iL3ggfX0="),
            data("S0VQVFZBTFVFOk9MRFZBTFVF"),
            "-  a: <b/same:2>:<b/x:1>\n+  a: <b/same:2>:<b/x:2>\n",
        ),
    ] {
        let told = fields(&compared(name, &template, &old));
        assert!(told.ends_with(expected), "{template}\n{told}");
    }
}

/// In a text with escapes, or between two line ends of one with a reference, secrets in clear were shown.
#[test]
fn secrets_beside_references_are_not_shown() {
    for (name, template) in [
        ("t.json", r#"{"a": "postgres://u:hunter22@h/d\n{{ bulla://b/x }}"}"#),
        ("t.yaml", "a: |\n  x = {{ bulla://b/x }}\n  password = hunter22\n"),
        ("t.toml", "a = '''\nx = {{ bulla://b/x }}\npassword = hunter22\n'''\n"),
        (
            "t.yaml",
            // `ghp_hunter2200 {{ bulla://b/x }}`
            "apiVersion: v1\nkind: Secret\ndata:\n  a: Z2hwX2h1bnRlcjIyMDAge3sgYnVsbGE6Ly9iL3ggfX0=\n",
        ),
    ] {
        let told = shown(&compared(name, template, ""));
        assert!(told.contains('?') && !told.contains("hunter22"), "{told}");
    }
}

/// What differs is sought where it may be, and not with each version of each entry from the beginning.
#[test]
fn many_values_are_compared() {
    let count = 20_000;
    let values = |value: &str| vec![value; count].join(",");
    let line: Vec<_> = (0..count).map(|n| format!("\"bulla://e{n}/x\"")).collect();
    let line = format!("[{}]\n", line.join(","));
    let last = format!("[{},\"{OLD}\"]\n", vec![format!("\"{NEW}\""); count - 1].join(","));
    let told = shown(&compared("t.json", &line, &last));
    assert!(told.contains(&format!("<e{}:1>", count - 1)) && !told.contains("<e0:1>"));
    assert!(
        shown(&compared("t.json", &line, &format!("[{}]\n", values("1")))).starts_with("-[?\n")
    );
    let rows = |value: &dyn Fn(usize) -> String| -> String {
        let row = |n| format!("Environment=A{n}={}\n", value(n));
        format!("[Service]\n{}", (0..count).map(row).collect::<String>())
    };
    let template = rows(&|n| format!("bulla://e{n}/x"));
    let told = shown(&compared("t.service", &template, &rows(&|_| OLD.to_owned())));
    assert_eq!(told.matches(":1>").count(), count);
}

proptest! {
    #[test]
    fn nothing_of_the_file_that_is_there_is_shown(lines in prop::collection::vec(0..12_usize, 0..12)) {
        let known = [
            "a: 1\n", "b: NEWVALUE\n", "b: OLDVALUE\n", "b: SECRET\n", "b: |\n", "  SECRET\n",
            "c: 'u:NEWVALUE:NEWVALUE'\n", "c: 'u:SECRET:NEWVALUE'\n", "c: 'u:", "SECRET", "\r\n", "\n",
        ];
        let old: String = lines.into_iter().map(|line| known[line]).collect();
        let diff = compared("t.yaml", TEMPLATE, &old);
        let told = shown(&diff);
        for secret in ["SECRET", OLD, NEW] {
            prop_assert!(!told.contains(secret), "{told}");
        }
        // What stays and comes is the template, in its order.
        let kept: Vec<_> = told.lines().filter(|line| !line.starts_with('-')).map(|line| &line[1..]).collect();
        prop_assert_eq!(kept, ["a: 1", "b: <b:2>", "c: u:<c:2>:<d:2>"]);
        let all_same = diff.rows.iter().all(|row| row.sign == Sign::Same);
        prop_assert_eq!(all_same, !diff.differs);
        let same = old == "a: 1\nb: NEWVALUE\nc: 'u:NEWVALUE:NEWVALUE'\n";
        prop_assert_eq!(same, !diff.differs);
    }
}

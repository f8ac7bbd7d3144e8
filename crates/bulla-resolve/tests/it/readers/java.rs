//! Java's properties.

use std::fs;
use std::process::Command;

use bulla_resolve::{Format, Problem, Rule, Template, render};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;

use super::{One, Trial, is_text};

pub(super) const TRIAL: Trial = Trial {
    format: Format::Properties,
    extension: "properties",
    template: "! c\\\na=@@\n b : x{{ @@ }}y\nc @@\nd=x\\:\\\n  {{ @@ }}\ne = \\\n  @@\nend=1",
    keys: &[("a", "", ""), ("b", "x", "y"), ("c", "", ""), ("d", "x:", ""), ("e", "", "")],
};

#[test]
fn properties_carry_every_text() {
    TRIAL.carries_just(is_text);
}

#[test]
fn properties_are_read_by_java() {
    if !has_compiler() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("Read.java");
    fs::write(&program, JAVA).unwrap();
    let script = program.to_str().expect("temporary folders have plain names");
    TRIAL.judge("java.util.Properties", &[OPTIONS, &[script]].concat());
}

/// Java reads a rendering as it reads the template, but for the value; whatever stands around the
/// place, and however the reference is written.
#[test]
fn java_agrees_on_what_a_file_says() {
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("Compare.java");
    fs::write(&program, COMPARE).unwrap();
    let piece = prop_oneof![
        3 => "[ \\t\\f\\n\\r=:#!ab]{0,3}",
        1 => "\\\\{1,3}[\\n\\r trnu:=a]{0,2}",
        1 => Just("\\u0061".to_owned()),
        1 => "(key|\u{e9}) ?[=:]",
    ];
    let reference = prop_oneof![
        Just("{{bulla://a/b}}"),
        Just("=bulla\\://a/b"),
        Just("{{ b\\u0075lla:/\\\n \\/a/\\b }}"),
    ];
    let pieces = || prop::collection::vec(piece.clone(), 0..8).prop_map(|pieces| pieces.concat());
    let file = (pieces(), reference, pieces()).prop_map(|(a, b, c)| format!("{a}{b}{c}"));
    let mut runner = TestRunner::deterministic();
    let (mut rendered, mut number) = (0, 0);
    while rendered < 300 {
        number += 1;
        assert!(number < 3_000, "next to nothing can be rendered");
        let file = file.new_tree(&mut runner).unwrap().current();
        let template = Template::parse("x", file.clone().into_bytes(), Some(Format::Properties));
        match render(&[template], &One(b"V"), &[]) {
            // Not so if all is a comment.
            Ok(renderings) if renderings[0].used.is_empty() => {}
            Ok(renderings) => {
                let path = folder.path().join(format!("{number}.properties"));
                fs::write(&path, renderings[0].contents.expose()).unwrap();
                fs::write(path.with_extension("template"), file).unwrap();
                rendered += 1;
            }
            Err(problems) => {
                let expected =
                    |p: &Problem| p.rule != Rule::NotProven && p.rule != Rule::CannotCarry;
                assert!(problems.iter().all(expected), "{file:?}: {problems:?}");
            }
        }
    }
    if !has_compiler() {
        return;
    }
    let mut java = Command::new(OPTIONS[0]);
    let output = java.args(&OPTIONS[1..]).arg(program).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Whether there is more of Java here than runs a program: these come as source.
fn has_compiler() -> bool {
    let found = Command::new("javac").arg("-version").output().is_ok_and(|o| o.status.success());
    if !found {
        println!("skipped: javac is not there");
    }
    found
}

/// One thread and no second compiler, as this runs beside other tests.
const OPTIONS: &[&str] = &["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

const COMPARE: &str = r#"
import java.io.*;
import java.nio.file.*;
import java.util.*;

class Compare {
    static Map<String, String> load(Path path) throws IOException {
        Properties read = new Properties();
        try (InputStream in = Files.newInputStream(path)) { read.load(in); }
        Map<String, String> out = new TreeMap<>();
        read.forEach((key, value) -> out.put((String) key, (String) value));
        return out;
    }

    public static void main(String[] args) throws IOException {
        for (File file : new File(args[0]).listFiles((d, name) -> name.endsWith(".properties"))) {
            Path path = file.toPath();
            Map<String, String> got = load(path);
            Map<String, String> want =
                load(path.resolveSibling(file.getName().replace(".properties", ".template")));
            want.replaceAll((key, value) -> value.replaceAll("\\{\\{ ?bulla://a/b ?\\}\\}", "V")
                .replaceAll("^bulla://a/[ab]+$", "V"));
            if (!got.equals(want) || got.toString().contains("bulla://"))
                System.out.println(want + " read as " + got);
        }
    }
}
"#;

const JAVA: &str = r#"
import java.io.*;
import java.nio.charset.*;
import java.nio.file.*;
import java.util.*;

class Read {
    public static void main(String[] args) throws IOException {
        for (File file : new File(args[0]).listFiles((d, name) -> name.endsWith(".properties"))) {
            String[] name = file.getName().split("\\.");
            Properties stream = new Properties(), reader = new Properties();
            try (InputStream in = new FileInputStream(file)) { stream.load(in); }
            try (Reader in = new FileReader(file, StandardCharsets.UTF_8)) { reader.load(in); }
            if (stream.equals(reader) && "1".equals(reader.getProperty("end")))
                Files.writeString(Path.of(file.getPath() + ".got"), stream.getProperty(name[1]));
        }
    }
}
"#;

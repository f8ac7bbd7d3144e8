//! Reports in the forms that people, programs and code hosts read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use bulla_resolve::Rule;
use serde_json::{Value, json};

use super::{Finding, Findings, Form, Level, advice};
use crate::printer::escaped;

/// The whole report; text for a terminal, which is `width` columns wide, must not drive it.
pub(super) fn write(form: Form, width: Option<usize>, all: &Findings) -> String {
    match form {
        Form::Text if width.is_some() => escaped(&text(all, width)),
        Form::Text => text(all, None),
        Form::Json => json_lines(all),
        Form::Sarif => document(&sarif(all)),
        Form::Gitlab => document(&gitlab(all)),
        Form::Junit => junit(all),
    }
}

/// A line for each finding, and behind all of them, once for all that it helps, what to write instead.
fn text(all: &Findings, width: Option<usize>) -> String {
    let mut out = String::new();
    let mut advice = Vec::new();
    for Finding { rule, level, place, what, instead } in &all.findings {
        let place = place.as_ref().map_or_else(String::new, |(file, line, column)| {
            format!("{}:{line}:{column}: ", one_line(file))
        });
        let told = format!("{place}{}: {} [{}]", level.name(), one_line(what), rule.name());
        out += &wrapped(&told, width);
        if !advice::is_of_many(*rule, instead) {
            for line in instead.lines() {
                out += &format!("    {}\n", escaped(line));
            }
        } else if !instead.is_empty() && !advice.contains(&(*rule, instead)) {
            advice.push((*rule, instead));
        }
    }
    if !advice.is_empty() {
        out.push('\n');
    }
    for (rule, instead) in advice {
        out += &wrapped(&format!("[{}] {instead}", rule.name()), width);
    }
    out
}

/// A paragraph in lines of at most `width` columns, the further ones indented, as far as its words allow.
/// What stands in braces is one word.
fn wrapped(text: &str, width: Option<usize>) -> String {
    let mut out = String::new();
    let (mut column, mut word) = (0, String::new());
    for piece in text.split(' ') {
        if !word.is_empty() {
            word.push(' ');
        }
        word += piece;
        if word.matches("{{").count() > word.matches("}}").count() {
            continue;
        }
        let length = word.chars().count();
        if column > 0 && width.is_some_and(|width| column + 1 + length > width) {
            out += "\n   ";
            column = 3;
        }
        if column > 0 {
            out.push(' ');
            column += 1;
        }
        out += &std::mem::take(&mut word);
        column += length;
    }
    if !word.is_empty() {
        out.push(' ');
        out += &word;
    }
    out.push('\n');
    out
}

/// Names may hold line ends, which would look like a finding of their own.
fn one_line(text: &str) -> String {
    escaped(text).replace('\n', "\\n")
}

fn json_lines(all: &Findings) -> String {
    let mut out = String::new();
    for Finding { rule, level, place, what, instead } in &all.findings {
        let (file, line, column) =
            place.clone().map_or((None, None, None), |(file, line, column)| {
                (Some(file), Some(line), Some(column))
            });
        let value = json!({
            "rule": rule.name(), "level": level.name(), "file": file, "line": line, "column": column,
            "message": what, "instead": instead,
        });
        writeln!(out, "{value}").expect("a String takes everything");
    }
    out
}

fn document(value: &Value) -> String {
    format!("{value:#}\n")
}

/// SARIF 2.1.0 (OASIS).
fn sarif(all: &Findings) -> Value {
    let rule = |rule: &Rule| {
        json!({
            "id": rule.name(),
            "shortDescription": {"text": rule.summary()},
            "help": {"text": sentence(advice::of_rule(*rule))},
            "defaultConfiguration": {"level": Level::of(rule.kind()).name()},
        })
    };
    let marks = marks(all);
    let result = |(finding, mark): (&Finding, &String)| {
        let index = Rule::ALL.iter().position(|rule| *rule == finding.rule);
        let mut result = json!({
            "ruleId": finding.rule.name(),
            "ruleIndex": index,
            "level": finding.level.name(),
            "message": {"text": message(finding)},
            "partialFingerprints": {"bulla/v1": mark},
        });
        if let Some((file, line, column)) = &finding.place {
            result["locations"] = json!([{"physicalLocation": {
                "artifactLocation": {"uri": uri(file)},
                "region": {"startLine": line, "startColumn": column},
            }}]);
        }
        result
    };
    let notification = |failure: &crate::failure::Failure| json!({"level": "error", "message": {"text": failure.fact}});
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "bulla",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": Rule::ALL.iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": all.failures.is_empty(),
                "toolExecutionNotifications": all.failures.iter().map(notification).collect::<Vec<_>>(),
            }],
            "results": all.findings.iter().zip(&marks).map(result).collect::<Vec<_>>(),
        }],
    })
}

/// GitLab's code quality report, which can only tell what is in a file.
fn gitlab(all: &Findings) -> Value {
    let marks = marks(all);
    let issue = |(finding, mark): (&Finding, &String)| {
        let (file, line, _) = finding.place.as_ref()?;
        let severity = match finding.level {
            Level::Error => "major",
            Level::Warning => "minor",
            Level::Note => "info",
        };
        Some(json!({
            "description": message(finding),
            "check_name": finding.rule.name(),
            "fingerprint": mark,
            "severity": severity,
            "location": {"path": relative(file), "lines": {"begin": line}},
        }))
    };
    all.findings.iter().zip(&marks).filter_map(issue).collect()
}

/// JUnit's XML as CI servers read it: a suite, and a case for each finding and each clean file.
fn junit(all: &Findings) -> String {
    let told: Vec<_> = all.findings.iter().filter(|f| f.level != Level::Note).collect();
    let wrong: BTreeSet<_> =
        told.iter().filter_map(|finding| Some(&finding.place.as_ref()?.0)).collect();
    let clean: Vec<_> = all.files.iter().filter(|file| !wrong.contains(file)).collect();
    let mut cases = String::new();
    for finding in &told {
        let (file, line, column) = finding.place.clone().unwrap_or_default();
        let (file, what) = (xml(&file), xml(&message(finding)));
        let rule = finding.rule.name();
        cases += &format!(
            "    <testcase classname=\"{file}\" name=\"{rule} at {line}:{column}\" file=\"{file}\">\n      \
             <failure type=\"{rule}\" message=\"{what}\">{file}:{line}:{column}: {what}</failure>\n    \
             </testcase>\n"
        );
    }
    for failure in &all.failures {
        let fact = xml(&failure.fact);
        cases += &format!(
            "    <testcase classname=\"bulla\" name=\"{fact}\">\n      <error type=\"{}\" \
             message=\"{fact}\"></error>\n    </testcase>\n",
            failure.code
        );
    }
    for file in &clean {
        let file = xml(file);
        cases += &format!("    <testcase classname=\"{file}\" name=\"check\" file=\"{file}\"/>\n");
    }
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\"",
        told.len() + all.failures.len() + clean.len(),
        told.len(),
        all.failures.len()
    );
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite \
         name=\"bulla check\" {counts}>\n{cases}  </testsuite>\n</testsuites>\n"
    )
}

/// What is wrong, and what to write instead.
fn message(finding: &Finding) -> String {
    match finding.instead.as_str() {
        "" => sentence(&finding.what),
        instead => format!("{} {}", sentence(&finding.what), sentence(instead)),
    }
}

/// Code hosts show messages as paragraphs.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    // Names of options begin as they do.
    let first_word = text.split(' ').next().unwrap_or_default();
    let is_word = first_word.bytes().all(|b| b.is_ascii_lowercase());
    let first = if is_word { first.to_ascii_uppercase() } else { first };
    let end = if text.ends_with(['?', '.']) || text.contains('\n') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// What tells a finding from all others and stays the same while lines move: rule, file, and which of
/// its kind in that file it is. Nothing of the file's content goes into it.
fn marks(all: &Findings) -> Vec<String> {
    let mut counts = BTreeMap::new();
    let mark = |finding: &Finding| {
        let file = match &finding.place {
            Some((file, ..)) => relative(file),
            None => finding.what.as_str(),
        };
        let count = counts.entry((finding.rule, file.to_owned())).or_insert(0);
        *count += 1;
        format!("{}/{}/{count}", finding.rule.name(), uri(file))
    };
    all.findings.iter().map(mark).collect()
}

fn relative(file: &str) -> &str {
    file.strip_prefix("./").unwrap_or(file)
}

/// A path as a URI reference (RFC 3986).
fn uri(file: &str) -> String {
    let mut out = String::from(if file.starts_with('/') { "file://" } else { "" });
    for byte in relative(file).bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => write!(out, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    out
}

/// Text as XML carries it in attributes and elements.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in escaped(text).chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' => out += "&#10;",
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Exit, Failure};

    fn all() -> Findings {
        let finding = |rule: Rule, file: &str, line, what: &str| Finding {
            rule,
            level: Level::of(rule.kind()),
            place: Some((file.to_owned(), line, 2)),
            what: what.to_owned(),
            instead: "write \"x\" & <y>".to_owned(),
        };
        Findings {
            files: ["a b.json", "./c.cfg", "clean.yaml"].map(str::to_owned).into(),
            texts: 1,
            findings: vec![
                finding(Rule::LiteralSecret, "a b.json", 3, "a stands here in clear"),
                finding(Rule::LiteralSecret, "a b.json", 9, "b\u{1b}[2J\nstands here in clear"),
                finding(Rule::NoTls, "./c.cfg", 1, "nothing in [x] turns TLS on"),
                Finding {
                    place: None,
                    ..finding(Rule::UnusedEntry, "", 0, "none of these templates asks for x")
                },
            ],
            failures: vec![Failure::new(Exit::Missing, "file", "cannot read <gone>")],
        }
    }

    #[test]
    fn text_tells_place_level_and_rule() {
        let text = write(Form::Text, None, &all());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "a b.json:3:2: error: a stands here in clear [literal-secret]");
        assert_eq!(lines[1], "    write \"x\" & <y>");
        assert_eq!(
            lines[2],
            "a b.json:9:2: error: b\\u{1b}[2J\\nstands here in clear [literal-secret]"
        );
        assert_eq!(lines[4], "./c.cfg:1:2: warning: nothing in [x] turns TLS on [no-tls]");
        assert_eq!(lines[6], "note: none of these templates asks for x [unused-entry]");
    }

    #[test]
    fn what_every_finding_of_a_rule_needs_is_told_once_and_in_whole_words() {
        let mut all = all();
        for finding in &mut all.findings {
            finding.instead = advice::of_rule(finding.rule).to_owned();
        }
        let text = write(Form::Text, Some(60), &all);
        let (findings, advice) = text.split_once("\n\n").unwrap();
        assert!(findings.lines().all(|line| line.len() <= 60), "{text}");
        assert!(advice.starts_with("[literal-secret] move it "), "{text}");
        assert_eq!(advice.matches("[literal-secret]").count(), 1, "{text}");
        assert!(advice.lines().all(|line| line.len() <= 60), "{text}");
        let unwrapped = write(Form::Text, None, &all);
        assert_eq!(text.replace("\n    ", " "), unwrapped);
    }

    #[test]
    fn marks_stay_while_lines_move() {
        let mut moved = all();
        for finding in &mut moved.findings {
            finding.place =
                finding.place.take().map(|(file, line, column)| (file, line + 7, column));
        }
        assert_eq!(marks(&all()), marks(&moved));
        assert_eq!(marks(&all())[1], "literal-secret/a%20b.json/2");
    }

    #[test]
    fn sarif_tells_rules_places_and_what_could_not_be_read() {
        let report = sarif(&all());
        let run = &report["runs"][0];
        assert_eq!(run["results"][0]["level"], "error");
        let place = &run["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b.json");
        assert_eq!(place["region"], json!({"startLine": 3, "startColumn": 2}));
        assert_eq!(
            run["results"][2]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            "c.cfg"
        );
        assert!(run["results"][3]["locations"].is_null());
        let index = usize::try_from(run["results"][0]["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "literal-secret");
        assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    }

    #[test]
    fn gitlab_tells_what_is_in_files_only() {
        let report = gitlab(&all());
        let issues = report.as_array().unwrap();
        assert_eq!(issues.len(), 3);
        assert_eq!(issues[2]["location"], json!({"path": "c.cfg", "lines": {"begin": 1}}));
        assert_eq!(issues[2]["severity"], "minor");
        assert_eq!(issues[0]["description"], "A stands here in clear. Write \"x\" & <y>.");
    }

    #[test]
    fn junit_is_xml_and_counts() {
        let report = junit(&all());
        assert!(report.contains("tests=\"5\" failures=\"3\" errors=\"1\""), "{report}");
        assert!(report.contains("&quot;x&quot; &amp; &lt;y&gt;"), "{report}");
        assert!(report.contains("name=\"check\" file=\"clean.yaml\"/>"), "{report}");
        assert!(!report.contains('\u{1b}') && !report.contains("<gone>"), "{report}");
    }

    #[test]
    fn every_rule_says_what_to_do() {
        for rule in Rule::ALL.iter().filter(|rule| **rule != Rule::SourceFailed) {
            assert!(!advice::of_rule(*rule).is_empty(), "{}", rule.name());
            assert!(rule.summary().ends_with('.'), "{}", rule.name());
        }
    }
}

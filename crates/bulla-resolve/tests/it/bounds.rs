//! Files that are made to be too much: they end in an answer, and soon.

use bulla_resolve::{
    Adoption, Answer, Check, Format, Reference, Rule, Secret, Source, Template, render,
};

/// How many problems of one rule are told of a file: a hundred, and how many more there are.
const TOLD: usize = 101;

struct Fixed;

impl Source for Fixed {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        let answer = |_| Answer::Value { secret: Secret::copied_from(b"v"), version: 1 };
        wanted.iter().map(answer).collect()
    }
}

/// Renders a file; gives its size, or the rules that it broke.
fn outcome(format: Format, file: String) -> Result<usize, Vec<Rule>> {
    match render(&[Template::parse("x", file.into_bytes(), Some(format))], &Fixed, &[]) {
        Ok(renderings) => Ok(renderings[0].contents.expose().len()),
        Err(problems) => Err(problems.iter().map(|problem| problem.rule).collect()),
    }
}

#[test]
fn deep_nesting_is_refused_or_read() {
    let levels = 100_000;
    for (format, open, close) in [
        (Format::Json, "[", "]"),
        (Format::Jsonc, "[/**/", ",]"),
        (Format::Yaml, "[", "]"),
        (Format::Yaml, "{a: ", "}"),
        (Format::GenesysXml, "<a>", "</a>"),
    ] {
        let file =
            format!("{}\"{{{{ bulla://a/b }}}}\"{}", open.repeat(levels), close.repeat(levels));
        let outcome = outcome(format, file);
        assert!(
            outcome.is_ok() || outcome == Err(vec![Rule::Malformed]),
            "{}: {outcome:?}",
            format.name()
        );
    }
    for (open, close) in [("[", "]"), ("{a = ", "}")] {
        let (open, close) = (open.repeat(levels), close.repeat(levels));
        let file = format!("a = {open}\"bulla://a/b\"{close}\n");
        assert_eq!(outcome(Format::Toml, file), Err(vec![Rule::Malformed]));
    }
    let dashes = format!("{}bulla://a/b", "- ".repeat(levels));
    let shorter = dashes.len() - "bulla://a/b".len() + 1;
    let outcome = outcome(Format::Yaml, dashes);
    assert!(outcome == Ok(shorter) || outcome == Err(vec![Rule::Malformed]), "{outcome:?}");
}

#[test]
fn aliases_are_not_expanded() {
    let mut file = String::from("a0: &a0 [bulla://a/b, x]\n");
    for level in 1..100 {
        let alias = format!("*a{}", level - 1);
        file += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", "));
    }
    let len = file.len();
    assert_eq!(outcome(Format::Yaml, file), Ok(len - "bulla://a/b".len() + 1));
    let entities =
        "<!DOCTYPE a [<!ENTITY b \"&b;&b;\">]><a x=\"bulla://a/b\">&b;&b;</a>".to_owned();
    assert_eq!(outcome(Format::GenesysXml, entities), Err(vec![Rule::Malformed]));
}

/// Each of these was once searched to the end of the file, which took minutes.
#[test]
fn what_begins_as_a_reference_is_not_searched_for_ever() {
    let count = 300_000;
    let wrong = outcome(Format::Text, "{{bulla://a".repeat(count)).unwrap_err();
    assert_eq!(wrong.len(), TOLD);
}

#[test]
fn a_million_references_are_answered() {
    let count = 1_000_000;
    let text = "{{ bulla://a/b }}\n".repeat(count);
    assert_eq!(outcome(Format::Text, text), Ok(2 * count));
    let line = "((bulla://a/b))".repeat(count);
    assert_eq!(outcome(Format::GenesysIni, format!("a={line}\n")), Ok(count + 3));
    // Each of them wrong, and all on one line.
    let wrong = outcome(Format::Text, "{{ bulla://a }}".repeat(count)).unwrap_err();
    assert_eq!(wrong.len(), TOLD);
    // Inside of one long URL, which looks back and forth.
    let url = format!("x://{}", "{{bulla://a/b}}".repeat(count));
    assert_eq!(outcome(Format::Text, url), Ok(count + 4));
}

#[test]
fn endless_names_and_open_braces_are_wrong() {
    let long = format!("{{{{ bulla://{}/b }}}}", "x".repeat(1_000_000));
    assert_eq!(outcome(Format::Text, long), Err(vec![Rule::BadReference]));
    let open = format!("{{{{ bulla://a/b {}", " ".repeat(1_000_000));
    assert_eq!(outcome(Format::Text, open), Err(vec![Rule::BadExpression]));
    let braces = format!("{} bulla://a/b", "{".repeat(1_000_000));
    assert_eq!(outcome(Format::Text, braces), Err(vec![Rule::BadExpression]));
}

#[test]
fn long_lines_and_names_are_read() {
    let count = 100_000;
    let lines = format!("a = {}bulla://a/b\n", "\\\n ".repeat(count));
    assert_eq!(outcome(Format::Properties, lines), Ok(4 + 3 * count + 2));
    let backslashes = format!("a = {}{{{{bulla://a/b}}}}\n", "\\\\".repeat(count));
    assert_eq!(outcome(Format::Properties, backslashes), Ok(4 + 2 * count + 2));
    let comments = format!("{}[\"bulla://a/b\"]", "/*/**/ //\n".repeat(count));
    assert_eq!(outcome(Format::Jsonc, comments), Ok(10 * count + 5));
    let dotted = format!("{}x = 'bulla://a/b'", "a.".repeat(count));
    assert_eq!(outcome(Format::Toml, dotted), Ok(2 * count + 7));
}

#[test]
fn many_duplicates_are_adopted() {
    let count = 20_000;
    let items: Vec<_> = (0..count).map(|n| format!("{{\"token\": \"t{n}\"}}")).collect();
    let file = format!("[{}]", items.join(","));
    let adoption = Adoption::find("a.json", file.as_bytes(), None).unwrap();
    assert_eq!(adoption.finds.len(), count);
    assert_eq!(adoption.finds[count - 1].field, format!("token-{count}"));
}

/// Texts that look like one secret after the other take no longer for each.
#[test]
fn endless_command_lines_are_adopted() {
    let count = 20_000;
    for (word, found) in [
        ("--token=x ", count),
        ("http://u:p@h/ ", count),
        ("--token='", 1),
        ("--token=\\\"", 1),
        ("--a-token-", 0),
        ("-- ", 0),
        ("://", 0),
        ("a:b@://", 0),
    ] {
        let file = format!("{{\"cmd\": \"{}\"}}", word.repeat(count));
        let adoption = Adoption::find("a.json", file.as_bytes(), None).unwrap();
        assert_eq!(adoption.finds.len(), found, "{word}");
    }
}

/// What no reference could name was left out without a word.
#[test]
fn secrets_with_endless_names_are_adopted() {
    let long = "k".repeat(90);
    let deep: String = (0..9).map(|n| format!("\"{long}{n}\": {{")).collect();
    let wide = "\u{1d400}".repeat(90);
    let file = format!(
        "{{{deep}\"token\": \"a\", \"secret\": \"b\"{}, \"{wide} token\": \"c\"}}",
        "}".repeat(9)
    );
    let adoption = Adoption::find("app.json", file.as_bytes(), None).unwrap();
    let names: Vec<_> = adoption.finds.iter().map(|find| (&*find.entry, &*find.field)).collect();
    assert_eq!(names, [("app", "secret"), ("app", "secret-2"), ("app", "secret-3")]);
}

#[test]
fn lines_and_nesting_without_end_are_answered() {
    let count = 1_000_000;
    let further = format!("[s]\na =\n{}", "  bulla\n".repeat(count));
    assert!(outcome(Format::IniPython, format!("{further}  {{{{ bulla://a/b }}}}\n")).is_ok());
    let words = format!("[Service]\nEnvironment={}\n", "A={{bulla://a/b}} ".repeat(20_000));
    assert!(outcome(Format::Systemd, words).is_ok());
    let longer = format!("[Service]\nEnvironment={}\n", "A={{bulla://a/b}} ".repeat(count));
    assert_eq!(outcome(Format::Systemd, longer).unwrap_err().len(), TOLD);
    let parts = format!("Environment= \\\n{}x=y\n", "  A=bulla://a/b \\\n # c\n".repeat(2_000));
    assert!(outcome(Format::Systemd, parts).is_ok());
    // Each of these was once looked for from its line upwards.
    let parts = format!("[Service]\nExecStart=/x \\\n{}  y\n", "  bulla://a/b \\\n".repeat(40_000));
    assert!(outcome(Format::Systemd, parts).is_ok());
    let comments = "# c\n".repeat(20_000);
    let parts = "  bulla://a/b \\\n".repeat(20_000);
    let parts = format!("[Service]\nExecStart=/x \\\n{comments}{parts}  y\n");
    assert!(outcome(Format::Systemd, parts).is_ok());
    for open in ["((", "let ", "declare -i a=$(", "$[", "integer "] {
        let _ = outcome(Format::Shell, format!("{}\nA=bulla://a/b\n", open.repeat(count / 10)));
    }
    assert!(outcome(Format::Shell, "A='bulla://a/b' ".repeat(count)).is_ok());
    for open in ["$(", "${", "`", "\"$(", "A=$(", "(", "{{bulla", "<("] {
        let file = format!("A=bulla://a/b\n{}\nA=bulla://a/b\n", open.repeat(count / 10));
        let _ = outcome(Format::Shell, file);
    }
    let quotes = format!("[s]\na={}bulla\n", "\"\"".repeat(count));
    assert!(outcome(Format::IniGit, quotes).is_ok());
}

/// In each line, the settings were once sought from the beginning of the file.
#[test]
fn units_of_many_lines_are_checked_and_adopted() {
    let count = 20_000;
    let lines = |value: &str| {
        let line = |n| format!("Environment=A{n}_PASSWORD={value}{n}\n");
        format!("[Service]\n{}", (0..count).map(line).collect::<String>())
    };
    let template = lines("bulla://a/b");
    assert!(Check::of("a.service", template.into_bytes(), None).findings.is_empty());
    let adoption = Adoption::find("a.service", lines("x").as_bytes(), None).unwrap();
    assert_eq!(adoption.finds.len(), count);
}

/// Each took the square of the time, or of the memory: by aliases of one long text, names that all values
/// lie in, names that are tokens, and marks of comments or parameters that are sought from a line's beginning.
#[test]
fn what_is_checked_and_adopted_takes_no_longer_for_each() {
    let count = 30_000;
    let each = |line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let long = "x".repeat(1_000_000);
    let object = |line: &dyn Fn(usize) -> String| format!("{{{}\"end\": 1}}", each(line));
    for (name, file, found) in [
        ("a.yaml", format!("a: &a y{long}\n{}", each(&|n| format!("p{n}_password: *a\n"))), 1),
        ("a.yaml", format!("a: &a /run/{long}\n{}", each(&|n| format!("p{n}_password: *a\n"))), 0),
        ("a.yaml", format!("a: &a 1\n{}: [{}]\n", &long[..900], each(&|_| "*a,".to_owned())), 0),
        ("a.yaml", format!("a: YnVs\n{}b: 2\n", "\n".repeat(1_000_000)), 0),
        ("a.json", format!("{{\"a\": \"YnVs{}V\"}}", "\\n".repeat(1_000_000)), 0),
        ("a.xml", format!("{}x{}", "<a password='x1'>".repeat(count), "</a>".repeat(count)), TOLD),
        (
            "a.json",
            format!("{{\"{long}\": {}}}", object(&|n| format!("\"p{n}_password\": \"x1\","))),
            TOLD,
        ),
        ("a.json", object(&|n| format!("\"k{n}\": \"see ghp_abcdefgh{n} now\",")), TOLD),
        ("a.json", object(&|n| format!("\"ghp_abcdefgh{n}\": {{\"password\": \"x1\"}},")), TOLD),
        ("a.json", format!("{{\"a\": \"jdbc:x://h{}\"}}", ";password=p".repeat(count)), 1),
        (
            "a.yaml",
            format!("a: |\n  password=x1\n{}", each(&|n| format!("  ghp_abcdefgh{n}\n"))),
            TOLD,
        ),
    ] {
        let check = Check::of(name, file.clone().into_bytes(), None);
        assert_eq!(check.findings.len(), found, "{:?}", check.findings.first());
        assert!(Adoption::find(name, file.as_bytes(), None).is_ok());
    }
}

/// For each of these, the section was once searched for what its password would be.
#[test]
fn many_passwords_in_one_section_are_told() {
    let count = 100_000;
    let section = format!("[pop-client]\n{}", "password=*\n".repeat(count));
    let told = outcome(Format::GenesysIni, section).unwrap_err();
    assert_eq!(told.iter().filter(|&&rule| rule == Rule::MaskedValue).count(), TOLD);
}

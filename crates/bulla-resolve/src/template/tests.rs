use proptest::prelude::*;

use super::*;

/// A letter as formats may write it, or what they skip in the midst of a word.
const SPELLINGS: &[&str] = &[
    "@",
    "@",
    "@",
    "@",
    "\\@",
    "\\u00#",
    "\\u{#}",
    "\\U000000#",
    "\\x#",
    "&#x#;",
    "%#",
    "\"@",
    "'@",
    "@\"",
    "@'",
    "\\\n@",
    "\\\n  @",
    "\\\r\n@",
    "@\\n",
    "@<!-- -->",
    "<![CDATA[@]]>",
    "$'\\x#'",
    "\n @",
    "`@",
    "@\u{200b}",
    "\\N{@}",
    "@\\\\",
    "^@",
    "\"\"@",
    "@]]><![CDATA[",
    "$@",
    "\\ @",
    "@\n",
    "<?a?>@",
];

const AROUND: &[(&str, &str)] = &[
    ("a=", "\n"),
    ("a: ", "\n"),
    ("[a]\nb = ", "\n"),
    ("a = \"", "\"\n"),
    ("[a]\nb = \"\"\"", "\"\"\"\n"),
    ("a: \"", "\"\n"),
    ("a='", "'\n"),
    ("a='''", "'''\n"),
    ("a=$'", "'\n"),
    ("{\"a\": \"", "\"}\n"),
    ("{\"", "\": 1}\n"),
    ("<a>", "</a>\n"),
    ("<a b=\"", "\"/>\n"),
    ("[Service]\nEnvironment=\"a=", "\"\n"),
    ("[Service]\nExecStart=/a ", " b\n"),
    ("# ", "\n"),
    ("a: |\n  ", "\n"),
    ("apiVersion: v1\nkind: Secret\ndata:\n  a: ", "\n"),
    ("apiVersion: v1\nkind: Secret\ndata:\n  a: \"", "\"\n"),
    ("{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"data\": {\"a\": \"", "\"}}\n"),
    ("export ", "=b\n"),
];

const WORDS: &[&str] = &[
    "bulla://a/b",
    "YnVsbGE6Ly9hL2I=",
    "eGJ1bGxhOi8vYS9i",
    "eHhidWxsYTovL2EvYg==",
    "{{ bulla://a/b }}",
];

#[test]
fn references_in_pieces_of_base64_are_not_passed_over() {
    for (format, src) in [
        (Format::Properties, "a=Yn\\VsbGE6Ly9hL2I=\n"),
        (Format::IniGit, "[a]\nb = eGJ\"\"1bGxhOi8vYS9i\n"),
        (Format::IniGit, "[a]\nb = Y\\\r\nnVsbGE6Ly9hL2I=\n"),
        (Format::Xml, "<a>YnVs<!-- -->bGE6Ly9hL2I=</a>"),
    ] {
        let template = Template::parse("x", src.into(), Some(format));
        assert!(!template.problems().is_empty(), "{src}");
    }
}

/// A blank in the middle of a line was taken out on one side of a line end only, so that what was
/// passed over and what was read told different things.
#[test]
fn blanks_within_a_line_are_no_part_of_base64() {
    let template =
        Template::parse("x", "a=Y\\ nV\nsbGE6Ly9hL2I=\n".into(), Some(Format::Properties));
    assert!(template.problems().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    /// A file that is not taken apart, because nothing in it could be a reference, holds none.
    #[test]
    fn what_is_passed_over_holds_nothing(
        format in 0..Format::ALL.len(),
        around in 0..AROUND.len(),
        word in 0..WORDS.len(),
        spellings in prop::collection::vec((0_usize..20, 0..SPELLINGS.len()), 1..4),
    ) {
        let mut src = String::new();
        for (number, letter) in WORDS[word].chars().enumerate() {
            let spelling = spellings.iter().find(|(at, _)| *at == number);
            let spelling = spelling.map_or("@", |(_, spelling)| SPELLINGS[*spelling]);
            let hexadecimal = format!("{:02x}", u32::from(letter));
            src += &spelling.replace('#', &hexadecimal).replace('@', &letter.to_string());
        }
        let (before, after) = AROUND[around];
        let src = format!("{before}{src}{after}").into_bytes();
        let (format, mut reading) = (Format::ALL[format], Reading::new(&src, Signs::of(&src)));
        if !reading.is_suspect(format.syntax()) {
            reading.hits = expression::hits(&src);
            // What does not follow its format is copied, if nothing can be replaced in it.
            let _ = reading.scan(format.syntax(), None, &mut |_| ());
            let found = reading.read.pending.iter().map(|pending| &pending.what).collect::<Vec<_>>();
            prop_assert!(
                reading.read.places.is_empty() && found.is_empty(),
                "{}: {found:?} in {}", format.name(), String::from_utf8_lossy(&src)
            );
        }
    }
}

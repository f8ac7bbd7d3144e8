//! Values come out as they went in, byte for byte, whatever they hold.

use std::fs;

use proptest::prelude::*;

use crate::support::{Home, Way};

/// What has confused other programs: ends of strings and lines, quotes, comments, substitutions,
/// marks that are not seen, bytes that are not text.
const AWKWARD: [&[u8]; 22] = [
    b"",
    b"\0",
    b"a\0b",
    b"\n",
    b"a\n",
    b"a\n\n",
    b"a\r",
    b"a\r\n",
    b"\r\nb",
    b"'\"`\\",
    b"# no comment",
    b"a: b",
    b"a=b",
    b"${HOME} $(id) `id`",
    b"{{ bulla://a/b }}",
    b"((a)) bulla://a/b",
    b" a\t",
    b"-rf",
    b"\xe2\x80\xa8\xe2\x80\xae",
    b"\xef\xbb\xbfa",
    b"\xff\xfe\x80",
    b"\x1b[2J\x07",
];

#[test]
fn a_value_comes_out_as_it_went_in() {
    let home = Home::new(Way::Identity);
    for value in AWKWARD {
        assert_eq!(through_pipe(&home, value), value, "{:?}", value.escape_ascii().to_string());
        assert_eq!(through_file(&home, value), value, "{:?}", value.escape_ascii().to_string());
    }
    home.bulla(["fsck"]).succeeds();
}

#[test]
fn only_one_newline_at_the_end_of_standard_input_is_left_out() {
    let home = Home::new(Way::Identity);
    for (given, kept) in
        [("a\n", "a"), ("a\n\n", "a\n"), ("\n\n", "\n"), ("a\r\n", "a\r"), ("a", "a")]
    {
        home.bulla(["set", "a"]).stdin(given).succeeds();
        assert_eq!(home.bulla(["get", "a"]).succeeds().out(), kept, "{given:?}");
    }
}

/// What `get --json` and `export` write comes back by a reader of JSON and by `import`.
#[test]
fn a_value_comes_back_from_an_export() {
    let home = Home::new(Way::Identity);
    for (n, value) in AWKWARD.iter().enumerate() {
        home.bulla(["set", &format!("e{n}"), "--exact"]).stdin(value).succeeds();
    }
    let lines = home.bulla(["export", "--plaintext"]).succeeds().stdout;
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        serde_json::from_slice::<serde_json::Value>(line).unwrap();
    }
    let other = home.file("other.bulla");
    home.bulla(["init", "--recipient", "@.config/bulla/identity"])
        .env("BULLA_VAULT", &other)
        .succeeds();
    let import = ["import", "-", "--format", "jsonl"];
    home.bulla(import).env("BULLA_VAULT", &other).stdin(lines).succeeds();
    for (n, value) in AWKWARD.iter().enumerate() {
        let got = home.bulla(["get", &format!("e{n}")]).env("BULLA_VAULT", &other).succeeds();
        assert_eq!(got.stdout, *value);
    }
}

#[test]
fn ten_mebibytes_come_out_as_they_went_in() {
    let home = Home::new(Way::Identity);
    let value: Vec<u8> =
        (0..10 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert!(through_pipe(&home, &value) == value);
    assert!(through_file(&home, &value) == value);
}

#[test]
fn what_is_too_long_is_refused_and_changes_nothing() {
    let home = Home::new(Way::Identity);
    let too_long = vec![b'a'; 16 << 20];
    home.write("value", &too_long);
    let before = home.state();
    home.bulla(["set", "a"]).stdin(&too_long).fails(1);
    home.bulla(["set", "a", "--from-file", "value"]).fails(1);
    assert_eq!(home.state(), before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_value_comes_out_as_it_went_in(value: Vec<u8>) {
        let home = Home::new(Way::Identity);
        prop_assert_eq!(through_pipe(&home, &value), value.clone());
        prop_assert_eq!(through_file(&home, &value), value);
    }
}

fn through_pipe(home: &Home, value: &[u8]) -> Vec<u8> {
    home.bulla(["set", "a", "--exact"]).stdin(value).succeeds();
    let got = home.sh("bulla get a | cat").succeeds();
    assert_eq!(got.stderr, "");
    got.stdout
}

fn through_file(home: &Home, value: &[u8]) -> Vec<u8> {
    home.write("value", value);
    // An empty file is refused.
    let how = if value.is_empty() { "--exact < value" } else { "--from-file value" };
    home.sh(&format!("bulla set b {how}")).succeeds();
    home.sh("bulla get b > out").succeeds();
    fs::read(home.file("out")).unwrap()
}

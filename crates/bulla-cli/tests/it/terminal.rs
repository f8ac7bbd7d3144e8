//! What happens on a terminal: questions, hidden input, signals, masks.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::process::Signal;

use crate::pty::Session;
use crate::support::{Home, PASSPHRASE, SECRETS, VALUE, Way};

#[test]
fn init_asks_twice_for_a_passphrase() {
    let home = Home::new(Way::None);
    let mut session = Session::start(&home, &["init"]);
    for question in ["New passphrase for the vault: ", "The same again: "] {
        session.expect_hidden(question);
        session.types(format!("{}\n", *PASSPHRASE));
    }
    let screen = session.ends(0);
    assert!(screen.contains("pin    "), "{screen}");
    assert_eq!(SECRETS.find(screen.as_bytes()), None, "{screen}");

    let mut session = Session::start(&home, &["slot", "ls"]);
    session.expect_hidden("Passphrase of the vault: ");
    session.types(format!("{}\n", *PASSPHRASE));
    let screen = session.ends(0);
    assert!(screen.contains("* owner"), "{screen}");
    assert_eq!(SECRETS.find(screen.as_bytes()), None, "{screen}");
    assert!(SECRETS.find_in_files(home.path()).is_empty());

    let mut session = Session::start(&home, &["ls"]);
    session.expect_hidden("Passphrase of the vault: ");
    session.types("another\n");
    session.ends(3);
}

#[test]
fn init_makes_nothing_of_passphrases_that_differ_or_are_empty() {
    for answers in [&["one\n", "other\n"][..], &["\n"], &["one\n", "\n"], &["\u{4}"]] {
        let home = Home::new(Way::None);
        let mut session = Session::start(&home, &["init"]);
        for (question, answer) in
            ["New passphrase for the vault: ", "The same again: "].iter().zip(answers)
        {
            session.expect_hidden(question);
            session.types(answer);
        }
        let screen = session.ends(1);
        assert!(screen.contains("error: "), "{answers:?}: {screen}");
        assert!(home.state().is_empty(), "{answers:?}: {:?}", home.state());
    }
}

#[test]
fn another_vault_in_a_known_place_is_asked_about() {
    let home = Home::new(Way::Identity);
    home.bulla(["ls"]).succeeds();
    let recipient = "@.config/bulla/identity";
    home.bulla(["init", "--vault", "other", "--recipient", recipient]).succeeds();
    fs::copy(home.file("other"), home.vault()).unwrap();
    for (answer, code) in [("n\n", 5), ("\n", 5), ("y\n", 0)] {
        let mut session = Session::start(&home, &["ls"]);
        session.expect("Is that the vault you mean? [y/N] ");
        session.types(answer);
        session.ends(code);
    }
    // It is the known one now.
    Session::start(&home, &["ls"]).ends(0);
}

/// Who only wants to see what would be moved is asked for nothing.
#[test]
fn a_dry_run_asks_no_question() {
    let config = format!("TOKEN={}\n", *VALUE);
    let home = Home::new(Way::Passphrase);
    home.write("app.env", &config);
    let screen = Session::start(&home, &["adopt", "app.env", "--dry-run"]).ends(0);
    assert!(screen.contains("the vault was not looked at: "), "{screen}");
    assert!(screen.contains("bulla://app/TOKEN"), "{screen}");

    // An identity whose vault nobody has confirmed here is no way in without a question either.
    let home = Home::new(Way::Identity);
    home.write("app.env", &config);
    fs::remove_dir_all(home.file(".local/state")).unwrap();
    let screen = Session::start(&home, &["adopt", "app.env", "--dry-run"]).ends(0);
    assert!(screen.contains("the vault was not looked at: "), "{screen}");
}

#[test]
fn a_value_is_typed_without_being_shown() {
    let home = Home::new(Way::Identity);
    let mut session = Session::start(&home, &["set", "a"]);
    session.expect_hidden("password of a: ");
    session.types(format!("{}\n", *VALUE));
    let screen = session.ends(0);
    assert!(screen.contains("a is at version 1"), "{screen}");
    assert_eq!(SECRETS.find(screen.as_bytes()), None, "{screen}");
    assert_eq!(home.bulla(["get", "a"]).succeeds().out(), VALUE.as_str());
}

/// `rpassword` leaves control characters out without a word, and takes bytes that are not UTF-8 for
/// a replacement character: what is stored would not be what was pasted.
#[test]
fn what_cannot_be_typed_is_refused_and_not_left_out() {
    let home = Home::new(Way::Identity);
    let before = home.state();
    // The key with an arrow, a tab, a C1 control, Latin-1.
    for keys in [&b"abc\x1b[D\n"[..], b"a\tb\n", b"a\xc2\x85b\n", b"\xe4\n\n\n", b"\x1bO\n"] {
        let mut session = Session::start(&home, &["set", "a"]);
        session.expect_hidden("password of a: ");
        session.types(keys);
        let screen = session.ends(1);
        assert!(screen.contains("a control character was typed"), "{screen}");
        assert_eq!(home.state(), before, "{keys:?}");
    }
}

#[test]
fn a_typed_value_can_be_corrected() {
    let home = Home::new(Way::Identity);
    for (keys, value) in [
        ("abd\u{7f}c\n", "abc"),
        ("ab\u{e4}\u{7f}c\n", "abc"),
        ("wrong\u{15}right\n", "right"),
        ("two wrds\u{17}words\n", "two words"),
        (" \u{e4}\u{1f512} #\n", " \u{e4}\u{1f512} #"),
    ] {
        let mut session = Session::start(&home, &["set", "a"]);
        session.expect_hidden("password of a: ");
        session.types(keys);
        session.ends(0);
        assert_eq!(home.bulla(["get", "a"]).succeeds().out(), value);
    }
}

#[test]
fn a_long_value_can_be_pasted() {
    let home = Home::new(Way::Identity);
    let value = "0123456789abcdef".repeat(1000);
    let mut session = Session::start(&home, &["set", "a"]);
    session.expect_hidden("password of a: ");
    session.types(&value);
    session.types("\n");
    session.ends(0);
    assert_eq!(home.bulla(["get", "a"]).succeeds().out(), value);
}

/// Each way to be interrupted, at each hidden question: the terminal shows again what is typed,
/// which `Session::end` looks at, and nothing was changed.
#[test]
fn an_interrupted_question_leaves_nothing_behind() {
    let interruptions: [(&str, Option<Signal>, i32); 5] = [
        ("\u{3}", None, 2),
        ("\u{1c}", None, 3),
        ("half of a secr", Some(Signal::TERM), 15),
        ("", Some(Signal::HUP), 1),
        ("", Some(Signal::INT), 2),
    ];
    for (keys, signal, number) in interruptions {
        for (way, args, question) in [
            (Way::None, &["init"][..], "New passphrase for the vault: "),
            (Way::Identity, &["set", "a"], "password of a: "),
            (Way::Identity, &["identity", "new", "-o", "new"], "New passphrase for the identity: "),
            (Way::Passphrase, &["rekey"], "Passphrase of the vault: "),
        ] {
            let home = Home::new(way);
            let before = home.state();
            let mut session = Session::start(&home, args);
            session.expect_hidden(question);
            session.types(keys);
            if let Some(signal) = signal {
                session.send(signal);
            }
            session.ends(128 + number);
            assert_eq!(home.state_at_rest(), before, "{args:?} after signal {number}");
        }
    }
}

/// Signals were once ignored from the first hidden question on, since the library that catches them
/// for its time never gives them back.
#[test]
fn signals_end_the_program_after_a_question_too() {
    for (signal, number) in [(Signal::INT, 2), (Signal::TERM, 15), (Signal::HUP, 1)] {
        let home = Home::new(Way::Passphrase);
        let before = home.state();
        let mut session = Session::start(&home, &["set", "a", "--exact"]);
        session.expect_hidden("Passphrase of the vault: ");
        session.types(format!("{}\n", *PASSPHRASE));
        session.expect("\n");
        session.send(signal);
        session.ends(128 + number);
        assert_eq!(home.state_at_rest(), before, "after signal {number}");
    }
}

/// An identity for another vault, in the default place, once kept the owner from being asked for the
/// passphrase; then its pin was held against this vault.
#[test]
fn an_identity_of_another_vault_does_not_stop_the_passphrase() {
    let home = Home::new(Way::Passphrase);
    home.bulla(["identity", "new", "--for-machine", "-o", "deploy"]).succeeds();
    home.bulla(["slot", "add", "deploy", "--recipient", "@deploy"]).succeeds();
    home.bulla(["identity", "new", "--for-machine"]).succeeds();
    let identity = home.file(".config/bulla/identity");
    let text = fs::read_to_string(&identity).unwrap();
    fs::write(&identity, format!("# bulla-pin: {}\n{text}", "0".repeat(64))).unwrap();
    let mut session = Session::start(&home, &["ls"]);
    session.expect_hidden("Passphrase of the vault: ");
    session.types(format!("{}\n", *PASSPHRASE));
    session.ends(0);
}

#[test]
fn an_unknown_vault_is_opened_by_identity_only_if_its_pin_is_confirmed() {
    let home = Home::new(Way::Identity);
    fs::remove_dir_all(home.file(".local/state")).unwrap();
    let before = home.state();
    for answer in ["no\n", "\n", "n\n", "yess\n", "\u{4}"] {
        let mut session = Session::start(&home, &["set", "a", "--public", "x=y"]);
        session.expect("This vault was never opened here. Its pin is");
        session.expect("Is it the same? [y/N] ");
        session.types(answer);
        session.ends(3);
        assert_eq!(home.state(), before, "{answer:?}");
    }
    let mut session = Session::start(&home, &["slot", "ls"]);
    session.expect("Is it the same? [y/N] ");
    session.types("yes\n");
    session.ends(0);
    // It is remembered.
    Session::start(&home, &["slot", "ls"]).ends(0);
    home.bulla(["slot", "ls"]).succeeds();
}

#[test]
fn purging_asks_first() {
    let home = Home::new(Way::Identity);
    home.bulla(["set", "a"]).stdin("x").succeeds();
    let before = home.state();
    let question = "Purge this entry and all earlier versions for good? [y/N] ";
    for (answer, code) in [("\n", 1), ("no\n", 1), ("\u{3}", 130)] {
        let mut session = Session::start(&home, &["rm", "a", "--purge"]);
        session.expect(question);
        session.types(answer);
        session.ends(code);
        assert_eq!(home.state_at_rest(), before, "{answer:?}");
    }
    let mut session = Session::start(&home, &["rm", "a", "--purge"]);
    session.expect(question);
    session.types("y\n");
    session.ends(0);
    home.bulla(["get", "a"]).fails(4);
}

#[test]
fn accepting_an_older_state_asks_first() {
    let home = Home::new(Way::Identity);
    let earlier = fs::read(home.vault()).unwrap();
    home.bulla(["set", "a"]).stdin("x").succeeds();
    fs::write(home.vault(), earlier).unwrap();
    let before = home.state();
    let question = "Is this the true state? Whatever came after it is lost. [y/N] ";
    let mut session = Session::start(&home, &["backup", "adopt"]);
    session.expect("it is at epoch 1, and epoch 2 was seen here");
    session.expect(question);
    session.types("\n");
    session.ends(1);
    assert_eq!(home.state(), before);
    let mut session = Session::start(&home, &["backup", "adopt"]);
    session.expect(question);
    session.types("y\n");
    session.ends(0);
    home.bulla(["ls"]).succeeds();
}

#[test]
fn a_passphrase_is_changed() {
    let home = Home::made(Way::Passphrase);
    let mut session = Session::start(&home, &["passwd"]);
    session.expect_hidden("Passphrase of the vault: ");
    session.types(format!("{}\n", *PASSPHRASE));
    for question in ["New passphrase for the vault: ", "The same again: "] {
        session.expect_hidden(question);
        session.types("another one\n");
    }
    session.ends(0);
    home.bulla(["ls"]).fails(3);
    home.bulla(["ls", "--passphrase-fd", "0"]).stdin("another one").succeeds();
}

#[test]
fn a_passphrase_that_is_not_changed_in_the_end_stays() {
    let home = Home::new(Way::Passphrase);
    let before = home.state();
    let mut session = Session::start(&home, &["passwd"]);
    session.expect_hidden("Passphrase of the vault: ");
    session.types(format!("{}\n", *PASSPHRASE));
    session.expect_hidden("New passphrase for the vault: ");
    session.types("another one\n");
    session.expect_hidden("The same again: ");
    session.types("another two\n");
    session.ends(1);
    assert_eq!(home.state(), before);
}

#[test]
fn a_slot_for_a_passphrase_is_added() {
    let home = Home::made(Way::Identity);
    let mut session = Session::start(&home, &["slot", "add", "two"]);
    for question in ["New passphrase for slot `two`: ", "The same again: "] {
        session.expect_hidden(question);
        session.types("two words\n");
    }
    session.ends(0);
    home.bulla(["ls", "--passphrase-fd", "0"]).stdin("two words\n").succeeds();
}

#[test]
fn an_identity_with_a_passphrase_asks_for_it() {
    let home = Home::made(Way::Identity);
    let mut session = Session::start(&home, &["identity", "new", "-o", "own", "--json"]);
    for question in ["New passphrase for the identity: ", "The same again: "] {
        session.expect_hidden(question);
        session.types(format!("{}\n", *PASSPHRASE));
    }
    session.ends(0);
    assert_eq!(SECRETS.find(&home.read("own")), None, "the key is sealed");
    home.bulla(["slot", "add", "own", "--recipient", "@own"]).succeeds();
    for (passphrase, code) in [(PASSPHRASE.as_str(), 0), ("another", 3)] {
        let mut session = Session::start(&home, &["ls", "--identity", "own"]);
        session.expect_hidden("Passphrase of own: ");
        session.types(format!("{passphrase}\n"));
        session.ends(code);
    }
    home.bulla(["ls", "--identity", "own"]).fails(3);
}

#[test]
fn get_ends_with_a_newline_and_drives_no_terminal() {
    let home = Home::new(Way::Identity);
    home.bulla(["set", "a"]).stdin("one").succeeds();
    assert_eq!(Session::start(&home, &["get", "a"]).ends(0), "one\r\n");
    home.bulla(["set", "a"]).stdin("\u{1b}[2J\u{7}\u{202e}b\nc").succeeds();
    let screen = Session::start(&home, &["get", "a"]).ends(0);
    assert_eq!(screen, "\\u{1b}[2J\\u{7}\\u{202e}b\r\nc\r\n");
    home.bulla(["set", "a"]).stdin(b"\xff\x1b[2J").succeeds();
    let screen = Session::start(&home, &["get", "a"]).ends(1);
    assert!(screen.starts_with("error: the value is not text"), "{screen}");
    assert!(!screen.contains('\u{1b}'), "{screen:?}");
    home.bulla(["set", "b", "--public", "x=\u{1b}[2J", "-m", "\u{1b}[1m"]).succeeds();
    for args in [&["show", "b"][..], &["log", "b"], &["show", "b", "--json"], &["ls", "-l"]] {
        let screen = Session::start(&home, args).ends(0);
        assert!(!screen.contains('\u{1b}'), "{screen:?}");
    }
}

#[test]
fn render_masks_values_on_a_terminal() {
    let home = Home::new(Way::Identity);
    home.bulla(["set", "a"]).stdin(VALUE.as_str()).succeeds();
    home.write("t.json", r#"{"a": "bulla://a/password"}"#);
    let screen = Session::start(&home, &["render", "t.json"]).ends(0);
    assert!(screen.starts_with(r#"{"a": "********"}"#), "{screen}");
    assert_eq!(SECRETS.find(screen.as_bytes()), None, "{screen}");
    let screen = Session::start(&home, &["render", "t.json", "--reveal"]).ends(0);
    assert!(screen.contains(VALUE.as_str()), "{screen}");
    // Into a file it goes as it is.
    let out = fs::File::create(home.file("out")).unwrap();
    Session::start_with(&home, &["render", "t.json"], Some(out)).ends(0);
    assert_eq!(home.read("out"), format!(r#"{{"a": "{}"}}"#, *VALUE).into_bytes());
}

#[test]
fn export_refuses_a_terminal() {
    let home = Home::new(Way::Identity);
    home.bulla(["set", "a"]).stdin(VALUE.as_str()).succeeds();
    let screen = Session::start(&home, &["export", "--plaintext"]).ends(2);
    assert!(screen.contains("error: standard output is a terminal"), "{screen}");
    assert_eq!(SECRETS.find(screen.as_bytes()), None, "{screen}");
    let screen = Session::start(&home, &["export", "--plaintext", "--reveal"]).ends(0);
    assert!(screen.contains(VALUE.as_str()), "{screen}");
}

/// While a question waits, a passphrase may be in memory already: no core dump, and no look into it
/// for others of the same user.
#[test]
fn a_waiting_process_cannot_be_looked_into() {
    let home = Home::new(Way::Identity);
    let mut session = Session::start(&home, &["set", "a"]);
    session.expect_hidden("password of a: ");
    let proc = std::path::PathBuf::from(format!("/proc/{}", session.id()));
    let limits = fs::read_to_string(proc.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"));
    // What cannot be dumped belongs to root. (For root itself, `doctor` asks the kernel.)
    assert_eq!(fs::metadata(proc.join("mem")).unwrap().uid(), 0);
    let doctor = home.bulla(["doctor"]).succeeds().out();
    assert!(doctor.contains("programs of the same user cannot read"), "{doctor}");
    let words = [fs::read(proc.join("cmdline")), fs::read(proc.join("environ"))]
        .map(Result::unwrap_or_default);
    assert_eq!(SECRETS.find(&words.concat()), None);
    session.types("x\n");
    session.ends(0);
}

//! Vault files that are damaged, foreign, or a stranger's: every command says so, with the exit code
//! for it and a way out, and none takes such a file for a new vault.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::support::{Ended, Home, VALUE, Way};

/// Every command that opens the vault, with what it reads from standard input.
const COMMANDS: [(&[&str], &str); 19] = [
    (&["set", "a"], "x"),
    (&["get", "a"], ""),
    (&["show", "a"], ""),
    (&["ls"], ""),
    (&["rm", "a"], ""),
    (&["rm", "a", "--purge", "--yes"], ""),
    (&["mv", "a", "b"], ""),
    (&["log", "a"], ""),
    (&["revert", "a"], ""),
    (&["import", "-", "--format", "jsonl"], r#"{"entry":"b","fields":{"password":"x"}}"#),
    (&["export", "--plaintext"], ""),
    (&["render", "-", "--format", "text"], "{{ bulla://a/password }}"),
    (&["slot", "ls"], ""),
    (&["slot", "add", "two", "--recipient", "@recipient"], ""),
    (&["slot", "rm", "two"], ""),
    (&["rekey"], ""),
    (&["fsck"], ""),
    (&["backup", "create", "copy.bulla"], ""),
    (&["backup", "adopt", "--yes"], ""),
];

/// A home with a vault that holds an entry, its history, and two slots.
fn home() -> Home {
    let home = Home::new(Way::Identity);
    let made = home.bulla(["identity", "new", "--for-machine", "-o", "second"]).succeeds();
    home.write("recipient", made.stdout);
    home.bulla(["slot", "add", "two", "--recipient", "@recipient"]).succeeds();
    for value in ["one", VALUE.as_str()] {
        home.bulla(["set", "a"]).stdin(value).succeeds();
    }
    home
}

/// Puts `bytes` in the place of the vault, runs every command, and holds each to failing with one
/// of these codes, a hint, and nothing changed. Only `doctor` is told to say it on stdout.
fn every_command_refuses(home: &Home, bytes: &[u8], codes: &[i32]) {
    fs::write(home.vault(), bytes).unwrap();
    let before = home.state();
    for (args, stdin) in COMMANDS {
        let ended = home.bulla(args).stdin(stdin).run();
        refused(&ended, codes, &args.join(" "));
        assert_eq!(home.state(), before, "{args:?} changed something: {ended}");
    }
    let doctor = home.bulla(["doctor"]).run();
    assert!(codes.contains(&doctor.code()) || doctor.code() == 0, "{doctor}");
    let init = home.bulla(["init", "--recipient", "@recipient"]).fails(6);
    assert!(init.stderr.contains("exists already"), "{init}");
    assert_eq!(home.state(), before);
}

fn refused(ended: &Ended, codes: &[i32], what: &str) {
    assert!(codes.contains(&ended.code()), "{what}: {ended}");
    assert!(ended.stdout.is_empty(), "{what}: {ended}");
    let mut lines = ended.stderr.lines();
    assert!(lines.next().is_some_and(|line| line.starts_with("error: ")), "{what}: {ended}");
    assert!(lines.all(|line| line.starts_with("hint: ")), "{what}: {ended}");
    assert!(ended.stderr.contains("\nhint: "), "{what}: {ended}");
}

#[test]
fn foreign_files_are_no_vaults_and_never_new_ones() {
    let home = home();
    let sqlite_of_others =
        [&b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20"[..], &[0; 4072]].concat();
    for bytes in [
        &b""[..],
        &[0; 8192],
        &[0xff; 8192],
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        b"age-encryption.org/v1\n-> X25519 abc\n",
        b"password = hunter2\n",
        &sqlite_of_others,
    ] {
        every_command_refuses(&home, bytes, &[5]);
    }
}

#[test]
fn a_vault_that_was_cut_is_damaged() {
    let home = home();
    let whole = fs::read(home.vault()).unwrap();
    for len in [1, 99, 100, 4095, 8191, 8192, whole.len() / 2, whole.len() - 8192] {
        every_command_refuses(&home, &whole[..len], &[5]);
    }
    // A cut within the last page was noticed only by who read that page.
    every_command_refuses(&home, &whole[..whole.len() - 1], &[5]);
}

/// A flipped bit is noticed by who reads there; nobody ever reads another value, and `fsck` reads
/// everything that counts.
#[test]
fn a_flipped_bit_never_yields_another_value() {
    let home = home();
    let whole = fs::read(home.vault()).unwrap();
    let (mut noticed, mut silent) = (0, 0);
    for place in (0..whole.len()).step_by(whole.len() / 150) {
        let mut flipped = whole.clone();
        flipped[place] ^= 1 << (place % 8);
        fs::write(home.vault(), &flipped).unwrap();
        let got = home.bulla(["get", "a"]).run();
        let fsck = home.bulla(["fsck"]).run();
        match got.code() {
            0 => assert_eq!(got.out(), VALUE.as_str(), "another value, at {place}"),
            3 | 5 => refused(&got, &[3, 5], &format!("get, flipped at {place}")),
            _ => panic!("flipped at {place}: {got}"),
        }
        if fsck.code() == 0 {
            assert_eq!(got.code(), 0, "fsck saw nothing, flipped at {place}: {got}");
            silent += 1;
        } else {
            assert_eq!(fsck.code(), 5, "flipped at {place}: {fsck}");
            noticed += 1;
        }
    }
    // Most of a small file of SQLite is free space, where a flipped bit means nothing.
    assert!(noticed > 10 && noticed + silent > 149, "{noticed} of {}", noticed + silent);
}

/// A stranger makes a vault for our identity, whose recipient is no secret, and puts it in the
/// place of ours.
#[test]
fn a_strangers_vault_is_not_taken_for_ours() {
    let home = home();
    home.bulla(["init", "--vault", "strange.bulla", "--recipient", "@.config/bulla/identity"])
        .succeeds();
    let strange = home.read("strange.bulla");
    fs::remove_file(home.file("strange.bulla")).unwrap();
    fs::remove_dir_all(home.file(".local/state")).unwrap();
    fs::write(home.vault(), &strange).unwrap();
    fs::set_permissions(home.vault(), Permissions::from_mode(0o600)).unwrap();
    let before = home.state();
    for (args, stdin) in COMMANDS {
        if args.starts_with(&["backup", "create"]) {
            // Copying opens nothing.
            continue;
        }
        // A command line that names the pin of ours would not be fooled either.
        let pin = "0".repeat(64);
        refused(&home.bulla(args).stdin(stdin).run(), &[3], &args.join(" "));
        refused(&home.bulla(args).env("BULLA_PIN", pin).stdin(stdin).run(), &[5], &args.join(" "));
        assert_eq!(home.state(), before, "{args:?}");
    }
}

#[test]
fn a_wrong_key_opens_nothing() {
    let home = home();
    home.bulla(["slot", "rm", "two"]).succeeds();
    let before = home.state();
    for (args, stdin) in COMMANDS {
        if args.starts_with(&["backup", "create"]) {
            continue;
        }
        let ended = home.bulla(args).args(["--identity", "second"]).stdin(stdin).run();
        refused(&ended, &[3], &args.join(" "));
        assert_eq!(home.state(), before, "{args:?}");
    }
}

/// The log of another vault beside ours is not folded into it, and one of our own that is lost or
/// stale shows as an older state.
#[test]
fn logs_that_are_not_of_this_vault_are_noticed() {
    let home = home();
    let wal = home.file(".local/share/bulla/vault.bulla-wal");
    let other = self::home();
    fs::write(&wal, fs::read(other.vault()).unwrap()).unwrap();
    fs::set_permissions(&wal, Permissions::from_mode(0o600)).unwrap();
    let got = home.bulla(["get", "a"]).run();
    assert!(got.out() == VALUE.as_str() || got.code() == 5, "{got}");
    home.bulla(["fsck"]).succeeds();
}

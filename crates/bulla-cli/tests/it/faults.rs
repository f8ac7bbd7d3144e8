//! Failing and killing each system call that writes, one after the other: afterwards the old state
//! is there or the new one, never neither, and success was told only of what is there.
//!
//! `strace` does it; where it is missing or may not trace, this is skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::support::{Ended, Home, SECRETS, VALUE, Way, skipped};

/// What can go wrong with a system call.
const FAULTS: [&str; 3] = ["error=EIO", "error=ENOSPC", "signal=KILL"];

/// The system calls that write or make durable.
const CALLS: &str = "write,pwrite64,pwritev,fsync,fdatasync,ftruncate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,openat,fchmod,fallocate,mmap,flock,syncfs,symlinkat,rmdir";

/// What a command changes, and how to tell that it did.
struct Change {
    args: &'static [&'static str],
    stdin: &'static str,
    /// Prepares the home.
    before: fn(&Home),
    /// A text that tells the state; it is asked for before, after success, and after each fault.
    state: fn(&Home) -> String,
}

#[test]
fn set_is_done_or_not() {
    holds(&Change { args: &["set", "a"], stdin: "new", before: entry, state: contents });
}

#[test]
fn rm_is_done_or_not() {
    holds(&Change { args: &["rm", "a"], stdin: "", before: entry, state: contents });
}

#[test]
fn mv_is_done_or_not() {
    holds(&Change { args: &["mv", "a", "b"], stdin: "", before: entry, state: contents });
}

#[test]
fn import_is_done_or_not() {
    let stdin =
        concat!(r#"{"entry":"x","fields":{"v":"1"}}"#, "\n", r#"{"entry":"y","fields":{"v":"2"}}"#);
    let args = &["import", "-", "--format", "jsonl"];
    holds(&Change { args, stdin, before: entry, state: contents });
}

#[test]
fn rekey_is_done_or_not() {
    // Whoever is stopped between the commit and the remembering of the new pin still knows the vault.
    let state = |home: &Home| {
        let log = home.bulla(["log", "--json"]).succeeds().out();
        format!("{} {}", log.matches("vault key changed").count(), contents(home))
    };
    holds(&Change { args: &["rekey"], stdin: "", before: entry, state });
}

#[test]
fn slot_add_is_done_or_not() {
    let before = |home: &Home| {
        entry(home);
        let made = home.bulla(["identity", "new", "--for-machine", "-o", "second"]).succeeds();
        home.write("recipient", made.stdout);
    };
    let state = |home: &Home| {
        let slots = home.bulla(["slot", "ls"]).succeeds().out();
        format!("{} slots, {}", slots.lines().count(), contents(home))
    };
    let args = &["slot", "add", "two", "--recipient", "@recipient"];
    holds(&Change { args, stdin: "", before, state });
}

#[test]
fn init_is_done_or_not() {
    let before = |home: &Home| {
        fs::remove_file(home.vault()).unwrap();
        fs::remove_dir_all(home.file(".local/state")).unwrap();
    };
    // What is there is a vault.
    let state = |home: &Home| match home.vault().exists() {
        false => "none".to_owned(),
        true => {
            forget_pin(home);
            home.bulla(["fsck"]).succeeds().out()
        }
    };
    let args = &["init", "--recipient", "@.config/bulla/identity"];
    holds(&Change { args, stdin: "", before, state });
}

#[test]
fn render_is_done_or_not() {
    let before = |home: &Home| {
        entry(home);
        home.write("in/one.json", r#"{"a": "bulla://a/password"}"#);
        home.write("out/one.json", "old");
    };
    let state = |home: &Home| rendered(home, "one").to_owned();
    let args = &["render", "in/one.json", "-o", "out/one.json"];
    holds(&Change { args, stdin: "", before, state });
}

/// Of several files, a kill between two renames left some of them old.
#[test]
fn render_of_several_files_is_done_or_not() {
    let args = &["render", "in", "--into", "out"];
    holds(&Change { args, stdin: "", before: several, state: all_or_none });
}

#[test]
fn a_switch_is_done_or_not() {
    let before = |home: &Home| {
        entry(home);
        for name in ["in/one.json", "in/deep/two.json"] {
            home.write(name, "old");
        }
        fs::create_dir(home.file("out")).unwrap();
        home.bulla(["render", "in", "--switch", "out/link"]).succeeds();
        for name in ["in/one.json", "in/deep/two.json"] {
            home.write(name, r#"{"a": "bulla://a/password"}"#);
        }
    };
    let state = |home: &Home| {
        let files = ["link/one", "link/deep/two"].map(|name| rendered(home, name));
        assert_eq!(files[0], files[1], "the folder is whole");
        home.bulla(["doctor", "out"]).succeeds();
        // The link and the one folder that it leads to.
        let left = fs::read_dir(home.file("out")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        files[0].to_owned()
    };
    let args = &["render", "in", "--switch", "out/link"];
    holds(&Change { args, stdin: "", before, state });
}

/// The receipt is there if and only if its files are, in a folder of its own, too.
#[test]
fn a_receipt_is_written_with_its_files_or_not() {
    let before = |home: &Home| {
        several(home);
        home.write("told/receipt.json", "old");
    };
    let state = |home: &Home| {
        home.bulla(["doctor", "told"]).succeeds();
        let files = all_or_none(home);
        let receipt = home.read("told/receipt.json");
        assert_eq!(receipt == b"old", files == "old", "{}", receipt.escape_ascii());
        if files == "new" {
            home.bulla(["receipt", "told/receipt.json"]).succeeds();
        }
        files
    };
    let args = &["render", "in", "--into", "out", "--receipt", "told/receipt.json"];
    holds(&Change { args, stdin: "", before, state });
}

/// Whoever comes next finishes or undoes that; and who is killed at it leaves it to another one.
#[test]
fn an_interrupted_render_is_finished_or_undone() {
    if !can_trace() {
        return;
    }
    let mut outcomes = BTreeSet::new();
    for interrupted in 1..=4 {
        let crashed = || {
            let home = Home::new(Way::Identity);
            several(&home);
            let inject = format!("inject=renameat:signal=KILL:when={interrupted}");
            let args = &["render", "in", "--into", "out"];
            let ended = traced(&home, args, "", &["-e", &inject, "-o", "/dev/null"]);
            assert_eq!(ended.code(), 137, "{ended}");
            home
        };
        let home = crashed();
        let trace = format!("trace={CALLS}");
        let doctor = &["doctor", "out", "out/deep"];
        traced(&home, doctor, "", &["-e", &trace, "-o", "log"]);
        let calls = calls_in(&String::from_utf8(home.read("log")).unwrap(), CALLS);
        outcomes.insert(all_or_none(&home));
        assert!(calls.get("unlinkat").is_some_and(|count| *count > 2), "{calls:?}");
        for (call, count) in &calls {
            for n in 1..=*count {
                // Once with all of them is enough.
                for fault in if interrupted == 2 { &FAULTS[..] } else { &["signal=KILL"] } {
                    let home = crashed();
                    let inject = format!("inject={call}:{fault}:when={n}");
                    let ended = traced(&home, doctor, "", &["-e", &inject, "-o", "/dev/null"]);
                    assert_ne!(ended.code(), 101, "{ended}");
                    let what = format!("{interrupted}: doctor with {inject}: {ended}");
                    leaves_no_plaintext(&home, &what);
                    all_or_none(&home);
                }
            }
        }
        // The next render does the same, into whichever of the folders it goes.
        for other in ["out/other", "out/deep/other"] {
            let home = crashed();
            home.bulla(["render", "in/one.json", "-o", other]).succeeds();
            assert!(leftover(&home).is_empty(), "{:?}", leftover(&home));
            all_or_none(&home);
        }
        // One that then fails does, too: it said that nothing was written, while files were old and new.
        let home = crashed();
        home.write("in/one.json", r#"{"a": "bulla://gone/password"}"#);
        let failed = home.bulla(["render", "in", "--into", "out"]).fails(4);
        assert!(failed.stderr.contains("an interrupted render into "), "{failed}");
        assert!(leftover(&home).is_empty(), "{:?}", leftover(&home));
        all_or_none(&home);
    }
    assert_eq!(outcomes, BTreeSet::from(["new".to_owned(), "old".to_owned()]));
}

/// Three files in two folders, one of them with no earlier rendering.
fn several(home: &Home) {
    entry(home);
    for name in ["one", "deep/two", "three", "fresh"] {
        home.write(&format!("in/{name}.json"), r#"{"a": "bulla://a/password"}"#);
        if name != "fresh" {
            home.write(&format!("out/{name}.json"), "old");
        }
    }
}

/// What all files are after `doctor` was there; they are all the same.
fn all_or_none(home: &Home) -> String {
    home.bulla(["doctor", "out", "out/deep"]).succeeds();
    assert!(leftover(home).is_empty(), "{:?}", leftover(home));
    let fresh = home.file("out/fresh.json").exists();
    let fresh = if fresh { rendered(home, "fresh") } else { "old" };
    let states = ["one", "deep/two", "three"].map(|name| rendered(home, name));
    assert!(states.iter().all(|state| *state == fresh), "{states:?} and {fresh}");
    fresh.to_owned()
}

fn leftover(home: &Home) -> Vec<std::path::PathBuf> {
    let hidden = |name: &std::path::PathBuf| name.to_string_lossy().contains(".bulla-");
    home.state().into_keys().filter(hidden).collect()
}

/// Whether a rendering is the old or the new one; it is nothing else.
fn rendered(home: &Home, name: &str) -> &'static str {
    let bytes = home.read(&format!("out/{name}.json"));
    let new = format!(r#"{{"a": "{}"}}"#, *VALUE);
    match bytes.as_slice() {
        b"old" => "old",
        bytes if bytes == new.as_bytes() => "new",
        bytes => panic!("{name}: {}", bytes.escape_ascii()),
    }
}

/// The configuration is there or its template, and that never without its values in the vault.
#[test]
fn adopt_in_place_is_done_or_not() {
    let before = |home: &Home| home.write("out/one.env", configuration());
    let state = |home: &Home| adopted(home, "one", "out/one.env").expect("it is there").to_owned();
    holds(&Change { args: &["adopt", "out/one.env", "--in-place"], stdin: "", before, state });
}

/// Several templates are all there or none, at the latest when `doctor` was there.
#[test]
fn adopt_of_several_files_is_done_or_not() {
    let before = |home: &Home| {
        for name in ["one", "two"] {
            home.write(&format!("out/{name}.env"), configuration());
        }
    };
    let state = |home: &Home| {
        if home.file("t").exists() {
            home.bulla(["doctor", "t"]).succeeds();
        }
        let states = ["one", "two"].map(|name| {
            let original = adopted(home, name, &format!("out/{name}.env"));
            assert_eq!(original, Some("old"), "the configuration itself stays");
            adopted(home, name, &format!("t/{name}.env"))
        });
        match states {
            [None, None] => "old".to_owned(),
            [Some("new"), Some("new")] => "new".to_owned(),
            _ => panic!("a template is missing, or is the configuration with its secret"),
        }
    };
    let args = &["adopt", "out/one.env", "out/two.env", "--into", "t"];
    holds(&Change { args, stdin: "", before, state });
}

fn configuration() -> String {
    format!("# keep me\nTOKEN={}\nURL=postgres://u:{}@h/d\n", *VALUE, *VALUE)
}

/// Whether a file is the configuration or its template, if it is there; it is nothing else. What a
/// template refers to is in the vault.
fn adopted(home: &Home, name: &str, file: &str) -> Option<&'static str> {
    if !home.file(file).exists() {
        return None;
    }
    let text = String::from_utf8(home.read(file)).unwrap();
    if text == configuration() {
        return Some("old");
    }
    let template = format!(
        "# keep me\nTOKEN=bulla://{name}/TOKEN\n\
         URL=postgres://u:{{{{ bulla://{name}/URL/password | url }}}}@h/d\n"
    );
    assert_eq!(text, template, "{file}");
    home.bulla(["fsck"]).succeeds();
    assert_eq!(home.bulla(["render", file]).succeeds().out(), configuration());
    Some("new")
}

#[test]
fn backup_create_is_done_or_not() {
    let state = |home: &Home| match home.file("copy.bulla").exists() {
        false => "none".to_owned(),
        true => home.bulla(["backup", "verify", "copy.bulla"]).succeeds().out(),
    };
    holds(&Change { args: &["backup", "create", "copy.bulla"], stdin: "", before: entry, state });
}

/// A killed export once left a part of itself under the name that it was to have.
#[test]
fn export_is_whole_or_not_there() {
    let state = |home: &Home| match home.file("out").exists() {
        false => "none".to_owned(),
        true => String::from_utf8(home.read("out")).unwrap(),
    };
    let args = &["export", "--plaintext", "-o", "out"];
    holds(&Change { args, stdin: "", before: entry, state });
}

/// A rendered value is written into its target, or what becomes it, and nowhere else.
#[test]
fn render_writes_values_into_the_target_alone() {
    if !can_trace() {
        return;
    }
    let home = Home::new(Way::Identity);
    several(&home);
    let writes = "trace=write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,mmap,memfd_create";
    let how = ["-e", writes, "-y", "-s", "1000000", "-o", "log"];
    let ended = traced(&home, &["render", "in", "--into", "out"], "", &how);
    assert_eq!(ended.code(), 0, "{ended}");
    let log = home.read("log");
    let lines: Vec<_> = log.split(|byte| *byte == b'\n').map(String::from_utf8_lossy).collect();
    let out = format!("<{}/out/", home.path().canonicalize().unwrap().display());
    let mut written = 0;
    for line in &lines {
        let shared = line.contains("PROT_WRITE") && line.contains("MAP_SHARED");
        let index = line.contains("vault.bulla-shm>");
        assert!(!shared || index || line.contains("MAP_ANONYMOUS"), "{line}");
        if SECRETS.find(line.as_bytes()).is_some() {
            let call = line.split_once(' ').unwrap().1.trim_start();
            // An unnamed file of a folder is shown as a number in it.
            let target = call.split(',').next().unwrap();
            assert!(target.starts_with("write(") && target.contains(&out), "{target}");
            written += 1;
        }
    }
    assert_eq!(written, 4, "every file is written once");
}

/// Nothing that holds a secret is handed to another process, and nobody else is needed to do it.
#[test]
fn no_command_starts_another_program_or_opens_a_socket() {
    if !can_trace() {
        return;
    }
    for args in [
        &["set", "a"][..],
        &["get", "a"],
        &["rekey"],
        &["fsck"],
        &["doctor"],
        &["export", "--plaintext"],
    ] {
        let home = Home::new(Way::Identity);
        entry(&home);
        let ended = traced(&home, args, "x", &["-e", "trace=execve,socket", "-o", "log"]);
        assert_eq!(ended.code(), 0, "{ended}");
        let log = String::from_utf8(home.read("log")).unwrap();
        assert_eq!(log.matches("execve(").count(), 1, "{args:?}: {log}");
        assert!(!log.contains("socket("), "{args:?}: {log}");
    }
}

/// Takes the pin that the vault shows for the right one, as a person would who has asked.
fn forget_pin(home: &Home) {
    fs::remove_dir_all(home.file(".local/state")).ok();
    let unknown = home.bulla(["ls"]).fails(3).stderr;
    let pin = unknown.split("it is ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    home.bulla(["ls", "--pin", pin]).succeeds();
}

fn entry(home: &Home) {
    home.bulla(["set", "a"]).stdin(VALUE.as_str()).succeeds();
}

/// All entries with their values.
fn contents(home: &Home) -> String {
    home.bulla(["fsck"]).succeeds();
    home.bulla(["export", "--plaintext"]).succeeds().out()
}

fn holds(change: &Change) {
    if !can_trace() {
        return;
    }
    let Change { args, stdin, before, state } = change;
    let prepared = || {
        let home = Home::new(Way::Identity);
        before(&home);
        home
    };
    let home = prepared();
    let old = state(&home);
    let trace = format!("trace={CALLS}");
    let ended = traced(&home, args, stdin, &["-e", &trace, "-o", "log"]);
    assert_eq!(ended.code(), 0, "{ended}");
    let calls = calls_in(&String::from_utf8(home.read("log")).unwrap(), CALLS);
    let new = state(&home);
    assert_ne!(old, new, "the command changes something");
    assert!(calls.values().sum::<usize>() > 5, "{calls:?}");

    let (mut done, mut undone) = (0, 0);
    for (call, count) in &calls {
        for n in 1..=*count {
            for fault in FAULTS {
                let home = prepared();
                let inject = format!("inject={call}:{fault}:when={n}");
                let ended = traced(&home, args, stdin, &["-e", &inject, "-o", "/dev/null"]);
                let what = format!("{} with {inject}: {ended}", args.join(" "));
                leaves_no_plaintext(&home, &what);
                let found = state(&home);
                assert!(found == old || found == new, "{what}\nfound {found}");
                if ended.code() == 0 {
                    assert_eq!(found, new, "{what}");
                    done += 1;
                } else {
                    assert!(ended.code() != 101, "{what}");
                    undone += usize::from(found == old);
                }
            }
        }
    }
    assert!(done + undone > 10, "only {done} and {undone} runs told something");
}

/// How often each of the `known` calls was made, by the main thread and others.
pub(crate) fn calls_in(log: &str, known: &str) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for line in log.lines() {
        // `PID  name(...)`; what was interrupted is told twice.
        let Some((_, call)) = line.split_once(char::is_whitespace) else { continue };
        if let Some((name, _)) = call.trim_start().split_once('(')
            && known.split(',').any(|known| known == name)
        {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    calls
}

/// Runs `bulla` under strace.
fn traced(home: &Home, args: &[&str], stdin: &str, how: &[&str]) -> Ended {
    let strace = home.command("strace").args(["-f", "-qq"]).args(how);
    strace.args([env!("CARGO_BIN_EXE_bulla")]).args(args).stdin(stdin).run()
}

fn leaves_no_plaintext(home: &Home, what: &str) {
    for (path, seen) in SECRETS.find_in_files(home.path()) {
        let name = path.strip_prefix(home.path()).unwrap();
        let meant = home.is_key_file(name) || name.starts_with("out");
        assert!(meant, "{what}\n{} holds {}", name.display(), seen.what);
    }
}

/// Whether system calls can be made to fail here; if not, that is told.
pub(crate) fn can_trace() -> bool {
    let home = Home::new(Way::Identity);
    let works = std::process::Command::new("strace").arg("-V").output().is_ok()
        && traced(&home, &["ls"], "", &["-o", "/dev/null"]).code() == 0;
    if !works {
        skipped("system calls cannot be made to fail, which takes strace");
    }
    works
}

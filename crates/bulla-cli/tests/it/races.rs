//! Several processes at one vault: whatever was acknowledged is there afterwards.

use std::collections::BTreeSet;
use std::thread;

use crate::support::{Ended, Home, Way};

#[test]
fn two_writers_lose_nothing() {
    let writes = 1000;
    let home = Home::new(Way::Identity);
    thread::scope(|scope| {
        for writer in ["a", "b"] {
            let home = &home;
            scope.spawn(move || {
                for n in 0..writes {
                    home.bulla(["set", &format!("{writer}/{n}"), "-q"])
                        .stdin(format!("{n}"))
                        .succeeds();
                }
            });
        }
    });
    assert_eq!(names(&home).len(), 2 * writes);
    is_sound(&home);
    for name in ["a/0".to_owned(), format!("b/{}", writes - 1)] {
        let value = home.bulla(["get", &name]).succeeds().out();
        assert!(name.ends_with(&value));
    }
}

/// 1,000 entries each, in commits of ten.
#[test]
fn two_importers_lose_nothing() {
    let home = Home::new(Way::Identity);
    thread::scope(|scope| {
        for writer in ["a", "b"] {
            let home = &home;
            scope.spawn(move || {
                for batch in 0..100 {
                    let line = |n| format!(r#"{{"entry":"{writer}/{n}","fields":{{"v":"{n}"}}}}"#);
                    let lines: Vec<_> = (batch * 10..batch * 10 + 10).map(line).collect();
                    let import = ["import", "-", "--format", "jsonl", "-q"];
                    home.bulla(import).stdin(lines.join("\n")).succeeds();
                }
            });
        }
    });
    assert_eq!(names(&home).len(), 2000);
    is_sound(&home);
}

/// Both write the same entry: each write is a version, or is told that it came too late.
#[test]
fn writers_of_one_entry_get_a_version_each() {
    let home = Home::new(Way::Identity);
    let acknowledged: Vec<_> = thread::scope(|scope| {
        let writers = ["a", "b"].map(|writer| {
            let home = &home;
            scope.spawn(move || {
                let write = |n| {
                    let args = ["set", "one", "--json"];
                    let ended = home.bulla(args).stdin(format!("{writer}{n}")).succeeds().out();
                    serde_json::from_str::<serde_json::Value>(&ended).unwrap()["version"]
                        .as_u64()
                        .unwrap()
                };
                (0..30).map(write).collect::<Vec<_>>()
            })
        });
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let different: BTreeSet<_> = acknowledged.iter().copied().collect();
    assert_eq!(different, (1..=60).collect());

    let codes: Vec<_> = thread::scope(|scope| {
        let writers = ["c", "d"].map(|value| {
            let run = home.bulla(["set", "one", "--if-version", "60"]).stdin(value);
            scope.spawn(move || run.run().code())
        });
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert!(codes == [0, 6] || codes == [6, 0], "{codes:?}");
    is_sound(&home);
}

#[test]
fn of_two_rekeys_each_ends_well_or_says_why_not() {
    let home = Home::new(Way::Identity);
    fill(&home, 200);
    for _ in 0..5 {
        let ended = together(&home, &["rekey"], "", &["rekey"], "");
        for ended in &ended {
            // The other one changed the key meanwhile: in conflict, and nothing done.
            assert!(matches!(ended.code(), 0 | 6), "{ended}");
        }
        assert!(ended.iter().any(|ended| ended.code() == 0), "none has won");
        assert_eq!(names(&home).len(), 200);
        is_sound(&home);
    }
}

#[test]
fn a_write_during_a_rekey_is_there_or_refused() {
    let home = Home::new(Way::Identity);
    fill(&home, 300);
    for n in 0..10 {
        let name = format!("new/{n}");
        let [rekey, set] = together(&home, &["rekey"], "", &["set", &name], "x");
        assert!(matches!(rekey.code(), 0 | 6), "{rekey}");
        assert!(matches!(set.code(), 0 | 6), "{set}");
        assert!(rekey.code() == 0 || set.code() == 0, "{rekey}{set}");
        let there = names(&home).contains(&name);
        assert_eq!(there, set.code() == 0, "{set}");
    }
    is_sound(&home);
}

#[test]
fn of_two_inits_one_wins() {
    for _ in 0..10 {
        let home = Home::new(Way::None);
        home.bulla(["identity", "new", "--for-machine"]).succeeds();
        let init = ["init", "--recipient", "@.config/bulla/identity", "--json"];
        let ended = together(&home, &init, "", &init, "");
        let mut codes = ended.each_ref().map(Ended::code);
        codes.sort_unstable();
        assert_eq!(codes, [0, 6], "{}{}", ended[0], ended[1]);
        let winner = ended.iter().find(|ended| ended.code() == 0).unwrap();
        let pin = serde_json::from_str::<serde_json::Value>(&winner.out()).unwrap()["pin"].clone();
        home.bulla(["fsck", "--pin", pin.as_str().unwrap()]).succeeds();
        let left: Vec<_> = std::fs::read_dir(home.vault().parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}

#[test]
fn two_renders_of_one_file_leave_one_of_them_whole() {
    let home = Home::new(Way::Identity);
    let values = ["a", "b"].map(|value| value.repeat(100_000));
    for (name, value) in ["a", "b"].iter().zip(&values) {
        home.bulla(["set", name]).stdin(value).succeeds();
        home.write(&format!("{name}.json"), format!("[\"bulla://{name}/password\"]"));
    }
    for _ in 0..10 {
        let ended = together(
            &home,
            &["render", "a.json", "-o", "out"],
            "",
            &["render", "b.json", "-o", "out"],
            "",
        );
        for ended in &ended {
            assert!(matches!(ended.code(), 0 | 1 | 6), "{ended}");
        }
        let out = String::from_utf8(home.read("out")).unwrap();
        assert!(values.iter().any(|value| out == format!("[\"{value}\"]")), "{} bytes", out.len());
    }
    let left: Vec<_> =
        home.state().into_keys().filter(|name| name.to_string_lossy().contains("bulla-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn together(home: &Home, one: &[&str], first: &str, two: &[&str], second: &str) -> [Ended; 2] {
    thread::scope(|scope| {
        let runs = [home.bulla(one).stdin(first), home.bulla(two).stdin(second)];
        runs.map(|run| scope.spawn(move || run.run())).map(|run| run.join().unwrap())
    })
}

fn fill(home: &Home, count: usize) {
    let line = |n| format!(r#"{{"entry":"e/{n}","fields":{{"v":"{n}"}}}}"#);
    let lines: Vec<_> = (0..count).map(line).collect();
    home.bulla(["import", "-", "--format", "jsonl", "-q"]).stdin(lines.join("\n")).succeeds();
}

fn names(home: &Home) -> BTreeSet<String> {
    home.bulla(["ls"]).succeeds().out().lines().map(str::to_owned).collect()
}

fn is_sound(home: &Home) {
    let fsck = home.bulla(["fsck"]).succeeds();
    assert!(fsck.stderr.contains("everything is as it was written"), "{fsck}");
}

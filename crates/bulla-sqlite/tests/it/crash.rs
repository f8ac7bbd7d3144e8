//! Processes that are killed while they write, and what a loss of power makes of the log.

use std::fs;
use std::path::Path;

use crate::support::{Role, appended, create, home, names_in, open};
use bulla_vault::store::Store;

/// Lets two writers append until each has committed a few rows, kills both, and gives how many
/// rows of each were acknowledged.
fn kill_two_writers(path: &Path, after: u32) -> [u32; 2] {
    let mut writers = [Role::start("append 0", path), Role::start("append 1", path)];
    for writer in &mut writers {
        for _ in 0..after {
            writer.next().unwrap();
        }
    }
    // The other one is killed a moment later, in the middle of something else.
    writers.map(|writer| {
        let rest = writer.kill();
        rest.last().map_or(0, |n| n.parse().unwrap())
    })
}

#[test]
fn every_acknowledged_commit_survives_a_kill() {
    let (folder, path) = home();
    drop(create(&path));
    let mut least = [0, 0];
    for round in 0..12 {
        let acknowledged = kill_two_writers(&path, 3 + round * 2);
        for writer in 0..2 {
            least[writer] = least[writer].max(acknowledged[writer]);
        }
        let store = open(&path);
        store.check().unwrap();
        let view = store.read().unwrap();
        assert!(appended(&*view, 0) >= least[0], "a commit is lost");
        assert!(appended(&*view, 1) >= least[1], "a commit is lost");
        drop(view);
        drop(store);
        assert_eq!(names_in(folder.path()), ["v.bulla"], "and the log is folded back");
    }
    assert!(least[0] > 12 && least[1] > 12, "the writers got somewhere");
}

/// Power fails while the log is written: any part of its end may be missing or wrong.
#[test]
fn a_torn_log_leaves_a_whole_earlier_state() {
    let (folder, path) = home();
    drop(create(&path));
    let mut writer = Role::start("append 0", &path);
    for _ in 0..8 {
        writer.next().unwrap();
    }
    writer.kill();
    // Nobody has the vault open now, so reading its files costs nobody a lock.
    let main = fs::read(&path).unwrap();
    let log = fs::read(folder.path().join("v.bulla-wal")).unwrap();
    assert!(log.len() > 8 * 4096);

    let state = |log: &[u8]| {
        let (folder, path) = home();
        create_copy(&path, &main);
        fs::write(folder.path().join("v.bulla-wal"), log).unwrap();
        let store = open(&path);
        store.check().unwrap();
        let count = appended(&*store.read().unwrap(), 0);
        drop(store);
        assert_eq!(names_in(folder.path()), ["v.bulla"]);
        count
    };

    let all = state(&log);
    assert!(all >= 8);
    let mut before = 0;
    for len in (0..log.len()).step_by(4093).chain([log.len() - 1]) {
        let count = state(&log[..len]);
        assert!(count >= before, "a longer log holds no less");
        before = count;
    }
    assert_eq!(state(&[]), 0);
    let mut seen = Vec::new();
    for place in (0..log.len()).step_by(7919) {
        let mut torn = log.clone();
        torn[place] ^= 0x10;
        seen.push(state(&torn));
    }
    assert!(seen.iter().all(|count| *count <= all));
    assert!(seen.contains(&0) && seen.iter().any(|count| *count > 4), "{seen:?}");
}

fn create_copy(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path).unwrap().write_all(bytes).unwrap();
}

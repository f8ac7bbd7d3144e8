use std::collections::BTreeMap;

use bulla_vault::store::MemoryStore;
use bulla_vault::{State, Version, WriteError};

use crate::common::*;

#[test]
fn what_was_put_in_comes_out() {
    let store = MemoryStore::new();
    let vault = create(&store);
    assert_eq!(get(&vault, "a"), None);
    assert_eq!(set(&vault, "a", "one"), 1);
    assert_eq!(set(&vault, "a", "two"), 2);
    let again = open(&store);
    assert_eq!(get(&again, "a").as_deref(), Some("two"));
    let snapshot = again.read().unwrap();
    let first = snapshot.find_version(&name("a"), 1).unwrap().unwrap();
    assert_eq!(password_of(first.live().unwrap()), "one");
    assert!(snapshot.find_version(&name("a"), 3).unwrap().is_none());
    let report = snapshot.check(&mut |_| {}).unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    assert_eq!((report.entries, report.versions), (1, 1));
}

#[test]
fn ten_versions_are_kept() {
    let store = MemoryStore::new();
    let vault = create(&store);
    for n in 1..=15 {
        assert_eq!(set(&vault, "a", &n.to_string()), n);
    }
    let snapshot = vault.read().unwrap();
    let newest = snapshot.find(&name("a")).unwrap().unwrap();
    assert_eq!(newest.kept, (5..=14).collect::<Vec<_>>());
    assert!(snapshot.find_version(&name("a"), 4).unwrap().is_none());
    let report = snapshot.check(&mut |_| {}).unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
}

#[test]
fn a_version_number_is_never_used_twice() {
    let store = MemoryStore::new();
    let vault = create(&store);
    set(&vault, "a", "one");
    let mut batch = vault.write(at(3)).unwrap();
    batch.remove(&name("a"), false).unwrap();
    assert!(matches!(batch.remove(&name("a"), false), Err(WriteError::Missing)));
    batch.commit().unwrap();
    assert_eq!(get(&vault, "a"), None);
    assert_eq!(set(&vault, "a", "three"), 3);

    let mut batch = vault.write(at(4)).unwrap();
    assert_eq!(batch.revert(&name("a"), 1).unwrap(), 4);
    assert!(matches!(batch.revert(&name("a"), 2), Err(WriteError::MissingVersion(2))));
    batch.commit().unwrap();
    assert_eq!(get(&vault, "a").as_deref(), Some("one"));
}

#[test]
fn purging_forgets_the_versions_too() {
    let store = MemoryStore::new();
    let vault = create(&store);
    set(&vault, "a", "one");
    set(&vault, "a", "two");
    let mut batch = vault.write(at(3)).unwrap();
    batch.remove(&name("a"), true).unwrap();
    batch.commit().unwrap();
    let snapshot = vault.read().unwrap();
    let mark = snapshot.find(&name("a")).unwrap().unwrap();
    assert!(mark.kept.is_empty());
    let report = snapshot.check(&mut |_| {}).unwrap();
    assert_eq!((report.entries, report.removed, report.versions), (0, 1, 0));
    assert!(report.faults.is_empty(), "{:?}", report.faults);
}

#[test]
fn a_renamed_entry_takes_its_history_along() {
    let store = MemoryStore::new();
    let vault = create(&store);
    set(&vault, "old", "one");
    set(&vault, "old", "two");
    set(&vault, "taken", "x");
    let mut batch = vault.write(at(3)).unwrap();
    assert!(matches!(batch.rename(&name("old"), &name("taken")), Err(WriteError::Exists)));
    assert!(matches!(batch.rename(&name("none"), &name("new")), Err(WriteError::Missing)));
    batch.rename(&name("old"), &name("new")).unwrap();
    batch.commit().unwrap();
    assert_eq!(get(&vault, "new").as_deref(), Some("two"));
    let snapshot = vault.read().unwrap();
    let first = snapshot.find_version(&name("new"), 1).unwrap().unwrap();
    assert_eq!(password_of(first.live().unwrap()), "one");
    let mark = snapshot.find(&name("old")).unwrap().unwrap();
    assert!(matches!(&mark.state, State::Removed { moved_to: Some(to) } if *to == name("new")));
    assert_eq!(mark.version, 3);
    drop(snapshot);

    // Back over the mark: the numbers go on where the old name stopped.
    let mut batch = vault.write(at(4)).unwrap();
    batch.rename(&name("new"), &name("old")).unwrap();
    batch.commit().unwrap();
    let snapshot = vault.read().unwrap();
    let back = snapshot.find(&name("old")).unwrap().unwrap();
    assert_eq!((back.version, back.kept.as_slice()), (5, &[4][..]));
    let report = snapshot.check(&mut |_| {}).unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
}

#[test]
fn a_rename_over_a_mark_keeps_ten_versions_of_both() {
    let store = MemoryStore::new();
    let vault = create(&store);
    for n in 1..=6 {
        set(&vault, "new", &format!("new {n}"));
    }
    for n in 1..=8 {
        set(&vault, "old", &format!("old {n}"));
    }
    let mut batch = vault.write(at(3)).unwrap();
    batch.remove(&name("new"), false).unwrap();
    batch.rename(&name("old"), &name("new")).unwrap();
    batch.commit().unwrap();
    // Six and the mark of the removal, then seven of the old name and its newest.
    let found = vault.read().unwrap().find(&name("new")).unwrap().unwrap();
    assert_eq!(found.version, 15);
    assert_eq!(found.kept, [4, 5, 6, 8, 9, 10, 11, 12, 13, 14]);
    let contents = sound_contents(&vault);
    assert_eq!(contents[&("new".to_owned(), 4)].as_deref(), Some("new 4"));
    assert_eq!(contents[&("new".to_owned(), 8)].as_deref(), Some("old 1"));
}

#[test]
fn a_write_that_built_on_an_older_version_is_refused() {
    let store = MemoryStore::new();
    let vault = create(&store);
    set(&vault, "a", "one");
    let mut batch = vault.write(at(3)).unwrap();
    let moved = batch.put(&name("a"), secret("x"), Some(0));
    assert!(matches!(moved, Err(WriteError::VersionMoved { expected: 0, found: 1 })));
    assert_eq!(batch.put(&name("a"), secret("x"), Some(1)).unwrap(), 2);
    assert_eq!(batch.put(&name("b"), secret("y"), Some(0)).unwrap(), 1);
    drop(batch);
    assert_eq!(get(&vault, "a").as_deref(), Some("one"));
    assert_eq!(get(&vault, "b"), None);
}

#[test]
fn a_program_may_overwrite_without_making_a_version() {
    let store = MemoryStore::new();
    let vault = create(&store);
    set(&vault, "a", "one");
    let mut batch = vault.write(at(3)).unwrap();
    batch.overwrite(&name("a"), secret("fresh")).unwrap();
    batch.commit().unwrap();
    let found = vault.read().unwrap().find(&name("a")).unwrap().unwrap();
    assert_eq!((found.version, found.seq, found.kept.len()), (1, 2, 0));
    // What a person wrote about the version was once replaced by what the program had to say.
    assert_ne!(found.time, 3);
}

/// More of them than one thread opens at once.
#[test]
fn many_are_found_as_one_by_one() {
    let store = MemoryStore::new();
    let vault = create(&store);
    let mut batch = vault.write(at(2)).unwrap();
    for number in 0..1500 {
        batch.put(&name(&format!("e/{number}")), secret(&number.to_string()), None).unwrap();
    }
    batch.commit().unwrap();
    let snapshot = vault.read().unwrap();
    let names: Vec<_> = (0..1600).map(|number| name(&format!("e/{number}"))).collect();
    for threads in [0, 1, 3] {
        let mut found = BTreeMap::new();
        let mut note = |index: usize, version: Option<Version>| {
            let password = version.map(|version| password_of(version.live().unwrap()));
            assert!(found.insert(index, password).is_none(), "{index} is told twice");
        };
        snapshot.find_all(&names, threads, &mut note).unwrap();
        assert_eq!(found.len(), names.len());
        let as_expected = |(index, password): (usize, Option<String>)| {
            password == (index < 1500).then(|| index.to_string())
        };
        assert!(found.into_iter().all(as_expected), "{threads} threads");
    }
}

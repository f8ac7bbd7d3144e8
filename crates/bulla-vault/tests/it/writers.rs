//! Writers at the same time.

use std::thread;

use bulla_vault::store::MemoryStore;

use crate::common::*;

const WRITES: u64 = 1000;

#[test]
fn two_writers_lose_nothing() {
    let store = MemoryStore::new();
    let key = create(&store).key().expose();
    thread::scope(|scope| {
        for own in ["left", "right"] {
            let (store, key) = (&store, &key);
            scope.spawn(move || {
                let key = bulla_vault::OpenedKey::from_bytes(key).unwrap();
                let vault = open_with(store, key).ok().unwrap();
                for number in 0..WRITES / 2 {
                    set(&vault, "shared", &format!("{own} {number}"));
                    set(&vault, &format!("{own}-{}", number % 50), &number.to_string());
                }
            });
        }
    });
    let vault = open(&store);
    assert_eq!(vault.read().unwrap().epoch(), 1 + 2 * WRITES);
    let contents = sound_contents(&vault);
    let newest = |entry: &str| {
        contents.keys().filter(|(name, _)| name == entry).map(|(_, version)| *version).max()
    };
    assert_eq!(newest("shared"), Some(WRITES));
    for own in ["left", "right"] {
        for number in 0..50 {
            let entry = format!("{own}-{number}");
            assert_eq!(newest(&entry), Some(WRITES / 100));
            assert_eq!(get(&vault, &entry), Some((WRITES / 2 - 50 + number).to_string()));
        }
    }
}

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::*;
use crate::store::{MemoryStore, Store};

fn leaf(seed: u64) -> Leaf {
    Leaf { seq: seed, hash: sha256(&seed.to_le_bytes()) }
}

/// Ids as a keyed hash spreads them.
fn id(number: u64) -> EntryId {
    sha256(&number.to_be_bytes())[..16].try_into().unwrap()
}

fn apply_all(store: &MemoryStore, root: Root, changes: &BTreeMap<EntryId, Leaf>) -> Root {
    let mut txn = store.write().unwrap();
    let root = apply(&mut *txn, root, changes).unwrap();
    txn.commit().unwrap();
    root
}

fn leaves(store: &MemoryStore, root: Root) -> BTreeMap<EntryId, Leaf> {
    let mut all = BTreeMap::new();
    walk(&*store.read().unwrap(), root, &mut |step| {
        match step {
            Step::Node => {}
            Step::Leaf(id, leaf) => assert!(all.insert(*id, leaf).is_none()),
            Step::Fault(fault) => return Err(fault),
        }
        Ok(())
    })
    .unwrap();
    all
}

/// Every node that a tree of these records has, by key.
fn nodes(store: &MemoryStore) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut rows = BTreeMap::new();
    let view = store.read().unwrap();
    view.scan(Table::Node, b"", &mut |key, value| {
        rows.insert(key.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// One set of records has one tree, however it came about.
    #[test]
    fn the_tree_is_canonical(
        numbers in prop::collection::vec(0u64..3_000, 1..900),
        batch in 1usize..300,
    ) {
        let all: BTreeMap<_, _> = numbers.iter().map(|&n| (id(n), leaf(n))).collect();
        let at_once = MemoryStore::new();
        let root = apply_all(&at_once, Root::default(), &all);

        let stepwise = MemoryStore::new();
        let mut step_root = Root::default();
        for chunk in numbers.chunks(batch) {
            let chunk: BTreeMap<_, _> = chunk.iter().map(|&n| (id(n), leaf(n))).collect();
            step_root = apply_all(&stepwise, step_root, &chunk);
        }
        prop_assert_eq!(root, step_root);
        prop_assert_eq!(nodes(&at_once), nodes(&stepwise));
        prop_assert_eq!(leaves(&at_once, root), all);
    }
}

#[test]
fn presence_and_absence_are_found_at_every_size() {
    for size in [0, 1, 32, 33, 200, 5_000] {
        let store = MemoryStore::new();
        let all: BTreeMap<_, _> = (0..size).map(|n| (id(n), leaf(n))).collect();
        let root = apply_all(&store, Root::default(), &all);
        assert_eq!(root.count, size);
        let view = store.read().unwrap();
        for n in 0..size {
            assert_eq!(find(&*view, root, &id(n)).unwrap(), Some(leaf(n)));
        }
        for n in size..size + 500 {
            assert_eq!(find(&*view, root, &id(n)).unwrap(), None);
        }
    }
}

#[test]
fn many_are_found_as_each_alone() {
    for size in [0, 1, 33, 5_000] {
        let store = MemoryStore::new();
        let all: BTreeMap<_, _> = (0..size).map(|n| (id(n), leaf(n))).collect();
        let root = apply_all(&store, Root::default(), &all);
        let view = store.read().unwrap();
        let mut ids: Vec<_> = (0..size + 300).step_by(3).map(id).collect();
        ids.sort_unstable();
        let mut next = 0;
        find_all(&*view, root, &ids, &mut |index, leaf| {
            assert_eq!(index, next);
            assert_eq!(leaf, find(&*view, root, &ids[index]).unwrap());
            next += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(next, ids.len());
    }
}

/// Ids that share all nibbles but the last make the deepest tree there can be.
#[test]
fn ids_that_share_long_prefixes_still_separate() {
    let store = MemoryStore::new();
    let mut all = BTreeMap::new();
    for n in 0..48u8 {
        let mut deep = [0xab; 16];
        deep[14] = n / 16;
        deep[15] = n % 16;
        all.insert(deep, leaf(n.into()));
    }
    let root = apply_all(&store, Root::default(), &all);
    assert_eq!(leaves(&store, root), all);
    let view = store.read().unwrap();
    assert_eq!(find(&*view, root, &[0xab; 16]).unwrap(), None);
}

/// Whatever one node is changed into, what hangs below it cannot be read, and the rest can.
#[test]
fn a_changed_node_is_never_believed() {
    let store = MemoryStore::new();
    let all: BTreeMap<_, _> = (0..400).map(|n| (id(n), leaf(n))).collect();
    let root = apply_all(&store, Root::default(), &all);
    for (key, value) in nodes(&store) {
        let mut flipped = value.clone();
        flipped[value.len() / 2] ^= 1;
        let other = nodes(&store).into_values().find(|v| *v != value).unwrap();
        for forged in [Some(flipped), Some(other), Some(Vec::new()), None] {
            let mut txn = store.write().unwrap();
            match forged {
                Some(bytes) => txn.put(Table::Node, &key, &bytes).unwrap(),
                None => txn.delete(Table::Node, &key).unwrap(),
            }
            let mut failed = 0;
            for n in 0..450 {
                match find(&*txn, root, &id(n)) {
                    Ok(found) => assert_eq!(found, all.get(&id(n)).copied()),
                    Err(ReadError::Tampered(Part::Node)) => failed += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            assert!(failed > 0);
            let mut faults = 0;
            let Ok(()) = walk::<Infallible>(&*txn, root, &mut |step| {
                faults += u32::from(matches!(step, Step::Fault(_)));
                Ok(())
            });
            assert_eq!(faults, 1);
        }
    }
}

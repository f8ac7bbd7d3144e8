//! Locks for work that leaves the machine.

use std::thread;

use bulla_vault::store::{Store, Table};

use super::{CarelessCounter, Kit, one, put};

const NAME: [u8; 16] = [0xa5; 16];

pub(super) fn lock_excludes<S: Store + Sync>(kit: &Kit<'_, S>) {
    const EACH: usize = 50;
    const THREADS: usize = 4;
    let store = kit.fresh();
    let counter = CarelessCounter::default();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    let held = store.lock(&NAME).expect("the lock");
                    counter.add_one();
                    drop(held);
                }
            });
        }
    });
    assert_eq!(counter.total(), THREADS * EACH);
}

pub(super) fn names_do_not_meet<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    // Names that share their first bytes, their last bytes, or differ in one bit.
    let mut names = vec![NAME, [0; 16], [0xff; 16]];
    for bit in [0, 7, 8, 64, 127] {
        let mut name = NAME;
        name[bit / 8] ^= 1 << (bit % 8);
        names.push(name);
    }
    let held: Vec<_> = names.iter().map(|name| store.lock(name).expect("the lock")).collect();
    drop(held);
    for name in names.iter().rev() {
        drop(store.lock(name).expect("the lock, free again"));
    }
}

pub(super) fn lock_stops_no_transaction<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    let held = store.lock(&NAME).expect("the lock");
    put(&store, &[(Table::Entry, &NAME, b"written under the lock")]);
    assert!(one(&store, Table::Entry, &NAME).is_some());
    drop(held);
    let txn = store.write().expect("a writer");
    drop(store.lock(&NAME).expect("the lock beside a writer"));
    drop(txn);
}

pub(super) fn lock_dies_with_its_holder<S: Store + Sync>(kit: &Kit<'_, S>) {
    struct HolderDies;
    let store = kit.fresh();
    let holder = thread::scope(|scope| {
        scope
            .spawn(|| {
                let _held = store.lock(&NAME).expect("the lock");
                // Not a plain panic: the message of that would pass for a failed test.
                std::panic::resume_unwind(Box::new(HolderDies));
            })
            .join()
    });
    assert!(holder.is_err_and(|end| end.is::<HolderDies>()));
    drop(store.lock(&NAME).expect("the lock, after its holder died"));
}

pub(super) fn a_held_lock_is_seen<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    let held = store.lock(&NAME).expect("the lock");
    assert!(store.is_locked(&NAME).expect("an answer"));
    assert!(!store.is_locked(&[0; 16]).expect("an answer"), "another lock");
    drop(held);
    assert!(!store.is_locked(&NAME).expect("an answer"));
    let again = store.lock(&NAME).expect("the lock, which who asked does not keep");
    assert!(store.is_locked(&NAME).expect("an answer"));
    drop(again);
}

//! One writer at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bulla_vault::store::{Store, Table};

use super::{Kit, one, put};

const COUNTER: &[u8] = &[9; 16];

pub(super) fn writer_is_alone<S: Store + Sync>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    let committed = AtomicBool::new(false);
    let mut first = store.write().expect("a writer");
    thread::scope(|scope| {
        let second = scope.spawn(|| {
            let txn = store.write().expect("a second writer, once the first is done");
            assert!(committed.load(Ordering::SeqCst), "two writers at once");
            txn.get(Table::Entry, COUNTER).expect("a get")
        });
        first.put(Table::Entry, COUNTER, b"first").expect("a put");
        // Gives the second one time to come in too early; a store that keeps its promise passes
        // however long this takes.
        thread::sleep(Duration::from_millis(50));
        committed.store(true, Ordering::SeqCst);
        first.commit().expect("a commit");
        let seen = second.join().expect("the second writer");
        assert_eq!(seen.as_deref(), Some(&b"first"[..]), "the second builds on the first");
    });
}

pub(super) fn no_write_is_lost<S: Store + Sync>(kit: &Kit<'_, S>) {
    const EACH: u64 = 100;
    const THREADS: u64 = 2;
    let store = kit.fresh();
    put(&store, &[(Table::Head, COUNTER, &0_u64.to_le_bytes())]);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                for n in 0..EACH {
                    let mut txn = store.write().expect("a writer");
                    let count = txn.get(Table::Head, COUNTER).expect("a get").expect("the count");
                    let count = u64::from_le_bytes(count.try_into().expect("eight bytes"));
                    txn.put(Table::Head, COUNTER, &(count + 1).to_le_bytes()).expect("a put");
                    let row = [thread.to_be_bytes(), n.to_be_bytes()].concat();
                    txn.put(Table::Entry, &row, &count.to_le_bytes()).expect("a put");
                    txn.commit().expect("a commit");
                }
            });
        }
    });
    let store = kit.reopen(store);
    let count = one(&store, Table::Head, COUNTER).expect("the count");
    assert_eq!(count, (THREADS * EACH).to_le_bytes());
    let view = store.read().expect("a view");
    assert_eq!(super::keys(&*view, Table::Entry, &[]).len() as u64, THREADS * EACH);
}

//! Who sees which commit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bulla_vault::store::{Store, Table, View};

use super::{Kit, keys, one, put};

const KEY: &[u8] = &[1; 16];

pub(super) fn own_changes_show<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    put(&store, &[(Table::Entry, KEY, b"old"), (Table::Entry, b"gone", b"")]);
    let mut txn = store.write().expect("a writer");
    txn.put(Table::Entry, KEY, b"new").expect("a put");
    txn.delete(Table::Entry, b"gone").expect("a delete");
    assert_eq!(seen(&*txn), b"new");
    assert_eq!(keys(&*txn, Table::Entry, &[]), [KEY]);
}

pub(super) fn others_see_commits_only<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    put(&store, &[(Table::Entry, KEY, b"old")]);
    let mut txn = store.write().expect("a writer");
    txn.put(Table::Entry, KEY, b"new").expect("a put");
    assert_eq!(one(&store, Table::Entry, KEY).expect("the row"), b"old");
    txn.commit().expect("a commit");
    assert_eq!(one(&store, Table::Entry, KEY).expect("the row"), b"new");
}

pub(super) fn drop_changes_nothing<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    put(&store, &[(Table::Entry, KEY, b"old")]);
    for _ in 0..3 {
        let mut txn = store.write().expect("a writer");
        txn.put(Table::Entry, KEY, b"new").expect("a put");
        txn.put(Table::Head, KEY, b"new").expect("a put");
        txn.delete(Table::Entry, KEY).expect("a delete");
        drop(txn);
        assert_eq!(one(&store, Table::Entry, KEY).expect("the row"), b"old");
        assert_eq!(one(&store, Table::Head, KEY), None);
    }
    assert_eq!(seen(&*store.write().expect("a writer")), b"old", "and the next writer starts anew");
}

pub(super) fn view_begins_at_once<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    put(&store, &[(Table::Entry, KEY, b"old")]);
    let view = store.read().expect("a view");
    put(&store, &[(Table::Entry, KEY, b"new"), (Table::Entry, b"more", b"")]);
    // The first question comes after the commit, and the answer is from before it.
    assert_eq!(seen(&*view), b"old");
    assert_eq!(keys(&*view, Table::Entry, &[]), [KEY]);
}

pub(super) fn ages_live_side_by_side<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    put(&store, &[(Table::Entry, KEY, &[0])]);
    let mut views = Vec::new();
    for age in 0..6_u8 {
        views.push((age, store.read().expect("a view")));
        put(&store, &[(Table::Entry, KEY, &[age + 1])]);
    }
    let txn = store.write().expect("a writer beside the views");
    for (age, view) in &views {
        assert_eq!(seen(&**view), [*age]);
    }
    assert_eq!(seen(&*txn), [6]);
    drop(txn);
    // In any order of going.
    views.swap_remove(1);
    views.swap_remove(0);
    put(&store, &[(Table::Entry, KEY, b"last")]);
    for (age, view) in &views {
        assert_eq!(seen(&**view), [*age]);
    }
}

pub(super) fn commits_are_whole<S: Store + Sync>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    let both = |n: u64| {
        let value = n.to_le_bytes();
        put(&store, &[(Table::Head, b"h", &value), (Table::Node, b"n", &value)]);
    };
    both(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut newest = 0;
                while !done.load(Ordering::Relaxed) {
                    let view = store.read().expect("a view");
                    let head = view.get(Table::Head, b"h").expect("a get").expect("the head");
                    let node = view.get(Table::Node, b"n").expect("a get").expect("the node");
                    assert_eq!(head, node, "half a commit");
                    let n = u64::from_le_bytes(head.try_into().expect("eight bytes"));
                    assert!(n >= newest, "time went backwards");
                    newest = n;
                }
            });
        }
        let stop = StopAtEnd(&done);
        for n in 1..=100 {
            both(n);
        }
        drop(stop);
    });
}

pub(super) fn commits_last<S: Store>(kit: &Kit<'_, S>) {
    let mut store = kit.fresh();
    for n in 0..5_u8 {
        put(&store, &[(Table::Entry, &[n + 1], &[n]), (Table::Head, &[0], &[n])]);
        store = kit.reopen(store);
        assert_eq!(one(&store, Table::Head, &[0]).as_deref(), Some(&[n][..]));
        let view = store.read().expect("a view");
        assert_eq!(keys(&*view, Table::Entry, &[]).len(), usize::from(n) + 1);
    }
}

pub(super) fn drops_last<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    put(&store, &[(Table::Entry, KEY, b"old")]);
    let mut txn = store.write().expect("a writer");
    for n in 0..=255_u8 {
        txn.put(Table::Node, &[n, n], &[n; 4096]).expect("a put");
    }
    txn.put(Table::Entry, KEY, b"new").expect("a put");
    drop(txn);
    let store = kit.reopen(store);
    assert_eq!(one(&store, Table::Entry, KEY).expect("the row"), b"old");
    assert!(keys(&*store.read().expect("a view"), Table::Node, &[]).is_empty());
}

/// Ends the readers even if the writer panics, so that the suite reports it instead of hanging.
struct StopAtEnd<'f>(&'f AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn seen(view: &(impl View + ?Sized)) -> Vec<u8> {
    view.get(Table::Entry, KEY).expect("a get").expect("the row")
}

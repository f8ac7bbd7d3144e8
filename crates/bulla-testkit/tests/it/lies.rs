//! Each lie says what its description says, to `get` and to `scan`.

use std::ops::ControlFlow;
use std::sync::Arc;

use bulla_testkit::hostile::{HostileStore, Lie, Recording};
use bulla_vault::store::{MemoryStore, Store, Table, View};

const TABLE: Table = Table::Entry;

fn store() -> HostileStore {
    let store = HostileStore::new(Arc::new(MemoryStore::new()));
    write(&store, &[("a", "one"), ("b", "two")]);
    store
}

fn write(store: &HostileStore, rows: &[(&str, &str)]) {
    let mut txn = store.write().unwrap();
    for (key, value) in rows {
        txn.put(TABLE, key.as_bytes(), value.as_bytes()).unwrap();
    }
    txn.commit().unwrap();
}

fn key(name: &str) -> Vec<u8> {
    name.as_bytes().to_vec()
}

fn listed(view: &(impl View + ?Sized)) -> String {
    let mut text = String::new();
    view.scan(TABLE, &[], &mut |key, value| {
        text += &format!("{}={} ", String::from_utf8_lossy(key), String::from_utf8_lossy(value));
        ControlFlow::Continue(())
    })
    .unwrap();
    text.trim_end().to_owned()
}

/// Tells `lies`, then compares what a scan, a writer's scan and gets say with `expected`.
fn check(lies: impl IntoIterator<Item = Lie>, expected: &str) {
    let store = store();
    for lie in lies {
        store.tell(lie);
    }
    let view = store.read().unwrap();
    assert_eq!(listed(&*view), expected);
    for name in ["a", "b", "c"] {
        let got = view.get(TABLE, name.as_bytes()).unwrap();
        let got = got.map(|value| format!("{name}={}", String::from_utf8_lossy(&value)));
        let said = expected.split(' ').find(|row| row.starts_with(name)).map(str::to_owned);
        assert_eq!(got, said);
    }
    drop(view);
    assert_eq!(listed(&*store.write().unwrap()), expected);
    store.repent();
    assert_eq!(listed(&*store.read().unwrap()), "a=one b=two");
}

#[test]
fn about_rows() {
    let table = TABLE;
    check([], "a=one b=two");
    check([Lie::Drop { table, key: key("a") }], "b=two");
    check([Lie::Flip { table, key: key("a"), bit: 8 + 5 }], "a=oNe b=two");
    check([Lie::Flip { table, key: key("a"), bit: 800 }], "a=one b=two");
    check([Lie::Put { table, key: key("c"), value: key("new") }], "a=one b=two c=new");
    check([Lie::Swap { table, a: key("a"), b: key("b") }], "a=two b=one");
    check([Lie::Truncate { table, key: key("b"), len: 1 }], "a=one b=t");
    check([Lie::Drop { table: Table::Node, key: key("a") }], "a=one b=two");
}

#[test]
fn about_tables() {
    check([Lie::Hide(TABLE)], "");
    check([Lie::Hide(Table::Node)], "a=one b=two");
}

#[test]
fn one_after_the_other() {
    let table = TABLE;
    let put = Lie::Put { table, key: key("c"), value: key("new") };
    check([put.clone(), Lie::Swap { table, a: key("a"), b: key("c") }], "a=new b=two c=one");
    check([put.clone(), Lie::Hide(table)], "");
    check([Lie::Hide(table), put], "c=new");
}

#[test]
fn about_the_past() {
    let store = store();
    let old = Recording::of(&store).unwrap();
    write(&store, &[("a", "1"), ("b", "2"), ("c", "3")]);
    store.tell(old.replay(TABLE, b"a"));
    store.tell(old.replay(TABLE, b"c"));
    assert_eq!(listed(&*store.read().unwrap()), "a=one b=2");
    store.repent();
    store.tell(Lie::Rewind(old));
    assert_eq!(listed(&*store.read().unwrap()), "a=one b=two");
}

#[test]
fn about_scans_only() {
    let store = store();
    store.tell(Lie::Reverse(TABLE));
    assert_eq!(listed(&*store.read().unwrap()), "b=two a=one");
    store.tell(Lie::Repeat(TABLE));
    assert_eq!(listed(&*store.read().unwrap()), "b=two b=two a=one a=one");
    store.repent();
    store.tell(Lie::Unlisted { table: TABLE, key: key("a") });
    let view = store.read().unwrap();
    assert_eq!(listed(&*view), "b=two");
    assert_eq!(view.get(TABLE, b"a").unwrap().unwrap(), b"one");
}

#[test]
fn about_writes() {
    let store = store();
    store.tell(Lie::Forget(TABLE));
    write(&store, &[("a", "lost")]);
    assert_eq!(listed(&*store.read().unwrap()), "a=one b=two");
}

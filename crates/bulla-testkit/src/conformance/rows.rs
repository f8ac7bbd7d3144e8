//! Rows go in and come out exactly.

use std::ops::ControlFlow;

use bulla_vault::store::{Store, Table};

use super::{Kit, LONGEST, keys, one, put, rows};

pub(super) fn new_is_empty<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    let view = store.read().expect("a view");
    for table in Table::ALL {
        assert_eq!(view.get(table, &[0]).expect("a get"), None);
        assert!(rows(&*view, table, &[]).is_empty());
    }
}

pub(super) fn tables_are_apart<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    let all: Vec<_> = Table::ALL.iter().map(|table| (*table, format!("of {table:?}"))).collect();
    let put_all: Vec<_> =
        all.iter().map(|(table, value)| (*table, &b"key"[..], value.as_bytes())).collect();
    put(&store, &put_all);
    for (table, value) in all {
        assert_eq!(one(&store, table, b"key").as_deref(), Some(value.as_bytes()));
        let view = store.read().expect("a view");
        assert_eq!(rows(&*view, table, &[]), [(b"key".to_vec(), value.into_bytes())]);
    }
}

pub(super) fn values_are_exact<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    let every_byte: Vec<u8> = (0..=255).collect();
    let lengths = [0, 1, 255, 256, 257, 488, 489, 490, 1001, 1002, 1003, 4095, 4096, 4097, 65_536];
    let mut values: Vec<Vec<u8>> = lengths.iter().map(|len| noise(*len)).collect();
    values.extend([every_byte, vec![0; 1000], b"\0".to_vec(), b"text".to_vec()]);

    let names: Vec<_> = (0..values.len()).map(|n| format!("{n:04}").into_bytes()).collect();
    let all: Vec<_> = names
        .iter()
        .zip(&values)
        .map(|(name, value)| (Table::Entry, name.as_slice(), value.as_slice()))
        .collect();
    put(&store, &all);

    let store = kit.reopen(store);
    for (name, value) in names.iter().zip(&values) {
        assert!(one(&store, Table::Entry, name).as_ref() == Some(value), "{} bytes", value.len());
    }
    let view = store.read().expect("a view");
    assert!(rows(&*view, Table::Entry, &[]).into_iter().map(|(_, value)| value).eq(values));
}

pub(super) fn longest_row_fits<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    let long = noise(LONGEST);
    put(&store, &[(Table::Entry, &[7; 16], &long), (Table::Entry, &[8; 16], b"short")]);
    let store = kit.reopen(store);
    assert!(one(&store, Table::Entry, &[7; 16]) == Some(long));
    assert_eq!(one(&store, Table::Entry, &[8; 16]).as_deref(), Some(&b"short"[..]));
    put(&store, &[(Table::Entry, &[7; 16], b"now short")]);
    assert_eq!(one(&store, Table::Entry, &[7; 16]).as_deref(), Some(&b"now short"[..]));
}

pub(super) fn keys_are_exact<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    let long = noise(200);
    let all: [&[u8]; 8] =
        [b"\0", b"\0\0", b"A", b"a", b"a\0", b"\xc3\x28", b"\xff\xff\xff\xff", &long];
    let each: Vec<_> = all.iter().map(|key| (Table::Node, *key, *key)).collect();
    put(&store, &each);
    for key in all {
        assert_eq!(one(&store, Table::Node, key).as_deref(), Some(key));
    }
    for absent in [&b"\0\0\0"[..], b"aa", b"B", b"\xff"] {
        assert_eq!(one(&store, Table::Node, absent), None);
    }
}

pub(super) fn put_overwrites<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    for value in [&b"first"[..], b"", b"a third, longer one", b"4"] {
        put(&store, &[(Table::Head, &[0], value)]);
        assert_eq!(one(&store, Table::Head, &[0]).as_deref(), Some(value));
    }
    put(&store, &[(Table::Head, &[0], b"lost"), (Table::Head, &[0], b"last")]);
    let view = store.read().expect("a view");
    assert_eq!(rows(&*view, Table::Head, &[]), [(vec![0], b"last".to_vec())]);
}

pub(super) fn delete_removes<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    put(&store, &[(Table::Entry, b"a", b"1"), (Table::Entry, b"b", b"2")]);
    put(&store, &[(Table::History, b"a", b"old")]);

    let mut txn = store.write().expect("a writer");
    txn.delete(Table::Entry, b"a").expect("a delete");
    txn.delete(Table::Entry, b"never there").expect("a delete of nothing");
    txn.put(Table::Entry, b"c", b"3").expect("a put");
    txn.delete(Table::Entry, b"c").expect("a delete of what was just put");
    txn.delete(Table::Entry, b"b").expect("a delete");
    txn.put(Table::Entry, b"b", b"again").expect("a put of what was just deleted");
    txn.commit().expect("a commit");

    let store = kit.reopen(store);
    let view = store.read().expect("a view");
    assert_eq!(rows(&*view, Table::Entry, &[]), [(b"b".to_vec(), b"again".to_vec())]);
    assert_eq!(view.get(Table::History, b"a").expect("a get").as_deref(), Some(&b"old"[..]));
}

pub(super) fn scan_is_in_order<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    let ordered: [&[u8]; 8] = [b"\0", b"\0\0", b"\x01", b"a", b"a\0", b"aa", b"b\xff", b"\xff\xff"];
    // Any other order than the keys' own.
    for place in [3, 7, 0, 5, 1, 6, 2, 4] {
        put(&store, &[(Table::Entry, ordered[place], b"")]);
    }
    put(&store, &[(Table::Keyring, b"a neighbour", b""), (Table::History, b"a", b"")]);

    let view = store.read().expect("a view");
    assert_eq!(keys(&*view, Table::Entry, &[]), ordered);
    for (place, key) in ordered.iter().enumerate() {
        assert_eq!(keys(&*view, Table::Entry, key), ordered[place + 1..], "after {key:?}");
    }
    assert_eq!(keys(&*view, Table::Entry, b"a\0\0"), ordered[5..], "after a key that is not there");
    assert!(keys(&*view, Table::Entry, b"\xff\xff\xff").is_empty());

    drop(view);
    let mut txn = store.write().expect("a writer");
    txn.put(Table::Entry, b"ab", b"").expect("a put");
    txn.delete(Table::Entry, b"a\0").expect("a delete");
    let mine: [&[u8]; 3] = [b"aa", b"ab", b"b\xff"];
    assert_eq!(keys(&*txn, Table::Entry, b"a")[..3], mine, "a writer's scan shows its changes");
}

pub(super) fn scan_breaks<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    put(&store, &[(Table::Node, b"1", b""), (Table::Node, b"2", b""), (Table::Node, b"3", b"")]);
    let view = store.read().expect("a view");
    let mut visits = 0;
    view.scan(Table::Node, &[], &mut |key, _| {
        visits += 1;
        if key == b"2" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .expect("a scan");
    assert_eq!(visits, 2);
    assert_eq!(keys(&*view, Table::Node, &[]).len(), 3, "the next scan starts anew");
}

pub(super) fn scan_allows_get<S: Store>(kit: &Kit<'_, S>) {
    let store = kit.fresh();
    put(&store, &[(Table::Entry, b"1", b"a"), (Table::Entry, b"2", b"b")]);
    let view = store.read().expect("a view");
    let mut seen = Vec::new();
    view.scan(Table::Entry, &[], &mut |key, value| {
        assert_eq!(view.get(Table::Entry, key).expect("a get").as_deref(), Some(value));
        seen.push(keys(&*view, Table::Entry, key).len());
        ControlFlow::Continue(())
    })
    .expect("a scan");
    assert_eq!(seen, [1, 0], "a scan within a scan");
}

/// Bytes without a pattern that a store could take a short cut with; the same ones each time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = len as u64 ^ 0x9e37_79b9_7f4a_7c15;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

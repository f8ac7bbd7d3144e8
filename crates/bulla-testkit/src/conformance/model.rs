//! A store against a `BTreeMap`, with transactions that proptest makes up.

use std::collections::BTreeMap;

use bulla_vault::store::{Store, Table, View};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Kit, rows};

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

#[derive(Clone, Debug)]
struct Deal {
    changes: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Commit,
    CommitAndReopen,
    Drop,
}

pub(super) fn behaves_as_a_map<S: Store>(kit: &Kit<'_, S>) {
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&vec(deal(), 1..8), |deals| {
            follow(kit, deals);
            Ok(())
        })
        .expect("the store and the map agree");
}

fn follow<S: Store>(kit: &Kit<'_, S>, deals: Vec<Deal>) {
    let mut store = kit.fresh();
    let mut committed = Rows::new();
    for Deal { changes, end } in deals {
        let mut expected = committed.clone();
        let mut txn = store.write().expect("a writer");
        for (table, key, value) in changes {
            match value {
                Some(value) => {
                    txn.put(table, &key, &value).expect("a put");
                    expected.insert((table, key), value);
                }
                None => {
                    txn.delete(table, &key).expect("a delete");
                    expected.remove(&(table, key));
                }
            }
        }
        agree(&*txn, &expected);
        match end {
            End::Drop => drop(txn),
            End::Commit | End::CommitAndReopen => {
                txn.commit().expect("a commit");
                committed = expected;
            }
        }
        if matches!(end, End::CommitAndReopen) {
            store = kit.reopen(store);
        }
        agree(&*store.read().expect("a view"), &committed);
    }
}

fn agree(view: &(impl View + ?Sized), expected: &Rows) {
    for table in Table::ALL {
        let of_table = expected.iter().filter(|((of, _), _)| *of == table);
        let listed: Vec<_> =
            of_table.map(|((_, key), value)| (key.clone(), value.clone())).collect();
        assert_eq!(rows(view, table, &[]), listed);
        for (key, value) in &listed {
            assert_eq!(view.get(table, key).expect("a get").as_ref(), Some(value));
        }
    }
}

/// Few keys of few bytes, so that changes meet each other.
fn deal() -> impl Strategy<Value = Deal> {
    let table = prop::sample::select(Table::ALL.to_vec());
    let key = vec(prop::sample::select(vec![0_u8, 1, 0x61, 0xff]), 1..3);
    let value = prop::option::weighted(0.7, vec(any::<u8>(), 0..600));
    let end =
        prop_oneof![3 => Just(End::Commit), 1 => Just(End::CommitAndReopen), 1 => Just(End::Drop)];
    (vec((table, key, value), 0..12), end).prop_map(|(changes, end)| Deal { changes, end })
}

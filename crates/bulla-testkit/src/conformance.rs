//! The suite that every store has to pass.
//!
//! It checks what a vault cannot check for itself: that a view is one moment, that there is one
//! writer, that a commit is all or nothing and lasts, that a lock excludes. What lies beyond one
//! process (being killed, a full disk, several processes at once) each store tests by itself.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bulla_vault::store::{Store, Table, View};

mod locks;
mod model;
mod rows;
mod snapshots;
mod writers;

/// Runs the whole suite and panics at the first promise that is not kept, naming it.
///
/// `make` gives an empty store of its own each time. `reopen` lets go of a store and opens the same
/// one again; where a store lives only as long as its value does, it gives it back as it is.
pub fn run<S: Store + Sync>(make: impl Fn() -> S, reopen: impl Fn(S) -> S) {
    let kit = Kit { make: &make, reopen: &reopen };
    for (promise, check) in promises() {
        #[expect(clippy::print_stderr, reason = "a failed test shows which promise it was at")]
        {
            eprintln!("conformance: {promise}");
        }
        check(&kit);
    }
}

/// What a check needs: a fresh store, and a way to close and open it.
struct Kit<'k, S> {
    make: &'k dyn Fn() -> S,
    reopen: &'k dyn Fn(S) -> S,
}

impl<S> Kit<'_, S> {
    fn fresh(&self) -> S {
        (self.make)()
    }

    fn reopen(&self, store: S) -> S {
        (self.reopen)(store)
    }
}

type Check<S> = fn(&Kit<'_, S>);

fn promises<S: Store + Sync>() -> Vec<(&'static str, Check<S>)> {
    vec![
        ("a new store is empty", rows::new_is_empty),
        ("tables are apart", rows::tables_are_apart),
        ("values come back as they went in", rows::values_are_exact),
        ("the longest row fits", rows::longest_row_fits),
        ("keys of any bytes and length", rows::keys_are_exact),
        ("a put overwrites", rows::put_overwrites),
        ("a delete removes, and of nothing is nothing", rows::delete_removes),
        ("a scan is in order and starts after its key", rows::scan_is_in_order),
        ("a scan ends where it is told to", rows::scan_breaks),
        ("a scan may ask for rows", rows::scan_allows_get),
        ("a writer sees its own changes", snapshots::own_changes_show),
        ("nobody else sees them before the commit", snapshots::others_see_commits_only),
        ("a dropped transaction changes nothing", snapshots::drop_changes_nothing),
        ("a view begins when it is taken", snapshots::view_begins_at_once),
        ("views of different ages live side by side", snapshots::ages_live_side_by_side),
        ("a view never shows half of a commit", snapshots::commits_are_whole),
        ("what was committed is there after reopening", snapshots::commits_last),
        ("what was not committed is not", snapshots::drops_last),
        ("a store behaves as a sorted map", model::behaves_as_a_map),
        ("the writer is alone", writers::writer_is_alone),
        ("no write is lost", writers::no_write_is_lost),
        ("a lock excludes", locks::lock_excludes),
        ("locks of different names do not meet", locks::names_do_not_meet),
        ("a lock stops no reader and no writer", locks::lock_stops_no_transaction),
        ("a lock dies with its holder", locks::lock_dies_with_its_holder),
        ("a lock that is held is seen", locks::a_held_lock_is_seen),
    ]
}

/// The longest value that a vault writes: a padded record of 16 MiB with what stands before it.
const LONGEST: usize = (16 << 20) + (64 << 10);

fn put<S: Store>(store: &S, rows: &[(Table, &[u8], &[u8])]) {
    let mut txn = store.write().expect("a writer");
    for (table, key, value) in rows {
        txn.put(*table, key, value).expect("a put");
    }
    txn.commit().expect("a commit");
}

fn one<S: Store>(store: &S, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    store.read().expect("a view").get(table, key).expect("a get")
}

fn rows<V: View + ?Sized>(view: &V, table: Table, after: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut seen = Vec::new();
    view.scan(table, after, &mut |key, value| {
        seen.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })
    .expect("a scan");
    seen
}

fn keys<V: View + ?Sized>(view: &V, table: Table, after: &[u8]) -> Vec<Vec<u8>> {
    rows(view, table, after).into_iter().map(|(key, _)| key).collect()
}

/// Counts as a careless program would, so that a missing exclusion shows: what two do at once to
/// it is lost.
#[derive(Default)]
struct CarelessCounter(AtomicUsize);

impl CarelessCounter {
    fn add_one(&self) {
        let seen = self.0.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_micros(20));
        self.0.store(seen + 1, Ordering::Relaxed);
    }

    fn total(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

//! Verifying a whole vault, and saying everything that is wrong with it.

use std::ops::ControlFlow;

use crate::error::Part;
use crate::keys::EntryId;
use crate::record::Body;
use crate::slots::current_keyring;
use crate::snapshot::Snapshot;
use crate::store::{StoreError, Table};
use crate::tree::{self, Leaf, Step};
use crate::{EntryName, ReadError};

/// What a whole vault holds, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Report {
    /// Entries that are there.
    pub entries: u64,
    /// Marks of removed entries.
    pub removed: u64,
    /// Kept earlier versions.
    pub versions: u64,
    /// What cannot be believed; empty for a sound vault.
    pub faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The entry that it concerns, if its name could be read.
    pub name: Option<EntryName>,
    /// What is wrong with it; `None` for an entry that a newer version wrote.
    pub part: Option<Part>,
}

impl Snapshot<'_> {
    /// Reads, verifies and opens everything: the keyring, every node of the tree, every entry and
    /// every kept version; and looks for rows that nothing vouches for.
    ///
    /// `progress` is told how many entries were checked.
    ///
    /// # Errors
    /// Only if the store itself fails; what it holds is in the report.
    pub fn check(&self, progress: &mut dyn FnMut(u64)) -> Result<Report, StoreError> {
        let mut found = Found::default();
        let keyring = current_keyring(self.rows());
        let signing = keyring.and_then(|keyring| keyring.signing_key(&self.vault.keys));
        found.note(None, signing.map(drop))?;
        found.note(None, self.slots().map(drop))?;
        let mut leaves = 0;
        tree::walk(&*self.view, self.head.root, &mut |step| {
            match step {
                Step::Node => found.nodes += 1,
                Step::Fault(fault) => found.note(None, Err(fault))?,
                Step::Leaf(id, leaf) => {
                    leaves += 1;
                    self.check_entry(id, leaf, &mut found)?;
                    progress(leaves);
                }
            }
            Ok::<(), StoreError>(())
        })?;
        let expected = [
            (Table::Head, 1),
            (Table::Keyring, 1),
            (Table::Entry, leaves),
            (Table::History, found.report.versions),
            (Table::Node, found.nodes),
        ];
        // Below a node that cannot be believed every row looks as if nothing vouched for it.
        let whole = found.report.faults.is_empty();
        for (table, expected) in expected {
            if whole && self.rows_in(table)? > expected {
                found.report.faults.push(Fault { name: None, part: Some(Part::Stray) });
            }
        }
        Ok(found.report)
    }

    fn check_entry(&self, id: &EntryId, leaf: Leaf, found: &mut Found) -> Result<(), StoreError> {
        let (head, record) = match self.rows().open(id, leaf) {
            Ok(opened) => opened,
            Err(fault) => return found.note(None, Err(fault)),
        };
        let name = EntryName::new(&record.name).ok();
        match record.body {
            Body::Live(_) => found.report.entries += 1,
            Body::Removed { .. } => found.report.removed += 1,
            Body::System(_) => {}
        }
        for (version, hash) in &head.kept {
            found.report.versions += 1;
            let kept = self.rows().history(id, *version, hash);
            let kept = kept.and_then(|(_, earlier)| {
                let same = earlier.name == record.name;
                if same { Ok(()) } else { Err(ReadError::Tampered(Part::Content)) }
            });
            found.note(name.as_ref(), kept)?;
        }
        Ok(())
    }

    fn rows_in(&self, table: Table) -> Result<u64, StoreError> {
        let mut rows = 0;
        self.view.scan(table, b"", &mut |_, _| {
            rows += 1;
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }
}

#[derive(Default)]
struct Found {
    report: Report,
    nodes: u64,
}

impl Found {
    /// Notes what is wrong with what was read; a store that fails ends the check.
    fn note(
        &mut self,
        name: Option<&EntryName>,
        read: Result<(), ReadError>,
    ) -> Result<(), StoreError> {
        use crate::OpenError::{Damaged, Store, Tampered};
        let part = match read {
            Ok(()) => return Ok(()),
            Err(ReadError::Store(error) | ReadError::Open(Store(error))) => return Err(error),
            Err(ReadError::Tampered(part) | ReadError::Open(Damaged(part) | Tampered(part))) => {
                Some(part)
            }
            Err(ReadError::Newer) => None,
            Err(ReadError::Open(_)) => Some(Part::Keyring),
        };
        self.report.faults.push(Fault { name: name.cloned(), part });
        Ok(())
    }
}

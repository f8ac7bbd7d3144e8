//! A new vault key: everything that is kept is sealed again, in one commit.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::batch::Batch;
use crate::head::Head;
use crate::keyring::{Keyring, Pin, generate_signing_key};
use crate::keys::EntryId;
use crate::memory::Remembered;
use crate::open::ONLY;
use crate::record::Record;
use crate::row::{self, RowHead};
use crate::slot::{Place, Slot};
use crate::slots::{Fresh, Ledger, NewSlot, SLOTS, current_keyring, seal_slot_as};
use crate::snapshot::Rows;
use crate::store::{Table, Txn};
use crate::tree::{self, Leaf, Root, Step};
use crate::vault::{Stamp, Vault};
use crate::{Kdf, Passphrase, Random, ReadError, SlotChange, SlotError, WriteError};

/// How the caller opens the vault afterwards.
pub enum OwnSlot<'a> {
    /// With the passphrase that opened it; it is known to nobody else, so it is asked for.
    Passphrase(&'a Passphrase, Kdf),
    /// With the identity that opened it.
    Identity,
}

/// What a change of the vault key did.
#[derive(Debug)]
pub struct Rekeyed {
    /// The labels of the passphrase slots that are gone, because only their owners could have kept
    /// them. They have to be added again.
    pub dropped: Vec<String>,
    /// The vault's pin from now on.
    pub pin: Pin,
}

/// What a change of the vault key is about to do, or has done so far.
#[non_exhaustive]
pub enum RekeyStep<'a> {
    /// Nobody else can write from here to the end. Who has begun something that has to be written
    /// under the old key shows in `vault` now, or will be refused: under this step alone it can be
    /// said that nobody has.
    Alone {
        /// The vault, to be read.
        vault: &'a Vault<'a>,
        /// Setting this gives up, with [`SlotError::Stopped`].
        stop: &'a mut bool,
    },
    /// The commit comes next. A client that remembers `next` before it goes on knows the vault again
    /// whatever happens to it meanwhile: afterwards the vault has another pin.
    Committing {
        /// The state of the vault after the commit.
        next: &'a Remembered,
    },
    /// Entries are sealed under the new key.
    Sealing {
        /// How many are done.
        done: u64,
        /// How many there are.
        total: u64,
    },
}

impl Vault<'_> {
    /// Changes the vault key, and with `remove` takes away the slot of that label.
    ///
    /// Identity slots are wrapped again; of the passphrase slots only the caller's is kept. The signing
    /// key changes too, and with it the pin, so that nothing that is made from an old copy passes for
    /// this vault. Old copies stay open to old slots.
    ///
    /// `at` is told each step.
    ///
    /// # Errors
    /// [`SlotError`]; nothing was changed then.
    pub fn rekey(
        &mut self,
        own: &OwnSlot<'_>,
        remove: Option<&str>,
        stamp: Stamp,
        at: &mut dyn FnMut(RekeyStep<'_>),
    ) -> Result<Rekeyed, SlotError> {
        let place = Place { key_epoch: self.place.key_epoch + 1, ..self.place };
        let fresh = Fresh::generate(place, self.random)?;
        let own_slot = match own {
            OwnSlot::Identity => None,
            OwnSlot::Passphrase(passphrase, kdf) => {
                let new = NewSlot::Passphrase(passphrase, *kdf);
                Some(seal_slot_as(self.slot, place, &fresh.key, &new, self.random)?)
            }
        };

        let mut batch = self.write(stamp)?;
        let mut stop = false;
        at(RekeyStep::Alone { vault: self, stop: &mut stop });
        if stop {
            return Err(SlotError::Stopped);
        }
        current_keyring(batch.rows())?;
        let mut ledger = Ledger::read(batch.rows())?;
        if let Some(label) = remove {
            let owner = ledger.owners.iter().find(|owner| owner.label == label);
            if owner.ok_or(SlotError::Missing)?.id == self.slot {
                return Err(SlotError::InUse);
            }
        }
        let (slots, dropped) =
            wrap_again(&mut ledger, remove, &fresh, self.slot, own_slot, self.random)?;
        // Who can open an old copy has the old signing key: with the same key a state made from
        // that copy would have the right pin, and, grown long enough, pass for the newer one.
        let signing = generate_signing_key(self.random)?;
        let keyring = Keyring::write(place, &fresh.keys, &signing, &slots, self.random)?;
        if let Some(label) = remove {
            ledger.note(&batch, SlotChange::Removed(label.to_owned()));
        }
        for label in &dropped {
            ledger.note(&batch, SlotChange::Removed(label.clone()));
        }
        ledger.note(&batch, SlotChange::Rekeyed);
        batch.put_system(SLOTS, ledger.to_body()?)?;

        let mut work = Resealing { vault: self, fresh: &fresh, leaves: BTreeMap::new() };
        let (mut txn, head) = work.all(batch, at)?;
        let root = tree::apply(&mut *txn, Root::default(), &work.leaves)?;
        let head = Head {
            epoch: head.epoch + 1,
            key_epoch: place.key_epoch,
            root,
            keyring_hash: keyring.hash(),
            ..head
        };
        txn.put(Table::Keyring, ONLY, &keyring.bytes).map_err(WriteError::from)?;
        txn.put(Table::Head, ONLY, &head.encode(&fresh.keys)).map_err(WriteError::from)?;
        let next = Remembered::new(&head, keyring.pin, self.slot);
        at(RekeyStep::Committing { next: &next });
        txn.commit().map_err(WriteError::from)?;

        let Fresh { place, key, keys } = fresh;
        *self.seen.get_mut() = next;
        (self.place, self.key, self.keys) = (place, key, keys);
        Ok(Rekeyed { dropped, pin: keyring.pin })
    }
}

/// Wraps the new key for everybody who stays; names the passphrases that cannot.
fn wrap_again(
    ledger: &mut Ledger,
    remove: Option<&str>,
    fresh: &Fresh,
    own: [u8; 8],
    mut own_slot: Option<Slot>,
    random: &dyn Random,
) -> Result<(Vec<Slot>, Vec<String>), SlotError> {
    let (mut slots, mut dropped) = (Vec::new(), Vec::new());
    let mut staying = Vec::new();
    for owner in std::mem::take(&mut ledger.owners) {
        if remove == Some(&owner.label) {
            continue;
        }
        let slot = match &owner.recipient {
            Some(recipient) => {
                Some(Slot::for_recipient(fresh.place, owner.id, &fresh.key, recipient, random)?)
            }
            None if owner.id == own => own_slot.take(),
            None => None,
        };
        match slot {
            Some(slot) => {
                slots.push(slot);
                staying.push(owner);
            }
            None => dropped.push(owner.label),
        }
    }
    ledger.owners = staying;
    // The caller must not lock itself out.
    if slots.iter().any(|slot| slot.id == own) {
        Ok((slots, dropped))
    } else {
        Err(SlotError::NoPassphrase)
    }
}

/// Seals every row under the fresh keys, under its new id, and takes the old rows away.
struct Resealing<'a> {
    vault: &'a Vault<'a>,
    fresh: &'a Fresh,
    leaves: BTreeMap<EntryId, Leaf>,
}

impl Resealing<'_> {
    fn all<'v>(
        &mut self,
        batch: Batch<'v>,
        at: &mut dyn FnMut(RekeyStep<'_>),
    ) -> Result<(Box<dyn Txn + 'v>, Head), WriteError> {
        let mut old = Vec::new();
        let found: Result<(), ReadError> =
            tree::walk(&*batch.txn, batch.head.root, &mut |step| match step {
                Step::Node => Ok(()),
                Step::Leaf(id, leaf) => {
                    old.push((*id, leaf));
                    Ok(())
                }
                Step::Fault(fault) => Err(fault),
            });
        found?;
        let Batch { mut txn, head, changes, .. } = batch;
        // What the batch itself wrote is not in the tree yet.
        for (id, leaf) in &mut old {
            *leaf = changes.get(id).copied().unwrap_or(*leaf);
        }
        let total = old.len() as u64;
        for (done, (id, leaf)) in (1..).zip(old) {
            self.one(&mut *txn, &head, &id, leaf)?;
            at(RekeyStep::Sealing { done, total });
        }
        clear_nodes(&mut *txn)?;
        Ok((txn, head))
    }

    fn one(
        &mut self,
        txn: &mut dyn Txn,
        old: &Head,
        id: &EntryId,
        leaf: Leaf,
    ) -> Result<(), WriteError> {
        let (row_head, record) = self.rows(txn, old).open(id, leaf)?;
        let new_id = self.fresh.keys.entry_id(&record.name);
        let mut kept = Vec::with_capacity(row_head.kept.len());
        for (version, hash) in &row_head.kept {
            let (earlier_head, earlier) = self.rows(txn, old).history(id, *version, hash)?;
            let row = self.seal(&new_id, &earlier_head, &earlier)?;
            txn.delete(Table::History, &row::history_key(id, *version))?;
            txn.put(Table::History, &row::history_key(&new_id, *version), &row)?;
            kept.push((*version, row::hash(&row)));
        }
        let row_head = RowHead { kept, ..row_head };
        let row = self.seal(&new_id, &row_head, &record)?;
        txn.delete(Table::Entry, id)?;
        txn.put(Table::Entry, &new_id, &row)?;
        self.leaves.insert(new_id, Leaf { seq: row_head.seq, hash: row::hash(&row) });
        Ok(())
    }

    fn rows<'t>(&'t self, txn: &'t dyn Txn, head: &'t Head) -> Rows<'t> {
        Rows { vault: self.vault, view: txn, head, pending: None }
    }

    fn seal(&self, id: &EntryId, head: &RowHead, record: &Record) -> Result<Vec<u8>, WriteError> {
        let Fresh { place, keys, .. } = self.fresh;
        let head = RowHead { key_epoch: place.key_epoch, ..head.clone() };
        row::seal(keys, &place.vault_id, id, &head, record, self.vault.random)
    }
}

fn clear_nodes(txn: &mut dyn Txn) -> Result<(), WriteError> {
    let mut keys = Vec::new();
    txn.scan(Table::Node, b"", &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    keys.iter().try_for_each(|key| txn.delete(Table::Node, key)).map_err(WriteError::from)
}

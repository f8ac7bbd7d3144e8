//! Making a new vault.

use std::collections::BTreeMap;

use crate::head::Head;
use crate::keyring::{Keyring, generate_signing_key};
use crate::open::ONLY;
use crate::primitives::random;
use crate::random::Random;
use crate::record::Record;
use crate::row::{self, Object, RowHead};
use crate::slot::Place;
use crate::slots::{Fresh, Ledger, NewSlot, Owner, SLOTS, check_label, seal_slot};
use crate::store::{Store, Table};
use crate::tree::{self, Leaf, Root};
use crate::vault::{Stamp, Vault};
use crate::{SealError, SlotChange, SlotError, SlotEvent, WriteError};

impl<'s> Vault<'s> {
    /// Makes a new vault with one slot in an empty store.
    ///
    /// # Errors
    /// [`WriteError::Exists`] inside [`SlotError::Write`] if there is a vault, or the rest of one,
    /// in the store; nothing was changed then.
    pub fn create(
        store: &'s dyn Store,
        random_source: &'s dyn Random,
        label: &str,
        slot: &NewSlot<'_>,
        stamp: Stamp,
    ) -> Result<Self, SlotError> {
        check_label(label)?;
        let vault_id = random(random_source).map_err(SealError::from)?;
        let place = Place { vault_id, key_epoch: 1 };
        let Fresh { place, key, keys } = Fresh::generate(place, random_source)?;
        let sealed_slot = seal_slot(place, &key, slot, random_source)?;
        let slot_id = sealed_slot.id;
        let signing = generate_signing_key(random_source)?;
        let keyring = Keyring::write(place, &keys, &signing, &[sealed_slot], random_source)?;

        let ledger = Ledger {
            owners: vec![Owner::new(slot_id, label, slot, stamp.time)],
            events: vec![SlotEvent {
                time: stamp.time,
                author: slot_id,
                change: SlotChange::Added(label.to_owned()),
            }],
        };
        let record = Record {
            name: SLOTS.to_owned(),
            body: ledger.to_body()?,
            author: slot_id,
            time: stamp.time,
            reason: stamp.reason,
            extension: Vec::new(),
        };
        let row_head = RowHead {
            object: Object::Entry,
            key_epoch: place.key_epoch,
            seq: 1,
            version: 1,
            kept: Vec::new(),
        };
        let id = keys.entry_id(SLOTS);
        let row = row::seal(&keys, &place.vault_id, &id, &row_head, &record, random_source)?;

        let mut txn = store.write().map_err(WriteError::from)?;
        for table in Table::ALL {
            let mut empty = true;
            txn.scan(table, b"", &mut |_, _| {
                empty = false;
                std::ops::ControlFlow::Break(())
            })
            .map_err(WriteError::from)?;
            if !empty {
                return Err(WriteError::Exists.into());
            }
        }
        txn.put(Table::Entry, &id, &row).map_err(WriteError::from)?;
        let leaf = Leaf { seq: row_head.seq, hash: row::hash(&row) };
        let root = tree::apply(&mut *txn, Root::default(), &BTreeMap::from([(id, leaf)]))?;
        let head = Head {
            vault_id: place.vault_id,
            incarnation: random(random_source).map_err(SealError::from)?,
            epoch: 1,
            key_epoch: place.key_epoch,
            root,
            keyring_hash: keyring.hash(),
        };
        txn.put(Table::Keyring, ONLY, &keyring.bytes).map_err(WriteError::from)?;
        txn.put(Table::Head, ONLY, &head.encode(&keys)).map_err(WriteError::from)?;
        txn.commit().map_err(WriteError::from)?;
        Ok(Self::new(store, random_source, key, keys, keyring.pin, &head, slot_id))
    }
}

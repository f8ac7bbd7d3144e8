use std::collections::BTreeMap;
use std::sync::Arc;

use bulla_testkit::hostile::Recording;
use bulla_vault::store::{MemoryStore, Store, Table};
use bulla_vault::{
    Entry, EntryName, Expect, Field, FieldName, Identity, Kdf, Kind, LockedVault, NewSlot,
    OpenError, OpenedKey, Passphrase, Pin, ReadError, Secret, Snapshot, Stamp, SystemRandom,
    Unlock, Vault,
};

/// The cheapest parameters that the format allows: tests derive many keys.
pub(crate) fn cheap() -> Kdf {
    Kdf::new(19 * 1024, 2, 1).unwrap()
}

pub(crate) fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Secret::copied_from(text.as_bytes())).unwrap()
}

pub(crate) fn name(text: &str) -> EntryName {
    EntryName::new(text).unwrap()
}

pub(crate) fn field(text: &str) -> FieldName {
    FieldName::new(text).unwrap()
}

pub(crate) fn at(time: u64) -> Stamp {
    Stamp { time, reason: String::new() }
}

pub(crate) fn secret(value: &str) -> Entry {
    let mut entry = Entry::new(Kind::Secret);
    let value = Secret::copied_from(value.as_bytes());
    entry.set(Field { name: field("password"), value, public: false, expires: None }).unwrap();
    entry
}

pub(crate) fn password_of(entry: &Entry) -> String {
    String::from_utf8(entry.field(&field("password")).unwrap().value.expose().to_vec()).unwrap()
}

pub(crate) fn create(store: &dyn Store) -> Vault<'_> {
    let phrase = passphrase("correct horse");
    let slot = NewSlot::Passphrase(&phrase, cheap());
    Vault::create(store, &SystemRandom, "owner", &slot, at(1)).ok().unwrap()
}

pub(crate) fn open(store: &dyn Store) -> Vault<'_> {
    let phrase = passphrase("correct horse");
    LockedVault::find(store, &SystemRandom)
        .ok()
        .unwrap()
        .unlock(Unlock::Passphrase(&phrase), &Expect::default())
        .ok()
        .unwrap()
}

/// A vault with an identity slot, which opens a thousand times faster than one with a passphrase.
pub(crate) fn create_for<'s>(store: &'s dyn Store, identity: &Identity) -> Vault<'s> {
    let recipient = identity.recipient();
    let slot = NewSlot::Recipient(&recipient);
    Vault::create(store, &SystemRandom, "owner", &slot, at(1)).unwrap()
}

pub(crate) fn open_by<'s>(
    store: &'s dyn Store,
    identity: &Identity,
    pin: Pin,
) -> Result<Vault<'s>, OpenError> {
    let expect = Expect { pins: vec![pin], ..Expect::default() };
    let identities = [Identity::parse(&identity.to_text()).unwrap()];
    LockedVault::find(store, &SystemRandom)?.unlock(Unlock::Identities(&identities), &expect)
}

pub(crate) fn open_with(store: &dyn Store, key: OpenedKey) -> Result<Vault<'_>, OpenError> {
    LockedVault::find(store, &SystemRandom)?.unlock(Unlock::Key(key), &Expect::default())
}

pub(crate) fn set(vault: &Vault<'_>, entry: &str, value: &str) -> u64 {
    let mut batch = vault.write(at(2)).unwrap();
    let version = batch.put(&name(entry), secret(value), None).unwrap();
    batch.commit().unwrap();
    version
}

pub(crate) fn get(vault: &Vault<'_>, entry: &str) -> Option<String> {
    let found = vault.read().unwrap().find(&name(entry)).unwrap()?;
    found.live().map(password_of)
}

/// Every version of every entry that can be read, with its password; `None` for a removed one.
pub(crate) type Contents = BTreeMap<(String, u64), Option<String>>;

pub(crate) fn contents(snapshot: &Snapshot<'_>) -> Result<Contents, ReadError> {
    let mut newest = Vec::new();
    snapshot.each::<ReadError>(&mut |version| {
        newest.push(version);
        Ok(())
    })?;
    let mut contents = Contents::new();
    for version in newest {
        for kept in &version.kept {
            let earlier = snapshot.find_version(&version.name, *kept)?.unwrap();
            let password = earlier.live().map(password_of);
            contents.insert((earlier.name.to_string(), earlier.version), password);
        }
        let password = version.live().map(password_of);
        contents.insert((version.name.to_string(), version.version), password);
    }
    Ok(contents)
}

/// The contents of a vault in which a check of everything finds no fault.
pub(crate) fn sound_contents(vault: &Vault<'_>) -> Contents {
    let snapshot = vault.read().unwrap();
    let report = snapshot.check(&mut |_| {}).unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    contents(&snapshot).unwrap()
}

/// A store with the rows of a recording.
pub(crate) fn store_of(recording: &Recording) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    let mut txn = store.write().unwrap();
    for table in Table::ALL {
        for key in recording.keys(table) {
            txn.put(table, key, recording.value(table, key).unwrap()).unwrap();
        }
    }
    txn.commit().unwrap();
    store
}

/// The rows of a recording, with their tables and keys.
pub(crate) fn rows_of(recording: &Recording) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    for table in Table::ALL {
        for key in recording.keys(table) {
            rows.push((table, key.to_vec(), recording.value(table, key).unwrap().to_vec()));
        }
    }
    rows
}

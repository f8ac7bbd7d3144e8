use bulla_vault::store::Store;
use bulla_vault::{
    Entry, EntryName, Expect, Field, FieldName, Kdf, Kind, LockedVault, NewSlot, Passphrase,
    Secret, Stamp, SystemRandom, Unlock, Vault,
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

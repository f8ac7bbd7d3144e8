//! Vaults that were rolled back, forked or restored, and clients that remember.

use std::sync::Arc;

use bulla_testkit::hostile::{HostileStore, Lie, Recording};
use bulla_vault::store::{MemoryStore, Store};
use bulla_vault::{
    Expect, Identity, LockedVault, NewSlot, OpenError, OpenedKey, OwnSlot, ReadError, Remembered,
    SystemRandom, Unlock, Vault, WriteError,
};

use crate::common::*;

fn opened<'s>(store: &'s dyn Store, key: &[u8], expect: &Expect) -> Result<Vault<'s>, OpenError> {
    let key = OpenedKey::from_bytes(key).unwrap();
    LockedVault::find(store, &SystemRandom)?.unlock(Unlock::Key(key), expect)
}

fn remembering(remembered: Remembered) -> Expect {
    Expect { remembered: Some(remembered), ..Expect::default() }
}

#[test]
fn an_older_state_is_refused_by_who_remembers() {
    let store = Arc::new(MemoryStore::new());
    let vault = create(&*store);
    let key = vault.key().expose();
    set(&vault, "a", "one");
    let yesterday = store_of(&Recording::of(&*store).unwrap());
    set(&vault, "a", "two");
    let remembered = vault.remembered();

    let shown = opened(&*yesterday, &key, &remembering(remembered.clone())).err().unwrap();
    assert!(matches!(shown, OpenError::RolledBack { seen: 3, found: 2 }), "{shown}");
    let pipeline = Expect { min_epoch: Some(3), ..Expect::default() };
    let shown = opened(&*yesterday, &key, &pipeline).err().unwrap();
    assert!(matches!(shown, OpenError::TooOld { least: 3, found: 2 }), "{shown}");
    assert!(opened(&*store, &key, &pipeline).is_ok());

    // Who has never seen the vault can be shown an old state of it, but a true one.
    let newcomer = opened(&*yesterday, &key, &Expect::default()).ok().unwrap();
    assert_eq!(get(&newcomer, "a").as_deref(), Some("one"));
    // And a person may accept it, for one run.
    let mut accepting = remembering(remembered);
    accepting.accept_rollback = true;
    let accepted = opened(&*yesterday, &key, &accepting).ok().unwrap();
    assert_eq!(get(&accepted, "a").as_deref(), Some("one"));
}

#[test]
fn two_futures_of_one_past_are_a_fork() {
    let store = MemoryStore::new();
    let vault = create(&store);
    let key = vault.key().expose();
    let copy = store_of(&Recording::of(&store).unwrap());
    set(&vault, "a", "here");
    let elsewhere = opened(&*copy, &key, &Expect::default()).ok().unwrap();
    set(&elsewhere, "a", "there");
    let shown = opened(&*copy, &key, &remembering(vault.remembered())).err().unwrap();
    assert!(matches!(shown, OpenError::Forked { epoch: 2 }), "{shown}");
    // The other future may be longer: then nothing tells them apart, but for the epoch.
    set(&elsewhere, "a", "further");
    assert!(opened(&*copy, &key, &remembering(vault.remembered())).is_ok());
}

/// Who was removed still has the old key, and could write with it under epochs as high as he likes.
#[test]
fn who_was_removed_cannot_go_on_with_the_old_key() {
    let (friend, leaver) =
        (Identity::generate(&SystemRandom).unwrap(), Identity::generate(&SystemRandom).unwrap());
    let store = MemoryStore::new();
    let mut vault = create_for(&store, &friend);
    let recipient = leaver.recipient();
    vault.add_slot("leaver", &NewSlot::Recipient(&recipient), at(2)).unwrap();
    let old_pin = vault.pin();
    let kept = store_of(&Recording::of(&store).unwrap());
    vault.rekey(&OwnSlot::Identity, Some("leaver"), at(3), &mut |_| {}).unwrap();
    let remembered = vault.remembered();

    let leavers = open_by(&*kept, &leaver, old_pin).ok().unwrap();
    for _ in 0..5 {
        set(&leavers, "a", "forged");
    }
    assert!(leavers.remembered().epoch() > remembered.epoch());
    // The friend's old slot is still in that copy.
    let mut expect = remembering(remembered.clone());
    let identities = [Identity::parse(&friend.to_text()).unwrap()];
    let unlock = |expect: &Expect| {
        LockedVault::find(&*kept, &SystemRandom)
            .and_then(|found| found.unlock(Unlock::Identities(&identities), expect))
            .err()
    };
    assert!(matches!(unlock(&expect), Some(OpenError::OtherPin { .. })));
    // Even for somebody who accepts the old pin the key epoch tells.
    expect.pins = vec![old_pin];
    let shown = unlock(&expect).unwrap();
    assert!(matches!(shown, OpenError::RolledBack { .. }), "{shown}");
}

#[test]
fn a_restored_copy_is_taken_after_it_was_adopted() {
    let store = MemoryStore::new();
    let vault = create(&store);
    let key = vault.key().expose();
    let backup = store_of(&Recording::of(&store).unwrap());
    set(&vault, "a", "lost");
    let before = vault.remembered();

    let restored = opened(&*backup, &key, &Expect::default()).ok().unwrap();
    restored.write(at(5)).unwrap().adopt().unwrap();
    let shown = opened(&*backup, &key, &remembering(before.clone())).err().unwrap();
    assert!(matches!(shown, OpenError::Restored), "{shown}");
    let mut accepting = remembering(before.clone());
    accepting.accept_rollback = true;
    let accepted = opened(&*backup, &key, &accepting).ok().unwrap();
    let now = accepted.remembered();
    assert!(now.grew_from(Some(&before)));
    assert!(opened(&*backup, &key, &remembering(now.clone())).is_ok());
    // From now on the vault of before is the one that is refused.
    let shown = opened(&store, &key, &remembering(now)).err().unwrap();
    assert!(matches!(shown, OpenError::Restored), "{shown}");
}

#[test]
fn an_open_vault_remembers_what_it_has_seen() {
    let store = HostileStore::new(Arc::new(MemoryStore::new()));
    let vault = create(&store);
    set(&vault, "a", "one");
    let earlier = Recording::of(&store).unwrap();
    set(&vault, "a", "two");
    store.tell(Lie::Rewind(earlier));
    let refused = vault.read().err().unwrap();
    assert!(
        matches!(refused, ReadError::Open(OpenError::RolledBack { seen: 3, found: 2 })),
        "{refused}"
    );
    let refused = vault.write(at(5)).err().unwrap();
    assert!(
        matches!(refused, WriteError::Read(ReadError::Open(OpenError::RolledBack { .. }))),
        "{refused}"
    );
    store.repent();
    assert_eq!(get(&vault, "a").as_deref(), Some("two"));
}

/// A store that loses a commit after it has acknowledged it is found out at the next look.
#[test]
fn a_forgotten_commit_is_noticed() {
    let store = HostileStore::new(Arc::new(MemoryStore::new()));
    let vault = create(&store);
    set(&vault, "a", "one");
    store.tell(Lie::Forget(bulla_vault::store::Table::Head));
    set(&vault, "a", "two");
    let refused = vault.read().err().unwrap();
    assert!(
        matches!(refused, ReadError::Open(OpenError::RolledBack { seen: 3, found: 2 })),
        "{refused}"
    );
}

//! What a reader remembers of a vault, or is told to demand.

use bulla_testkit::vectors::Vector;

use super::Named;
use super::forge::{Forge, PASSPHRASE, at, cheap, passphrase, put, secret};
use crate::{OwnSlot, Vault};

pub(super) const VECTORS: &[Named] = &[
    ("memory-of-this-state", || recalled("the state that was seen last", "success", two(), two())),
    ("memory-of-an-earlier-state", || recalled("the vault has grown", "success", one(), two())),
    ("memory-rolled-back", || {
        recalled("the vault is as it was before the last commit", "rolled-back", two(), one())
    }),
    ("memory-forked", || recalled("the same epoch, and another root", "forked", two(), aside())),
    ("memory-of-a-later-key", || {
        let comment = "somebody went on with the key from before a rekey: the epoch is higher";
        recalled(comment, "rolled-back", rekeyed(), went_on())
    }),
    ("memory-restored", || {
        recalled("the vault was adopted from a copy", "restored", two(), adopted(two_commits))
    }),
    ("memory-restored-and-older", || {
        let comment = "an older copy was adopted: that is said before its epoch is compared";
        recalled(comment, "restored", two(), adopted(|_| {}))
    }),
    ("min-epoch-reached", || demanded("the epoch is the least one", "success", 3)),
    ("min-epoch-not-reached", || demanded("the epoch is below the least one", "rolled-back", 4)),
];

fn recalled(comment: &str, expect: &str, remembered: Forge, found: Forge) -> Vector {
    let mut vector = found.vector(comment, expect);
    vector.remember = Some(remembered.remembered());
    vector
}

fn demanded(comment: &str, expect: &str, epoch: u64) -> Vector {
    let mut vector = two().vector(comment, expect);
    vector.min_epoch = Some(epoch);
    vector
}

fn one() -> Forge {
    Forge::by_passphrase("memory", |vault| put(vault, "a", secret("1"), 10))
}

fn two() -> Forge {
    Forge::by_passphrase("memory", two_commits)
}

/// Another second commit than that of [`two`].
fn aside() -> Forge {
    Forge::by_passphrase("memory", |vault| {
        put(vault, "a", secret("1"), 10);
        put(vault, "a", secret("aside"), 20);
    })
}

fn rekeyed() -> Forge {
    let phrase = passphrase(PASSPHRASE.as_bytes());
    Forge::by_passphrase("memory", |vault| {
        put(vault, "a", secret("1"), 10);
        let own = OwnSlot::Passphrase(&phrase, cheap());
        vault.rekey(&own, None, at(20), &mut |_| {}).unwrap();
    })
}

/// The vault of before [`rekeyed`], with two more commits.
fn went_on() -> Forge {
    Forge::by_passphrase("memory", |vault| {
        two_commits(vault);
        put(vault, "a", secret("3"), 30);
    })
}

fn adopted(story: fn(&mut Vault<'_>)) -> Forge {
    Forge::by_passphrase("memory", |vault| {
        story(vault);
        vault.write(at(30)).unwrap().adopt().unwrap();
    })
}

fn two_commits(vault: &mut Vault<'_>) {
    put(vault, "a", secret("1"), 10);
    put(vault, "a", secret("2"), 20);
}

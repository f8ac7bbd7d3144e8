//! What a reader remembers of a vault, or is told to demand.

use bulla_testkit::vectors::Vector;

use super::Named;
use super::forge::{Forge, at, put, secret};

pub(super) const VECTORS: &[Named] = &[
    ("memory-of-this-state", || recalled("the state that was seen last", "success", two(), two())),
    ("memory-of-an-earlier-state", || recalled("the vault has grown", "success", one(), two())),
    ("memory-rolled-back", || {
        recalled("the vault is as it was before the last commit", "rolled-back", two(), one())
    }),
    ("memory-forked", || recalled("the same epoch, and another root", "forked", two(), aside())),
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

fn adopted(story: fn(&mut crate::Vault<'_>)) -> Forge {
    Forge::by_passphrase("memory", |vault| {
        story(vault);
        vault.write(at(30)).unwrap().adopt().unwrap();
    })
}

fn two_commits(vault: &mut crate::Vault<'_>) {
    put(vault, "a", secret("1"), 10);
    put(vault, "a", secret("2"), 20);
}

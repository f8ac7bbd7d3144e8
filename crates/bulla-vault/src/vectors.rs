//! The generator of `tests/vectors`.
//!
//! It is a unit test because a vault with just one fault can only be made with the keys at hand:
//! whatever stands over the fault has to be right again, or a wrong checksum would hide what the
//! vector is about. Randomness and times are fixed, so the files repeat byte for byte. With
//! `BULLA_BLESS=1` they are written, otherwise compared.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bulla_testkit::vectors::Vector;

/// A vault taken apart, and the means to put it together again wrongly.
mod forge;
/// Faults of the head record.
mod heads;
/// Opening by identity: slots, pins, protected identities.
mod identities;
/// Faults of the keyring record and of its slots.
mod keyrings;
/// What a reader remembers of a vault, or is told to demand.
mod memories;
/// Faults of the tree.
mod nodes;
/// Faults of what was sealed: padding, encoding, content.
mod records;
/// Faults of rows: where they lie, what their plain heads say, and their boxes.
mod rows;
/// Vaults that have to open.
mod sound;

/// The name of a file, without its ending, and what makes its content.
type Named = (&'static str, fn() -> Vector);

const ALL: &[&[Named]] = &[
    heads::VECTORS,
    identities::VECTORS,
    keyrings::VECTORS,
    memories::VECTORS,
    nodes::VECTORS,
    records::VECTORS,
    rows::VECTORS,
    sound::VECTORS,
];

#[test]
fn the_files_are_what_the_generator_makes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let bless = std::env::var_os("BULLA_BLESS").is_some_and(|value| value == "1");
    let mut names = BTreeSet::new();
    let mut different = Vec::new();
    for (name, make) in ALL.iter().copied().flatten() {
        assert!(names.insert(format!("{name}.vector")), "two vectors are called {name}");
        let file = folder.join(format!("{name}.vector"));
        let text = complete(make()).to_text();
        if bless {
            fs::write(&file, &text).unwrap();
        } else if fs::read_to_string(&file).ok().as_ref() != Some(&text) {
            different.push(name);
        }
    }
    assert!(different.is_empty(), "BULLA_BLESS=1 would change {different:?}");
    let there: BTreeSet<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".vector"))
        .collect();
    assert_eq!(there, names, "a file that nobody makes is no vector");
}

/// What a sound vault holds is what it is read as; the independent reader has to read the same.
fn complete(mut vector: Vector) -> Vector {
    if vector.expect == "success" {
        vector.listing = vector.run().unwrap().swap_remove(0).listing;
    }
    vector
}

//! The test vectors, each through the public interface.

use std::fs;
use std::path::Path;

use bulla_testkit::vectors::Vector;

#[test]
fn every_vector_ends_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let (mut all, mut negative) = (0, 0);
    let mut wrong = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "vector") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let vector = Vector::parse(&text).unwrap_or_else(|fault| panic!("{path:?}: {fault}"));
        all += 1;
        negative += usize::from(vector.expect != "success");
        assert!(!vector.openers.is_empty(), "{path:?} opens nothing");
        for outcome in vector.run().unwrap() {
            if (&outcome.stage, &outcome.listing) != (&vector.expect, &vector.listing) {
                wrong.push((path.file_name().unwrap().to_owned(), outcome));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(all >= 260, "{all}");
    assert!(4 * negative >= 3 * all, "{negative} of {all}");
}

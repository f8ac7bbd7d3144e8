//! docs/reference.md lists what there is.

use bulla_resolve::{Filter, Format, Rule};

#[test]
fn the_reference_page_lists_all_rules_filters_and_formats() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference.md");
    let page = std::fs::read_to_string(path).unwrap();
    let rows: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    let names = (Rule::ALL.iter().map(|rule| rule.name()))
        .chain(Filter::ALL.iter().map(|filter| filter.name()))
        .chain(Format::ALL.iter().map(|format| format.name()));
    for name in names {
        assert!(rows.iter().any(|row| row.starts_with(&format!("{name}` |"))), "{name}");
    }
}

//! docs/reference.md lists what there is.

use std::collections::BTreeMap;
use std::fs;

use bulla_resolve::{Filter, Format, Rule};

use crate::matrix::{CLASSES, FORMS, FORMS_TABLE, VALUES_TABLE, writing};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference.md");

#[test]
fn the_reference_page_lists_all_rules_filters_and_formats() {
    let page = fs::read_to_string(PAGE).unwrap();
    let rows: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    let names = (Rule::ALL.iter().map(|rule| rule.name()))
        .chain(Filter::ALL.iter().map(|filter| filter.name()))
        .chain(Format::ALL.iter().map(|format| format.name()));
    for name in names {
        assert!(rows.iter().any(|row| row.starts_with(&format!("{name}` |"))), "{name}");
    }
}

/// They are made of what the readers' tests have found.
#[test]
fn the_reference_page_has_the_tables_of_readers() {
    let mut page = fs::read_to_string(PAGE).unwrap();
    for (mark, table) in [("values", values()), ("forms", forms())] {
        let (begin, end) = (format!("<!-- {mark} -->\n"), format!("\n<!-- end of {mark} -->"));
        let (before, rest) = page.split_once(&begin).expect("the page has a place for the table");
        let (found, after) = rest.split_once(&end).expect("the table ends");
        if writing() {
            page = [before, &begin, &table, &end, after].concat();
            fs::write(PAGE, &page).unwrap();
        } else {
            assert!(found == table, "the table of {mark} is not up to date:\n{table}");
        }
    }
}

/// What each format carries, whoever reads it.
fn values() -> String {
    let mut formats = BTreeMap::<_, (Vec<_>, Vec<_>)>::new();
    for ((format, reader), cells) in VALUES_TABLE.rows() {
        let (readers, counts) = formats.entry(format).or_default();
        readers.push(reader);
        counts.resize(cells.len(), (0_u32, 0_u32));
        for (count, cell) in counts.iter_mut().zip(cells) {
            let (carried, of) = cell.split_once('/').unwrap();
            count.0 += carried.parse::<u32>().unwrap();
            count.1 += of.parse::<u32>().unwrap();
        }
    }
    let mut out = format!("| format | {} | read by |\n", CLASSES.join(" | "));
    out += &format!("|---|{}---|\n", "---|".repeat(CLASSES.len()));
    for (format, (readers, counts)) in formats {
        let cell = |(carried, of): (u32, u32)| match carried {
            0 => "-",
            _ if carried == of => "all",
            _ => "some",
        };
        let cells: Vec<_> = counts.into_iter().map(cell).collect();
        out += &format!("| `{format}` | {} | {} |\n", cells.join(" | "), readers.join("; "));
    }
    out
}

/// What each reader makes of references.
fn forms() -> String {
    let heads: Vec<_> = FORMS.iter().map(|form| form.name).collect();
    let mut out = format!("| format | reader | {} |\n", heads.join(" | "));
    out += &format!("|---|---|{}\n", "---|".repeat(FORMS.len()));
    for ((format, reader), cells) in FORMS_TABLE.rows() {
        let short = |cell: &String| match cell.as_str() {
            "refused" => "-".to_owned(),
            other => other.to_owned(),
        };
        let cells: Vec<_> = cells.iter().map(short).collect();
        out += &format!("| {format} | {reader} | {} |\n", cells.join(" | "));
    }
    out
}

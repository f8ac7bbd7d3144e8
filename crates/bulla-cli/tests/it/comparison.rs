//! docs/comparison.md and docs/tokens.md say what bulla does and lead to the tests that hold it.

use std::fs;
use std::path::Path;

use crate::support::{Home, Way};

#[test]
fn every_cell_of_ours_leads_to_a_test_that_is_there() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let pages =
        ["comparison.md", "tokens.md"].map(|page| fs::read_to_string(docs.join(page)).unwrap());
    let page = pages.concat();
    let mut rows = 0;
    for line in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        // Ours is the second column of the tables, and the third of the traps.
        let ours = match cells.len() {
            8 | 10 => cells[1],
            3 => cells[2],
            other => panic!("{other} cells in {line}"),
        };
        if ours == "test" {
            continue;
        }
        rows += 1;
        let links: Vec<_> = ours.split("](").skip(1).zip(ours.split('[').skip(1)).collect();
        assert!(!links.is_empty(), "no test in {line}");
        for (target, text) in links {
            let target = target.split(')').next().unwrap();
            let text = text.split(']').next().unwrap();
            let (path, _) = target.split_once('#').unwrap_or((target, ""));
            let found = fs::read_to_string(docs.join(path)).unwrap_or_else(|_| panic!("{path}"));
            match text.split_once(".rs: ") {
                Some((file, test)) => {
                    assert!(path.ends_with(&format!("/{file}.rs")), "{text} is not in {path}");
                    assert!(found.contains(&format!("fn {test}(")), "{test} is not in {path}");
                }
                None => assert!(
                    path.ends_with(".case") || ["reference.md", "tokens.md"].contains(&path),
                    "{path}"
                ),
            }
        }
    }
    assert!(rows > 72, "rows are lost");
}

#[test]
fn there_is_no_watcher() {
    let home = Home::new(Way::None);
    home.bulla(["watch"]).fails(2);
    let help = home.bulla(["render", "--help"]).succeeds().out();
    assert!(help.contains("--switch") && !help.contains("watch"), "{help}");
}

//! Pages of docs/ whose commands are tried as they stand there, so that page and test cannot part.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One section of a page.
pub(crate) struct Section {
    pub(crate) heading: String,
    text: String,
    taken: RefCell<BTreeSet<String>>,
}

/// The sections of a page of docs/, by their second-level headings.
pub(crate) fn sections(page: &str) -> Vec<Section> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = fs::read_to_string(path).unwrap();
    let sections = text.split("\n## ").skip(1).map(|section| {
        let (heading, text) = section.split_once('\n').unwrap();
        let (heading, text) = (heading.to_owned(), text.to_owned());
        Section { heading, text, taken: RefCell::default() }
    });
    sections.collect()
}

impl Section {
    /// What stands in its fences.
    pub(crate) fn fenced(&self) -> String {
        self.text.split("```\n").skip(1).step_by(2).collect()
    }

    /// The words of one of its commands behind `bulla`, which then counts as tried.
    #[track_caller]
    pub(crate) fn takes(&self, command: &str) -> String {
        assert!(self.commands().contains(command), "`{command}` is not in {}", self.heading);
        self.taken.borrow_mut().insert(command.to_owned());
        command.strip_prefix("bulla ").unwrap().to_owned()
    }

    /// That it says so, whatever its lines are.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(words), "`{words}` is not in {}", self.heading);
    }

    /// That each of its commands was tried.
    pub(crate) fn is_tried(&self) {
        let taken = self.taken.borrow();
        let untried: Vec<_> = self.commands().into_iter().filter(|c| !taken.contains(c)).collect();
        assert!(untried.is_empty(), "{}: no test tries {untried:?}", self.heading);
    }

    /// Every line in a fence, and what is marked as code and begins with `bulla`.
    fn commands(&self) -> BTreeSet<String> {
        let fenced = self.fenced();
        let inline = self.text.split('`').skip(1).step_by(2).filter(|c| c.starts_with("bulla "));
        fenced.lines().chain(inline).map(str::to_owned).collect()
    }
}

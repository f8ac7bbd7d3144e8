//! Words that stand for secrets, and a search for every form in which one could leak.
//!
//! ```
//! use bulla_testkit::canary::{Canary, Scanner};
//!
//! let canary = Canary::new();
//! let scanner = Scanner::new([&canary]);
//! let log = format!("sent {canary} to the server");
//! assert!(scanner.find(log.as_bytes()).is_some());
//! assert!(scanner.find(b"sent a token to the server").is_none());
//! ```
//!
//! A test uses a canary as value, passphrase or name, lets the program do its work, and then looks
//! at everything that was written: output, logs, files, what a crash left behind.

use std::fmt;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use memchr::memmem;

mod forms;

/// A text that occurs nowhere by chance: `CANARY-` and 32 hexadecimal digits, or a chosen one.
#[derive(Clone)]
pub struct Canary(String);

impl Canary {
    /// A new one, different from all others.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each is another one, so there is no default")]
    pub fn new() -> Self {
        // Each RandomState has keys of its own.
        let [a, b] = [0, 1].map(|n| RandomState::new().hash_one(n));
        Self(format!("CANARY-{a:016x}{b:016x}"))
    }

    /// A chosen text; it should be so long that it occurs nowhere by chance.
    #[must_use]
    pub fn of(text: &str) -> Self {
        assert!(text.len() >= 8, "a canary of fewer than 8 bytes would be seen everywhere");
        Self(text.to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Looks for canaries in every form.
pub struct Scanner {
    forms: Vec<(String, memmem::Finder<'static>)>,
}

/// A canary that was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// Which canary in which form, such as `CANARY-... as base64 at offset 1`.
    pub what: String,
    /// Where it begins, in bytes.
    pub at: usize,
}

impl Scanner {
    /// A scanner for these canaries.
    pub fn new<'a>(canaries: impl IntoIterator<Item = &'a Canary>) -> Self {
        let mut all = Vec::new();
        for canary in canaries {
            for (form, bytes) in forms::of(canary.as_str()) {
                let finder = memmem::Finder::new(&bytes).into_owned();
                all.push((format!("{canary} as {form}"), finder));
            }
        }
        Self { forms: all }
    }

    /// The first canary in `haystack`, if there is one.
    #[must_use]
    pub fn find(&self, haystack: &[u8]) -> Option<Sighting> {
        self.forms.iter().find_map(|(what, finder)| {
            finder.find(haystack).map(|at| Sighting { what: what.clone(), at })
        })
    }

    /// Every file below `folder` that holds a canary, or whose name does.
    ///
    /// # Panics
    /// If a folder or a file cannot be read.
    #[must_use]
    pub fn find_in_files(&self, folder: &Path) -> Vec<(PathBuf, Sighting)> {
        let mut found = Vec::new();
        self.walk(folder, &mut found);
        found
    }

    fn walk(&self, folder: &Path, found: &mut Vec<(PathBuf, Sighting)>) {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let entry = entry.expect("the folder can be read");
            let path = entry.path();
            if let Some(seen) = self.find(entry.file_name().as_encoded_bytes()) {
                found.push((path.clone(), seen));
            }
            let sort = entry.file_type().expect("the folder can be read");
            if sort.is_dir() {
                self.walk(&path, found);
            } else if sort.is_symlink() {
                let target = fs::read_link(&path).expect("the link can be read");
                let seen = self.find(target.as_os_str().as_encoded_bytes());
                found.extend(seen.map(|seen| (path, seen)));
            } else if sort.is_file() {
                let bytes = fs::read(&path).expect("the file can be read");
                found.extend(self.find(&bytes).map(|seen| (path, seen)));
            }
        }
    }
}

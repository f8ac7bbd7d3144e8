//! What a journal says, and the names that it speaks of.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::switch::Names;

/// The hidden names of one file of a transaction, which nobody can guess.
#[derive(Clone, Copy)]
pub(super) struct HiddenName {
    pub(super) transaction: u64,
    pub(super) number: usize,
}

impl HiddenName {
    /// The name of a new file before it has its own.
    pub(super) fn of_new(self) -> String {
        format!(".bulla-{:016x}-{}.new", self.transaction, self.number)
    }

    /// The name of a replaced file for as long as it may have to come back.
    pub(super) fn of_old(self) -> String {
        format!(".bulla-{:016x}-{}.old", self.transaction, self.number)
    }

    /// Reads either of them.
    pub(super) fn parse(name: &OsStr) -> Option<Self> {
        let name = name.to_str()?.strip_prefix(".bulla-")?;
        let (transaction, rest) = name.split_at_checked(16)?;
        let number = rest.strip_prefix('-')?;
        let number = number.strip_suffix(".new").or_else(|| number.strip_suffix(".old"))?;
        let digits = |text: &str, radix| text.chars().all(|c| c.is_digit(radix));
        (digits(transaction, 16) && digits(number, 10)).then_some(())?;
        Some(Self {
            transaction: u64::from_str_radix(transaction, 16).ok()?,
            number: number.parse().ok()?,
        })
    }
}

/// What a journal says. One that a crash cut short says nothing, or only whose it is and which other
/// folders belong to it: then nothing has been replaced.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) transaction: Option<u64>,
    pub(super) folder: Option<u64>,
    pub(super) lead: PathBuf,
    pub(super) files: Vec<Entry>,
    pub(super) folders: Vec<PathBuf>,
    pub(super) switch: Option<Names>,
}

/// What it says about one file.
pub(super) struct Entry {
    pub(super) number: usize,
    pub(super) new: u64,
    pub(super) old: Option<u64>,
    pub(super) name: OsString,
}

impl Contents {
    pub(super) fn parse(text: &str) -> Self {
        let mut lines = text.split_inclusive('\n');
        let head = lines.next().and_then(|line| {
            let mut words = line.strip_suffix('\n')?.strip_prefix(HEAD)?.split(' ');
            let transaction = u64::from_str_radix(words.next()?, 16).ok()?;
            let folder = words.next()?.parse().ok()?;
            Some((transaction, folder, PathBuf::from(unescaped(words.next()?)?)))
        });
        let Some((transaction, folder, lead)) = head else { return Self::default() };
        let mut contents =
            Self { transaction: Some(transaction), folder: Some(folder), lead, ..Self::default() };
        let mut whole = false;
        for line in lines {
            whole = line == END;
            if whole || contents.add(line).is_none() {
                break;
            }
        }
        if !whole {
            // The other folders are known from the beginning: hidden files may lie in them.
            contents.files.clear();
            contents.switch = None;
        }
        contents
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let line = line.strip_suffix('\n')?;
        if let Some(path) = line.strip_prefix("folder ") {
            self.folders.push(unescaped(path)?.into());
            return Some(());
        }
        if let Some(names) = line.strip_prefix("switch ") {
            let mut names = names.split(' ').map(unescaped);
            let (link, new) = (names.next()??, names.next()??);
            let old = names.next().flatten();
            self.switch = Some(Names { link, new, old }).filter(Names::are_sound);
            return Some(());
        }
        let mut words = line.strip_prefix("file ")?.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (count, new, old) = (number()?, number()?, number()?);
        let name = unescaped(words.next()?)?;
        // A target lies in the journal's own folder.
        (Path::new(&name).file_name() == Some(&name)).then_some(())?;
        let old = (old != 0).then_some(old);
        self.files.push(Entry { number: usize::try_from(count).ok()?, new, old, name });
        Some(())
    }
}

pub(super) const HEAD: &str = "bulla-journal 1 ";
pub(super) const END: &str = "end\n";

/// A name or path in a line: what could end a word is written as `%` and two digits.
pub(super) fn escaped(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for &byte in name.as_bytes() {
        match byte {
            b'%' | 0..=b' ' | 0x7f.. => {
                let _ = write!(text, "%{byte:02x}");
            }
            _ => text.push(char::from(byte)),
        }
    }
    text
}

fn unescaped(text: &str) -> Option<OsString> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
        }
    }
    Some(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_a_cut_journal_says_nothing() {
        let name = OsStr::from_bytes(b"a b%\n\xff/..");
        assert_eq!(unescaped(&escaped(name)).unwrap(), name);
        let text = "bulla-journal 1 00000000000000ff 7 /a%20b\nfile 1 2 0 x\nfolder /c\nend\n";
        let whole = Contents::parse(text);
        assert_eq!((whole.transaction, whole.folder), (Some(255), Some(7)));
        assert_eq!(whole.lead, Path::new("/a b"));
        assert_eq!((whole.files.len(), whole.folders.len()), (1, 1));
        for cut in 0..text.len() {
            let cut = Contents::parse(&text[..cut]);
            assert!(cut.files.is_empty());
        }
        // Which folders belong to it is known before any file is.
        let begun = Contents::parse("bulla-journal 1 00000000000000ff 7 /a\nfolder /c\nfolder /d");
        assert_eq!(begun.folders, [Path::new("/c")]);
        for name in ["../x", "a/b", "..", ".", "", "/"] {
            let text = format!("{HEAD}ff 7 /a\nfile 1 2 0 {name}\n{END}");
            assert!(Contents::parse(&text).files.is_empty(), "{name}");
        }
        let number = ".bulla-0123456789abcdef";
        let switch = |link: &str, new: &str| {
            let text = format!("{HEAD}ff 7 /a\nswitch {link} {new}\n{END}");
            Contents::parse(&text).switch.is_some()
        };
        assert!(switch("x", &format!("x{number}")));
        for (link, new) in [("../x", "../x"), ("a/x", "a/x"), ("", ""), ("..", ".."), ("x", "y")] {
            assert!(!switch(link, &format!("{new}{number}")), "{link} {new}");
        }
        assert!(!switch("x", "x") && !switch("x", "x.bulla-0123456789abcde/"));
    }

    #[test]
    fn hidden_names_are_told_from_others() {
        let name = HiddenName { transaction: 1, number: 20 };
        for text in [name.of_new(), name.of_old()] {
            let parsed = HiddenName::parse(OsStr::new(&text)).unwrap();
            assert_eq!((parsed.transaction, parsed.number), (1, 20));
        }
        for other in [
            ".bulla-journal",
            ".bulla-12-1.new",
            ".bulla-0000000000000001-1.news",
            ".bulla-000000000000000+-1.new",
            ".bulla-0000000000000001-+1.new",
            ".bulla-00000000000001-1.new",
            "bulla-0000000000000001-1.new",
        ] {
            assert!(HiddenName::parse(OsStr::new(other)).is_none(), "{other}");
        }
    }
}

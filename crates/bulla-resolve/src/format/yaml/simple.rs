//! The YAML that most files are made of, read with a quarter of the work of `saphyr-parser`.
//!
//! It has mappings and lists in lines of their own, whose keys and values are plain or in quotes, each
//! on one line and without escapes. Everything else is left to the parser. Where this takes a file it
//! finds just what the parser finds: a test compares the two.

use std::ops::Range;

use memchr::{memchr, memchr2, memmem};

use super::{Node, Role, Scalar, Text};

/// Whether all of `text` is simple.
pub(super) fn is_simple(text: &str) -> bool {
    walk(text, 0, |_| ()).is_some()
}

/// Goes through the nodes of a text that begins behind `bom` bytes of the file. `None` means that it is
/// not simple after all; then nothing that was found is worth anything.
pub(super) fn walk(text: &str, bom: usize, found: impl FnMut(Node)) -> Option<()> {
    Lines::new(found).read(text.as_bytes(), bom)
}

/// What is known before a line. The methods give `None` where the file is not simple.
struct Lines<F> {
    found: F,
    /// Where the line that is being read begins in the file.
    line: usize,
    /// The collections around the last node, outermost first.
    open: Vec<Collection>,
    /// Whether the last key has no value yet.
    waits: bool,
    /// Whether the document has a line that opens it.
    marked: bool,
    /// Whether the document has a node.
    begun: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
struct Collection {
    /// Where its keys or dashes stand.
    column: usize,
    is_list: bool,
}

/// A scalar as it is written, and what it says; both as places in its line.
type Token = (Range<usize>, Range<usize>);

/// Parsers have limits of their own for what is nested deeper, and for longer keys.
const DEEPEST: usize = 64;
const LONGEST_KEY: usize = 512;

impl<F: FnMut(Node)> Lines<F> {
    fn new(found: F) -> Self {
        Self { found, line: 0, open: Vec::new(), waits: false, marked: false, begun: false }
    }

    fn read(&mut self, mut text: &[u8], bom: usize) -> Option<()> {
        self.line = bom;
        while !text.is_empty() {
            let length = memchr(b'\n', text).unwrap_or(text.len());
            let line = &text[..length];
            self.line(line.strip_suffix(b"\r").unwrap_or(line))?;
            self.line += length + 1;
            text = text.get(length + 1..).unwrap_or_default();
        }
        self.end_document()
    }

    fn line(&mut self, line: &[u8]) -> Option<()> {
        let mut at = blanks(line);
        if is_over(line, at)? {
            return Some(());
        }
        if line.starts_with(b"---") || line.starts_with(b"...") {
            return self.begin_document(line);
        }
        let mut inside = false;
        while line[at..].starts_with(b"- ") {
            self.enter(Collection { column: at, is_list: true }, inside)?;
            inside = true;
            at += 1 + blanks(&line[at + 1..]);
        }
        let (span, says) = scalar(line, at)?;
        let behind = span.end;
        if !matches!(line[behind..], [b':'] | [b':', b' ', ..]) {
            // What stands alone in a line may go on from the line above.
            return (inside && is_over(line, behind)?)
                .then(|| self.scalar((span, says), Role::Value));
        }
        if span.len() > LONGEST_KEY {
            return None;
        }
        self.enter(Collection { column: at, is_list: false }, inside)?;
        self.scalar((span, says), Role::Key);
        at = behind + 1 + blanks(&line[behind + 1..]);
        if is_over(line, at)? {
            self.waits = true;
            return Some(());
        }
        let value = scalar(line, at)?;
        is_over(line, value.0.end)?.then(|| self.scalar(value, Role::Value))
    }

    /// Comes to a key or dash of a collection. `inside` says that a dash stands before it in its line.
    fn enter(&mut self, next: Collection, inside: bool) -> Option<()> {
        let waits = std::mem::take(&mut self.waits);
        if !inside && !waits && self.begun {
            let lies_within = |around: &Collection| {
                around.column > next.column
                    || (around.column == next.column && around.is_list && !next.is_list)
            };
            while self.open.last().is_some_and(lies_within) {
                self.close();
            }
            return (self.open.last() == Some(&next)).then_some(());
        }
        if let Some(around) = self.open.last() {
            // The list under a key may stand in the key's own column.
            let same = next.is_list && !around.is_list && next.column == around.column;
            if next.column <= around.column && !same {
                return None;
            }
        }
        self.begun = true;
        self.open.push(next);
        (self.found)(Node::Open);
        (self.open.len() <= DEEPEST).then_some(())
    }

    fn close(&mut self) {
        self.open.pop();
        (self.found)(Node::Close);
    }

    fn scalar(&mut self, (span, says): Token, role: Role) {
        let moved = |range: Range<usize>| self.line + range.start..self.line + range.end;
        let (span, text) = (moved(span), Text::Verbatim(moved(says)));
        (self.found)(Node::Scalar(Scalar {
            span,
            text,
            role,
            depth: self.open.len(),
            owner: None,
        }));
    }

    fn begin_document(&mut self, line: &[u8]) -> Option<()> {
        if line != b"---" {
            return None;
        }
        if self.begun || self.marked {
            self.end_document()?;
        }
        self.marked = true;
        Some(())
    }

    /// A document without nodes is one with an empty value.
    fn end_document(&mut self) -> Option<()> {
        while !self.open.is_empty() {
            self.close();
        }
        (std::mem::take(&mut self.begun) && !self.waits).then_some(())
    }
}

/// How many spaces `text` begins with.
fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|&&b| b == b' ').count()
}

/// Whether nothing comes in a line any more from `at` on, except a comment.
fn is_over(line: &[u8], at: usize) -> Option<bool> {
    let at = at + blanks(&line[at..]);
    match line.get(at) {
        None => Some(true),
        Some(b'#') if at == 0 || line[at - 1] == b' ' => is_comment(&line[at..]).then_some(true),
        Some(_) => Some(false),
    }
}

/// Whether all readers take a text that begins with `#` for a comment to its end. Few lines have one, and
/// for all others it is quicker to have this elsewhere.
#[cold]
fn is_comment(text: &[u8]) -> bool {
    // A byte order mark, which begins with 0xef, ends a comment; U+0085, U+2028 and U+2029 end a line
    // for some.
    let is_fit = |&b: &u8| b >= b' ' && b != 0x7f && b != 0xef;
    let breaks = |mark: &&str| memmem::find(text, mark.as_bytes()).is_some();
    let is_split = || !text.is_ascii() && ["\u{85}", "\u{2028}", "\u{2029}"].iter().any(breaks);
    text.iter().all(is_fit) && !is_split()
}

/// The scalar that a line has at `start`.
fn scalar(line: &[u8], start: usize) -> Option<Token> {
    let rest = &line[start..];
    let is_fit = |b: &u8| matches!(b, b' '..=b'~');
    let quoted = |length: usize| {
        let says = start + 1..start + 1 + length;
        line[says.clone()].iter().all(is_fit).then(|| (start..says.end + 1, says))
    };
    match *rest.first()? {
        b'"' => {
            let length = memchr2(b'"', b'\\', &rest[1..])?;
            (rest[1 + length] == b'"').then(|| quoted(length))?
        }
        b'\'' => {
            let length = memchr(b'\'', &rest[1..])?;
            (rest.get(2 + length) != Some(&b'\'')).then(|| quoted(length))?
        }
        first if BEGINS_PLAIN[usize::from(first)] => {
            if first == b'-' && matches!(rest[1..], [] | [b' ', ..]) {
                return None;
            }
            let mut length = 0;
            loop {
                let more = &rest[length..];
                length +=
                    more.iter().position(|&b| ENDS_OR_BREAKS[usize::from(b)]).unwrap_or(more.len());
                match rest[length..] {
                    [] | [b':'] | [b':', b' ', ..] => break,
                    [b':', ..] => length += 1,
                    [b'#', ..] if rest[length - 1] == b' ' => break,
                    [b'#', ..] => length += 1,
                    _ => return None,
                }
            }
            let span = start..start + rest[..length].trim_ascii_end().len();
            Some((span.clone(), span))
        }
        _ => None,
    }
}

/// The bytes that a plain scalar begins with.
const BEGINS_PLAIN: [bool; 256] = {
    let mut marked = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        let is_sign = matches!(
            byte,
            b'_' | b'/' | b'.' | b'~' | b'+' | b'$' | b'(' | b'<' | b'=' | b'^' | b';' | b'-'
        );
        marked[byte as usize] = is_sign || byte.is_ascii_alphanumeric();
        byte += 1;
    }
    marked
};

/// The bytes that may end a plain scalar, or that are not simple.
const ENDS_OR_BREAKS: [bool; 256] = {
    let mut marked = [true; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        marked[byte as usize] = matches!(byte, b':' | b'#');
        byte += 1;
    }
    marked
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::yaml::{self, brackets::Readable};

    fn told(node: Node) -> String {
        match node {
            Node::Open => "open".to_owned(),
            Node::Close => "close".to_owned(),
            Node::Scalar(Scalar { span, text: Text::Verbatim(says), role, depth, owner: None }) => {
                format!("{span:?} says {says:?}, {role:?} at {depth}")
            }
            Node::Scalar(Scalar { span, .. }) => format!("{span:?} is not verbatim"),
        }
    }

    /// What is found in a text, if it is simple; it is just what the parser finds.
    fn found(text: &str) -> Option<Vec<String>> {
        is_simple(text).then(|| {
            let (mut simply, mut parsed) = (Vec::new(), Vec::new());
            let _ = walk(text, 3, |node| simply.push(told(node)));
            let read = yaml::walk(&Readable::of(text), 3, Role::Value, &mut |node| {
                parsed.push(told(node))
            });
            assert!(read.is_ok(), "the parser does not take {text:?}");
            assert_eq!(simply, parsed, "{text:?}");
            simply
        })
    }

    #[test]
    fn what_most_files_are_made_of_is_simple() {
        for text in [
            "a: b\n",
            "a: b",
            "a: b\r\nc:\r\n  d: \"e\" # f\r\n",
            "# \u{e9}\n---\na:\n\n  # x\n  b c: 'd e' \n  f:\n  - g\n  - h: i\n    j: k:l#m\n---\nn: -1\n",
            "- a\n- - b\n  - c: bulla://d/e\n- \"{{ bulla://d/e }}\"\n",
            "a:\n- b:\n  - c\n- d\ne: ~\n",
            "  a: 1\n  \n  \"b\": 2\n",
        ] {
            assert!(found(text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn what_is_more_is_left_to_the_parser() {
        for text in [
            "",
            "# a\n",
            "a\n",
            "a:\n",
            "a:\nb: c\n",
            "a: b\n c\n",
            "a: b\n  c: d\n",
            "a: \"b\n c\"\n",
            "a: \"b\\n\"\n",
            "a: 'b''c'\n",
            "a: [b]\n",
            "a: {b: c}\n",
            "a: |\n  b\n",
            "a: &b c\n",
            "a: *b\n",
            "a: !b c\n",
            "a: b: c\n",
            "a:\tb\n",
            "a: b\tc\n",
            "a: \u{e9}\n",
            "a: \"b\"#c\n",
            "? a\n",
            "- a\nb: c\n",
            "a: b\n- c\n",
            "%YAML 1.2\n---\na: b\n",
            "---\n---\na: b\n",
            "--- a\n",
            "a: b\n...\n",
            " a: b\nc: d\n",
            "a: - b\n",
            "-\n",
            "a: b\r\rc: d\n",
            "a: b # c\u{85}d\n",
            "# \u{e9}\u{2028}\na: b\n",
            "a: # \u{2029}\n  b: c\n",
        ] {
            assert!(!is_simple(text), "{text:?}");
        }
    }

    const PIECES: &[&str] = &[
        "a",
        "b c",
        "\"d\"",
        "'e'",
        "\"f#g\"",
        "'h: i'",
        "--j",
        "-1",
        "- ",
        "-",
        "---",
        "...",
        ":",
        ": ",
        ":k",
        "#",
        " # l",
        " \u{e9}",
        "[",
        "]",
        "{",
        "}",
        ",",
        "|",
        ">-",
        "&m",
        "*m",
        "!n ",
        "?",
        "? ",
        "<<",
        "=",
        "~",
        "%",
        "@",
        "`",
        "\"",
        "'",
        "''",
        "\\",
        "\t",
        "\r",
        "\n",
        "\n\n",
        "\r\n",
        "\n  ",
        "\n    ",
        "\n - ",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "o: ",
        "p:\n  ",
        "q:\n- ",
        "r: s\n",
        "t:\n",
        "  ",
        " ",
        "\0",
        "_",
        ".",
        "/",
        "+",
        "$",
        "(",
        ")",
        "^",
        ";",
        "bulla://u/v",
    ];

    const LINES: &[&str] = &[
        "a: b",
        "c:",
        "d: \"e\"",
        "f: 'g' # h",
        "- i",
        "- j: k",
        "-  l: m",
        "- - n",
        "- o:",
        "",
        " ",
        "# p",
        "---",
        "q: r s",
        "-",
        "t: u #v",
        "\"w\": x",
        "'y':",
        "z",
        "a: |",
        "- \"b\"",
        "c: -d",
        "...",
        "e: [f]",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn pieces_are_read_as_by_the_parser(
            pieces in prop::collection::vec(0..PIECES.len(), 1..12),
        ) {
            found(&pieces.into_iter().map(|piece| PIECES[piece]).collect::<String>());
        }

        #[test]
        fn lines_are_read_as_by_the_parser(
            lines in prop::collection::vec((0_usize..5, 0..LINES.len()), 1..10),
            crlf: bool,
        ) {
            let mut text = String::new();
            for (indent, line) in lines {
                text += &" ".repeat(indent);
                text += LINES[line];
                text += if crlf { "\r\n" } else { "\n" };
            }
            found(&text);
        }
    }
}

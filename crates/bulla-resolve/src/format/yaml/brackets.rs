//! Lines in brackets or quotes that are indented less than `saphyr-parser` takes.
//!
//! It wants a `]` that stands behind text in quotes to be indented further than the key of its list, and
//! lines in quotes as far as the key. YAML 1.2 says so too, but hardly any other reader minds: files
//! are written otherwise, and used. So where it refuses a file, it is given a copy in which such lines are
//! indented further, which means nothing there.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};
use zeroize::Zeroizing;

use super::{Cursor, closing, token_start};

/// A text as the parser takes it.
pub(super) struct Readable<'a> {
    text: &'a str,
    /// A copy with blanks added, and where.
    indented: Option<(Zeroizing<String>, Vec<Added>)>,
}

/// Blanks that a copy has at the beginning of a line.
pub(super) struct Added {
    /// Where in the copy.
    at: usize,
    count: usize,
    /// How many there are before.
    before: usize,
}

impl<'a> Readable<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let lines = lines(text);
        let needs_them =
            !lines.is_empty() && Parser::new_from_str(text).any(|event| event.is_err());
        let indented = needs_them.then(|| indented(text, &lines)).flatten();
        Self { text, indented: indented.filter(|(copy, added)| mean_nothing(copy, added)) }
    }

    /// The text as it stands in the file.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn parser(&self) -> Parser<'_, StrInput<'_>> {
        Parser::new_from_str(self.indented.as_ref().map_or(self.text, |(copy, _)| copy))
    }

    /// Turns the parser's offsets into those in the text.
    pub(super) fn cursor(&self) -> Cursor<'_> {
        match &self.indented {
            Some((copy, added)) => Cursor { added, ..Cursor::new(copy) },
            None => Cursor::new(self.text),
        }
    }
}

/// The offset in a text of what stands `at` in its copy.
pub(super) fn before_adding(added: &[Added], at: usize) -> usize {
    let next = added.partition_point(|added| added.at < at);
    let last = next.checked_sub(1).map(|last| &added[last]);
    last.map_or(at, |last| at - last.before - last.count.min(at - last.at))
}

/// A copy of `text` with blanks before `lines`, unless it would be far longer.
fn indented(text: &str, lines: &[(usize, usize)]) -> Option<(Zeroizing<String>, Vec<Added>)> {
    let all = lines.iter().map(|(_, count)| count).sum::<usize>();
    if all > text.len() {
        return None;
    }
    let mut copy = Zeroizing::new(String::with_capacity(text.len() + all));
    let (mut added, mut before, mut done) = (Vec::with_capacity(lines.len()), 0, 0);
    for &(line, count) in lines {
        copy.push_str(&text[done..line]);
        done = line;
        added.push(Added { at: copy.len(), count, before });
        before += count;
        copy.extend(std::iter::repeat_n(' ', count));
    }
    copy.push_str(&text[done..]);
    Some((copy, added))
}

/// Whether the parser sees all that was added to a copy in brackets or quotes, at the beginning of a
/// line.
fn mean_nothing(copy: &str, added: &[Added]) -> bool {
    let mut seen = vec![false; added.len()];
    let mut see = |Range { start, end }: Range<usize>| {
        let number = |at| added.partition_point(|added| added.at < at);
        seen[number(start)..number(end)].fill(true);
    };
    let mut place = Cursor::new(copy);
    let mut open = Vec::new();
    for event in Parser::new_from_str(copy) {
        let Ok((event, marks)) = event else { return false };
        let start = place.byte(marks.start.index());
        let end = place.byte(marks.end.index());
        match event {
            Event::Scalar(_, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted, ..) => {
                see(token_start(copy, start)..end);
            }
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                open.push(token_start(copy, start));
            }
            Event::MappingEnd | Event::SequenceEnd => {
                // What ends without a bracket ends where something else begins.
                let is_bracket = end > start && copy[start..].starts_with([']', '}']);
                if let Some(begun) = open.pop().filter(|_| is_bracket) {
                    see(begun..end);
                }
            }
            _ => {}
        }
    }
    seen.into_iter().all(|seen| seen)
}

/// The lines in brackets or quotes that may be indented too little, and by how much. This guesses; what
/// it takes for a bracket may be text.
fn lines(text: &str) -> Vec<(usize, usize)> {
    let mut lines = Lines { text: text.as_bytes(), found: Vec::new(), plain: None };
    let mut at = 0;
    while let Some(next) = lines.line(at) {
        at = next;
    }
    lines.found
}

struct Lines<'a> {
    text: &'a [u8],
    found: Vec<(usize, usize)>,
    /// Where the collection stands whose value ends the line before without quotes; it goes on in a line that
    /// is indented further.
    plain: Option<usize>,
}

impl Lines<'_> {
    /// Goes through the line at `start`, which is in no bracket or quote, and gives the next such line.
    fn line(&mut self, start: usize) -> Option<usize> {
        let text = self.text;
        let indent = blanks(text.get(start..)?);
        let mut at = start + indent;
        if matches!(text.get(at)?, b'\r' | b'\n')
            || self.plain.is_some_and(|column| column < indent)
        {
            return self.behind_line(at);
        }
        self.plain = None;
        let mut is_plain = false;
        // Where the innermost mapping or list begins that is not in brackets.
        let mut column = indent;
        let (mut begins, mut is_value) = (true, false);
        loop {
            let byte = *text.get(at)?;
            if begins && !is_value && !b" \t\r\n[{".contains(&byte) {
                column = at - start;
            }
            match byte {
                b'\n' => {
                    self.plain = is_plain.then_some(column);
                    return Some(at + 1);
                }
                b' ' | b'\t' | b'\r' => at += 1,
                b'#' if at == start || is_blank(text[at - 1]) => return self.behind_line(at),
                b'-' | b'?' if begins && self.is_alone(at) => at += 1,
                b'&' | b'!' if begins => at += word(&text[at..]),
                b'[' | b'{' if begins => {
                    at = self.brackets(at, column + 1)?;
                    begins = false;
                }
                b'"' | b'\'' if begins => {
                    at = self.quotes(at, column + 1)?;
                    begins = false;
                }
                b'|' | b'>' if begins => return self.behind_block(at, indent),
                b':' if self.is_alone(at) => {
                    (begins, is_value, is_plain) = (true, true, false);
                    at += 1;
                }
                _ => {
                    (begins, is_plain) = (false, true);
                    at += 1;
                }
            }
        }
    }

    /// Goes on to the end of the brackets that begin at `at`.
    fn brackets(&mut self, mut at: usize, column: usize) -> Option<usize> {
        let text = self.text;
        let mut depth = 0;
        let (mut begins, mut is_json) = (true, false);
        loop {
            let byte = *text.get(at)?;
            match byte {
                b'\n' => self.note(at + 1, column),
                b' ' | b'\t' | b'\r' => {}
                b'#' if is_blank(text[at - 1]) => {
                    at += memchr::memchr(b'\n', &text[at..])?;
                    continue;
                }
                b'[' | b'{' => {
                    depth += 1;
                    (begins, is_json) = (true, false);
                }
                b']' | b'}' => {
                    depth -= 1;
                    (begins, is_json) = (false, true);
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                b',' => (begins, is_json) = (true, false),
                b':' if is_json || self.is_alone(at) || b",[]{}".contains(text.get(at + 1)?) => {
                    (begins, is_json) = (true, false);
                }
                b'-' | b'?' if begins && self.is_alone(at) => {}
                b'"' | b'\'' if begins => {
                    at = self.quotes(at, column)?;
                    (begins, is_json) = (false, true);
                    continue;
                }
                b'&' | b'!' if begins => {
                    at += word(&text[at..]);
                    continue;
                }
                _ => (begins, is_json) = (false, false),
            }
            at += 1;
        }
    }

    /// Goes on to the end of the quotes that begin at `at`.
    fn quotes(&mut self, at: usize, column: usize) -> Option<usize> {
        let end = closing(self.text, at)?;
        for line in memchr::memchr_iter(b'\n', &self.text[at..end]) {
            self.note(at + line + 1, column);
        }
        Some(end + 1)
    }

    /// Takes note of a line, if it begins before `column`.
    fn note(&mut self, line: usize, column: usize) {
        let rest = &self.text[line..];
        let indent = blanks(rest);
        // A document ends there, whatever is open, and no reader takes it.
        let is_mark = rest.starts_with(b"---") || rest.starts_with(b"...");
        let ends = is_mark && rest.get(3).is_none_or(|&b| is_blank(b));
        if indent < column
            && !ends
            && !matches!(rest.get(indent), None | Some(b'\t' | b'\r' | b'\n'))
        {
            self.found.push((line, column - indent));
        }
    }

    /// The line behind the block whose header is at `at`, in a line that is indented by `indent`.
    fn behind_block(&self, at: usize, indent: usize) -> Option<usize> {
        let mut line = self.behind_line(at)?;
        let mut inside = None;
        loop {
            let rest = self.text.get(line..)?;
            let blanks = blanks(rest);
            let is_empty = matches!(rest.get(blanks), Some(b'\r' | b'\n'));
            if !is_empty && blanks < *inside.get_or_insert((indent + 1).max(blanks)) {
                return Some(line);
            }
            line = self.behind_line(line)?;
        }
    }

    fn behind_line(&self, at: usize) -> Option<usize> {
        Some(at + memchr::memchr(b'\n', self.text.get(at..)?)? + 1)
    }

    /// Whether nothing adjoins the byte at `at` behind it.
    fn is_alone(&self, at: usize) -> bool {
        self.text.get(at + 1).is_none_or(|&b| is_blank(b))
    }
}

/// How long a tag or anchor is.
fn word(text: &[u8]) -> usize {
    let ends = |&b: &u8| is_blank(b) || b",[]{}".contains(&b);
    text.iter().position(ends).unwrap_or(text.len()).max(1)
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|&&b| b == b' ').count()
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use crate::format::Syntax as _;
    use crate::format::yaml::Yaml;

    /// What the parser finds, with the bytes of the file for each scalar; `None` if it is no YAML.
    fn found(text: &str) -> Option<Vec<(String, String)>> {
        let mut found = Vec::new();
        let mut keep = |scalar: crate::format::Scalar| {
            let says = String::from_utf8(scalar.text.bytes(text.as_bytes()).to_vec()).unwrap();
            found.push((says, text[scalar.span].to_owned()));
        };
        Yaml.scan(text.as_bytes(), &mut keep).ok()?;
        Some(found)
    }

    #[test]
    fn brackets_may_end_in_the_column_of_their_key_behind_quotes() {
        for (text, says) in [
            ("k:\n  a: [\n    \"x\"\n  ]\n  z: \u{e9}\n", &["k", "a", "x", "z", "\u{e9}"][..]),
            (
                "k:\n  a: [\n    '\u{e9}', # \u{e9}\n  ] # ]\n  z: 1\n",
                &["k", "a", "\u{e9}", "z", "1"],
            ),
            ("k:\n  a: [\"x\",\n]\n  z: 1\n", &["k", "a", "x", "z", "1"]),
            ("k:\r\n  a: [\"x\",\r\n\"y\"]\r\n  z: 1\r\n", &["k", "a", "x", "y", "z", "1"]),
            ("k:\n  a: [\"x\ny\n\n z\"]\n", &["k", "a", "x y\nz"]),
            ("k:\n  a: {b: [\"]\",\n'{'\n],\n'c':'d'\n}\n", &["k", "a", "b", "]", "{", "c", "d"]),
            ("- k: &b !c [\"x\" # ]\n]\n- y\n", &["k", "x", "y"]),
            ("- - k: |\n      [\n       'x\n  - [\"y\"\n]\n", &["k", "[\n 'x\n", "y"]),
            ("k:\n  a: it's [\n  b: [\"x\"\n]\n", &["k", "a", "it's [", "b", "x"]),
            ("k:\n  a: \"x\n y\"\n  b: 'z\n\n'\n", &["k", "a", "x y", "b", "z\n"]),
        ] {
            let read = found(text).unwrap_or_else(|| panic!("it is YAML: {text:?}"));
            assert!(read.iter().map(|(says, _)| says).eq(says), "{text:?}: {read:?}");
            for (says, written) in read {
                let inner = written.trim_matches(['"', '\'']);
                assert!(inner == says || inner.contains('\n'), "{written:?} is to say {says:?}");
            }
        }
    }

    #[test]
    fn what_no_reader_takes_is_refused_behind_brackets() {
        for text in [
            "k:\n  a: [\"x\"\n---\n]\n",
            "k:\n  a: [\"x\n--- y\"]\n",
            "k:\n  a: [\"x\",\n... ]\n",
            "k:\n  a: [\"x\",\n%y]\n",
            "k:\n  a: [\"x\"\n]\n b: 1\n",
            "k:\n  a: [\"x\"\n",
            "k:\n  a: [\"x\"\n}\n",
            "k:\n  [\"x\"\n]: y\n",
            "k:\n  a: [\n- \"x\"\n]\n",
            "k:\n  a: x\n [\"y\"\n]: z\n",
        ] {
            assert_eq!(found(text), None, "{text:?}");
        }
    }

    /// What looks like brackets and is text must not be touched.
    #[test]
    fn text_that_looks_like_brackets_is_left_alone() {
        for (text, says) in [
            ("a: b\n  [c\nd: [\"e\"\n]\n", "b [c"),
            ("a: >\n  b\n  [\nc: 1\n", "b [\n"),
            ("a: b\n  'c\nd: it's\n", "b 'c"),
        ] {
            let read = found(text).unwrap_or_else(|| panic!("it is YAML: {text:?}"));
            assert_eq!(read[1].0, says, "{text:?}");
        }
    }
}

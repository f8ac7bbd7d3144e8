//! Which variables a shell may make something else of than the text that is assigned.
//!
//! `declare -i A` makes a number of all that `A` is given afterwards, and bash runs the commands in it;
//! `-u` makes capitals, `-n` the name of another variable. zsh makes a number of what is first assigned
//! in `((...))`. A script is a program, and no search finds all that one does; this one finds what is
//! written out, in functions and in the text for `eval` too, and takes what is not clear for the worst.

use std::collections::BTreeSet;
use std::ops::Range;

use memchr::{memchr, memmem};

use super::super::lines::{braces, is_blank};
use super::is_name;
use super::skip::{Closer, comment_end, skip_nested};
use super::word::Word;

/// The variables of a file that are not just text.
pub(in super::super) struct Attributes<'a> {
    src: &'a [u8],
    names: BTreeSet<&'a [u8]>,
    /// Whether it may be any.
    all: bool,
    /// How far the names in what is computed have been noted.
    noted: usize,
}

impl<'a> Attributes<'a> {
    pub(in super::super) fn read(src: &'a [u8]) -> Self {
        let mut found = Self { src, names: BTreeSet::new(), all: false, noted: 0 };
        // Where `))` stands next; `None` if there is no further one.
        let mut close = Some(0);
        let mut at = 0;
        let mut begins = true;
        while at < src.len() && !found.all {
            let is_first = std::mem::replace(&mut begins, false);
            match src[at] {
                b'\n' => {
                    begins = true;
                    at += 1;
                }
                b' ' | b'\t' => {
                    begins = is_first;
                    at += 1;
                }
                b'#' if is_first => at = comment_end(src, at),
                b'(' if src.get(at + 1) == Some(&b'(') => {
                    if let Some(end) = braces(src, at..src.len()) {
                        at = end;
                        continue;
                    }
                    if close.is_some_and(|close| close < at + 2) {
                        close = memmem::find(&src[at + 2..], b"))").map(|next| at + 2 + next);
                    }
                    if let Some(close) = close {
                        found.note(at..close);
                    }
                    at += 2;
                }
                b'$' if src.get(at + 1) == Some(&b'[') => {
                    found.note(at..comment_end(src, at));
                    at += 2;
                }
                b if is_name(b) => {
                    let word = name_at(src, at);
                    at = word.end;
                    match &src[word] {
                        b"let" => found.note(at..comment_end(src, at)),
                        word if DECLARING.contains(&word)
                            || (TYPES.contains(&word) && is_command(src, at - word.len(), at)) =>
                        {
                            at = found.declaration(word, at);
                        }
                        _ => {}
                    }
                }
                _ => at += 1,
            }
        }
        found
    }

    /// Whether a variable of that name may be something else than text.
    pub(in super::super) fn are_on(&self, name: &[u8]) -> bool {
        self.all || is_special(name) || self.names.contains(name)
    }

    /// Reads the words behind a declaring one, and gives where they end.
    fn declaration(&mut self, command: &[u8], mut at: usize) -> usize {
        let src = self.src;
        let mut on = TYPES.contains(&command);
        loop {
            let before = at;
            loop {
                match &src[at..] {
                    [b' ' | b'\t', ..] => at += 1,
                    [b'\\', b'\n', ..] => at += 2,
                    _ => break,
                }
            }
            match src.get(at) {
                Some(sign @ (b'-' | b'+')) if at > before => {
                    let letters = name_at(src, at + 1);
                    let is_harmless =
                        |b: &u8| b"fgprx".contains(b) || (command == b"export" && *b == b'n');
                    on |= *sign == b'-' && !src[letters.clone()].iter().all(is_harmless);
                    at = letters.end;
                    // `--` ends the options, and what is expanded may be any.
                    if src.get(at) == Some(&b'-') {
                        at += 1;
                    }
                    on |= src.get(at).is_some_and(|b| b"$`\"'\\".contains(b))
                        && !src[at..].starts_with(b"\\\n");
                }
                Some(&b) if is_name(b) && on && at > before => {
                    let name = name_at(src, at);
                    self.names.insert(&src[name.clone()]);
                    let plus = usize::from(src.get(name.end) == Some(&b'+'));
                    let end = match (src.get(name.end + plus), src.get(name.end + plus + 1)) {
                        (Some(b'='), Some(b'(')) => {
                            skip_nested(src, name.end + plus + 2, Closer::Parenthesis)
                        }
                        (Some(b'='), _) => {
                            Word::read(src, name.end + plus + 1).map(|word| word.span.end)
                        }
                        _ => Some(name.end),
                    };
                    match end {
                        Some(end) => at = end,
                        None => {
                            self.all = true;
                            return at;
                        }
                    }
                }
                None | Some(b'\n' | b';' | b'&' | b'|' | b')' | b'<' | b'>' | b'#') => return at,
                Some(_) => {
                    self.all |= on;
                    return at;
                }
            }
        }
    }

    /// Notes all names in what is computed.
    fn note(&mut self, range: Range<usize>) {
        let mut at = self.noted.max(range.start);
        while at < range.end {
            if is_name(self.src[at]) {
                let name = name_at(self.src, at);
                at = name.end;
                self.names.insert(&self.src[name]);
            } else {
                at += 1;
            }
        }
        self.noted = self.noted.max(at);
    }
}

/// Whether some shell keeps something else than text in the variable of that name, or does not let it
/// be changed. The names are those that `declare -p` of bash 5 and `typeset -p` of zsh 5 tell.
pub(crate) fn is_special(name: &[u8]) -> bool {
    SPECIAL.binary_search(&name).is_ok()
}

/// Whether the word from `at` to `end` may be a command and not one of a sentence.
fn is_command(src: &[u8], at: usize, end: usize) -> bool {
    let before = src[..at].trim_ascii_end();
    let same_line = memchr(b'\n', &src[before.len()..at]).is_none();
    let word = before.len() - before.iter().rev().take_while(|&&b| is_name(b)).count();
    let follows = match &before[word..] {
        b"" => !before.last().is_some_and(|b| b":,.-".contains(b)),
        word => [&b"builtin"[..], b"command", b"do", b"else", b"eval", b"then"].contains(&word),
    };
    (follows || !same_line) && src.get(end).is_some_and(|&b| is_blank(b) || b == b'\\')
}

fn name_at(src: &[u8], at: usize) -> Range<usize> {
    let rest = src.get(at..).unwrap_or_default();
    at..at + rest.iter().take_while(|&&b| is_name(b)).count()
}

/// What declares variables, with options that say as what.
const DECLARING: &[&[u8]] = &[b"declare", b"export", b"local", b"readonly", b"typeset"];

/// What declares variables as something.
const TYPES: &[&[u8]] = &[b"float", b"integer", b"nameref"];

const SPECIAL: &[&[u8]] = &[
    b"BASHPID",
    b"COLUMNS",
    b"DIRSTACK",
    b"EGID",
    b"EPOCHREALTIME",
    b"EPOCHSECONDS",
    b"ERRNO",
    b"EUID",
    b"FUNCNAME",
    b"FUNCNEST",
    b"GID",
    b"GROUPS",
    b"HISTCMD",
    b"HISTSIZE",
    b"KEYTIMEOUT",
    b"LINENO",
    b"LINES",
    b"LISTMAX",
    b"LOGCHECK",
    b"MAILCHECK",
    b"OPTIND",
    b"PIPESTATUS",
    b"PPID",
    b"RANDOM",
    b"SAVEHIST",
    b"SECONDS",
    b"SHLVL",
    b"SRANDOM",
    b"TMOUT",
    b"TRY_BLOCK_ERROR",
    b"TRY_BLOCK_INTERRUPT",
    b"TTYIDLE",
    b"UID",
    b"USERNAME",
    b"_",
    b"argv",
    b"cdpath",
    b"fignore",
    b"fpath",
    b"mailpath",
    b"manpath",
    b"module_path",
    b"path",
    b"pipestatus",
    b"psvar",
    b"signals",
    b"status",
    b"watch",
];

//! Passes over what is no assignment.

use memchr::memchr;

use super::is_blank;

/// Where the comment at `at` ends.
pub(super) fn comment_end(src: &[u8], at: usize) -> usize {
    memchr(b'\n', &src[at..]).map_or(src.len(), |found| at + found)
}

/// Where the line of the command ends that `at` lies in; the end of the file, if that is not clear.
pub(super) fn skip_command(src: &[u8], at: usize) -> usize {
    command_end(src, at).unwrap_or(src.len())
}

fn command_end(src: &[u8], mut at: usize) -> Option<usize> {
    let start = at;
    while let Some(&byte) = src.get(at) {
        let next = src.get(at + 1);
        at = match (byte, next) {
            (b'\n', _) => return Some(at),
            (b'\\', _) => (at + 2).min(src.len()),
            (b'\'', _) => at + 1 + memchr(b'\'', &src[at + 1..])? + 1,
            (b'$', Some(b'\'')) => ansi_end(src, at + 2)? + 1,
            (b'"', _) => skip_nested(src, at + 1, Closer::Quote)?,
            (b'`', _) => skip_nested(src, at + 1, Closer::Backtick)?,
            (b'$', Some(b'(')) => skip_nested(src, at + 2, Closer::Parenthesis)?,
            (b'$', Some(b'{')) => skip_nested(src, at + 2, Closer::Brace)?,
            // An array.
            (b'=', Some(b'(')) => skip_nested(src, at + 2, Closer::Parenthesis)?,
            // A here-document.
            (b'<', Some(b'<')) => return None,
            _ if is_split(&src[at..]) => return None,
            (b'#', _) if at == start || begins_word(src[at - 1]) => comment_end(src, at),
            _ => at + 1,
        };
    }
    Some(at)
}

/// What ends something that is nested.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Closer {
    Backtick,
    Brace,
    Parenthesis,
    Quote,
}

/// Where something ends that began before `at`, or nothing if that is not clear.
pub(super) fn skip_nested(src: &[u8], mut at: usize, closer: Closer) -> Option<usize> {
    let mut open = vec![closer];
    while let Some(&closer) = open.last() {
        let byte = *src.get(at)?;
        let next = src.get(at + 1);
        if closer != Closer::Quote && is_split(&src[at..]) {
            return None;
        }
        at += 1;
        match (byte, closer) {
            (b'\\', _) => at += 1,
            (b'"', Closer::Quote)
            | (b'`', Closer::Backtick)
            | (b')', Closer::Parenthesis)
            | (b'}', Closer::Brace) => {
                open.pop();
            }
            (b'$', _) if next == Some(&b'(') => {
                at += 1;
                open.push(Closer::Parenthesis);
            }
            (b'$', _) if next == Some(&b'{') => {
                at += 1;
                open.push(Closer::Brace);
            }
            (b'`', _) if open.contains(&Closer::Backtick) => return None,
            (b'`', _) => open.push(Closer::Backtick),
            (_, Closer::Quote) => {}
            (b'"', _) => open.push(Closer::Quote),
            // In a `${...}` between double quotes, shells disagree on it.
            (b'\'', Closer::Brace) if open.contains(&Closer::Quote) => return None,
            (b'\'', _) => at += memchr(b'\'', &src[at..])? + 1,
            (b'(', Closer::Parenthesis) => open.push(Closer::Parenthesis),
            (b'<', Closer::Parenthesis | Closer::Backtick) if next == Some(&b'<') => return None,
            (b'#', Closer::Parenthesis | Closer::Backtick) if begins_word(src[at - 2]) => {
                at = comment_end(src, at);
            }
            _ => {}
        }
    }
    (at <= src.len()).then_some(at)
}

/// Where the quote of `$'` closes that opened before `at`.
pub(super) fn ansi_end(src: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *src.get(at)? {
            b'\'' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Whether `text` begins with an operator, such as that of a here-document, that may go on in the next line.
fn is_split(text: &[u8]) -> bool {
    matches!(text, [b'<' | b'$', b'\\', b'\n', ..] | [b'=', b'\\', b'\n', b'(', ..])
}

fn begins_word(before: u8) -> bool {
    is_blank(before) || matches!(before, b'\n' | b';' | b'&' | b'|' | b'(' | b')')
}

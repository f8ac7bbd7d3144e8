//! Bytes written as letters and digits: base64, hexadecimal and lists of numbers.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::escapes::number;
use super::forms::each;

/// Adds all of that; `wrapped`: base64 in lines, too.
pub(super) fn add(piece: &[u8], wrapped: bool, forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    add_base64(piece, wrapped, forms);
    forms.push(each(piece, 2, |byte, out| hex(byte, false, out)));
    forms.push(each(piece, 2, |byte, out| hex(byte, true, out)));
    add_lists(piece, forms);
}

/// The letters of base64 that depend on `piece` alone, with 0, 1 or 2 bytes before it, and anything
/// or nothing after it.
fn add_base64(piece: &[u8], wrapped: bool, forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let mut shifted = Zeroizing::new(vec![0; 2]);
    shifted.reserve_exact(piece.len());
    shifted.extend_from_slice(piece);
    for offset in 0..3 {
        let bytes = &shifted[2 - offset..];
        let first = (offset * 8).div_ceil(6);
        let whole = bytes.len() * 8 / 6;
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let mut text = Zeroizing::new(vec![0; 4 * bytes.len().div_ceil(3)]);
            let length = engine.encode_slice(bytes, &mut text).expect("the buffer is long enough");
            forms.push(Zeroizing::new(text[first..whole.max(first)].to_vec()));
            forms.push(Zeroizing::new(text[first..length].to_vec()));
            if wrapped {
                add_lines(&text[..whole], first, forms);
                if length > whole {
                    add_ends(&text[..length], first, forms);
                }
            }
        }
    }
    for engine in [STANDARD, URL_SAFE] {
        let mut text = Zeroizing::new(vec![0; 4 * piece.len().div_ceil(3)]);
        engine.encode_slice(piece, &mut text).expect("the buffer is long enough");
        forms.push(text);
    }
}

/// What lines hold of the letters from `first` on, wherever they begin and end, as long as all groups of
/// four stay together.
fn add_lines(text: &[u8], first: usize, forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    for at in (0..text.len()).step_by(4) {
        let Some(line) = text.get(at.max(first)..at + LINE) else { break };
        add_line(line, forms);
    }
    add_ends(text, first, forms);
}

/// How much of a line is looked for by itself, in letters: less turns up by chance.
const LINE: usize = 16;

/// The end of the letters, which need not be that of a group, and those that are too few for a line at
/// either end, with their line end and what is next to it.
fn add_ends(text: &[u8], first: usize, forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let last = text.len().saturating_sub(LINE) / 4 * 4;
    add_line(&text[last.max(first)..], forms);
    for at in (4..text.len()).step_by(4).filter(|&at| at < LINE || at > last) {
        for line_end in [&b"\n"[..], b"\r\n"] {
            let before = &text[at.saturating_sub(LINE).max(first)..at];
            let after = &text[at..text.len().min(at + LINE)];
            let mut out = Zeroizing::new(Vec::with_capacity(2 * LINE + 2));
            [before, line_end, after].iter().for_each(|part| out.extend_from_slice(part));
            forms.push(out);
        }
    }
}

fn add_line(line: &[u8], forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    // Zeros and blanks are in other data, too.
    let all_alike = line.windows(5).all(|letters| letters[0] == letters[4]);
    forms.extend((!all_alike).then(|| Zeroizing::new(line.to_vec())));
}

/// Bytes one by one: in hexadecimal, as dumps and fingerprints have them, and as lists of numbers.
fn add_lists(piece: &[u8], forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let mut add = |piece: &[u8], between: &str, write: &dyn Fn(u8, &mut Vec<u8>)| {
        let mut out = Zeroizing::new(Vec::with_capacity(6 * piece.len()));
        for (place, &byte) in piece.iter().enumerate() {
            if place > 0 {
                out.extend_from_slice(between.as_bytes());
            }
            write(byte, &mut out);
        }
        forms.push(out);
    };
    for between in [" ", ":", "-", "\\x", ", 0x"] {
        add(piece, between, &|byte, out| hex(byte, false, out));
        add(piece, between, &|byte, out| hex(byte, true, out));
    }
    // node shows no more of a buffer.
    if let Some(first) = piece.get(..50) {
        add(first, " ", &|byte, out| hex(byte, false, out));
    }
    for between in [", ", ",", " "] {
        add(piece, between, &|byte, out| number(out, format_args!("{byte}")));
    }
    // Java's bytes have a sign.
    if !piece.is_ascii() {
        add(piece, ", ", &|byte, out| {
            number(out, format_args!("{}", byte.cast_signed()));
        });
    }
}

pub(super) fn hex(byte: u8, capital: bool, out: &mut Vec<u8>) {
    let digits = if capital { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    out.extend([digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
}

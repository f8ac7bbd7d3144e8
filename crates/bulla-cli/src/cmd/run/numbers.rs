//! Bytes written as letters and digits: base64, hexadecimal and lists of numbers.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::forms::each;

/// Adds all of that; `wrapped`: base64 with line ends in it, too.
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
                add_wrapped(&text[..whole], first, forms);
                if length > whole {
                    add_wrapped(&text[..length], first, forms);
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

/// The letters of base64 from `first` on, with the line ends that `openssl` (64 letters), `base64` and
/// MIME (76 letters) put in, wherever in a line they begin. All groups of four stay together.
fn add_wrapped(text: &[u8], first: usize, forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    for width in [64, 76] {
        for at in (4..=width).step_by(4).take_while(|&at| at < text.len()) {
            // With one line end, both widths are the same.
            if width > 64 && at <= 64 && at + 64 >= text.len() {
                continue;
            }
            for line_end in [&b"\n"[..], b"\r\n"] {
                let most = text.len() + 2 * (text.len() / width + 1);
                let mut out = Zeroizing::new(Vec::with_capacity(most));
                out.extend_from_slice(&text[first..at]);
                for line in text[at..].chunks(width) {
                    out.extend_from_slice(line_end);
                    out.extend_from_slice(line);
                }
                forms.push(out);
            }
        }
    }
}

/// Bytes one by one: in hexadecimal, as dumps and fingerprints have them, and as lists of numbers.
fn add_lists(piece: &[u8], forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let mut add = |piece: &[u8], between: &str, write: &dyn Fn(u8, &mut Vec<u8>)| {
        let mut out = Zeroizing::new(Vec::with_capacity(6 * piece.len()));
        for (number, &byte) in piece.iter().enumerate() {
            if number > 0 {
                out.extend_from_slice(between.as_bytes());
            }
            write(byte, &mut out);
        }
        forms.push(out);
    };
    for between in [" ", ":", "-", "\\x"] {
        add(piece, between, &|byte, out| hex(byte, false, out));
        add(piece, between, &|byte, out| hex(byte, true, out));
    }
    // node shows no more of a buffer.
    if let Some(first) = piece.get(..50) {
        add(first, " ", &|byte, out| hex(byte, false, out));
    }
    for between in [", ", ",", " "] {
        add(piece, between, &|byte, out| decimal(out, format_args!("{byte}")));
    }
    // Java's bytes have a sign.
    if !piece.is_ascii() {
        add(piece, ", ", &|byte, out| {
            decimal(out, format_args!("{}", byte.cast_signed()));
        });
    }
}

pub(super) fn hex(byte: u8, capital: bool, out: &mut Vec<u8>) {
    let digits = if capital { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    out.extend([digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
}

fn decimal(out: &mut Vec<u8>, number: std::fmt::Arguments<'_>) {
    out.write_fmt(number).expect("a Vec takes everything");
}

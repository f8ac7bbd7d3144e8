//! What a server says, as it may be shown: in one line, cut, and without anything that it was sent.

use std::collections::HashSet;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// What is shown in the place of words that repeat a secret.
pub(crate) const REPEATED: &str = "the server repeats what it was sent, so its words are not shown";
/// How many letters and digits in a row words and a secret may have in common: one less than this. Of
/// a short secret so many would be too much of it.
const RUN: usize = 8;
const SHORT_RUN: usize = 6;
const SHORT: usize = 16;
/// The longest text that is looked through, in bytes.
const MOST_LOOKED_AT: usize = 16 << 10;
/// How many encodings around each other are looked through: a form in a header's base64 in an address.
const DEPTH: u8 = 3;

/// The text in one line without control characters, cut to `longest` characters, and without its words
/// if they repeat one of the secrets that were `sent`.
pub(crate) fn clean(text: &str, longest: usize, sent: &[&Secret]) -> String {
    let mut words = String::new();
    // Unicode knows more ways to turn a line of text around than control characters.
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    for word in text.split(|c: char| c.is_whitespace() || odd(c)).filter(|word| !word.is_empty()) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    if words.chars().count() > longest {
        words = words.chars().take(longest).chain(['…']).collect();
    }
    if repeats(&words, sent) { REPEATED.to_owned() } else { words }
}

/// Whether a text repeats one of these secrets, a piece of it, or either in one of the forms in which
/// secrets are sent: as it is, form-encoded, or in base64, from whatever place in it.
pub(crate) fn repeats(text: &str, sent: &[&Secret]) -> bool {
    let is_in = |secret: &&Secret| {
        let letters = letters(secret.expose());
        let (runs, runs_of_letters) = (runs(secret.expose()), runs(&letters));
        let needle = Needle { whole: secret.expose(), runs, runs_of_letters };
        needle.is_in(text.as_bytes(), DEPTH)
    };
    // What is longer than anybody's words is not looked through, and not shown.
    text.len() > MOST_LOOKED_AT || sent.iter().any(is_in)
}

/// A secret that is looked for.
struct Needle<'s> {
    whole: &'s [u8],
    runs: HashSet<&'s [u8]>,
    runs_of_letters: HashSet<&'s [u8]>,
}

impl Needle<'_> {
    fn is_in(&self, text: &[u8], depth: u8) -> bool {
        // What is put between the letters, and how they are written, makes it no other secret.
        self.is_word_of(text)
            || is_any_in(&self.runs, text)
            || is_any_in(&self.runs_of_letters, &letters(text))
            || depth > 0 && unpacked(text).iter().any(|inner| self.is_in(inner, depth - 1))
    }

    /// Whether it stands in the text on its own. All that can be asked of a secret of a few letters,
    /// which are in many words.
    fn is_word_of(&self, text: &[u8]) -> bool {
        let part =
            |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        let length = self.whole.len();
        length > 0
            && (0..text.len().saturating_sub(length - 1)).any(|at| {
                text[at..].starts_with(self.whole)
                    && !part(at.checked_sub(1).and_then(|before| text.get(before)))
                    && !part(text.get(at + length))
            })
    }
}

/// The letters and digits, in lower case.
fn letters(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut all = Zeroizing::new(Vec::with_capacity(text.len()));
    all.extend(text.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase));
    all
}

/// Every piece of a secret that is too long to be shown.
fn runs(secret: &[u8]) -> HashSet<&[u8]> {
    secret.windows(if secret.len() < SHORT { SHORT_RUN } else { RUN }).collect()
}

fn is_any_in(runs: &HashSet<&[u8]>, text: &[u8]) -> bool {
    let length = runs.iter().next().map_or(RUN, |run| run.len());
    text.windows(length).any(|piece| runs.contains(piece))
}

/// What a text may be the encoding of.
fn unpacked(text: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut all = Vec::new();
    if text.contains(&b'%') || text.contains(&b'+') {
        let pairs = form_urlencoded::parse(text).flat_map(|(name, value)| [name, value]);
        all.extend(pairs.map(|plain| Zeroizing::new(plain.into_owned().into_bytes())));
    }
    let lenient = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let lenient = GeneralPurpose::new(&STANDARD, lenient);
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
    for stretch in text.split(|&byte| !is_digit(byte)).filter(|s| s.len() >= SHORT_RUN) {
        let standard = |byte: &u8| match byte {
            b'-' => b'+',
            b'_' => b'/',
            byte => *byte,
        };
        let stretch: Zeroizing<Vec<u8>> = Zeroizing::new(stretch.iter().map(standard).collect());
        // It may begin in the middle of what was encoded.
        for from in 0..4 {
            let rest = &stretch[from..];
            // One digit alone is no byte.
            let rest = &rest[..rest.len() - usize::from(rest.len() % 4 == 1)];
            all.extend(lenient.decode(rest).map(Zeroizing::new));
        }
    }
    all
}

#[cfg(test)]
mod tests;

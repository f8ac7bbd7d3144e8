//! What lines hold of a text that is wrapped, as by PyYAML, js-yaml, kubectl, Python's `pprint` and `fmt`.

use std::ops::Range;

use zeroize::Zeroizing;

use super::escapes::yaml_texts;
use super::forms::each;

/// What is no longer than this is seldom wrapped, in bytes.
const SHORT: usize = 32;
/// How much of a line is looked for at least, in bytes: less turns up by chance.
const LEAST_LINE: usize = 12;

/// Adds runs of words of `piece`, so many that each line of it is made up of them, wherever that begins
/// and ends; but for lines of fewer than [`LEAST_LINE`] bytes. What has line ends comes line by line, too.
pub(super) fn add(piece: &[u8], forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    if piece.len() <= SHORT || piece.contains(&b'\n') {
        return;
    }
    add_runs(piece, words(piece, false), forms);
    for quote in [b'\'', b'"'] {
        for before in [quote, b'\\'] {
            let text = each(piece, 2, |byte, out| {
                let special = byte == quote || (byte == b'\\' && before == b'\\');
                out.extend(special.then_some(before));
                out.push(byte);
            });
            add_runs(&text, words(&text, false), forms);
        }
    }
    // Between double quotes, YAML may break a line behind every escape.
    for text in std::str::from_utf8(piece).iter().flat_map(|text| yaml_texts(text)) {
        add_runs(&text, words(&text, true), forms);
    }
}

/// What stands between blanks, or behind escapes of YAML.
fn words(text: &[u8], escapes: bool) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(&byte) = text.get(at) {
        let length = match text.get(at + 1) {
            _ if byte != b'\\' || !escapes => 1,
            Some(b'x') => 4,
            Some(b'u') => 6,
            Some(b'U') => 10,
            _ => 2,
        };
        let is_blank = byte == b' ';
        at = text.len().min(at + length);
        if is_blank || length > 1 || at == text.len() {
            let end = if is_blank { at - 1 } else { at };
            if start < end {
                words.push(start..end);
            }
            start = at;
        }
    }
    words
}

/// From each word on as few as are enough, and up to each word.
fn add_runs(text: &[u8], words: Vec<Range<usize>>, forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    if words.len() < 2 {
        return;
    }
    let (mut from, mut to) = (0, 0);
    for word in &words {
        // The last beginning that is far enough from the end of this word.
        while words.get(from + 1).is_some_and(|next| next.start + LEAST_LINE <= word.end) {
            from += 1;
        }
        // The first end that is far enough from its beginning.
        while words.get(to).is_some_and(|last| last.end < word.start + LEAST_LINE) {
            to += 1;
        }
        let runs = [
            words.get(from).map(|first| first.start..word.end),
            words.get(to).map(|last| word.start..last.end),
        ];
        for run in runs.into_iter().flatten().filter(|run| run.len() >= LEAST_LINE) {
            forms.push(Zeroizing::new(text[run].to_vec()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::forms::add_all;
    use super::super::masker::{Masker, Patterns};

    fn masked(value: &str, text: &str) -> String {
        let mut forms = Vec::new();
        add_all(value.as_bytes(), &mut forms);
        let patterns = Patterns::new(forms);
        let (mut masker, mut out) = (Masker::new(&patterns), Vec::new());
        masker.feed(text.as_bytes(), &mut out);
        masker.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// PyYAML, js-yaml, kubectl and pprint break lines so, and showed all of the value.
    #[test]
    fn a_text_is_masked_however_its_lines_are_wrapped() {
        let value = "Wa1ter's \"blaue\" B\u{e4}ume tr4gen im Sommer \u{fc}ppig viele Fr\u{fc}chte, w4hrend \
            \\backslash und $dollar sich g4nz unauff\u{e4}llig im W1nter";
        for (text, expected) in [
            (
                "a: \"Wa1ter's \\\"blaue\\\" B\\xE4ume tr4gen im Sommer \\xFCppig viele Fr\\xFCchte, w4hrend\\\n  \
                 \\ \\\\backslash und $dollar sich g4nz unauff\\xE4llig im W1nter\"\n",
                "a: \"********\\\n  \\ ********\"\n",
            ),
            (
                "a: >-\n  Wa1ter's \"blaue\" B\u{e4}ume tr4gen im Sommer \u{fc}ppig viele Fr\u{fc}chte, w4hrend\n  \
                 \\backslash und $dollar sich g4nz unauff\u{e4}llig im W1nter\n",
                "a: >-\n  ********\n  ********\n",
            ),
            (
                "{'a': 'Wa1ter\\'s \"blaue\" B\u{e4}ume tr4gen im '\n      'Sommer \u{fc}ppig viele Fr\u{fc}chte, \
                 w4hrend \\\\backslash und '\n      '$dollar sich g4nz unauff\u{e4}llig im W1nter'}\n",
                "{'a': '******** '\n      '******** '\n      '********'}\n",
            ),
            (
                "a: 'Wa1ter''s \"blaue\"\n\n  B\u{e4}ume tr4gen im Sommer\n  W1nter'\n",
                "a: '********\n\n  ********\n  W1nter'\n",
            ),
        ] {
            assert_eq!(masked(value, text), expected, "{text}");
        }
        // Without blanks, YAML breaks behind escapes.
        let value = "\u{c4}\u{df}bdfhjlnp\u{df}suwyacef\u{df}jlnprtuw\u{df}acegijln\u{df}rtvxyace";
        let text = "\"\\xC4\\xDFbdfhjlnp\\xDF\\\n  suwyacef\\xDFjlnprtuw\\xDF\\\n  acegijln\\xDFrtvxyace\"";
        assert_eq!(masked(value, text), "\"********\\\n  ********\\\n  ********\"");
    }

    #[test]
    fn words_of_a_short_value_are_not_masked() {
        assert_eq!(masked("tr4gen im Sommer viele", "im Sommer viele"), "im Sommer viele");
    }
}

//! Finds secrets in a stream and writes a mask in their place.
//!
//! Every place is looked at: one bit for the hash of four bytes, and where that is set two for the
//! hash of eight, tell whether a pattern could begin there. Where one could, the sorted patterns
//! decide. What is no beginning of a pattern goes on at once; what may still become one is held until
//! it is decided, and that is never more than the longest pattern.

use zeroize::Zeroizing;

/// What is written in the place of a secret.
pub(crate) const MASK: &[u8] = b"********";
/// The shortest text that is masked, in bytes: what is shorter turns up everywhere by chance.
pub(crate) const LEAST: usize = 4;

/// How much is looked at in one go.
const CHUNK: usize = 64 << 10;
/// How many places are looked at before any is looked at more closely.
const WINDOW: usize = 64;

/// The texts to look for.
pub(crate) struct Patterns {
    sorted: Vec<Zeroizing<Vec<u8>>>,
    /// The first eight bytes of each, in the order of the patterns; zeros follow those that are shorter.
    heads: Zeroizing<Vec<u64>>,
    /// For each pattern the longest other one that it begins with.
    shorter: Vec<Option<usize>>,
    /// How patterns begin: their first four bytes, and their first eight. Both filters fit into the fast
    /// caches of a processor. The second is seldom asked, and lets less through by chance.
    fours: Filter<{ 1 << 13 }, 1>,
    eights: Filter<{ 1 << 14 }, 2>,
    /// The first four bytes of those that have no eight, in order.
    short: Zeroizing<Vec<u32>>,
    longest: usize,
}

impl Patterns {
    /// Takes over `texts`; those shorter than [`LEAST`] are left out.
    pub(crate) fn new(mut texts: Vec<Zeroizing<Vec<u8>>>) -> Self {
        texts.retain(|text| text.len() >= LEAST);
        texts.sort_unstable_by(|a, b| a.as_slice().cmp(b));
        texts.dedup_by(|a, b| a.as_slice() == b.as_slice());
        let mut shorter: Vec<Option<usize>> = Vec::with_capacity(texts.len());
        for (number, text) in texts.iter().enumerate() {
            // What begins a text stands before it, and begins all that stands between.
            let mut candidate = number.checked_sub(1);
            while let Some(before) = candidate.filter(|&before| !text.starts_with(&texts[before])) {
                candidate = shorter[before];
            }
            shorter.push(candidate);
        }
        let (mut fours, mut eights) = (Filter::new(), Filter::new());
        let mut short = Zeroizing::new(Vec::with_capacity(texts.len()));
        let mut heads = Zeroizing::new(Vec::with_capacity(texts.len()));
        for text in &texts {
            let mut head = [0; 8];
            head.iter_mut().zip(text.iter()).for_each(|(to, &from)| *to = from);
            heads.push(u64::from_be_bytes(head));
            fours.set(four(text));
            match text.first_chunk() {
                Some(&eight) => eights.set(u64::from_le_bytes(eight)),
                None => short.push(u32::from_be_bytes(*first(text))),
            }
        }
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        Self { sorted: texts, heads, shorter, fours, eights, short, longest }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Where in `text` a pattern could begin, in order.
    fn candidates<'a>(&'a self, text: &'a [u8]) -> Candidates<'a> {
        Candidates { patterns: self, text, next: 0, hits: 0 }
    }

    /// Whether a pattern could begin with `text`, whose first four bytes are likely.
    fn could(&self, text: &[u8]) -> bool {
        match text.first_chunk() {
            Some(&eight) if !self.eights.has(u64::from_le_bytes(eight)) => {
                self.short.binary_search(&u32::from_be_bytes(*first(text))).is_ok()
            }
            _ => true,
        }
    }

    /// The length of the longest pattern that `text` begins with, and whether `text` begins a longer
    /// one.
    fn at(&self, text: &[u8]) -> (Option<usize>, bool) {
        let mut next = 0..self.sorted.len();
        if let Some(&eight) = text.first_chunk() {
            let head = u64::from_be_bytes(eight);
            next.start = self.heads.partition_point(|&other| other < head);
            next.end = next.start + self.heads[next.start..].partition_point(|&o| o == head);
        }
        let above = self.sorted[next.clone()].partition_point(|p| p.as_slice() <= text);
        let above = next.start + above;
        let more = self.sorted.get(above).is_some_and(|pattern| pattern.starts_with(text));
        let mut found = above.checked_sub(1);
        while let Some(number) = found.filter(|&number| !text.starts_with(&self.sorted[number])) {
            found = self.shorter[number];
        }
        (found.map(|number| self.sorted[number].len()), more)
    }
}

fn first(text: &[u8]) -> &[u8; LEAST] {
    text.first_chunk().expect("no pattern is shorter, and no shorter text gets here")
}

fn four(text: &[u8]) -> u64 {
    u64::from(u32::from_le_bytes(*first(text)))
}

/// Places where patterns could begin.
struct Candidates<'a> {
    patterns: &'a Patterns,
    text: &'a [u8],
    /// The first place that was not looked at.
    next: usize,
    /// The last [`WINDOW`] places before that, one bit for each of those that are likely.
    hits: u64,
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            while self.hits != 0 {
                let at = self.next - WINDOW + self.hits.trailing_zeros() as usize;
                self.hits &= self.hits - 1;
                if self.patterns.could(&self.text[at..]) {
                    return Some(at);
                }
            }
            // Without a branch at each place: which of them is likely, a processor could not foresee.
            let Some(window) = self.text[self.next..].first_chunk() else { break };
            let window: &[u8; WINDOW + 4] = window;
            for at in (0..WINDOW).step_by(4) {
                let eight = u64::from_le_bytes(*window[at..].first_chunk().expect("four more"));
                for place in 0..4 {
                    let hit = self.patterns.fours.has((eight >> (8 * place)) & 0xffff_ffff);
                    self.hits |= u64::from(hit) << (at + place);
                }
            }
            self.next += WINDOW;
        }
        while self.next < self.text.len() {
            let at = self.next;
            self.next += 1;
            let rest = &self.text[at..];
            let could = match rest.len() >= LEAST {
                true => self.patterns.fours.has(four(rest)) && self.patterns.could(rest),
                // Too few for a filter.
                false => self.patterns.at(rest).1,
            };
            if could {
                return Some(at);
            }
        }
        None
    }
}

/// Numbers that may be in a set: for each of them its hash gives a word and `BITS` bits of that, which
/// others may have, too.
struct Filter<const WORDS: usize, const BITS: u32>(Box<Zeroizing<[u64; WORDS]>>);

impl<const WORDS: usize, const BITS: u32> Filter<WORDS, BITS> {
    fn new() -> Self {
        Self(Box::new(Zeroizing::new([0; WORDS])))
    }

    fn set(&mut self, number: u64) {
        let (word, bits) = Self::place(number);
        self.0[word] |= bits;
    }

    fn has(&self, number: u64) -> bool {
        let (word, bits) = Self::place(number);
        self.0[word] & bits == bits
    }

    /// Fibonacci hashing: the upper bits of the product depend on all bits of the number.
    fn place(number: u64) -> (usize, u64) {
        let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let below = 64 - WORDS.trailing_zeros();
        let bits = (1..=BITS).fold(0, |bits, bit| bits | 1 << ((hash >> (below - 6 * bit)) & 63));
        ((hash >> below) as usize & (WORDS - 1), bits)
    }
}

/// A stream on its way.
pub(crate) struct Masker<'p> {
    patterns: &'p Patterns,
    /// What is not decided.
    held: Zeroizing<Vec<u8>>,
    /// How much of that was shown during a pause, or lies under a mask.
    done: usize,
    /// Where the last mask ends; one that touches it is the same mask.
    hidden: Option<usize>,
    /// Whether a mask was shown for what is held, before it is decided.
    foreseen: bool,
}

impl<'p> Masker<'p> {
    pub(crate) fn new(patterns: &'p Patterns) -> Self {
        let held = Zeroizing::new(Vec::with_capacity(CHUNK + patterns.longest));
        Self { patterns, held, done: 0, hidden: None, foreseen: false }
    }

    /// Takes a piece of the stream and adds to `out` what of it can go on.
    pub(crate) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for chunk in piece.chunks(CHUNK) {
            self.held.extend_from_slice(chunk);
            self.scan(false, out);
        }
    }

    /// Whether [`pause`](Self::pause) would show anything.
    pub(crate) fn waits(&self, for_a_person: bool) -> bool {
        let few = self.held.len() < LEAST;
        self.done < self.held.len() && !self.foreseen && (few || for_a_person)
    }

    /// Shows what can be shown of what is held, because nothing more comes for a while.
    ///
    /// Fewer than four bytes are shown. More than that are likely to be a secret that comes slowly:
    /// a person sees a mask, a program waits. Whatever is shown, what then turns out to be the rest
    /// of a secret is masked.
    pub(crate) fn pause(&mut self, for_a_person: bool, out: &mut Vec<u8>) {
        if !self.waits(for_a_person) {
            return;
        }
        if self.held.len() < LEAST {
            out.extend_from_slice(&self.held[self.done..]);
            self.done = self.held.len();
        } else {
            if self.hidden.is_none() {
                out.extend_from_slice(MASK);
            }
            self.foreseen = true;
        }
    }

    /// The stream has ended: everything is decided.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.scan(true, out);
    }

    fn scan(&mut self, ended: bool, out: &mut Vec<u8>) {
        let text = self.held.as_slice();
        let (mut done, mut hidden) = (self.done, self.hidden);
        let mut stop = text.len();
        for at in self.patterns.candidates(text) {
            let (found, more) = self.patterns.at(&text[at..]);
            if more && !ended {
                stop = at;
                break;
            }
            if let Some(length) = found {
                if hidden.is_none_or(|hidden| at > hidden) {
                    out.extend_from_slice(text.get(done..at).unwrap_or_default());
                    if at > 0 || !self.foreseen {
                        out.extend_from_slice(MASK);
                    }
                }
                let end = hidden.unwrap_or(0).max(at + length);
                hidden = Some(end);
                done = done.max(end);
            }
        }
        if done < stop {
            out.extend_from_slice(&text[done..stop]);
            done = stop;
        }
        self.foreseen &= stop == 0;
        self.done = done - stop;
        self.hidden = hidden.and_then(|hidden| hidden.checked_sub(stop));
        let kept = text.len() - stop;
        self.held.copy_within(stop.., 0);
        self.held.truncate(kept);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(texts: &[&[u8]]) -> Patterns {
        Patterns::new(texts.iter().map(|text| Zeroizing::new(text.to_vec())).collect())
    }

    fn masked(patterns: &Patterns, pieces: &[&[u8]]) -> String {
        let (mut masker, mut out) = (Masker::new(patterns), Vec::new());
        pieces.iter().for_each(|piece| masker.feed(piece, &mut out));
        masker.finish(&mut out);
        assert!(masker.held.is_empty());
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The same by looking everywhere for everything.
    fn expected(texts: &[Vec<u8>], stream: &[u8]) -> Vec<u8> {
        let mut hide = vec![false; stream.len()];
        for text in texts.iter().filter(|text| text.len() >= LEAST) {
            for at in 0..stream.len() {
                if stream[at..].starts_with(text) {
                    hide[at..at + text.len()].fill(true);
                }
            }
        }
        let mut out = Vec::new();
        for (at, &byte) in stream.iter().enumerate() {
            if !hide[at] {
                out.push(byte);
            } else if at == 0 || !hide[at - 1] {
                out.extend_from_slice(MASK);
            }
        }
        out
    }

    #[test]
    fn a_secret_is_masked_wherever_the_stream_is_cut() {
        let patterns = patterns(&[b"hunter22", b"hunter22-and-more", b"r22-"]);
        let stream = b"a hunter22, hunter22-and-mor, hunter22-and-more.hunt";
        let whole = "a ********, ********and-mor, ********.hunt";
        for cut in 0..=stream.len() {
            assert_eq!(masked(&patterns, &[&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
        }
        let bytes: Vec<_> = stream.chunks(1).collect();
        assert_eq!(masked(&patterns, &bytes), whole);
    }

    #[test]
    fn what_begins_no_secret_goes_on_at_once() {
        let patterns = patterns(&[b"hunter22"]);
        let (mut masker, mut out) = (Masker::new(&patterns), Vec::new());
        masker.feed(b"login: ", &mut out);
        assert_eq!(out, b"login: ");
        masker.feed(b"hun", &mut out);
        assert_eq!(out, b"login: ");
        masker.feed(b"gry", &mut out);
        assert_eq!(out, b"login: hungry");
    }

    #[test]
    fn a_pause_shows_what_is_hardly_a_secret_and_hides_the_rest_of_one() {
        let patterns = patterns(&[b"hunter22"]);
        let say = |pieces: &[&[u8]], for_a_person| {
            let (mut masker, mut out) = (Masker::new(&patterns), Vec::new());
            for piece in pieces {
                masker.feed(piece, &mut out);
                masker.pause(for_a_person, &mut out);
                masker.pause(for_a_person, &mut out);
            }
            let shown = String::from_utf8_lossy(&out).into_owned();
            masker.finish(&mut out);
            (shown, String::from_utf8_lossy(&out).into_owned())
        };
        let pair = |shown: &str, all: &str| (shown.to_owned(), all.to_owned());
        assert_eq!(say(&[b"> hun"], false), pair("> hun", "> hun"));
        assert_eq!(say(&[b"> hun", b"gry"], false), pair("> hungry", "> hungry"));
        assert_eq!(say(&[b"> hun", b"ter22."], false), pair("> hun********.", "> hun********."));
        assert_eq!(say(&[b"> hunt"], false), pair("> ", "> hunt"));
        assert_eq!(say(&[b"> hunt"], true), pair("> ********", "> ********hunt"));
        assert_eq!(say(&[b"> hunt", b"er22."], true), pair("> ********.", "> ********."));
        assert_eq!(say(&[b"> hunt", b"ing"], true), pair("> ********hunting", "> ********hunting"));
        let slowly: Vec<_> = b"> hunter22".chunks(1).collect();
        assert_eq!(say(&slowly, false), pair("> hun********", "> hun********"));
        assert_eq!(say(&slowly, true), pair("> hun********", "> hun********"));
    }

    #[test]
    fn what_is_held_is_no_longer_than_a_secret() {
        let long = [b"a".repeat(1000), b"b".to_vec()].concat();
        let patterns = patterns(&[&long]);
        let (mut masker, mut out) = (Masker::new(&patterns), Vec::new());
        masker.feed(&b"a".repeat(200_000), &mut out);
        assert_eq!(out.len(), 199_000);
        masker.feed(b"b", &mut out);
        assert_eq!(out.len(), 199_000 + MASK.len());
    }

    #[test]
    fn many_secrets_with_the_same_beginning_are_told_apart() {
        let texts: Vec<_> = (0..5000).map(|n| format!("GOCSPX-{n:05}").into_bytes()).collect();
        let patterns = patterns(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert_eq!(masked(&patterns, &[b"GOCSPX-04999 GOCSPX-05000"]), "******** GOCSPX-05000");
    }

    fn letters(most: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"\0ab".as_slice()), 0..most)
    }

    proptest! {
        // Few letters, so that patterns begin, hold and overlap each other; more of them than are looked
        // at in one go.
        #[test]
        fn the_result_is_that_of_looking_everywhere(
            mut texts in prop::collection::vec(letters(9), 0..6),
            stream in letters(4 * WINDOW),
            parts in prop::collection::vec((0..4 * WINDOW, 0..30_usize), 0..4),
            cuts in prop::collection::vec(0..4 * WINDOW, 0..6),
        ) {
            let part = |(from, length)| stream.iter().skip(from).take(length).copied().collect();
            texts.extend(parts.into_iter().map(part));
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
            let patterns = patterns(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let expected = expected(&texts, &stream);
            prop_assert_eq!(masked(&patterns, &pieces), String::from_utf8_lossy(&expected));
        }

        #[test]
        fn pauses_never_show_more_than_three_bytes_of_a_secret(
            secret in prop::collection::vec(b'a'..b'd', 4..12),
            before in prop::collection::vec(b'a'..b'd', 0..8),
            for_a_person: bool,
        ) {
            let patterns = patterns(&[&secret]);
            let (mut masker, mut out) = (Masker::new(&patterns), Vec::new());
            for byte in before.iter().chain(&secret) {
                masker.feed(&[*byte], &mut out);
                masker.pause(for_a_person, &mut out);
            }
            masker.finish(&mut out);
            prop_assert!(!out.windows(secret.len()).any(|window| window == secret));
        }
    }
}

//! Masking what a program writes, beside copying it.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

#[allow(unused_imports, reason = "a benchmark has no tests")]
#[path = "../src/cmd/run/escapes.rs"]
mod escapes;
#[allow(dead_code, unused_imports, reason = "a benchmark has no tests")]
#[path = "../src/cmd/run/folds.rs"]
mod folds;
#[allow(dead_code, unused_imports, reason = "a benchmark uses a part, and has no tests")]
#[path = "../src/cmd/run/forms.rs"]
mod forms;
#[allow(dead_code, unused_imports, reason = "a benchmark uses a part, and has no tests")]
#[path = "../src/cmd/run/masker.rs"]
mod masker;
#[path = "../src/cmd/run/numbers.rs"]
mod numbers;
#[allow(dead_code, unused_imports, reason = "a benchmark has no tests")]
#[path = "../src/cmd/run/shells.rs"]
mod shells;

use divan::Bencher;
use divan::counter::BytesCount;
use masker::{Masker, Patterns};

fn main() {
    divan::main();
}

const SIZE: usize = 16 << 20;
/// What is read of a pipe in one go.
const CHUNK: usize = 64 << 10;

/// What is written: lines of a log; digits of hashes, of which some begin as secrets do; and nothing
/// but beginnings of secrets.
const KINDS: [&str; 3] = ["log", "hashes", "beginnings"];

#[divan::bench(args = KINDS)]
fn copy(bencher: Bencher<'_, '_>, kind: &str) {
    let text = text(kind);
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
        let mut out = Vec::with_capacity(CHUNK);
        let mut length = 0;
        for chunk in text.chunks(CHUNK) {
            out.clear();
            out.extend_from_slice(chunk);
            length += divan::black_box(&out).len();
        }
        length
    });
}

#[divan::bench(args = KINDS)]
fn mask_10_secrets(bencher: Bencher<'_, '_>, kind: &str) {
    mask(bencher, kind, 10);
}

#[divan::bench(args = KINDS)]
fn mask_1000_secrets(bencher: Bencher<'_, '_>, kind: &str) {
    mask(bencher, kind, 1000);
}

#[divan::bench(args = [10, 1000])]
fn prepare(bencher: Bencher<'_, '_>, secrets: usize) {
    bencher.bench(|| patterns(secrets));
}

fn mask(bencher: Bencher<'_, '_>, kind: &str, secrets: usize) {
    let (text, patterns) = (text(kind), patterns(secrets));
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
        let mut masker = Masker::new(&patterns);
        let mut out = Vec::with_capacity(CHUNK);
        let mut length = 0;
        for chunk in text.chunks(CHUNK) {
            out.clear();
            masker.feed(chunk, &mut out);
            length += divan::black_box(&out).len();
        }
        length
    });
}

/// Secrets as providers make them, half of them with a beginning in common, in all their forms.
fn patterns(secrets: usize) -> Patterns {
    let mut forms = Vec::new();
    for number in 0..secrets as u64 {
        let begin = if number % 2 == 0 { "GOCSPX-" } else { "" };
        forms::add_all(format!("{begin}{:016x}/{number}+x", mixed(number)).as_bytes(), &mut forms);
    }
    Patterns::new(forms)
}

fn text(kind: &str) -> Vec<u8> {
    let mut text = String::with_capacity(SIZE + 100);
    for number in 0.. {
        text += &match kind {
            "log" => format!(
                "2026-11-26T11:26:{:02}Z INFO request {number} to /mailbox/inbox took {} ms\n",
                number % 60,
                mixed(number) % 1000
            ),
            "hashes" => format!("{:016x}{:016x}  file\n", mixed(number), mixed(number + 1)),
            _ => "GOCSPX-".to_owned(),
        };
        if text.len() >= SIZE {
            break;
        }
    }
    text.into_bytes()
}

/// The finaliser of SplitMix64: numbers without an order.
fn mixed(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

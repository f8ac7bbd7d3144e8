//! Masking what a program writes, beside copying it.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

#[path = "../src/cmd/run/entities.rs"]
mod entities;
#[allow(unused_imports, reason = "a benchmark has no tests")]
#[path = "../src/cmd/run/escapes.rs"]
mod escapes;
#[allow(dead_code, unused_imports, reason = "a benchmark has no tests")]
#[path = "../src/cmd/run/folds.rs"]
mod folds;
#[allow(dead_code, unused_imports, reason = "a benchmark uses a part, and has no tests")]
#[path = "../src/cmd/run/forms.rs"]
mod forms;
#[path = "../src/cmd/run/json.rs"]
mod json;
#[allow(dead_code, unused_imports, reason = "a benchmark uses a part, and has no tests")]
#[path = "../src/cmd/run/masker.rs"]
mod masker;
#[path = "../src/cmd/run/numbers.rs"]
mod numbers;
#[path = "../src/cmd/run/pieces.rs"]
mod pieces;
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

/// What is written: lines of a log; HTML; lines of JSON; digits of hashes, of which some begin as
/// secrets do; and nothing but beginnings of secrets.
const KINDS: [&str; 5] = ["log", "html", "json", "hashes", "beginnings"];

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

/// Secrets in all their forms: half of them as providers make them, of these half with a beginning in
/// common, and half of them of everything that can be typed.
fn patterns(secrets: usize) -> Patterns {
    let mut forms = Vec::new();
    for number in 0..secrets as u64 {
        let text = match number % 4 {
            0 => format!("GOCSPX-{:016x}/{number}+x", mixed(number)),
            2 => format!("{:016x}/{number}+x", mixed(number)),
            _ => (0..24)
                .map(|letter| char::from(b'!' + (mixed(24 * number + letter) % 94) as u8))
                .collect(),
        };
        forms::add_all(text.as_bytes(), &mut forms);
    }
    Patterns::new(forms)
}

fn text(kind: &str) -> Vec<u8> {
    let mut text = String::with_capacity(SIZE + 1000);
    for number in 0.. {
        text += &match kind {
            "log" => format!(
                "2026-11-26T11:26:{:02}Z INFO request {number} to /mailbox/inbox took {} ms\n",
                number % 60,
                mixed(number) % 1000
            ),
            "html" => html(number),
            "json" => json(number),
            "hashes" => format!("{:016x}{:016x}  file\n", mixed(number), mixed(number + 1)),
            _ => "GOCSPX-".to_owned(),
        };
        if text.len() >= SIZE {
            break;
        }
    }
    text.into_bytes()
}

/// A line or two of a page.
fn html(number: u64) -> String {
    let [a, b, c, d, e, f, g] = words(number);
    let id = mixed(number);
    let indent = " ".repeat(2 * (id % 9) as usize);
    let line = match id % 5 {
        0 => format!("<div class=\"{a} {b}-{c}\" id=\"{d}-{}\">", id % 10_000),
        1 => format!("<p>{a} {b} &amp; {c} {d}&nbsp;{e} &lt;{f}&gt;, {g} {a} {b}.</p>"),
        2 => format!(
            "<a href=\"/{a}/{b}?{c}={}&amp;{d}={:x}\" title=\"{e} &quot;{f}&quot;\">{g} {a}</a>",
            id % 1000,
            id >> 40
        ),
        3 => format!(
            "<td class='{a}' data-{b}='{{&#34;{c}&#34;: {}}}'>{}.{:02} &euro;</td>",
            id % 100,
            id % 700,
            id % 100
        ),
        _ => format!("</div>\n{indent}<!-- {a} {b} -->"),
    };
    format!("{indent}{line}\n")
}

/// A line of a log of requests, with JSON as a string in it.
fn json(number: u64) -> String {
    let [a, b, c, d, e, f, g] = words(number);
    let id = mixed(number);
    format!(
        "{{\"time\":\"2026-11-26T11:{:02}:{:02}.{:03}Z\",\"level\":\"info\",\"trace\":\"{:016x}\",\
         \"path\":\"\\/{a}\\/{b}?{c}={}\",\"body\":\"{{\\\"{d}\\\":\\\"{e} {f}\\\",\\\"{g}\\\":{}}}\\n\",\
         \"note\":\"\\u00fc{b} \\u003c{d}\\u003e\\t{f}\"}}\n",
        number / 60 % 60,
        number % 60,
        id % 1000,
        mixed(id),
        id % 100,
        id % 100_000
    )
}

fn words(number: u64) -> [&'static str; 7] {
    std::array::from_fn(|place| {
        WORDS[(mixed(7 * number + place as u64) % WORDS.len() as u64) as usize]
    })
}

const WORDS: [&str; 64] = [
    "account",
    "address",
    "amount",
    "and",
    "article",
    "balance",
    "before",
    "blog",
    "button",
    "catalogue",
    "checkout",
    "comment",
    "contact",
    "customer",
    "date",
    "delivery",
    "details",
    "download",
    "each",
    "email",
    "error",
    "every",
    "filter",
    "first",
    "footer",
    "form",
    "gallery",
    "header",
    "help",
    "home",
    "image",
    "index",
    "invoice",
    "item",
    "label",
    "last",
    "list",
    "login",
    "menu",
    "minus",
    "name",
    "news",
    "note",
    "number",
    "order",
    "page",
    "payment",
    "people",
    "photo",
    "policy",
    "price",
    "product",
    "profile",
    "quantity",
    "report",
    "result",
    "section",
    "session",
    "shipping",
    "status",
    "the",
    "total",
    "user",
    "version",
];

/// The finaliser of SplitMix64: numbers without an order.
fn mixed(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

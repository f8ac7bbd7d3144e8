//! Rendering in memory: looking for references, placing the values, and the proof.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use bulla_resolve::{Answer, Format, Reference, Secret, Source, Template, render};
use divan::Bencher;
use divan::counter::BytesCount;

fn main() {
    divan::main();
}

const FORMATS: [Format; 6] = [
    Format::Dotenv,
    Format::GenesysIni,
    Format::GenesysXml,
    Format::Json,
    Format::Text,
    Format::Yaml,
];

/// A file of 10 kB with 20 references: taken apart, rendered and proven.
#[divan::bench(args = FORMATS)]
fn render_10_kb(bencher: Bencher<'_, '_>, format: Format) {
    bench_render(bencher, format, 10_000, 20);
}

/// A file of 10 MB with 10,000 references.
#[divan::bench(args = FORMATS, sample_count = 10)]
fn render_10_mb(bencher: Bencher<'_, '_>, format: Format) {
    bench_render(bencher, format, 10_000_000, 10_000);
}

/// A file of 100 MB with 100,000 references.
#[divan::bench(args = [Format::Text, Format::GenesysIni, Format::Json], sample_count = 3)]
fn render_100_mb(bencher: Bencher<'_, '_>, format: Format) {
    bench_render(bencher, format, 100_000_000, 100_000);
}

/// A file of 10 MB without a reference.
#[divan::bench(args = [Format::Json, Format::Yaml])]
fn scan_10_mb(bencher: Bencher<'_, '_>, format: Format) {
    let file = file(format, 10_000_000, 0);
    bencher
        .counter(BytesCount::new(file.len()))
        .with_inputs(|| file.clone())
        .bench_values(|file| Template::parse("bench", file, Some(format)));
}

fn bench_render(bencher: Bencher<'_, '_>, format: Format, len: usize, references: usize) {
    let file = file(format, len, references);
    bencher.counter(BytesCount::new(file.len())).with_inputs(|| file.clone()).bench_values(
        |file| {
            let template = Template::parse("bench", file, Some(format));
            let renderings = render(&[template], &Fixed, &[]);
            assert!(renderings.is_ok());
            renderings
        },
    );
}

struct Fixed;

impl Source for Fixed {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        let secret = || Secret::copied_from(b"GOCSPX-0123456789abcdefghijkl");
        wanted.iter().map(|_| Answer::Value { secret: secret(), version: 1 }).collect()
    }
}

/// A file of about `len` bytes in lines of about 50, with as many references, each to an entry of
/// its own.
fn file(format: Format, len: usize, references: usize) -> Vec<u8> {
    let lines = len / 50;
    let every = lines.checked_div(references).unwrap_or(usize::MAX);
    let (mut out, end) = match format {
        Format::GenesysIni => ("[log]\n".to_owned(), ""),
        Format::GenesysXml => {
            ("<options><list_pair key=\"log\">\n".to_owned(), "</list_pair></options>")
        }
        Format::Json => ("{\n".to_owned(), "\"end\": 1}\n"),
        _ => (String::new(), ""),
    };
    for number in 0..lines {
        let value = if number % every == 0 && references > 0 {
            format!("bulla://entry-{number}/password")
        } else {
            format!("an-ordinary-value-{number:010}")
        };
        out += &match format {
            Format::Dotenv => format!("KEY_{number:08}={value}\n"),
            Format::GenesysIni => format!("option-{number:08} = {value}\n"),
            Format::GenesysXml => format!("<str_pair key=\"{number:08}\" value=\"{value}\"/>\n"),
            Format::Json => format!("\"key-{number:08}\": \"{value}\",\n"),
            Format::Yaml => format!("key-{number:08}: {value}\n"),
            _ if value.starts_with("bulla") => format!("key-{number:08} {{{{ {value} }}}}\n"),
            _ => format!("key-{number:08} {value}\n"),
        };
    }
    (out + end).into_bytes()
}

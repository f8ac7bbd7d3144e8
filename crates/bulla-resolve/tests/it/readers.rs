//! The readers of formats, each judging all of [`matrix`](crate::matrix). One that is not on this machine is
//! skipped with a line that says so.

mod dotenv;
mod genesys;
mod java;
mod json;
mod toml;
mod yaml;

use bulla_resolve::{Answer, Format, Kind, Reference, Secret, Source, Template, render};
use proptest::prelude::*;

use crate::matrix::{Reader, Spot, VALUES, examine};

/// A template, and the keys under which values stand in it.
struct Trial {
    format: Format,
    extension: &'static str,
    /// `@@` stands for a reference.
    template: &'static str,
    /// The key of each place, and the text before and behind the value in its scalar.
    keys: &'static [(&'static str, &'static str, &'static str)],
}

impl Trial {
    /// Has the reader judge every value at every place.
    fn judge(&self, name: &str, command: &[&str]) {
        let spots: Vec<_> = (self.keys.iter().enumerate())
            .map(|(place, &(key, before, after))| Spot {
                template: self.only(place),
                suffix: format!("{key}.{}", self.extension),
                before,
                after,
            })
            .collect();
        examine(self.format, &spots, &Reader { name, command });
    }

    /// Every value that is `fit` is carried at every place, and no other is.
    fn carries_just(&self, fit: impl Fn(&[u8]) -> bool) {
        for (_, value) in VALUES.iter() {
            for (place, (key, ..)) in self.keys.iter().enumerate() {
                let carried = rendered(self.format, &self.only(place), value).is_some();
                assert_eq!(carried, fit(value), "{} {key} {value:?}", self.format.name());
            }
        }
    }

    /// The template with the reference at that place only; elsewhere stands a harmless text.
    fn only(&self, place: usize) -> String {
        let mut pieces = self.template.split("@@");
        let mut out = pieces.next().unwrap_or_default().to_owned();
        for (number, piece) in pieces.enumerate() {
            out += if number == place { "bulla://a/b" } else { "harmless" };
            out += piece;
        }
        // What is left of the other braces would be text.
        out.replace("{{ harmless }}", "harmless")
    }
}

fn is_text(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok()
}

/// What the Python scripts have in common.
const COMMON: &str = r#"
import sys, glob, os
def check(ext, read):
    for path in glob.glob(sys.argv[1] + '/*.' + ext):
        try:
            got = read(path, os.path.basename(path).split('.')[1])
            if isinstance(got, str): got = got.encode('utf-8', 'surrogatepass')
            elif not isinstance(got, bytes): got = type(got).__name__.encode()
        except Exception as e: got = type(e).__name__.encode()
        open(path + '.got', 'wb').write(got)
"#;

/// The script with what all of them need.
fn python(script: &str) -> String {
    format!("{COMMON}{script}")
}

/// The rendered file, or `None` if the value was refused for the right reason.
pub(crate) fn rendered(format: Format, template: &str, value: &[u8]) -> Option<Vec<u8>> {
    let template = Template::parse("nasty", template.as_bytes().to_vec(), Some(format));
    match render(&[template], &One(value), &[]) {
        Ok(renderings) => Some(renderings[0].contents.expose().to_vec()),
        Err(problems) => {
            let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
            assert!(problems.iter().all(|p| p.kind == Kind::CannotCarry), "{value:?}: {shown:?}");
            None
        }
    }
}

struct One<'a>(&'a [u8]);

impl Source for One<'_> {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        let answer = |_| Answer::Value { secret: Secret::copied_from(self.0), version: 1 };
        wanted.iter().map(answer).collect()
    }
}

#[test]
fn plain_text_carries_every_byte() {
    for (_, value) in VALUES.iter() {
        assert!(rendered(Format::Text, "x {{ bulla://a/b }} y", value).is_some());
    }
}

proptest! {
    #[test]
    fn every_value_is_carried_or_refused(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            "\\PC{0,12}".prop_map(String::into_bytes),
            "[ \\t\\n\\r#:'\"\\\\{}\\[\\]$|>&*!%@`,a-]{0,12}".prop_map(String::into_bytes),
        ],
    ) {
        for trial in [
            &dotenv::TRIAL,
            &genesys::INI,
            &genesys::XML,
            &java::TRIAL,
            &json::TRIAL,
            &json::WITH_COMMENTS,
            &toml::TRIAL,
            &yaml::TRIAL,
        ] {
            rendered(trial.format, &trial.template.replace("@@", "bulla://a/b"), &value);
        }
    }

    #[test]
    fn no_file_makes_a_parser_panic(
        file in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "[ \\n\\r\\t#:'\"\\\\{}\\[\\]$|>&*!<>/=a-c-]{0,60}".prop_map(String::into_bytes),
        ],
        at in any::<prop::sample::Index>(),
    ) {
        let mut file = file;
        let at = at.index(file.len() + 1);
        file.splice(at..at, b"{{ bulla://a/b }}".iter().copied());
        for &format in Format::ALL {
            let template = Template::parse("x", file.clone(), Some(format));
            let _ = render(&[template], &One(b"value"), &[]);
            let _ = bulla_resolve::Adoption::find("x", &file, Some(format));
        }
    }
}

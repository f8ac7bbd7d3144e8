//! Renderings without a vault, with dummies in the place of values.

use std::collections::BTreeMap;

use crate::Reference;
use crate::adopt::signs;
use crate::check::secrets_in_clear;
use crate::filter::{self, Filter};
use crate::problem::{Problem, Rule};
use crate::render::{Rendering, render};
use crate::secret::Secret;
use crate::source::{Answer, RefPart, Source};
use crate::template::{Segment, Slot, Template};

/// A template rendered with dummies.
pub struct Rehearsal {
    /// The rendering. What it was made with is no secret.
    pub rendering: Rendering,
    /// The secrets that stand in the template in clear, and so in the rendering.
    pub in_clear: Vec<Secret>,
}

/// Renders each of `templates` with dummies, and says of each what keeps it from being rendered.
///
/// A dummy is what the first filter and the name of the field ask for: a number from 1001 for `int` and
/// ports, `true` for `bool`, a PEM text for `pem-oneline`, an address of this machine for hosts,
/// base64 for what logs in to a mail server, and else a word such as `dummy1`. A reference has the same dummy
/// in all templates, and no two words or numbers are the same.
///
/// No source is asked. Findings about a file do not stop it, and where the fill rule would take one of two,
/// it takes the first.
#[must_use]
pub fn rehearse(mut templates: Vec<Template>) -> Vec<Result<Rehearsal, Vec<Problem>>> {
    let dummies = Dummies::of(&templates);
    for template in &mut templates {
        let segments = template.places.iter_mut().flat_map(|place| &mut place.segments);
        for segment in segments {
            if let Segment::Value(slot) = segment {
                slot.alternative = None;
            }
        }
    }
    let rehearse = |template: Template| {
        let clear = secrets_in_clear(&template);
        let texts = clear.into_iter().map(|span| &template.src[span]);
        // A program may tell a value without the quotes around it.
        let both = texts.flat_map(|text| [text, without_quotes(text)]);
        let in_clear = both.map(Secret::copied_from).collect();
        let mut renderings = render(&[template], &dummies, Rule::ALL)?;
        let rendering = renderings.pop().expect("one template gives one rendering");
        Ok(Rehearsal { rendering, in_clear })
    };
    templates.into_iter().map(rehearse).collect()
}

fn without_quotes(text: &[u8]) -> &[u8] {
    match text {
        [first @ (b'"' | b'\''), inner @ .., last] if first == last => inner,
        _ => text,
    }
}

/// The source of dummies.
struct Dummies(BTreeMap<Reference, String>);

impl Dummies {
    fn of(templates: &[Template]) -> Self {
        let mut filters: BTreeMap<Reference, Option<Filter>> = BTreeMap::new();
        for template in templates {
            let segments = template.places.iter().flat_map(|place| &place.segments);
            for segment in segments {
                let Segment::Value(slot) = segment else { continue };
                let first = first(slot);
                let known =
                    filters.entry(template.wanted[slot.wanted].reference.clone()).or_default();
                // One of them may be needed by one place only; all others take any value.
                *known = known.filter(|known| is_choosy(*known)).or(first);
            }
        }
        let dummy = |(number, (reference, filter)): (usize, (Reference, Option<Filter>))| {
            let dummy = dummy(number, filter, reference.field());
            (reference, dummy)
        };
        Self((1..).zip(filters).map(dummy).collect())
    }
}

impl Source for Dummies {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        let answer = |reference| match self.0.get(reference) {
            Some(dummy) => {
                Answer::Value { secret: Secret::copied_from(dummy.as_bytes()), version: 1 }
            }
            // The second of two that the fill rule could have taken.
            None => Answer::Missing { part: RefPart::Entry, nearest: Vec::new() },
        };
        wanted.iter().map(answer).collect()
    }
}

fn first(slot: &Slot) -> Option<Filter> {
    slot.filters.iter().copied().find(|filter| *filter != Filter::Optional)
}

/// Whether a filter takes only values of a certain form.
fn is_choosy(filter: Filter) -> bool {
    matches!(filter, Filter::Bool | Filter::Int | Filter::PemOneline)
}

fn dummy(number: usize, filter: Option<Filter>, field: &str) -> String {
    let word = format!("dummy{number}");
    // All are ports that a program may listen at.
    let count = 1000 + (number - 1) % 60_000 + 1;
    match filter {
        Some(Filter::Bool) => return "true".to_owned(),
        Some(Filter::Int) => return count.to_string(),
        Some(Filter::PemOneline) => {
            let body =
                String::from_utf8_lossy(filter::base64(word.as_bytes()).bytes()).into_owned();
            return format!("-----BEGIN DUMMY-----\n{body}\n-----END DUMMY-----\n");
        }
        _ => {}
    }
    // `hostName` is one word, and `dbPort` two.
    let last = field.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let names = [last.to_ascii_lowercase(), signs::words(last).pop().unwrap_or_default()];
    let is = |names_of_it: &[&str]| names.iter().any(|name| names_of_it.contains(&name.as_str()));
    if is(&["port"]) {
        count.to_string()
    } else if is(&["host", "hostname"]) {
        format!("127.0.0.{}", (number - 1) % 254 + 1)
    } else if is(&["oauthbearer", "xoauth2"]) {
        String::from_utf8_lossy(filter::base64(word.as_bytes()).bytes()).into_owned()
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    fn rehearsed(format: Format, text: &str) -> Result<String, Vec<Problem>> {
        let template = Template::parse("x", text.into(), Some(format));
        let rehearsal = rehearse(vec![template]).remove(0)?;
        Ok(String::from_utf8(rehearsal.rendering.contents.expose().to_vec()).unwrap())
    }

    #[test]
    fn dummies_are_of_the_kind_that_is_asked_for() {
        let text = r#"{"n": "{{ bulla://a/n | int }}", "again": "bulla://a/n", "b": "{{ bulla://b/on | bool }}",
            "k": "{{ bulla://k/key | pem-oneline }}", "p": "bulla://p/db_PORT", "h": "bulla://p/host",
            "u": "x://u:{{ bulla://u/password | url }}@h", "v": "bulla://u/password@v3"}"#;
        assert_eq!(
            rehearsed(Format::Json, text).unwrap(),
            r#"{"n": 1001, "again": "1001", "b": true,
            "k": "-----BEGIN DUMMY-----\\nZHVtbXkz\\n-----END DUMMY-----\\n", "p": "1004", "h": "127.0.0.5",
            "u": "x://u:dummy6@h", "v": "dummy7"}"#
        );
    }

    /// `dbPort` was taken for no port.
    #[test]
    fn the_last_word_of_a_field_is_found_in_any_case() {
        for (field, expected) in [
            ("dbPort", "1001"),
            ("DB_PORT", "1001"),
            ("smtp.port", "1001"),
            ("port", "1001"),
            ("smtpHost", "127.0.0.1"),
            ("mail-hostname", "127.0.0.1"),
            ("hostName", "127.0.0.1"),
            ("OAuthBearer", "ZHVtbXkx"),
            ("smtpXOAUTH2", "ZHVtbXkx"),
            ("transport", "dummy1"),
            ("portName", "dummy1"),
            ("dbport", "dummy1"),
        ] {
            assert_eq!(dummy(1, None, field), expected, "{field}");
        }
    }

    #[test]
    fn the_fill_rule_takes_the_first_of_two() {
        let text = "[pop-client]\nmailbox = a@example.com\nsecret = s\npassword =\nclient-id =\n\
                    mail.pop3.auth.mechanisms = XOAUTH2\n[secret-s]\npassword =\n";
        let rendered = rehearsed(Format::GenesysIni, text).unwrap();
        assert_eq!(rendered.matches("dummy").count(), 3, "{rendered}");
    }

    #[test]
    fn what_cannot_be_rendered_is_told() {
        let text = r#"{"a": "x{{ bulla://a/n | int }}"}"#;
        let problems = rehearsed(Format::Json, text).unwrap_err();
        assert_eq!(problems[0].rule, Rule::BadExpression);
    }
}

//! Finds references in a decoded text: bare, in `{{ }}` or in `(( ))`.

mod signs;

use std::ops::Range;

use memchr::memmem;

use crate::Reference;
use crate::filter::Filter;
use crate::problem::{Rule, escaped};

pub(crate) use self::signs::{
    Signs, find_escaped, has_hits, has_letters, has_plain, hits, is_in_pieces, may_escape_letters,
    may_refer, searcher, unescaped,
};
use crate::reference::{MAX_ENTRY, MAX_FIELD, SCHEME, is_plain};

/// A reference and its filters, at its place in a text.
pub(crate) struct Expression {
    /// The place, with its braces if it has some.
    pub(crate) span: Range<usize>,
    pub(crate) reference: Reference,
    pub(crate) filters: Vec<Filter>,
}

impl Expression {
    /// Whether a number or truth value comes of it, which needs the whole scalar.
    pub(crate) fn is_typed(&self) -> bool {
        self.filters.iter().any(|filter| filter.is_typed())
    }
}

/// What is wrong at an offset of a text.
pub(crate) struct Wrong {
    pub(crate) at: usize,
    pub(crate) rule: Rule,
    pub(crate) what: String,
}

/// Finds the expressions in `text`, from left to right, at the `hits` that [`hits`] gave for it. `bare`
/// says whether the whole text may be a reference without braces.
pub(crate) fn find(
    text: &[u8],
    hits: impl Iterator<Item = usize>,
    bare: bool,
) -> (Vec<Expression>, Vec<Wrong>) {
    let (mut expressions, mut wrong) = (Vec::new(), Vec::new());
    let mut done = 0;
    for at in hits {
        if !text[at..].starts_with(SCHEME.as_bytes()) {
            wrong.push(Wrong {
                at,
                rule: Rule::StrayReference,
                what: "a base64-encoded reference stands here, which is not resolved".to_owned(),
            });
            continue;
        }
        if at < done {
            continue;
        }
        let start = at - blanks_before(&text[done..at]);
        let open = text[done..start].last_chunk::<2>();
        let close: &[u8] = match open {
            Some(b"{{") => b"}}",
            Some(b"((") => b"))",
            _ if bare && at == 0 => {
                match parse_reference(text) {
                    Ok(reference) => expressions.push(Expression {
                        span: 0..text.len(),
                        reference,
                        filters: Vec::new(),
                    }),
                    Err(what) => wrong.push(Wrong { at, rule: Rule::BadReference, what }),
                }
                break;
            }
            _ => {
                wrong.push(stray(at));
                done = at + SCHEME.len();
                continue;
            }
        };
        match parse_inside(&text[at..], close) {
            Ok((reference, filters, length)) => {
                done = at + length;
                expressions.push(Expression { span: start - 2..done, reference, filters });
            }
            Err((rule, what)) => {
                wrong.push(Wrong { at, rule, what });
                done = at + SCHEME.len();
            }
        }
    }
    for at in missing_url_filter(text, &expressions) {
        wrong.push(Wrong {
            at,
            rule: Rule::UnencodedInUrl,
            what: "a value in the user information of a URL needs the filter `url`".to_owned(),
        });
    }
    (expressions, wrong)
}

/// Says that a reference stands where none is resolved.
pub(crate) fn stray(at: usize) -> Wrong {
    Wrong {
        at,
        rule: Rule::StrayReference,
        what: "a reference stands where none is resolved; inside a text it is written \
               {{ bulla://ENTRY/FIELD }}"
            .to_owned(),
    }
}

/// Says that a reference stands in a value that is left alone, and why, where that is known.
pub(crate) fn left(at: usize, cause: Option<&str>) -> Wrong {
    let mut what =
        "a reference stands in a value that readers of this format read differently or that \
                    cannot be decoded here"
            .to_owned();
    if let Some(cause) = cause {
        what = format!("{what}; {cause}");
    }
    Wrong { at, rule: Rule::StrayReference, what }
}

/// What is wrong with braces in YAML that are not quoted.
pub(crate) const UNQUOTED: &str =
    "the braces need quotes here; without these, YAML takes them for a mapping";

fn blanks_before(text: &[u8]) -> usize {
    text.iter().rev().take_while(|&&b| is_blank(b)).count()
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

fn parse_reference(text: &[u8]) -> Result<Reference, String> {
    let text = std::str::from_utf8(text).map_err(|_| "the reference is not UTF-8".to_owned())?;
    Reference::parse(text).map_err(|error| error.to_string())
}

type Inside = (Reference, Vec<Filter>, usize);

/// The longest spelling of a reference: every byte percent-encoded, the scheme and a pin around it.
const LONGEST: usize = 3 * (MAX_ENTRY + MAX_FIELD) + 64;

/// Parses `REF | filter | filter` up to and with `close`, and says how long that was.
fn parse_inside(text: &[u8], close: &[u8]) -> Result<Inside, (Rule, String)> {
    let bad = |what: &str| (Rule::BadExpression, what.to_owned());
    let stop = |b: &u8| is_blank(*b) || matches!(b, b'|' | b'}' | b')' | b'\r' | b'\n');
    // No reference is longer, and to look on would be to look through the whole file, from each place
    // that begins as one.
    let near = &text[..text.len().min(LONGEST)];
    let length = near.iter().position(stop).unwrap_or(near.len());
    let reference = parse_reference(&text[..length]).map_err(|what| (Rule::BadReference, what))?;
    let mut filters = Vec::new();
    let mut at = length;
    let skip_blanks = |at: &mut usize| {
        *at += text[*at..].iter().take_while(|&&b| is_blank(b)).count();
    };
    loop {
        skip_blanks(&mut at);
        if text[at..].starts_with(close) {
            at += close.len();
            break;
        }
        if text.get(at) != Some(&b'|') {
            return Err(bad("after the reference stands neither a filter nor the closing braces"));
        }
        at += 1;
        skip_blanks(&mut at);
        let name = &text[at..];
        let length = name.iter().take_while(|&&b| b == b'-' || is_plain(b.into())).count();
        let name = std::str::from_utf8(&name[..length]).expect("plain characters are ASCII");
        at += name.len();
        let Some(filter) = Filter::named(name) else {
            let shown: String = name.chars().take(40).collect();
            let what = format!(
                "there is no filter `{}`; there are {}",
                escaped(&shown),
                Filter::ALL.map(Filter::name).join(", ")
            );
            return Err((Rule::BadExpression, what));
        };
        if filters.contains(&filter) {
            return Err(bad("a filter stands twice"));
        }
        filters.push(filter);
    }
    let typed = filters.iter().filter(|filter| filter.is_typed()).count();
    if typed > 0 && filters.len() > 1 {
        return Err(bad("the filters `int` and `bool` stand alone"));
    }
    Ok((reference, filters, at))
}

/// Where a value without the filter `url` stands between `://` and `@`.
///
/// One pass, however many expressions there are.
fn missing_url_filter(text: &[u8], expressions: &[Expression]) -> Vec<usize> {
    let mut missing = Vec::new();
    // The values since the last `://` that nothing has ended yet.
    let mut open: Option<Vec<usize>> = None;
    let mut rest = 0;
    for expression in expressions.iter().map(Some).chain([None]) {
        let end = expression.map_or(text.len(), |expression| expression.span.start);
        let mut plain = &text[rest..end];
        loop {
            if let Some(values) = &mut open {
                let ends = |b: &u8| b"@/?#\"'<> \t\r\n".contains(b);
                let Some(at) = plain.iter().position(ends) else { break };
                if plain[at] == b'@' {
                    missing.append(values);
                }
                open = None;
                plain = &plain[at..];
            }
            let Some(at) = memmem::find(plain, b"://") else { break };
            open = Some(Vec::new());
            plain = &plain[at + 3..];
        }
        let Some(expression) = expression else { break };
        if let Some(values) = &mut open
            && !expression.filters.contains(&Filter::Url)
        {
            values.push(expression.span.start);
        }
        rest = expression.span.end;
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let text = text.as_bytes();
        let (expressions, wrong) = find(text, hits(text).into_iter(), true);
        let mut out: Vec<_> = expressions
            .iter()
            .map(|e| {
                let filters: Vec<_> = e.filters.iter().map(|f| f.name()).collect();
                format!("{}..{} {} {}", e.span.start, e.span.end, e.reference, filters.join(","))
            })
            .collect();
        out.extend(wrong.iter().map(|w| format!("{} {}", w.at, w.rule.name())));
        out
    }

    #[test]
    fn expressions_are_found() {
        for (text, expected) in [
            ("bulla://a/b", vec!["0..11 bulla://a/b "]),
            ("x{{bulla://a/b}}y", vec!["1..16 bulla://a/b "]),
            ("(( bulla://a/b | url|base64 ))", vec!["0..30 bulla://a/b url,base64"]),
            ("{{{ bulla://a/b }}}", vec!["1..18 bulla://a/b "]),
            (
                "{{ bulla://a/b }}{{ bulla://c/d }}",
                vec!["0..17 bulla://a/b ", "17..34 bulla://c/d "],
            ),
            ("{{ .Values.x }} (( grab y )) {{", vec![]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn everything_else_that_looks_like_one_is_wrong() {
        for (text, expected) in [
            (" bulla://a/b", "1 stray-reference"),
            ("bulla://a/b ", "0 bad-reference"),
            ("see bulla://a/b", "4 stray-reference"),
            ("{ bulla://a/b }", "2 stray-reference"),
            ("{{ \"bulla://a/b\" }}", "4 stray-reference"),
            ("{{ bulla://a/b", "3 bad-expression"),
            ("{{ bulla://a/b ))", "3 bad-expression"),
            ("{{ bulla://a/b | }}", "3 bad-expression"),
            ("{{ bulla://a/b | upper }}", "3 bad-expression"),
            ("{{ bulla://a/b | url | url }}", "3 bad-expression"),
            ("{{ bulla://a/b | int | url }}", "3 bad-expression"),
            ("{{ bulla://a }}", "3 bad-reference"),
            ("{{\nbulla://a/b }}", "3 stray-reference"),
            ("YnVsbGE6Ly9hL2I=", "0 stray-reference"),
            ("eGJ1bGxhOi8vYS9i", "2 stray-reference"),
            ("eHhidWxsYTovL2EvYg==", "3 stray-reference"),
            ("YnVs\nbGE6Ly9hL2I=", "0 stray-reference"),
            ("eGJ1\r\n  bGxh\r\n  Oi8vYS9i", "2 stray-reference"),
            ("x: eHhidWxs\\r\\nYTov\\nL2EvYg==", "6 stray-reference"),
        ] {
            assert_eq!(found(text), [expected], "{text}");
        }
    }

    #[test]
    fn values_in_urls_need_the_filter() {
        for (text, wrong) in [
            ("postgres://u:{{ bulla://a/b }}@h/d", true),
            ("postgres://{{ bulla://a/b }}@h/d", true),
            ("postgres://{{ bulla://a/b | url }}:{{ bulla://a/c }}@h/d", true),
            ("postgres://u:{{ bulla://a/b | url }}@h/d", false),
            ("https://h/{{ bulla://a/b }} me@example.com", false),
            ("https://{{ bulla://a/b }}/x@y", false),
            ("{{ bulla://a/b }}@h", false),
        ] {
            let text = text.as_bytes();
            let (_, found) = find(text, hits(text).into_iter(), true);
            assert_eq!(found.iter().any(|w| w.rule == Rule::UnencodedInUrl), wrong, "{text:?}");
        }
    }
}

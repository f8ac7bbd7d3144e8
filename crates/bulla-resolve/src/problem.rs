//! What can be wrong with a template or a render, with its place.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::Reference;
use crate::check::tokens;
use crate::source::{FailureKind, RefPart};

/// One thing that is wrong, and where.
///
/// It never holds a value nor a piece of the file other than a reference or a name.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// The rule that was broken.
    pub rule: Rule,
    /// Who is at fault; what an exit code is chosen by.
    pub kind: Kind,
    /// The name that the template was given.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong, in lower case and without a full stop.
    pub what: String,
    /// Where something is missing: what exists and is spelled nearly so, best first. Where an option
    /// is missing: the lines to paste.
    pub nearest: Vec<String>,
    /// What it is about, where that helps to find the way out.
    pub about: Option<Box<About>>,
}

/// What a problem is about, for those who know the way out of it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum About {
    /// A secret beside references, in a text that adopting leaves as it is.
    BesideReferences,
    /// What Helm, or the like, is to make YAML of before it is a file of that format.
    Chart,
    /// A comment, in a format that has none but has a twin with comments.
    Comment,
    /// A value in a Secret of Kubernetes.
    InSecret,
    /// The value of this, which its filter does not take.
    Filtered(Reference),
    /// This does not exist, for want of that part of it.
    Missing(Reference, RefPart),
}

/// `FILE:LINE:COLUMN: WHAT`, with control characters escaped.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, what) = (escaped(&self.file), escaped(&self.what));
        write!(f, "{file}:{}:{}: {what}", self.line, self.column)
    }
}

/// Who is at fault.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Kind {
    /// The place or its format cannot carry the value.
    CannotCarry,
    /// What the file asks for is not clear, or the rendering did not prove right.
    Conflict,
    /// The file is a template as it should not be, for example with a literal secret in it.
    Finding,
    /// An entry, a field, a version or an option does not exist.
    Missing,
    /// Nothing is wrong, but somebody may want to know.
    Note,
    /// The source of the values failed.
    Source(FailureKind),
    /// The template itself is wrong.
    Template,
    /// It works, or may work, but not as well as it could.
    Warning,
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $rule:ident = $name:literal, $kind:ident;)*) => {
        /// The rules, each with a stable name. docs/reference.md lists them.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[doc = $doc])* $rule,)*
        }

        impl Rule {
            /// All rules, by name.
            pub const ALL: &[Self] = &[$(Self::$rule,)*];

            /// The stable name of the rule.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)*
                }
            }

            /// What it is about, in a sentence.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self {
                    $(Self::$rule => concat!($($doc,)*).trim_ascii(),)*
                }
            }

            /// Who is at fault where it is broken, unless the problem itself says something else.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self {
                    $(Self::$rule => Kind::$kind,)*
                }
            }
        }
    };
}

rules! {
    /// A password that is an access token, which is dead after an hour.
    AccessTokenAsPassword = "access-token-as-password", Finding;
    /// The fill rule finds two entries that could be meant.
    AmbiguousFill = "ambiguous-fill", Conflict;
    /// An outgoing server with a password that is not used, as `enable-authentication` is not
    /// `true`.
    AuthenticationOff = "authentication-off", Warning;
    /// A client id that is none of the provider's.
    BadClientId = "bad-client-id", Finding;
    /// A directory id that is no GUID.
    BadDirectoryId = "bad-directory-id", Warning;
    /// Something between `{{` and `}}` that begins as a reference and does not end as one.
    BadExpression = "bad-expression", Template;
    /// A reference that breaks the grammar.
    BadReference = "bad-reference", Template;
    /// A `secret` option whose value can name no section.
    BadSecretName = "bad-secret-name", Template;
    /// A password login that the provider has ended or is about to end.
    BasicAuthRetired = "basic-auth-retired", Warning;
    /// A password that is needed and blank, and that no rule fills.
    BlankValue = "blank-value", Missing;
    /// The format cannot carry the value at this place.
    CannotCarry = "cannot-carry", CannotCarry;
    /// A command that checks renderings fails on one with dummies.
    CheckCommand = "check-command", Finding;
    /// Traces that may hold credentials are switched on.
    DebugOn = "debug-on", Warning;
    /// An option that stands twice in one section.
    DuplicateOption = "duplicate-option", Template;
    /// A section that stands twice.
    DuplicateSection = "duplicate-section", Template;
    /// A template that holds nothing, though it was named and not just found in a folder.
    EmptyTemplate = "empty-template", Warning;
    /// A mailbox by EWS, which Exchange Online gives up on 2027-04-01.
    EwsRetired = "ews-retired", Warning;
    /// A value that its filter cannot encode.
    FilterFailed = "filter-failed", CannotCarry;
    /// A reference of another tool, which rendering leaves as it is.
    ForeignReference = "foreign-reference", Warning;
    /// A Gmail section with XOAUTH2 that lacks an option for it.
    GmailIncomplete = "gmail-incomplete", Finding;
    /// A secret that stands in the template in clear.
    LiteralSecret = "literal-secret", Finding;
    /// The file does not follow its format.
    Malformed = "malformed", Template;
    /// A masked value that no rule fills.
    MaskedValue = "masked-value", Missing;
    /// A login mechanism that is spelled otherwise than documented.
    MechanismSpelling = "mechanism-spelling", Warning;
    /// A Microsoft section with tokens that lacks an option for it.
    MicrosoftIncomplete = "microsoft-incomplete", Warning;
    /// An entry, field or version that does not exist.
    Missing = "missing", Missing;
    /// A section or option that the fill rule needs and that is not there.
    MissingOption = "missing-option", Missing;
    /// Two sections whose names differ in case only.
    NamesDifferInCase = "names-differ-in-case", Warning;
    /// A server whose certificate is not compared with its name.
    NoIdentityCheck = "no-identity-check", Warning;
    /// Nothing in the section turns TLS on.
    NoTls = "no-tls", Warning;
    /// A rendering that does not read back as it should.
    NotProven = "not-proven", Conflict;
    /// A file that does not follow its format, so that secrets in it are sought line by line only.
    NotRead = "not-read", Note;
    /// An option and the property that it sets, both in one section.
    OptionTwice = "option-twice", Warning;
    /// TLS is used where the server offers it, and given up where it does not.
    OptionalStarttls = "optional-starttls", Warning;
    /// A `secret` on a Microsoft mailbox, where it has no meaning.
    SecretOnMicrosoft = "secret-on-microsoft", Warning;
    /// A secret in an option that is not called `password`, so that Configuration Server would not
    /// encrypt it.
    SecretOutsidePassword = "secret-outside-password", Warning;
    /// The source of the values failed.
    SourceFailed = "source-failed", Conflict;
    /// A reference where none is resolved.
    StrayReference = "stray-reference", Template;
    /// A client secret where a refresh token belongs, or the other way round.
    SwappedSecrets = "swapped-secrets", Finding;
    /// One token in the sections of different accounts.
    TokenOfTwoMailboxes = "token-of-two-mailboxes", Warning;
    /// More mailboxes than one E-mail Server should have.
    TooManyMailboxes = "too-many-mailboxes", Warning;
    /// Every certificate is trusted, whoever made it.
    TrustsAnyCertificate = "trusts-any-certificate", Warning;
    /// A Microsoft POP3 mailbox with XOAUTH2 without the login form that Microsoft needs.
    TwoLineLogin = "two-line-login", Warning;
    /// A value inside the user information of a URL without the filter `url`.
    UnencodedInUrl = "unencoded-in-url", Template;
    /// A `tenant-authority` that is neither Microsoft's nor Google's.
    UnknownAuthority = "unknown-authority", Finding;
    /// A file with references whose format is not known.
    UnknownFormat = "unknown-format", Template;
    /// An entry of the vault that no template asks for.
    UnusedEntry = "unused-entry", Note;
    /// A `secret-` section that no `secret` selects.
    UnusedSecretSection = "unused-secret-section", Warning;
    /// Login mechanisms beside XOAUTH2, to which the token would be sent as a password.
    WeakerMechanisms = "weaker-mechanisms", Warning;
    /// A file in an encoding other than UTF-8 where that is needed.
    WrongEncoding = "wrong-encoding", Template;
    /// Login mechanisms of another protocol than that of the section.
    WrongProtocol = "wrong-protocol", Finding;
}

/// A problem whose place is still an offset into the file.
pub(crate) struct Pending {
    pub(crate) at: usize,
    pub(crate) rule: Rule,
    pub(crate) kind: Kind,
    pub(crate) what: String,
    pub(crate) nearest: Vec<String>,
    pub(crate) about: Option<Box<About>>,
}

impl Pending {
    pub(crate) fn new(at: usize, rule: Rule, what: impl Into<String>) -> Self {
        Self { at, rule, kind: rule.kind(), what: what.into(), nearest: Vec::new(), about: None }
    }
}

/// Turns offsets into lines and columns, in one pass over the file however many there are.
pub(crate) fn locate(file: &str, src: &[u8], mut pending: Vec<Pending>) -> Vec<Problem> {
    pending.sort_by_key(|problem| problem.at);
    let (mut line, mut column, mut done) = (1, 1, 0);
    let bom = if src.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    pending
        .into_iter()
        .map(|Pending { at, rule, kind, what, nearest, about }| {
            let at = at.clamp(bom, src.len().max(bom));
            let mut passed = &src[done.max(bom).min(at)..at];
            if let Some(last) = memchr::memrchr(b'\n', passed) {
                line += memchr::memchr_iter(b'\n', passed).count();
                column = 1;
                passed = &passed[last + 1..];
            }
            // All but the further bytes of UTF-8 characters.
            column += passed.iter().filter(|byte| !matches!(byte, 0x80..=0xbf)).count();
            done = at;
            let file = file.to_owned();
            // This is the one way to a report, and none shows a name that looks like a secret.
            let what = without_secrets(&what).into_owned();
            let nearest = nearest.iter().map(|near| without_secrets(near).into_owned()).collect();
            Problem { rule, kind, file, line, column, what, nearest, about }
        })
        .collect()
}

/// How many problems of one rule are told of one file: nobody reads more, and a file could have millions.
const MOST: usize = 100;

/// As [`locate`], but where a rule is broken more than [`MOST`] times, the place of the next one says how
/// many there are.
pub(crate) fn locate_first(file: &str, src: &[u8], mut pending: Vec<Pending>) -> Vec<Problem> {
    if pending.len() > MOST {
        pending.sort_by_key(|problem| problem.at);
        let mut left = BTreeMap::new();
        for Pending { rule, kind, .. } in &pending {
            *left.entry((*rule, *kind)).or_insert(0_usize) += 1;
        }
        let mut told = BTreeMap::new();
        pending.retain_mut(|problem| {
            let key = (problem.rule, problem.kind);
            let told = told.entry(key).or_insert(0_usize);
            *told += 1;
            let more = left[&key].saturating_sub(MOST);
            if *told > MOST && more > 1 {
                problem.what = format!("and {more} more like this, from here on");
                (problem.nearest, problem.about) = (Vec::new(), None);
            }
            *told <= MOST + 1
        });
    }
    locate(file, src, pending)
}

/// `text` with a word in the place of what has the shape of a secret, as names and references may have.
#[must_use]
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    let secrets = tokens::in_name(text);
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut from = 0;
    for secret in secrets {
        out.push_str(text.get(from..secret.start).unwrap_or_default());
        out.push_str("(like a secret)");
        from = secret.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// `text` with everything escaped that is not visible, as it may come from a hostile file, and without
/// what has the shape of a secret: keys and sections of a file may be one, too.
pub(crate) fn escaped(text: &str) -> String {
    let text = &without_secrets(text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if hidden { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let src = "\u{feff}a\n\u{e9}\u{e9}x\r\nb".as_bytes();
        let at = |needle: u8| src.iter().position(|&b| b == needle).unwrap();
        let pending = [b'b', b'x', b'a'].map(|b| Pending::new(at(b), Rule::Missing, "gone"));
        let places: Vec<_> = locate("f", src, pending.into())
            .into_iter()
            .map(|problem| (problem.line, problem.column))
            .collect();
        assert_eq!(places, [(1, 1), (2, 3), (3, 1)]);
    }

    /// A million broken references made a report of 71 MB.
    #[test]
    fn of_many_problems_the_first_are_told() {
        for (count, told) in [(100, 100), (101, 101), (102, 101), (5000, 101)] {
            let rules = [Rule::Malformed, Rule::Missing];
            let pending = (0..count).flat_map(|at| rules.map(|rule| Pending::new(at, rule, "x")));
            let found = locate_first("f", &[b'x'; 5000], pending.collect());
            assert_eq!(found.len(), 2 * told);
            let last = &found[2 * told - 1];
            let more = format!("and {} more like this, from here on", count - 100);
            assert_eq!(last.what, if count > 101 { &more } else { "x" });
            assert_eq!(last.column, told);
        }
    }

    /// The option `secret` may hold the secret itself, instead of the name of a section.
    #[test]
    fn names_that_are_secrets_are_not_told() {
        let token = "ghp_0123456789abcdefghijklmnopqrstuvwxyzABCD";
        let mut pending =
            Pending::new(0, Rule::Missing, format!("the section [secret-{token}] is not there"));
        pending.nearest.push(format!("[secret-{token}]"));
        let problem = locate("f", b"", vec![pending]).remove(0);
        assert_eq!(problem.what, "the section [secret-(like a secret)] is not there");
        assert_eq!(problem.nearest, ["[secret-(like a secret)]"]);
    }

    #[test]
    fn messages_cannot_steer_a_terminal() {
        let mut problem =
            locate("a\u{1b}[2J", b"", vec![Pending::new(0, Rule::Missing, "x\u{202e}")]).remove(0);
        problem.line = 7;
        assert_eq!(problem.to_string(), "a\\u{1b}[2J:7:1: x\\u{202e}");
    }

    #[test]
    fn rules_have_names_of_their_own() {
        let mut names: Vec<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert!(names.is_sorted());
        names.dedup();
        assert_eq!(names.len(), Rule::ALL.len());
    }
}

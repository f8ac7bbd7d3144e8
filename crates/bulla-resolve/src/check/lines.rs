//! Finds secrets by the names before them in the lines of texts whose format is not known.
//!
//! The rules stand in docs/reference.md. A line has to be `NAME = VALUE`, `NAME: VALUE` or `NAME VALUE` and
//! nothing else, so that prose and programs are left alone; what cannot be told from these is missed.

use std::ops::Range;

use super::tokens::may_name_secrets;
use crate::adopt::signs::{is_literal, is_secret, is_secret_name};
use crate::format::Format;
use crate::reference::SCHEME;

/// What a secret is called, and where it stands in a text.
type Named<'t> = (&'t str, Range<usize>);

/// The secrets in a text that is a file of this name: what each is called, and where it stands.
///
/// The files in which curl, PostgreSQL and Postfix look for passwords have lines of their own.
pub(crate) fn in_file(name: &str, src: &[u8]) -> Vec<(String, Range<usize>)> {
    let file = file_name(name);
    let look: fn(&str) -> Vec<Named<'_>> = match file {
        ".netrc" | "_netrc" | "netrc" => words_of_netrc,
        ".pgpass" | "pgpass" | "pgpass.conf" => |text| each(text, &["#"], line_of_pgpass),
        "sasl_passwd" | "smtp_sasl_passwd" => |text| each(text, &["#"], line_of_sasl),
        ".npmrc" | "npmrc" => |text| each(text, &COMMENTS, line_of_npmrc),
        _ if is_prose_or_program(file) || !may_name_secrets(src) => return Vec::new(),
        _ => find,
    };
    let Ok(text) = std::str::from_utf8(src) else {
        // Lines in other encodings than UTF-8 are passed over.
        let mut found = Vec::new();
        let mut at = 0;
        for line in src.split_inclusive(|&b| b == b'\n') {
            let here = look(std::str::from_utf8(line).unwrap_or_default());
            let here = here.into_iter();
            found
                .extend(here.map(|(name, span)| (name.to_owned(), at + span.start..at + span.end)));
            at += line.len();
        }
        return found;
    };
    look(text).into_iter().map(|(name, span)| (name.to_owned(), span)).collect()
}

/// The secrets in a text: what each is called, and where it stands.
pub(crate) fn find(text: &str) -> Vec<Named<'_>> {
    each(text, &COMMENTS, line)
}

/// The secrets in a file that does not follow this format: those in its lines, and those in what stands
/// between brackets, commas or tags within a line.
pub(crate) fn in_malformed(name: &str, src: &[u8], format: Format) -> Vec<(String, Range<usize>)> {
    let mut found = in_file(name, src);
    let is_xml = matches!(format, Format::GenesysXml | Format::Xml);
    let ends = |b: &u8| match format {
        Format::Json | Format::Jsonc | Format::Toml | Format::Yaml => b"{},".contains(b),
        _ => is_xml && (b"<>".contains(b) || b.is_ascii_whitespace()),
    };
    if is_prose_or_program(file_name(name)) {
        return found;
    }
    let mut at = 0;
    for line in src.split_inclusive(|&b| b == b'\n') {
        let mut start = at;
        at += line.len();
        let inner = line.trim_ascii_start();
        if COMMENTS.iter().any(|mark| inner.starts_with(mark.as_bytes())) {
            continue;
        }
        // The name of the element that a piece stands in.
        let mut element = "";
        for piece in line.split_inclusive(ends) {
            let from = start;
            start += piece.len();
            let text = str::from_utf8(piece).unwrap_or_default();
            let inner = text.trim_matches(|c: char| c.is_whitespace() || "{},<>/".contains(c));
            let from = from + text.find(inner).unwrap_or_default();
            let is_pair = match is_xml {
                true => inner.ends_with(['"', '\'']),
                false => inner.contains([':', '=']),
            };
            let here = match is_pair {
                true => self::line(inner),
                false => {
                    let is_content = text.ends_with('<') && is_secret_name(element);
                    let is_one = is_content && is_one(inner) && is_secret(element, inner);
                    is_one.then_some((element, 0..inner.len()))
                }
            };
            found.extend(
                here.map(|(name, span)| (name.to_owned(), from + span.start..from + span.end)),
            );
            let tag = text.strip_suffix('>').unwrap_or_default();
            let is_name = self::name(tag).is_some_and(|(_, length)| length == tag.len());
            element = if is_name { tag } else { "" };
        }
    }
    found.sort_by_key(|(_, span)| span.start);
    found.dedup_by_key(|(_, span)| span.start);
    found
}

/// What `look` finds in each line that does not begin as a comment.
fn each<'t>(
    text: &'t str,
    comments: &[&str],
    look: fn(&str) -> Option<Named<'_>>,
) -> Vec<Named<'t>> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        // A byte order mark is white space of a kind.
        let rest = line.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let (inner, start) = (rest.trim_end(), at + line.len() - rest.len());
        at += line.len();
        // The line of a registry in `.npmrc` begins as a comment does.
        let is_registry = inner.starts_with("//") && inner.contains("/:_");
        if is_registry || !comments.iter().any(|mark| inner.starts_with(mark)) {
            let here = look(inner);
            found.extend(here.map(|(name, span)| (name, start + span.start..start + span.end)));
        }
    }
    found
}

/// How comments begin, in some language or other; also lines that quote a text.
const COMMENTS: [&str; 9] = ["#", ";", "//", "--", "*", "/*", "<!--", "!", "%"];

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Whether a file is prose or a program, which have many lines that look like settings.
fn is_prose_or_program(file: &str) -> bool {
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    PROSE_AND_PROGRAMS.iter().any(|other| extension.eq_ignore_ascii_case(other))
}

const PROSE_AND_PROGRAMS: &[&str] = &[
    "adoc", "bash", "c", "cc", "cjs", "cpp", "cs", "css", "diff", "go", "h", "hpp", "htm", "html",
    "java", "js", "jsx", "kt", "lock", "log", "lua", "map", "markdown", "md", "mjs", "patch",
    "perl", "pl", "pm", "po", "pot", "proto", "py", "pyi", "r", "rb", "rs", "rst", "scala", "sql",
    "svelte", "svg", "swift", "tex", "ts", "tsx", "vue",
];

/// A line that gives a name a value.
fn line(line: &str) -> Option<Named<'_>> {
    // `export A=x`, `ENV A=x`, `set $a x` of nginx, `set a x`, `- a: x`, `//registry/:_authToken=x`
    let words = ["export ", "set $", "set ", "- ", "ARG ", "ENV "];
    let at = words.iter().find(|word| line.starts_with(**word));
    let mut at = at.map_or(0, |word| word.len());
    if line.starts_with("//") {
        at = line.find("/:")? + 2;
    }
    let rest = &line[at..];
    let (name_at, length) = name(rest)?;
    let name = &rest[name_at..name_at + length];
    let mut end = at + name_at + length;
    let is_quoted = name_at > 0;
    if is_quoted {
        end += 1;
    }
    let after = &line[end..];
    let sign = after.trim_start();
    let (sign, gap) = match sign.as_bytes() {
        [b'=', b'>', ..] | [b':' | b'+', b'=', ..] => (Sign::Equals, 2),
        // A comparison, and the parts of other signs.
        [b'=' | b':', b'=' | b':' | b'~', ..] => return None,
        [b'=', ..] => (Sign::Equals, 1),
        [b':', ..] => (Sign::Colon, 1),
        _ if sign.len() < after.len() && !is_quoted => (Sign::Blank, 0),
        _ => return None,
    };
    let value_at = end + after.len() - after.trim_start().len() + gap;
    let value_at = value_at + line[value_at..].len() - line[value_at..].trim_start().len();
    let close = value_at == end + gap;
    if line.starts_with("ENV ") && !is_secret_name(name) {
        return connection(line, at);
    }
    if !is_secret_name(name) {
        return if sign == Sign::Equals { connection(line, value_at) } else { None };
    }
    let value = value(&line[value_at..], sign, close)?;
    let value = value_at + value.start..value_at + value.end;
    let text = &line[value.clone()];
    (is_one(text) && is_secret(name, text)).then_some((name, value))
}

/// The password in a value that is a list of settings, `connect = host=h user=u password=p`.
fn connection(line: &str, from: usize) -> Option<Named<'_>> {
    let mut found = None;
    let mut at = from;
    for word in line[from..].split(' ') {
        if !word.is_empty() {
            let (name, value) = word.split_once('=')?;
            let here = at + name.len() + 1..at + word.len();
            if is_one(value) && is_secret(name, value) {
                found = found.or(Some((name, here)));
            }
        }
        at += word.len() + 1;
    }
    found
}

/// The name that a line begins with, in quotes or without any, and its length.
fn name(line: &str) -> Option<(usize, usize)> {
    let quoted = usize::from(line.starts_with(['"', '\'']));
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"_.-".contains(b);
    let length = line.bytes().skip(quoted).take_while(is_part).count();
    let is_closed = quoted == 0 || line.as_bytes().get(1 + length) == line.as_bytes().first();
    (length > 0 && is_closed).then_some((quoted, length))
}

/// What stands between a name and its value.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Sign {
    Blank,
    Colon,
    Equals,
}

/// The value that a text begins with, if nothing stands behind it. `close` says whether it stands at its
/// sign without a blank, as programs write it seldom.
fn value(text: &str, sign: Sign, close: bool) -> Option<Range<usize>> {
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let inner = &text[1..];
        let end = inner.find(quote)?;
        let inner = &inner[..end];
        // A sentence, or a pattern that something is put into.
        let is_other = inner.contains(char::is_whitespace)
            || (inner.contains('{') && inner.contains('}'))
            || inner.contains("%s");
        return (!is_other && is_end(&text[end + 2..])).then_some(1..1 + end);
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    if !is_end(&text[end..]) {
        return None;
    }
    let bare = text[..end].trim_end_matches([';', ',']);
    let is_identifier = bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b))
        && !bare.starts_with(|c: char| c.is_ascii_digit());
    let has_digit = bare.bytes().any(|b| b.is_ascii_digit());
    let has_letter = bare.bytes().any(|b| b.is_ascii_alphabetic());
    // A call, an item, a list or a block.
    let head =
        bare.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_.$:>-&*".contains(c));
    let is_code = head.starts_with(['(', '[', '{', '<'])
        || bare.starts_with(['$', '|', '>', '&', '\\', '@', '`']);
    let is_value = !is_code
        && match sign {
            // A word alone is a variable of a program, a type, or the end of a sentence.
            _ if is_identifier && !(has_digit && bare.len() >= 8) => {
                sign == Sign::Equals && close && bare.len() == end && !is_secret_name(bare)
            }
            Sign::Equals => true,
            Sign::Colon => has_letter,
            Sign::Blank => has_letter && has_digit && bare.len() >= 6,
        };
    is_value.then_some(0..bare.len())
}

/// Whether nothing stands behind a value but what ends a setting.
fn is_end(rest: &str) -> bool {
    let rest = rest.trim_start_matches([';', ',', ' ', '\t']).trim_end();
    // The next line goes on, as that of a Dockerfile's `ENV`.
    rest.is_empty() || rest == "\\" || rest.starts_with('#') || rest.starts_with("//")
}

/// Whether a value may be a secret, and does not stand for one.
fn is_one(value: &str) -> bool {
    let is_number = value.bytes().all(|b| b.is_ascii_digit() || b".,".contains(&b));
    value.len() >= 4
        && is_literal(value)
        && !is_number
        // Those with passwords in them are found by their shape.
        && !value.contains("://")
        && !value.contains(SCHEME)
}

/// `machine HOST login USER password PASSWORD`, on one line or more.
fn words_of_netrc(text: &str) -> Vec<Named<'_>> {
    let mut found = Vec::new();
    let mut before = "";
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if line.trim_start().starts_with('#') {
            continue;
        }
        let mut from = 0;
        for word in line.split_whitespace() {
            let here = from + line[from..].find(word).unwrap_or_default();
            from = here + word.len();
            if before == "password" && is_password(word) {
                found.push((before, start + here..start + from));
            }
            before = if before == "password" { "" } else { word };
        }
    }
    found
}

/// `HOST:PORT:DATABASE:USER:PASSWORD`
fn line_of_pgpass(line: &str) -> Option<Named<'_>> {
    let mut at = 0;
    for _ in 0..4 {
        let rest = &line.as_bytes()[at..];
        let colon =
            (0..rest.len()).find(|&n| rest[n] == b':' && (n == 0 || rest[n - 1] != b'\\'))?;
        at += colon + 1;
    }
    is_password(&line[at..]).then_some(("password", at..line.len()))
}

/// `HOST USER:PASSWORD`
fn line_of_sasl(line: &str) -> Option<Named<'_>> {
    let login = line.rsplit(char::is_whitespace).next().filter(|login| login.len() < line.len())?;
    let (_, password) = login.split_once(':')?;
    let at = line.len() - password.len();
    is_password(password).then_some(("password", at..line.len()))
}

/// As in any text, but that `_auth` is a login in base64.
fn line_of_npmrc(text: &str) -> Option<Named<'_>> {
    let (key, value) = text.split_once('=')?;
    let key = key.trim_end();
    let name = key.rsplit([':', '/']).next().unwrap_or(key);
    let at = text.len() - value.trim_start().len();
    if name == "_auth" {
        return is_password(&text[at..]).then_some(("_auth", at..text.len()));
    }
    line(text)
}

/// Whether a password is there, and no reference or variable in its place.
fn is_password(text: &str) -> bool {
    !text.is_empty() && is_literal(text.trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, text: &str) -> Vec<String> {
        let found = in_file(name, text.as_bytes()).into_iter();
        found.map(|(name, span)| format!("{name} {}", &text[span])).collect()
    }

    #[test]
    fn secrets_are_found_behind_their_names() {
        for (text, expected) in [
            ("smtp_password = hunter22\n", "smtp_password hunter22"),
            ("db_password=geheim", "db_password geheim"),
            ("\u{feff}db_password=geheim", "db_password geheim"),
            ("  password = \"geheim\"", "password geheim"),
            ("password: s3kr!t # old", "password s3kr!t"),
            ("proxy_ssl_password hunter22;", "proxy_ssl_password hunter22"),
            ("auth_token \"geheim\";", "auth_token geheim"),
            ("set smtp_pass=\"hunter22\"", "smtp_pass hunter22"),
            ("set $api_key \"geheim\";", "api_key geheim"),
            ("requirepass hunter22", "requirepass hunter22"),
            ("ENV DB_PASSWORD=hunter22 \\", "DB_PASSWORD hunter22"),
            ("export API_KEY='a-b-c'", "API_KEY a-b-c"),
            ("'db_password' => 'geheim',", "db_password geheim"),
            ("\"password\": \"geheim\",", "password geheim"),
            ("- password: hunter22", "password hunter22"),
            ("password := \"geheim\"", "password geheim"),
            ("a_token = abcdef12;", "a_token abcdef12"),
            ("connect = host=h user=u password=geheim", "password geheim"),
            ("bind_pw hunter22", "bind_pw hunter22"),
            ("dnpass = hunter22", "dnpass hunter22"),
            ("ENV DB_PASSWORD=geheim", "DB_PASSWORD geheim"),
            ("ENV DB_PASSWORD hunter22", "DB_PASSWORD hunter22"),
            ("ENV A=1 DB_PASSWORD=geheim", "DB_PASSWORD geheim"),
            ("ARG NPM_TOKEN=geheim", "NPM_TOKEN geheim"),
        ] {
            assert_eq!(found("x.conf", text), [expected], "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_is_not_found() {
        for text in [
            "# password = hunter22",
            "password = ${PASSWORD}",
            "password = $password;",
            "password = {{ bulla://a/b }}",
            "password: string",
            "password: String,",
            "token = next_token;",
            "token = tok2;",
            "password = get_password(user1)",
            "secret = args[1]",
            "password == \"geheim\"",
            "Password: enter the user's password",
            "password: \"Enter your password\"",
            "password = \"your_password\"",
            "password = xxxxxxxx",
            "password: \"[password]\"",
            "ARG NPM_TOKEN",
            "ENV PATH=/usr/bin TOKEN_FILE=/run/x",
            "token = 4096",
            "use_password = yes",
            "password = /run/secrets/db",
            "password=password",
            "secret: \"{0}\"",
            "token required",
            "password {",
            "user = hunter22",
            "x = a password=geheim",
            "token: https://example.com/1",
        ] {
            assert_eq!(found("x.conf", text), [""; 0], "{text}");
        }
        assert_eq!(found("x.py", "password = \"geheim\""), [""; 0]);
    }

    #[test]
    fn files_of_passwords_have_lines_of_their_own() {
        for (name, text, expected) in [
            (".netrc", "machine h login u password geheim\n#password x\n", "password geheim"),
            ("a/.netrc", "machine h\n  login u\n  password\n  geheim\n", "password geheim"),
            // Most such lines begin as the comments of other files do.
            (".pgpass", "*:*:*:joe:sEcr3tz9\n", "password sEcr3tz9"),
            (".pgpass", "# x\nh\\:1:5432:*:u:ge:heim\n", "password ge:heim"),
            ("sasl_passwd", "[smtp.example.com]:587 u@example.com:geheim\n", "password geheim"),
            (".npmrc", "//registry.npmjs.org/:_authToken=geheim\n", "_authToken geheim"),
            (".npmrc", "_auth=dTpw\n", "_auth dTpw"),
            (".npmrc", "//h/:_auth = dTpw\n", "_auth dTpw"),
        ] {
            assert_eq!(found(name, text), [expected], "{text}");
        }
        for (name, text) in [
            (".netrc", "machine h login u password {{bulla://a/b}}\n"),
            (".pgpass", "h:5432:*:u:{{ bulla://a/b }}\n"),
            (".npmrc", "//registry.npmjs.org/:_authToken=${NPM_TOKEN}\n_auth=${A}\nfund=false\n"),
            ("sasl_passwd", "h u:{{bulla://a/b}}\n"),
        ] {
            assert_eq!(found(name, text), [""; 0], "{text}");
        }
    }

    /// One comma too many hid the password in the line before it.
    #[test]
    fn what_does_not_follow_its_format_is_sought_in_the_pieces_of_its_lines() {
        for (format, text, expected) in [
            (Format::Json, r#"{"password": "hunter2hunter",}"#, "password hunter2hunter"),
            (Format::Json, r#""db": { "password": "geheim" },"#, "password geheim"),
            (Format::Json, "\"password\": \"geheim\",\n", "password geheim"),
            (Format::Yaml, "y: {user: joe, password: hunter2hunter}", "password hunter2hunter"),
            (Format::Xml, r#"<a user="u" password="geheim"/>"#, "password geheim"),
            (Format::Xml, "<password>geheim</password>", "password geheim"),
        ] {
            let found = in_malformed("x", text.as_bytes(), format);
            let found: Vec<_> =
                found.iter().map(|(name, at)| format!("{name} {}", &text[at.clone()])).collect();
            assert_eq!(found, [expected], "{text}");
        }
        for (format, text) in [
            (Format::Json, r#"{"password": "", "token": {"type": "string"}}"#),
            (Format::Json, r#"{"password": "${PASSWORD}"}"#),
            (Format::Yaml, "# {password: hunter2hunter}"),
            (Format::Yaml, "{token: string, password: next}"),
            (Format::Xml, "<password></password>text<b>"),
            (Format::Xml, "<p>Set password=geheim there</p>"),
            (Format::Xml, "<!-- <password>geheim</password> -->"),
            (Format::Shell, "f() { password=$1, token=geheim; }"),
        ] {
            assert_eq!(in_malformed("x", text.as_bytes(), format), [], "{text}");
        }
    }

    #[test]
    fn lines_in_other_encodings_are_passed_over() {
        let text = b"caf\xe9\npassword = hunter22\n";
        let found = in_file("x.conf", text);
        assert_eq!(found, [("password".to_owned(), 16..24)]);
    }
}

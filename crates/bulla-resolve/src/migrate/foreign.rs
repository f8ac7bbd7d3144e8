//! How other tools write references, and what each of them means.
//!
//! Nothing of another tool is followed or run. Only what can mean one thing is taken; for the rest there is
//! a reason.

use std::ops::Range;

use crate::adopt::signs::is_secret_name;
use crate::indirect::{ANSIBLE_VAULT, Indirect, SOPS, indirect, is_bank_vaults};

/// What looks like a reference of another tool, at its place in a text.
pub(super) struct Hit {
    pub(super) span: Range<usize>,
    pub(super) what: Result<Foreign, &'static str>,
}

/// A reference of another tool.
#[derive(Clone)]
pub(super) struct Foreign {
    /// Whose it is.
    pub(super) tool: &'static str,
    /// As it may be shown. What stands behind `?` in it may be a credential and is left out.
    pub(super) shown: String,
    pub(super) entry: String,
    pub(super) field: String,
    /// What tells the secret from all others, wherever and however it is referred to. It is not for being
    /// shown.
    pub(super) identity: String,
}

/// Finds the references of other tools in `text`, from left to right. `variables` is the entry that has a
/// field for each variable of the environment, if there is one.
pub(super) fn find(text: &str, variables: Option<&str>) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut at = 0;
    if let Some(Indirect::Encrypted(why)) = indirect(text) {
        return vec![Hit { span: 0..text.len(), what: Err(why) }];
    }
    while let Some(found) = text[at..].find(['{', 'o', 'r', 's', '$', '<', 'v']) {
        let start = at + found;
        let hit = hit(text, start, variables);
        at = match hit {
            Some((end, Some(what))) => {
                hits.push(Hit { span: start..end, what });
                end
            }
            Some((end, None)) => end,
            None => start + 1,
        };
    }
    hits
}

/// Where references of 1Password, vals and consul-template begin in `text`, which somebody would find there
/// as they are. With `sure`, only those of which it is clear where they end, and none of consul-template: a
/// text may be a template for that.
pub(super) fn places(text: &str, sure: bool) -> Vec<usize> {
    let is_one = |hit: &&Hit| {
        let hit_text = text[hit.span.clone()].trim_start_matches(['{', '-', ' ']);
        if !sure && asks_vault(hit_text) {
            return true;
        }
        let path = [OP, "ref+", "secretref+"].into_iter().find_map(|it| hit_text.strip_prefix(it));
        path.is_some_and(|path| path.starts_with(|c: char| !c.is_whitespace()))
            && (hit.what.is_ok() || !sure)
    };
    find(text, None).iter().filter(is_one).map(|hit| hit.span.start).collect()
}

type What = Result<Foreign, &'static str>;

/// What begins at `at`: its end, and what it is if it is any of our business.
fn hit(text: &str, at: usize, variables: Option<&str>) -> Option<(usize, Option<What>)> {
    let rest = &text[at..];
    let begins_word = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '+');
    let length_of = |(length, what): (usize, What)| (at + length, Some(what));
    if rest.starts_with("{{") {
        return braces(rest).map(length_of);
    }
    if rest.starts_with("$ANSIBLE_VAULT;") {
        return Some((text.len(), Some(Err(ANSIBLE_VAULT))));
    }
    if rest.starts_with('$') {
        let (length, what) = variable(rest, variables)?;
        let escaped = text[..at].ends_with('\\');
        return Some((at + length, what.filter(|_| !escaped)));
    }
    if rest.starts_with("<path:") {
        return Some(length_of((word(rest), Err(PLUGIN))));
    }
    if !begins_word {
        return None;
    }
    if rest.starts_with(OP) {
        let what = if at == 0 { one_password(rest) } else { Err(NO_END) };
        let length = if at == 0 && what.is_ok() { rest.len() } else { word(rest) };
        return Some(length_of((length, what)));
    }
    if let Some(uri) = rest.strip_prefix("secretref+").or_else(|| rest.strip_prefix("ref+")) {
        let (length, what) = vals(uri)?;
        return Some(length_of((rest.len() - uri.len() + length, what)));
    }
    let whole = at == 0;
    let left = [
        (whole && rest.starts_with("secrets+"), HELM_SECRETS),
        (whole && is_bank_vaults(rest), BANK_VAULTS),
    ];
    let (_, why) = left.into_iter().find(|(is_it, _)| *is_it)?;
    Some((text.len(), Some(Err(why))))
}

const OP: &str = "op://";

/// `op://VAULT/ITEM/FIELD` and `op://VAULT/ITEM/SECTION/FIELD`, all of `uri`.
fn one_password(uri: &str) -> What {
    let path = uri.strip_prefix(OP).unwrap_or_default();
    if path.contains('$') {
        return Err("a variable stands in the reference; write the name that it stands for");
    }
    if path.contains('?') {
        return Err(
            "it asks 1Password for more than a field, such as a one-time password or another form of a key",
        );
    }
    let plain = |c: char| c.is_alphanumeric() || "-_. /".contains(c);
    if let Some((_, other)) = path.char_indices().find(|&(_, c)| !plain(c)) {
        return Err(if other.is_control() || "\"'{}".contains(other) {
            NO_END
        } else {
            "a character stands in it that 1Password has no references with"
        });
    }
    let (entry, field) = path.rsplit_once('/').unwrap_or_default();
    if !matches!(path.split('/').count(), 3 | 4) {
        return Err("it names no field: 1Password's references are op://VAULT/ITEM/FIELD");
    }
    Ok(Foreign {
        tool: "1password",
        shown: uri.to_owned(),
        entry: entry.to_owned(),
        field: field.to_owned(),
        identity: format!("1password {path}"),
    })
}

/// The stores of secrets that vals reads, and whether the whole secret has a value without a key.
const STORES: [(&str, bool); 12] = [
    ("awssecrets", true),
    ("awsssm", true),
    ("azurekeyvault", true),
    ("bws", true),
    ("conjur", true),
    ("doppler", false),
    ("gcpsecrets", true),
    ("gitlab", true),
    ("infisical", true),
    ("op", true),
    ("onepasswordconnect", true),
    ("vault", false),
];

/// `BACKEND://PATH[?PARAMETERS][#/KEY][+]`, and how long it is.
fn vals(uri: &str) -> Option<(usize, What)> {
    let backend = &uri[..uri.find(|c: char| !c.is_ascii_alphanumeric())?];
    let rest = uri[backend.len()..].strip_prefix("://")?;
    let begin = uri.len() - rest.len();
    let is_end = |c: char| c.is_whitespace() || matches!(c, '+' | '"' | '\'' | ',' | '{' | '}');
    let length = rest.find(is_end).unwrap_or(rest.len());
    let ends = &rest[length..];
    let end = begin + length + usize::from(ends.starts_with('+'));
    if !ends.is_empty() && !ends.starts_with('+') {
        return Some((
            end,
            Err("nothing says where it ends; vals' own mark for that is `+` behind it"),
        ));
    }
    let what = || {
        let found = STORES.iter().find(|(name, _)| *name == backend);
        let Some((store, whole)) = found else {
            return Err(match backend {
                "sops" => SOPS,
                "file" | "echo" | "exec" | "envsubst" => {
                    "its value is no secret in a store but comes from a file, a command or the text itself"
                }
                _ => "it is of a store that is not known here",
            });
        };
        let rest = &rest[..length];
        // A password may have `/`, `?` and `#` in it, and would become a part of names.
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') || authority.contains(':') && rest.contains('@') {
            return Err("a login stands in it, before `@`");
        }
        let (rest, key) =
            rest.split_once('#').map_or((rest, None), |(rest, key)| (rest, Some(key)));
        let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let parameter = |text: &str| parameters.split('&').any(|p| p.starts_with(text));
        if parameter("version") {
            return Err(VERSION);
        }
        let path = path.trim_matches('/');
        let key = key.map(|key| key.trim_start_matches('/')).filter(|key| !key.is_empty());
        if key.is_some_and(|key| key.contains('?')) {
            return Err("parameters stand behind its key, where vals has none");
        }
        if *store == "op" {
            let found = one_password(&format!("{OP}{path}"))?;
            let shown = format!("ref+{}", found.shown);
            return match key {
                None => Ok(Foreign { tool: "vals", shown, ..found }),
                Some(_) => Err("it asks for a part of a field"),
            };
        }
        let shown =
            format!("ref+{store}://{path}{}", key.map_or_else(String::new, |k| format!("#/{k}")));
        let full = match key {
            Some(key) => format!("{path}/{key}"),
            None if *whole => format!("{path}/value"),
            None => return Err("it names no key of the secret"),
        };
        let (entry, field) = full.rsplit_once('/').ok_or("it names no field")?;
        // Parameters say which server is asked, and how to log in there, which makes it no other secret.
        let is_login = |p: &&str| {
            ["auth", "role_id", "secret_id", "token", "user", "password"]
                .iter()
                .any(|l| p.starts_with(l))
        };
        let server: Vec<_> = parameters.split('&').filter(|p| !is_login(p)).collect();
        let identity = format!("{store} {path} {} {}", key.unwrap_or_default(), server.join("&"));
        let (entry, field) = (entry.to_owned(), field.to_owned());
        Ok(Foreign { tool: "vals", shown, entry, field, identity })
    };
    Some((end, what()))
}

/// What stands between `{{` and `}}`, and how long it is with them.
fn braces(text: &str) -> Option<(usize, What)> {
    let (inside, length) = block(text)?;
    let outer = inside.starts_with('-') || inside.ends_with('-');
    let inside = inside.trim_matches('-').trim();
    if inside.starts_with(OP) {
        return Some((length, if outer { Err(TRIMS) } else { one_password(inside) }));
    }
    if let Some(path) = inside.strip_prefix("with secret ") {
        let (length, what) = with_secret(text, length, path.trim())?;
        let opens = text[2..].starts_with('-');
        return Some((
            length,
            if opens || text[..length].ends_with("-}}") { what.and(Err(TRIMS)) } else { what },
        ));
    }
    if inside.contains("secret \"") || inside.contains("secret '") || inside.contains("secret `") {
        let what = inline_secret(inside);
        return Some((length, if outer { Err(TRIMS) } else { what }));
    }
    let is_call = |name: &str| {
        inside.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('('))
    };
    if ["lookup", "query", "q"].into_iter().any(is_call) {
        return Some((
            length,
            Err("Ansible looks it up when it runs, with whatever its plugin is told"),
        ));
    }
    if inside.contains(OP) || inside.contains("ref+") {
        return Some((length, Err("more stands in the braces than a reference")));
    }
    None
}

/// Whether what stands in the braces of a template reads a secret of Vault by consul-template's function.
fn asks_vault(inside: &str) -> bool {
    let call = inside.strip_prefix("with ").unwrap_or(inside).trim_start_matches(['(', ' ']);
    call.strip_prefix("secret ").is_some_and(|path| path.trim_start().starts_with(['"', '`']))
}

/// What stands in `{{ }}` at the beginning of `text`, without blanks around it, and how long all is.
fn block(text: &str) -> Option<(&str, usize)> {
    let inside = text.strip_prefix("{{")?;
    // Nobody writes more, and to look on would be to look through the whole text, from each brace.
    let near = &inside.as_bytes()[..inside.len().min(LONGEST)];
    let end = memchr::memmem::find(near, b"}}")?;
    Some((inside[..end].trim(), end + 4))
}

/// `{{ with secret "PATH" }}{{ .Data.data.KEY }}{{ end }}`, of which the first block is `length` long.
fn with_secret(text: &str, length: usize, path: &str) -> Option<(usize, What)> {
    let path = match path_of(path) {
        Ok(path) => path,
        Err(why) => return Some((length, Err(why))),
    };
    // What the marks of these two take away is nothing.
    let piece = |at: usize| {
        let (inside, length) = block(&text[at..])?;
        Some((inside.trim_matches('-').trim(), at + length))
    };
    let Some((data, after)) = piece(length) else { return Some((length, Err(MORE_KEYS))) };
    let key = match key_of(data) {
        Ok(key) => key,
        Err(why) => return Some((length, Err(why))),
    };
    match piece(after) {
        Some(("end", end)) => Some((end, Ok(of_vault(path, key)))),
        _ => Some((length, Err(MORE_KEYS))),
    }
}

/// `(secret "PATH").Data.data.KEY`, all of it.
fn inline_secret(inside: &str) -> What {
    let call = inside.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (call, data) = call.ok_or(MORE_IN_BRACES)?;
    let path = path_of(call.strip_prefix("secret ").ok_or(MORE_IN_BRACES)?)?;
    Ok(of_vault(path, key_of(data)?))
}

/// The key in `.Data.data.KEY` and `index .Data.data "KEY"`, or the same without `data` of the older engine.
fn key_of(data: &str) -> Result<&str, &'static str> {
    if let Some(index) = data.strip_prefix("index ") {
        let index = index.trim_start();
        let key = index.strip_prefix(".Data.data ").or_else(|| index.strip_prefix(".Data "));
        let (key, rest) = quoted(key.ok_or(MORE_KEYS)?.trim_start()).ok_or(MORE_KEYS)?;
        return match rest {
            "" => Ok(key),
            _ if rest.starts_with('|') => Err(FUNCTION),
            _ => Err(MORE_KEYS),
        };
    }
    let key = data.strip_prefix(".Data.data.").or_else(|| data.strip_prefix(".Data."));
    let key = key.ok_or(MORE_KEYS)?;
    let plain = |c: char| c.is_alphanumeric() || c == '_';
    let length = key.find(|c| !plain(c)).unwrap_or(key.len());
    match key[length..].trim_start() {
        "" if !key.is_empty() && key != "data" => Ok(key),
        rest if rest.starts_with('|') => Err(FUNCTION),
        _ => Err(MORE_KEYS),
    }
}

/// The path that consul-template asks Vault for, out of what stands behind `secret`.
fn path_of(call: &str) -> Result<&str, &'static str> {
    let (path, rest) = quoted(call.trim()).ok_or("its path is not written out")?;
    match path.split_once('?') {
        Some((_, parameters)) if parameters.contains("version=") => return Err(VERSION),
        Some(_) => return Err("parameters stand behind its path"),
        None => {}
    }
    if rest.is_empty() {
        return Ok(path);
    }
    Err("it gives Vault parameters, such as for a new certificate; a reference has none")
}

/// A text in quotes, without escapes, and what stands behind them.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '`'))?;
    let (inside, rest) = text[1..].split_once(quote)?;
    (!inside.is_empty() && !inside.contains(['"', '`', '\\']))
        .then_some((inside, rest.trim_start()))
}

fn of_vault(path: &str, key: &str) -> Foreign {
    Foreign {
        tool: "consul-template",
        shown: format!("{path}#{key}"),
        entry: path.trim_matches('/').to_owned(),
        field: key.to_owned(),
        identity: format!("vault {} {key} ", path.trim_matches('/')),
    }
}

/// `${NAME}` and `$NAME`, and how long it is. Without an entry for them, only what is called a secret is
/// told: most variables are none.
fn variable(text: &str, variables: Option<&str>) -> Option<(usize, Option<What>)> {
    let rest = text.strip_prefix('$')?;
    if rest.starts_with('$') {
        // An escaped one; `$$${A}` is escaped and not.
        return Some((2, None));
    }
    let (name_at, braced) = if rest.starts_with('{') { (1, true) } else { (0, false) };
    let name = &rest[name_at..];
    let length = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    let name = &name[..length];
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let after = 1 + name_at + length;
    let is_closed = braced && text[after..].starts_with('}');
    let near = &text.as_bytes()[after..text.len().min(after + LONGEST)];
    let end = if braced { after + memchr::memchr(b'}', near)? + 1 } else { after };
    if variables.is_none() && !is_secret_name(name) {
        return Some((end, None));
    }
    let what = if is_closed {
        variables.ok_or(NO_ENTRY).map(|entry| Foreign {
            tool: "environment",
            shown: format!("${{{name}}}"),
            entry: entry.to_owned(),
            field: name.to_owned(),
            identity: format!("environment {name}"),
        })
    } else if braced {
        Err(
            "something else than a name stands in the braces, such as a default; a reference has none",
        )
    } else {
        Err("a variable without braces; write it with them if it is one of the environment")
    };
    Some((end, Some(what)))
}

/// How long the word at the beginning of `text` is.
fn word(text: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '>' | '}');
    text.find(ends).unwrap_or(text.len())
}

/// How much may stand between braces.
const LONGEST: usize = 4096;

pub(super) const NO_ENTRY: &str = "no entry is named for variables of the environment";
const VERSION: &str = "it asks for one version, which has another number in bulla";
const FUNCTION: &str = "a function changes the value; write the filter of bulla that does the same";
const MORE_IN_BRACES: &str = "more stands in the braces than one key of one secret";
const MORE_KEYS: &str =
    "it is more than one key of one secret in one place; write a reference for each";
const NO_END: &str = "nothing says where it ends in this text; write braces around it";
const TRIMS: &str = "its `-` takes away white space around it";
const HELM_SECRETS: &str =
    "helm-secrets reads it from a file: decrypt that, and adopt what comes out";
const BANK_VAULTS: &str = "it is Bank-Vaults', which reads it when the container starts";
const PLUGIN: &str = "it is a placeholder of argocd-vault-plugin";

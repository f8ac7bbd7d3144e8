//! Runs the files in `tests/cases`: each is a behaviour, told as a session in a shell.
//!
//! | line | what it means |
//! |---|---|
//! | `# ...` | what the case is about |
//! | `vault: identity` | the home has an empty vault that an identity opens (so by default); or `passphrase`, `none` |
//! | `needs: root` | skipped for others; also `keyring` (of the kernel) and `mounts` (of file systems) |
//! | `+ NAME` | a file, mode 600, with the `\|` lines below |
//! | `% ...` | shell command that prepares something and has to succeed |
//! | `$ ...` | shell command under test: `bulla`, perhaps with a pipe; what follows belongs to it |
//! | `< ...` | a line of its standard input |
//! | `> ...` | a line of its standard output; all of them, none if there is none |
//! | `! ...` | the same for standard error |
//! | `? N` | its exit code, 0 if there is none |
//! | `~ NAME` | this file or folder may hold secrets, and may be changed although the command fails |
//! | `= NAME` | a file that now holds just the `\|` lines below |
//!
//! In text, `<CANARY>` stands for a secret, `<HOME>` for the home, `<NO-NL>` for a missing newline
//! at the end and `<U+202E>` for a character. In what is expected, `[..]` stands for any part of a
//! line, and a line `...` for any lines. A shell finds the vault in `$VAULT`.
//!
//! Each step is held to more than it says. No secret is printed, and none lies in a file, unless the
//! expectation shows it there. If the command fails, no file has been changed, made or removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::{Ended, Home, SECRETS, VALUE, Way, skipped};

#[test]
fn every_case_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= LEAST, "cases are lost");
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let text = fs::read_to_string(path).unwrap();
                    if let Err(what) = Case::parse(&text).check() {
                        let name = path.file_name().unwrap().to_string_lossy();
                        failed.lock().unwrap().push(format!("== {name}\n{what}\n"));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), paths.len(), failed.join("\n"));
}

/// How many cases there are at least.
const LEAST: usize = 250;

#[test]
fn what_a_case_expects_can_fail() {
    assert!(matches("a [..] c\n...\nz\n", "a b c\n1\n2\nz\n"));
    assert!(matches("...\n", "") && matches("", "") && matches("[..]\n", "\n"));
    for (pattern, text) in [
        ("", "a"),
        ("a", "a\n"),
        ("a[..]c\n", "a\nc\n"),
        ("a\n...\nz\n", "a\nb\n"),
        ("...\nz\n", "az\n"),
    ] {
        assert!(!matches(pattern, text), "{pattern:?} {text:?}");
    }
    let fails = |text: &str| Case::parse(text).check().unwrap_err();
    assert!(fails("$ echo a\n").contains("stdout"));
    assert!(fails("$ echo a >&2\n> a\n").contains("stdout"));
    assert!(fails("$ false\n").contains("exit code"));
    assert!(fails("$ echo x > left; exit 3\n? 3\n").contains("left"));
    assert!(fails("$ cat >&2\n< <CANARY>\n! [..]\n").contains("secret"));
    assert!(fails("$ cat | tee out | base64 > b\n< <CANARY>\n").contains("secret"));
    assert!(fails("+ f\n| a\n$ true\n= f\n| b\n").contains("f holds"));
}

/// A case as it is written.
struct Case<'a> {
    way: Way,
    needs: Vec<&'a str>,
    steps: Vec<Step>,
}

enum Step {
    File { name: String, contents: String },
    Prepare(String),
    Run(Box<Command>),
    Holds { name: String, contents: String },
}

impl Step {
    /// Files that may hold a secret because the case says so.
    fn secret_files(&self) -> Vec<&Path> {
        match self {
            Self::File { name, contents } | Self::Holds { name, contents } => {
                contents.contains("<CANARY>").then_some(Path::new(name)).into_iter().collect()
            }
            Self::Run(command) => command.may_change.iter().map(Path::new).collect(),
            Self::Prepare(_) => Vec::new(),
        }
    }
}

#[derive(Default)]
struct Command {
    script: String,
    stdin: String,
    stdout: String,
    stderr: String,
    code: i32,
    may_change: Vec<String>,
}

impl<'a> Case<'a> {
    fn parse(text: &'a str) -> Self {
        let mut case = Self { way: Way::Identity, needs: Vec::new(), steps: Vec::new() };
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let (mark, rest) = line.split_at_checked(1).unwrap_or_default();
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            match mark {
                "" | "#" => {}
                "+" | "=" => {
                    let mut contents = String::new();
                    while let Some(line) = lines.next_if(|line| line.starts_with('|')) {
                        add_line(&mut contents, &line[1..]);
                    }
                    let name = rest.to_owned();
                    case.steps.push(if mark == "=" {
                        Step::Holds { name, contents }
                    } else {
                        Step::File { name, contents }
                    });
                }
                "%" => case.steps.push(Step::Prepare(rest.to_owned())),
                "$" => {
                    let script = rest.to_owned();
                    case.steps.push(Step::Run(Box::new(Command { script, ..Default::default() })));
                }
                "<" | ">" | "!" | "?" | "~" => {
                    let Some(Step::Run(command)) = case.steps.last_mut() else {
                        panic!("there is no command before `{line}`");
                    };
                    match mark {
                        "<" => add_line(&mut command.stdin, &line[1..]),
                        ">" => add_line(&mut command.stdout, &line[1..]),
                        "!" => add_line(&mut command.stderr, &line[1..]),
                        "?" => command.code = rest.parse().expect("an exit code"),
                        _ => command.may_change.push(rest.to_owned()),
                    }
                }
                _ => match line.split_once(": ") {
                    Some(("vault", "identity")) => case.way = Way::Identity,
                    Some(("vault", "passphrase")) => case.way = Way::Passphrase,
                    Some(("vault", "none")) => case.way = Way::None,
                    Some(("needs", needs)) => case.needs.push(needs),
                    _ => panic!("`{line}` means nothing"),
                },
            }
        }
        case
    }

    fn check(&self) -> Result<(), String> {
        if let Some(missing) = self.needs.iter().find(|what| !is_there(what)) {
            skipped(&format!("a case, which needs {missing}"));
            return Ok(());
        }
        let home = Home::new(self.way);
        let secret = self.steps.iter().flat_map(Step::secret_files).collect::<Vec<_>>();
        for step in &self.steps {
            match step {
                Step::File { name, contents } => home.write(name, filled_in(contents, &home)),
                Step::Prepare(script) => {
                    let ended = home.sh(&filled_in(script, &home)).run();
                    if !ended.status.success() {
                        return Err(format!("% {script}\n{ended}"));
                    }
                }
                Step::Run(command) => {
                    command.check(&home, &secret)?;
                }
                Step::Holds { name, contents } => {
                    let found = fs::read(home.file(name)).map_err(|e| format!("{name}: {e}"))?;
                    let found = String::from_utf8_lossy(&found);
                    if !matches(&filled_in(contents, &home), &found) {
                        return Err(format!("{name} holds {found:?}"));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Command {
    fn check(&self, home: &Home, secret: &[&Path]) -> Result<(), String> {
        let before = home.state();
        let ended =
            home.sh(&filled_in(&self.script, home)).stdin(filled_in(&self.stdin, home)).run();
        let wrong = |what: &str| Err(format!("$ {}\n{what} is wrong: {ended}", self.script));
        if ended.code() != self.code {
            return wrong("the exit code");
        }
        let streams =
            [("stdout", &self.stdout, ended.out()), ("stderr", &self.stderr, ended.stderr.clone())];
        for (stream, expected, found) in &streams {
            if !matches(&filled_in(expected, home), found) {
                return wrong(stream);
            }
            let shown = expected.contains("<CANARY>") || expected.contains("AGE-SECRET-KEY");
            if !shown && let Some(seen) = SECRETS.find(found.as_bytes()) {
                return Err(format!("$ {}\n{stream} shows a secret: {}", self.script, seen.what));
            }
        }
        self.check_files(home, secret, &before, &ended)
    }

    fn check_files(
        &self,
        home: &Home,
        secret: &[&Path],
        before: &BTreeMap<PathBuf, String>,
        ended: &Ended,
    ) -> Result<(), String> {
        let is_known = |name: &Path| {
            secret.iter().any(|secret| name.starts_with(secret)) || home.is_key_file(name)
        };
        for (path, seen) in SECRETS.find_in_files(home.path()) {
            let name = path.strip_prefix(home.path()).unwrap();
            // What a shell command puts into a file is its own affair where the case says so.
            if !is_known(name) {
                let name = name.display();
                return Err(format!("$ {}\n{name} holds a secret: {}", self.script, seen.what));
            }
        }
        if self.code == 0 {
            return Ok(());
        }
        let after = home.state();
        let names = before.keys().chain(after.keys());
        let changed = names.filter(|name| before.get(*name) != after.get(*name));
        let may = |name: &Path| self.may_change.iter().any(|known| name.starts_with(known));
        let changed: BTreeSet<_> = changed.filter(|name| !may(name)).collect();
        if !changed.is_empty() {
            return Err(format!("$ {}\nfailed, and changed {changed:?}: {ended}", self.script));
        }
        Ok(())
    }
}

fn is_there(what: &str) -> bool {
    match what {
        "root" => rustix::process::geteuid().is_root(),
        "mounts" => {
            let try_it = "unshare -m mount -t tmpfs none .";
            Home::new(Way::None).sh(try_it).run().status.success()
        }
        "keyring" => {
            let doctor = Home::new(Way::None).bulla(["doctor"]).run();
            doctor.out().contains("the kernel keeps keys")
        }
        _ => panic!("nobody knows how to look for {what}"),
    }
}

/// Adds a line as it stands behind its mark.
fn add_line(text: &mut String, line: &str) {
    let line = line.strip_prefix(' ').unwrap_or(line);
    match line.strip_suffix("<NO-NL>") {
        Some(line) => text.push_str(line),
        None => {
            text.push_str(line);
            text.push('\n');
        }
    }
}

/// Puts in what stands in angle brackets.
fn filled_in(text: &str, home: &Home) -> String {
    let mut text = text
        .replace("<CANARY>", VALUE.as_str())
        .replace("<HOME>", &home.path().display().to_string());
    while let Some((before, (code, after))) =
        text.split_once("<U+").and_then(|(before, rest)| Some((before, rest.split_once('>')?)))
    {
        let code = u32::from_str_radix(code, 16).expect("a code point");
        text = format!("{before}{}{after}", char::from_u32(code).expect("a code point"));
    }
    text
}

/// Whether `text` is what `pattern` describes.
fn matches(pattern: &str, text: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("...\n") {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        return starts.into_iter().any(|at| matches(rest, &text[at..]));
    }
    if let Some(rest) = pattern.strip_prefix("[..]") {
        let line = text.find('\n').unwrap_or(text.len());
        let mut ends = text[..line].char_indices().map(|(at, _)| at).chain([line]);
        return ends.any(|at| matches(rest, &text[at..]));
    }
    // Up to the next thing that is not literal.
    let next = [pattern.find("[..]"), pattern.find("\n...\n").map(|at| at + 1)];
    let end = next.into_iter().flatten().min().unwrap_or(pattern.len());
    let (literal, rest) = pattern.split_at(end);
    match text.strip_prefix(literal) {
        Some(text) if rest.is_empty() => text.is_empty(),
        Some(text) => matches(rest, text),
        None => false,
    }
}

//! Commands of the user that look at renderings before anything is replaced.
//!
//! They see copies, in a private folder on a file system that lies in memory. What they do to these
//! changes nothing, and what they print is shown only with every piece of a value masked.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bulla_resolve::{Rendering, Secret};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::files::path_in;
use crate::templates::Job;

// What is run before anything is replaced.
#[derive(clap::Args)]
pub(crate) struct CheckCommands {
    /// Run this command first, and replace nothing if it fails; {} is a copy of each rendering in
    /// memory, {dir} the folder of all copies
    #[arg(long, value_name = "COMMAND", value_parser = command)]
    check_cmd: Vec<Check>,
    /// How many seconds a check may take
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    check_timeout: u64,
}

impl CheckCommands {
    /// Whether there is anything to run, here or for one of the `jobs`, and it may be.
    pub(crate) fn are_given(&self, context: &Context, jobs: &[Job]) -> Result<bool, Failure> {
        if self.check_cmd.is_empty() && jobs.iter().all(|job| job.check.is_none()) {
            return Ok(false);
        }
        if context.global.passphrase_fd.is_some_and(|number| number > 0) {
            return Err(Failure::usage("a check could read the descriptor of the passphrase")
                .hint("give the passphrase on standard input, or in a file"));
        }
        Ok(true)
    }

    /// Runs all checks on what they are to see, and hands each that fails to `failed`, which may end it.
    pub(crate) fn run(
        &self,
        context: &Context,
        seen: &Seen<'_>,
        failed: &mut dyn FnMut(Failed) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let runs = self.runs(seen);
        for (check, number) in &runs {
            match check.takes_one() {
                true => no_script(&seen.names[*number])?,
                false => seen.names.iter().try_for_each(|name| no_script(name))?,
            }
        }
        let copies = Copies::make(context, seen.names, seen.renderings)?;
        let signals = Signals::watch();
        for (check, number) in runs {
            let name = &seen.names[number];
            let of =
                if check.takes_one() { format!(" of {}", name.display()) } else { String::new() };
            let fact = |what: String| format!("the check `{}`{of} {what}", check.0[0]);
            let child = match check.start(&copies, name) {
                Ok(child) => child,
                Err(error) => {
                    let what = format!("cannot be run: {}", crate::failure::io_fact(&error));
                    failed(Failed { number, fact: fact(what), said: None })?;
                    continue;
                }
            };
            let end = self.wait(child, &copies, &signals);
            let what = match end
                .map_err(|error| Failure::file("wait for", Path::new(&check.0[0]), &error))?
            {
                End::Exited(status) if status.success() => continue,
                End::Exited(status) => format!("failed with {status}"),
                End::TookTooLong => format!("took longer than {} seconds", self.check_timeout),
                End::SaidTooMuch => format!("printed more than {MOST_SAID} bytes"),
                End::Interrupted => {
                    return Err(Failure::new(Exit::Interrupted, "interrupted", "interrupted"));
                }
            };
            failed(Failed { number, fact: fact(what), said: Some(copies.said()) })?;
        }
        Ok(())
    }

    /// Each check, and the number of the rendering that it looks at; where it is for the folder, of the first
    /// that it is for.
    fn runs<'c>(&'c self, seen: &Seen<'c>) -> Vec<(&'c Check, usize)> {
        let mut runs = Vec::new();
        let mut add = |check: &'c Check, number| {
            let known = || runs.iter().any(|(other, _)| *other == check);
            if check.takes_one() || seen.all && !known() {
                runs.push((check, number));
            }
        };
        for check in &self.check_cmd {
            (0..seen.jobs.len()).for_each(|number| add(check, number));
        }
        for (number, job) in seen.jobs.iter().enumerate() {
            job.check.iter().for_each(|check| add(check, number));
        }
        runs
    }

    /// Waits for the end of a check, and ends with it whatever it started in its process group.
    fn wait(&self, mut child: Child, copies: &Copies, signals: &Signals) -> std::io::Result<End> {
        let until = Instant::now() + Duration::from_secs(self.check_timeout);
        let pid = Pid::from_child(&child);
        let mut pause = Duration::from_millis(1);
        let cut = loop {
            // It is not reaped before its group is killed: until then nobody else can get its number.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            match rustix::process::waitid(WaitId::Pid(pid), options) {
                Ok(Some(_)) => break None,
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => break None,
            }
            if signals.stop.load(Ordering::Relaxed) {
                break Some(End::Interrupted);
            }
            if Instant::now() > until {
                break Some(End::TookTooLong);
            }
            if fs::metadata(&copies.output).is_ok_and(|output| output.len() > MOST_SAID) {
                break Some(End::SaidTooMuch);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        let status = child.wait()?;
        Ok(cut.unwrap_or(End::Exited(status)))
    }
}

/// What checks are to see.
pub(crate) struct Seen<'a> {
    pub(crate) jobs: &'a [&'a Job],
    /// What the copies are called, relative to the folder that they lie in.
    pub(crate) names: &'a [PathBuf],
    pub(crate) renderings: &'a [Rendering],
    /// Whether these are all; if not, nothing is run on the folder.
    pub(crate) all: bool,
}

/// A check that failed.
pub(crate) struct Failed {
    /// The number of the rendering that it was for, or of the first if it was for the folder.
    pub(crate) number: usize,
    pub(crate) fact: String,
    /// The end of what it printed; nothing if it could not be run at all.
    said: Option<Zeroizing<Vec<u8>>>,
}

impl Failed {
    /// Whether it could be run.
    pub(crate) fn ran(&self) -> bool {
        self.said.is_some()
    }

    /// The last lines of what it printed, if any, with every piece of these values masked.
    pub(crate) fn said(&self, renderings: &[Rendering], secrets: &[Secret]) -> Option<String> {
        let said = masked(self.said.as_ref()?, renderings, secrets);
        Some(said.trim()).filter(|said| !said.is_empty()).map(last_lines)
    }
}

/// How a check ended.
enum End {
    Exited(ExitStatus),
    TookTooLong,
    SaidTooMuch,
    Interrupted,
}

/// A command, in words; the first is the program.
#[derive(Clone, PartialEq)]
pub(crate) struct Check(Vec<String>);

impl Check {
    /// Whether it is run for each rendering; else it is for all of them.
    fn takes_one(&self) -> bool {
        self.0.iter().any(|word| word.contains("{}"))
    }

    fn start(&self, copies: &Copies, name: &Path) -> std::io::Result<Child> {
        let file = copies.files.join(name);
        let words = self.0[1..].iter().map(|word| filled(word, &file, &copies.files));
        let output = File::options().append(true).create(true).mode(0o600).open(&copies.output)?;
        output.set_len(0)?;
        Command::new(&self.0[0])
            .args(words)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
    }
}

pub(crate) fn command(text: &str) -> Result<Check, &'static str> {
    let words = shlex::split(text).ok_or("its quotes do not match")?;
    if words.iter().skip(1).any(|word| word.contains("{}") || word.contains("{dir}")) {
        Ok(Check(words))
    } else {
        Err("nothing in it stands for the rendering; write {} or {dir}")
    }
}

/// Refuses a name of which a shell would make more than a path. Who may add a template names a file, and
/// must not write a piece of a command by it, wherever in a script `{}` stands.
fn no_script(name: &Path) -> Result<(), Failure> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_+./:=,@%".contains(c);
    if name.to_str().is_some_and(|name| name.chars().all(is_plain)) {
        return Ok(());
    }
    let name = name.display();
    let fact = format!("no check is run on {name}, as its name could be a piece of a script");
    Err(Failure::new(Exit::Failed, "check-failed", fact)
        .hint("files that are checked have names of letters, digits and -_+./:=,@%"))
}

/// The last lines of what a check printed: there most tools say what is wrong.
fn last_lines(said: &str) -> String {
    match said.rmatch_indices('\n').nth(LINES_SHOWN - 1) {
        None => format!("it said:\n{said}"),
        Some((end, _)) => format!("its last {LINES_SHOWN} lines:\n{}", &said[end + 1..]),
    }
}

fn filled(word: &str, file: &Path, folder: &Path) -> OsString {
    let mut out = Vec::new();
    let mut rest = word;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before.as_bytes());
        let (put, after) = if let Some(after) = from.strip_prefix("{}") {
            (file.as_os_str(), after)
        } else if let Some(after) = from.strip_prefix("{dir}") {
            (folder.as_os_str(), after)
        } else {
            (OsStr::new("{"), &from[1..])
        };
        out.extend_from_slice(put.as_bytes());
        rest = after;
    }
    out.extend_from_slice(rest.as_bytes());
    OsString::from_vec(out)
}

/// Copies of renderings in memory, which are removed when this is dropped. A killed process leaves
/// them there until the next check.
struct Copies {
    root: PathBuf,
    files: PathBuf,
    output: PathBuf,
    /// Held as long as they are in use.
    _lock: File,
}

impl Copies {
    fn make(
        context: &Context,
        names: &[PathBuf],
        renderings: &[Rendering],
    ) -> Result<Self, Failure> {
        let memory = memory_folder()?;
        remove_left_over(&memory);
        let root = memory.join(format!("{PREFIX}{}", context.random_name()?));
        let files = root.join("files");
        let failed = |path: &Path, error| Failure::file("make", path, &error);
        let make = |path: &Path| {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| failed(path, e))
        };
        DirBuilder::new().mode(0o700).create(&root).map_err(|error| failed(&root, error))?;
        let lock = File::open(&root).map_err(|error| failed(&root, error))?;
        lock.try_lock().map_err(|error| failed(&root, error.into()))?;
        let copies = Self { output: root.join("output"), root, files, _lock: lock };
        make(&copies.files)?;
        for (name, rendering) in names.iter().zip(renderings) {
            let path = copies.files.join(name);
            make(path.parent().unwrap_or(&copies.files))?;
            let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
            file.and_then(|mut file| file.write_all(rendering.contents.expose()))
                .map_err(|error| failed(&path, error))?;
        }
        Ok(copies)
    }

    /// The end of what the last check printed.
    fn said(&self) -> Zeroizing<Vec<u8>> {
        let mut said = Zeroizing::new(Vec::with_capacity(MOST_SHOWN as usize));
        // Without it there is less to show, and the check failed all the same.
        let _ = File::open(&self.output).and_then(|mut file| {
            let before = file.metadata()?.len().saturating_sub(MOST_SHOWN);
            file.seek(SeekFrom::Start(before))?;
            file.take(MOST_SHOWN).read_to_end(&mut said)?;
            // No piece of a value that is too short to be known as one.
            if before > 0 {
                let line = said.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                said.drain(..line);
            }
            Ok(())
        });
        said
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Where files lie in memory and not on a disk.
fn memory_folder() -> Result<PathBuf, Failure> {
    let candidates = [path_in("XDG_RUNTIME_DIR"), Some("/dev/shm".into())];
    candidates.into_iter().flatten().find(|path| is_in_memory(path)).ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            "no-memory-folder",
            "no folder lies in memory, to check copies in",
        )
        .hint("a check needs a tmpfs at $XDG_RUNTIME_DIR or /dev/shm")
    })
}

#[cfg(target_os = "linux")]
fn is_in_memory(path: &Path) -> bool {
    /// tmpfs and ramfs
    const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];
    let f_type = || Some(rustix::fs::statfs(path).ok()?.f_type as i64);
    f_type().is_some_and(|number| IN_MEMORY.contains(&(number & 0xffff_ffff)))
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_: &Path) -> bool {
    false
}

/// Removes what killed processes of this user left: it is old, and nobody holds it.
fn remove_left_over(memory: &Path) {
    let Ok(entries) = fs::read_dir(memory) else { return };
    let own = rustix::process::geteuid().as_raw();
    for entry in entries.filter_map(Result::ok) {
        let ours = entry.file_name().as_bytes().starts_with(PREFIX.as_bytes())
            && entry.metadata().is_ok_and(|it| {
                // One that was just made may not be locked yet.
                let old = it.modified().ok().and_then(|time| time.elapsed().ok());
                it.is_dir() && it.uid() == own && old.is_some_and(|age| age.as_secs() > 60)
            });
        if ours && File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Signals that would end the program, while there is something to be cleaned up.
struct Signals {
    stop: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Signals {
    fn watch() -> Self {
        crate::hold::leave();
        let this = Self { stop: Arc::default(), over: Arc::default() };
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // Without these, only the copies in memory would be left.
            let _ = signal_hook::flag::register_conditional_default(signal, Arc::clone(&this.over));
            let _ = signal_hook::flag::register(signal, Arc::clone(&this.stop));
        }
        this
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// What a check printed, without any piece of a value: wherever [`PIECE`] bytes in a row stand in a
/// value too, as it is, as it was placed, or in base64, they are masked. That masks more than it
/// has to, which is better than less.
fn masked(said: &[u8], renderings: &[Rendering], secrets: &[Secret]) -> Zeroizing<String> {
    let mut pieces: HashSet<&[u8]> = HashSet::new();
    let placed = renderings.iter().flat_map(|rendering| {
        rendering.values.iter().map(|range| &rendering.contents.expose()[range.clone()])
    });
    let values: Vec<_> = placed.chain(secrets.iter().map(Secret::expose)).collect();
    let encoded: Vec<_> = values
        .iter()
        .flat_map(|value| (0..3).map(|before| in_base64(value, before)))
        .filter(|text| text.len() > 1)
        .collect();
    for value in values.iter().copied().chain(encoded.iter().map(|text| text.as_bytes())) {
        pieces.extend(value.windows(PIECE.min(value.len().max(1))));
    }
    let mut secret = vec![false; said.len()];
    for len in 1..=PIECE {
        for (at, piece) in said.windows(len).enumerate() {
            if pieces.contains(piece) {
                secret[at..at + len].fill(true);
            }
        }
    }
    let mut out = Zeroizing::new(Vec::with_capacity(said.len() + 8));
    for (at, byte) in said.iter().enumerate() {
        if !secret[at] {
            out.push(*byte);
        } else if at == 0 || !secret[at - 1] {
            out.extend_from_slice(b"********");
        }
    }
    Zeroizing::new(String::from_utf8_lossy(&out).into_owned())
}

/// The letters of base64 that depend on `value` alone, with so many bytes before it.
fn in_base64(value: &[u8], before: usize) -> Zeroizing<String> {
    let bytes = Zeroizing::new([&[0; 2][..before], value].concat());
    let mut text = Zeroizing::new(STANDARD_NO_PAD.encode(&bytes));
    text.replace_range(..(before * 8).div_ceil(6), "");
    text
}

const PREFIX: &str = "bulla-check-";
const PIECE: usize = 4;
const MOST_SAID: u64 = 1 << 20;
const MOST_SHOWN: u64 = 16 << 10;
const LINES_SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_values_are_masked_in_any_form() {
        let secret = Secret::copied_from(b"correct horse");
        let short = Secret::copied_from(b"#7");
        let masked = |said: &str| {
            masked(
                said.as_bytes(),
                &[],
                &[Secret::copied_from(secret.expose()), Secret::copied_from(short.expose())],
            )
            .to_string()
        };
        assert_eq!(
            masked("bad value \"correct horse\" in line 7\n"),
            "bad value \"********\" in line 7\n"
        );
        assert_eq!(masked("unexpected orse"), "unexpected ********");
        assert_eq!(masked("a#7b"), "a********b");
        // A letter of the value alone was left, with something before it.
        for (before, expected) in
            [("", "********X8"), ("x", "eG********V/"), ("xy", "eHl********fw")]
        {
            let text = STANDARD_NO_PAD.encode(format!("{before}correct horse\u{7f}"));
            assert_eq!(masked(&text), expected, "{text}");
        }
    }

    #[test]
    fn words_are_filled_in() {
        let filled = |word| filled(word, Path::new("/m/a b"), Path::new("/m"));
        assert_eq!(filled("-c={}:{dir}/{x}{"), "-c=/m/a b:/m/{x}{");
        assert!(command("nginx -t").is_err() && command("x '{}").is_err());
        assert!(command("").is_err() && command("{}").is_err());
    }
}

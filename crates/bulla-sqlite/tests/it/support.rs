//! What several modules need: rows that tell which commits are there, child processes, small disks.
//!
//! A child is this test binary again, told by the environment which role to play.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use bulla_sqlite::{Options, SqliteStore};
use bulla_vault::store::{Store, StoreError, Table, View};

/// An empty folder and the path of a vault in it.
pub(crate) fn home() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.bulla");
    (folder, path)
}

pub(crate) fn create(path: &Path) -> SqliteStore {
    SqliteStore::create(path, Options::default()).unwrap()
}

pub(crate) fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Options::default()).unwrap()
}

pub(crate) fn open_error(path: &Path) -> StoreError {
    SqliteStore::open(path, Options::default()).err().expect("it does not open")
}

/// Waits for nothing.
pub(crate) fn impatient() -> Options {
    Options { busy_wait: Duration::ZERO, lock_wait: Duration::ZERO, ..Options::default() }
}

/// What lies in a folder, sorted.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Appends row `n` of `writer`, and notes in another table how many there are. The value is long
/// enough to spread over several pages.
pub(crate) fn append(store: &dyn Store, writer: u8, n: u32) -> Result<(), StoreError> {
    let mut txn = store.write()?;
    let value = [n.to_be_bytes(); 700].concat();
    txn.put(Table::Entry, &row_key(writer, n), &value)?;
    txn.put(Table::Head, &[writer], &(n + 1).to_be_bytes())?;
    txn.commit()
}

/// How many rows `writer` has appended. Panics if these are not the first ones, all of them whole,
/// and the number that was noted.
pub(crate) fn appended(view: &(impl View + ?Sized), writer: u8) -> u32 {
    let mut count = 0;
    view.scan(Table::Entry, &[writer], &mut |key, value| {
        if key[0] != writer {
            return ControlFlow::Break(());
        }
        assert_eq!(key, row_key(writer, count), "a row is missing");
        assert!(value == [count.to_be_bytes(); 700].concat(), "row {count} is not whole");
        count += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    let noted = view.get(Table::Head, &[writer]).unwrap();
    let noted = noted.map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
    assert_eq!(noted, count, "half a commit");
    count
}

fn row_key(writer: u8, n: u32) -> [u8; 5] {
    let [a, b, c, d] = n.to_be_bytes();
    [writer, a, b, c, d]
}

/// A child process in one of the roles of [`play`]. It is killed when dropped.
pub(crate) struct Role {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Role {
    /// Starts the child; `role` is a word, or a word and a number.
    pub(crate) fn start(role: &str, vault: &Path) -> Self {
        Self::start_by(Command::new(std::env::current_exe().unwrap()), role, vault)
    }

    /// Starts it by way of another command, which ends in the path of this binary.
    pub(crate) fn start_by(mut command: Command, role: &str, vault: &Path) -> Self {
        let mut child = command
            .args(["--exact", "support::play", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(VAULT, vault)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        Self { child, says }
    }

    /// The next thing that it says, or `None` at its end.
    pub(crate) fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.says.read_line(&mut line).unwrap() > 0 {
            if let Some((_, said)) = line.split_once(SAYS) {
                return Some(said.trim_end().to_owned());
            }
            line.clear();
        }
        None
    }

    /// Lets go of a child that waits for a word.
    pub(crate) fn go(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Kills it with SIGKILL, and gives what it had still said.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9), "it had ended by itself");
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Waits for its end, and gives what it said until then.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        let said = std::iter::from_fn(|| self.next()).collect();
        (self.child.wait().unwrap(), said)
    }

    /// Waits for a good end.
    pub(crate) fn succeeds(self) -> Vec<String> {
        let (status, said) = self.end();
        assert!(status.success(), "the child failed after {said:?}");
        said
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // Both fail where it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ROLE: &str = "BULLA_SQLITE_TEST_ROLE";
const VAULT: &str = "BULLA_SQLITE_TEST_VAULT";
const SAYS: &str = "the child says ";

fn say(what: impl std::fmt::Display) {
    let mut out = std::io::stdout();
    writeln!(out, "{SAYS}{what}").and_then(|()| out.flush()).unwrap();
}

/// The child's side. Without a role it is no test and passes at once.
#[test]
fn play() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = PathBuf::from(std::env::var_os(VAULT).unwrap());
    let (role, number) = role.split_once(' ').unwrap_or((&role, "0"));
    let number: u32 = number.parse().unwrap();
    let writer = u8::try_from(number % 256).unwrap();
    match role {
        // Appends until it is killed, and says each number once it is committed.
        "append" => {
            let store = open(&path);
            let from = appended(&*store.read().unwrap(), writer);
            for n in from.. {
                append(&store, writer, n).unwrap();
                say(n + 1);
            }
        }
        // The same with a store of its own for each row, so that logs are folded back all the time.
        "append-and-close" => {
            for n in 0..100 {
                append(&open(&path), writer, n).unwrap();
            }
        }
        // Appends until the system refuses to, and looks at the store after that.
        "outgrow" => {
            let store = open(&path);
            let error = (0..)
                .find_map(|n| match append(&store, writer, n) {
                    Ok(()) => {
                        say(n + 1);
                        None
                    }
                    Err(error) => Some(error),
                })
                .unwrap();
            assert!(matches!(error, StoreError::Disk { .. }), "{error:?}");
            assert!(matches!(store.read().err(), Some(StoreError::Poisoned)));
            assert!(matches!(store.write().err(), Some(StoreError::Poisoned)));
        }
        "count" => {
            let store = open(&path);
            for _ in 0..number {
                let mut txn = store.write().unwrap();
                let count = txn.get(Table::Head, b"count").unwrap().unwrap();
                let count = u32::from_be_bytes(count.try_into().unwrap()) + 1;
                txn.put(Table::Head, b"count", &count.to_be_bytes()).unwrap();
                txn.put(Table::Node, &count.to_be_bytes(), &[writer; 300]).unwrap();
                txn.commit().unwrap();
            }
        }
        "create" => {
            say("ready");
            std::io::stdin().read_line(&mut String::new()).unwrap();
            match SqliteStore::create(&path, Options::default()) {
                Ok(store) => {
                    append(&store, writer, 0).unwrap();
                    say("created");
                }
                Err(StoreError::Exists) => say("exists"),
                Err(error) => panic!("{error:?}"),
            }
        }
        "create-slowly" => SqliteStore::create_with(&path, Options::default(), |store| {
            append(store, writer, 0)?;
            say("filling");
            std::io::stdin().read_line(&mut String::new()).unwrap();
            Ok::<_, StoreError>(())
        })
        .unwrap(),
        "lock" => {
            let store = open(&path);
            let _held = store.lock(&[writer; 16]).unwrap();
            say("locked");
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
        "write-slowly" => {
            let store = open(&path);
            let txn = store.write().unwrap();
            say("writing");
            std::io::stdin().read_line(&mut String::new()).unwrap();
            drop(txn);
        }
        other => panic!("no role {other}"),
    }
}

/// Says why a test did not run, past the capture of what tests print.
pub(crate) fn skipped(why: &str) {
    std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes()).unwrap();
}

/// A small file system of its own in memory, or `None` and a line that says why not.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub(crate) fn new(kib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={kib}k,mode=700");
        if mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], folder.path()) {
            Some(Self(folder))
        } else {
            skipped("no tmpfs can be mounted here, which takes root");
            None
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn make_read_only(&self) {
        assert!(mount(&["-o", "remount,ro"], self.path()));
    }

    pub(crate) fn make_writable(&self) {
        assert!(mount(&["-o", "remount,rw"], self.path()));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, so that a failed test does not leave it behind.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn mount(options: &[&str], at: &Path) -> bool {
    let mut command = Command::new("mount");
    command.args(options).arg(at).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

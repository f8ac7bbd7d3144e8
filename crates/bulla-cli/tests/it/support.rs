//! A home of its own for each test, and what the program did there.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::LazyLock;

use bulla_testkit::canary::{Canary, Scanner};

/// What stands for a secret in every test of this process.
pub(crate) static VALUE: LazyLock<Canary> = LazyLock::new(Canary::new);
/// The passphrase of every vault that has one.
pub(crate) static PASSPHRASE: LazyLock<Canary> = LazyLock::new(Canary::new);
/// Sees both of them, and the beginning of every identity.
pub(crate) static SECRETS: LazyLock<Scanner> =
    LazyLock::new(|| Scanner::new([&VALUE, &PASSPHRASE, &Canary::of("AGE-SECRET-KEY-PQ-1")]));

/// The way into the vault of a home.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// An identity in its usual place, which takes no time.
    Identity,
    /// A passphrase in the file that `BULLA_PASSPHRASE_FILE` names.
    Passphrase,
    /// There is no vault.
    None,
}

/// A folder that is the whole world of a test.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    way: Way,
}

impl Home {
    /// A home with an empty vault, which all homes with the same way in have in common: where that
    /// matters (in the kernel's keyring), make one with `bulla init`.
    pub(crate) fn new(way: Way) -> Self {
        static IDENTITY: LazyLock<Home> = LazyLock::new(|| Home::made(Way::Identity));
        static PASSPHRASE: LazyLock<Home> = LazyLock::new(|| Home::made(Way::Passphrase));
        match way {
            Way::Identity => IDENTITY.copy(),
            Way::Passphrase => PASSPHRASE.copy(),
            Way::None => Self::bare(way),
        }
    }

    /// A home with a vault that no other one has.
    pub(crate) fn made(way: Way) -> Self {
        let home = Self::bare(way);
        match way {
            Way::Identity => {
                home.bulla(["identity", "new", "--for-machine"]).succeeds();
                home.bulla(["init", "--recipient", "@.config/bulla/identity"]).succeeds();
            }
            Way::Passphrase => {
                home.write("passphrase", format!("{}\n", *PASSPHRASE_TEXT));
                home.bulla(["init"]).succeeds();
            }
            Way::None => {}
        }
        home
    }

    /// Another home with the same files.
    pub(crate) fn copy(&self) -> Self {
        let home = Self::bare(self.way);
        copy_tree(self.path(), home.path());
        home
    }

    fn bare(way: Way) -> Self {
        let folder = tempfile::Builder::new().prefix("bulla-it-").tempdir().unwrap();
        Self { folder, way }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Where the vault lies.
    pub(crate) fn vault(&self) -> PathBuf {
        self.file(".local/share/bulla/vault.bulla")
    }

    /// Writes a file that only its owner can read.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap()
    }

    /// A run of the program in this home, without a terminal.
    pub(crate) fn bulla(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        let mut run = self.command(env!("CARGO_BIN_EXE_bulla"));
        run.command.args(args);
        run
    }

    /// A run of a shell in this home, without a terminal.
    pub(crate) fn sh(&self, script: &str) -> Run {
        let mut run = self.command("sh");
        run.command.args(["-c", script]);
        run
    }

    /// Some other command. It gets a session without a terminal, and ends after two minutes.
    pub(crate) fn command(&self, program: &str) -> Run {
        let mut command = Command::new("setsid");
        command.args(["timeout", "--signal=KILL", "120", program]);
        self.set(&mut command);
        Run { command, stdin: Vec::new() }
    }

    /// The environment of every run: this home and nothing of the one who runs the tests.
    pub(crate) fn set(&self, command: &mut Command) {
        let bulla = Path::new(env!("CARGO_BIN_EXE_bulla"));
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env_clear()
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("VAULT", self.vault())
            .env("TMPDIR", self.path())
            .env("PATH", format!("{}:{path}", bulla.parent().unwrap().display()));
        if self.way == Way::Passphrase {
            command.env("BULLA_PASSPHRASE_FILE", self.file("passphrase"));
        }
    }

    /// Every file below the home but what the client remembers, with all that can be told of it.
    pub(crate) fn state(&self) -> BTreeMap<PathBuf, String> {
        let mut state = BTreeMap::new();
        walk(self.path(), &mut |path, metadata| {
            let name = path.strip_prefix(self.path()).unwrap();
            if name.starts_with(".local/state") {
                return;
            }
            let contents = match metadata.file_type() {
                sort if sort.is_symlink() => {
                    fs::read_link(path).unwrap().into_os_string().into_encoded_bytes()
                }
                sort if sort.is_file() => fs::read(path).unwrap_or_default(),
                _ => Vec::new(),
            };
            let print =
                format!("{:o} {} {:016x}", metadata.mode(), contents.len(), hash(&contents));
            state.insert(name.to_owned(), print);
        });
        state
    }

    /// The same after a process was killed, which leaves an empty log beside the vault.
    pub(crate) fn state_at_rest(&self) -> BTreeMap<PathBuf, String> {
        let log = self.vault().with_extension("bulla-wal");
        assert!(fs::metadata(log).map_or(0, |log| log.len()) == 0, "something was written");
        let mut state = self.state();
        state.retain(
            |name, _| !matches!(name.extension(), Some(e) if e == "bulla-wal" || e == "bulla-shm"),
        );
        state
    }

    /// Whether a file is there to hold a key.
    pub(crate) fn is_key_file(&self, name: &Path) -> bool {
        name == Path::new("passphrase")
            || fs::read(self.path().join(name)).is_ok_and(|bytes| bytes.starts_with(b"# made by"))
    }
}

static PASSPHRASE_TEXT: LazyLock<String> = LazyLock::new(|| PASSPHRASE.to_string());

/// A command on its way.
pub(crate) struct Run {
    command: Command,
    stdin: Vec<u8>,
}

impl Run {
    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Ended {
        let Self { mut command, stdin } = self;
        // Files, because a pipe that nobody empties or fills stands still.
        let [mut input, mut out, mut err] = [0; 3].map(|_| tempfile::tempfile().unwrap());
        input.write_all(&stdin).unwrap();
        input.rewind().unwrap();
        let status = command
            .stdin(input)
            .stdout(out.try_clone().unwrap())
            .stderr(err.try_clone().unwrap())
            .status()
            .unwrap();
        let stderr = String::from_utf8(contents(&mut err)).expect("stderr is text");
        Ended { status, stdout: contents(&mut out), stderr }
    }

    /// Runs it, panics if it fails, and gives its output.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Ended {
        let ended = self.run();
        assert!(ended.status.success(), "{ended}");
        ended
    }

    /// Runs it and panics unless it fails like this, with nothing on stdout and no secret in what
    /// it says.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> Ended {
        let ended = self.run();
        assert_eq!(ended.status.code(), Some(code), "{ended}");
        assert!(ended.stdout.is_empty(), "{ended}");
        assert!(ended.stderr.lines().any(|line| line.starts_with("error: ")), "{ended}");
        assert_eq!(SECRETS.find(ended.stderr.as_bytes()), None, "{ended}");
        ended
    }
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    /// As a shell tells it: 128 and the signal if one ended it.
    pub(crate) fn code(&self) -> i32 {
        let status = self.status;
        status.code().unwrap_or_else(|| 128 + status.signal().expect("it ended somehow"))
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\nstdout: {}\nstderr: {}", self.status, self.out(), self.stderr)
    }
}

/// Tells, past the capture of output, that something was not tried.
pub(crate) fn skipped(why: &str) {
    std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes()).unwrap();
}

fn contents(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    std::io::Read::read_to_end(file, &mut bytes).unwrap();
    bytes
}

pub(crate) fn copy_tree(from: &Path, to: &Path) {
    walk(from, &mut |path, metadata| {
        let target = to.join(path.strip_prefix(from).unwrap());
        if metadata.is_dir() {
            fs::create_dir(&target).unwrap();
        } else {
            fs::copy(path, &target).unwrap();
        }
        fs::set_permissions(&target, metadata.permissions()).unwrap();
    });
}

/// Visits everything below `folder`, a folder before what is in it.
pub(crate) fn walk(folder: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        visit(&path, &metadata);
        if metadata.is_dir() {
            walk(&path, visit);
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

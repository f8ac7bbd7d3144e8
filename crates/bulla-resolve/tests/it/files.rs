//! Reading templates and replacing files: what is refused, and that a failure leaves no trace.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bulla_resolve::{
    Owner, ReadError, Reason, Secret, Switch, Target, Transaction, WriteError, read_template,
    recover,
};
use tempfile::TempDir;

#[test]
fn files_are_written_for_their_owner_only() {
    let folder = Folder::new();
    folder.write(&[("new", "a"), ("other", "b")]).unwrap();
    assert_eq!(folder.read("new"), "a");
    assert_eq!(folder.mode("new"), 0o600);
    assert_eq!(folder.names(), ["new", "other"]);
}

#[test]
fn an_existing_mode_is_kept_unless_everyone_could_read() {
    let folder = Folder::new();
    for (before, after) in [
        (0o644, 0o600),
        (0o444, 0o400),
        (0o777, 0o600),
        (0o640, 0o640),
        (0o660, 0o640),
        (0o440, 0o440),
        (0o400, 0o400),
        (0o600, 0o600),
    ] {
        fs::write(folder.path("x"), "old").unwrap();
        fs::set_permissions(folder.path("x"), Permissions::from_mode(before)).unwrap();
        folder.write(&[("x", "new")]).unwrap();
        assert_eq!((folder.read("x").as_str(), folder.mode("x")), ("new", after));
        fs::remove_file(folder.path("x")).unwrap();
    }
    let contents = Secret::copied_from(b"shared");
    let path = folder.path("wide");
    let target = Target { path: &path, contents: &contents, mode: Some(0o640), owner: None };
    write_all(&[target], &[]).unwrap();
    assert_eq!(folder.mode("wide"), 0o640);
}

#[test]
fn what_is_no_ordinary_file_of_ours_is_refused() {
    let folder = Folder::new();
    fs::write(folder.path("file"), "old").unwrap();
    fs::write(folder.path("template"), "old").unwrap();
    fs::hard_link(folder.path("file"), folder.path("twin")).unwrap();
    symlink("file", folder.path("link")).unwrap();
    symlink("nowhere", folder.path("dangling")).unwrap();
    fs::create_dir(folder.path("folder")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.path("pipe")).status().unwrap().success());
    let before = folder.names();
    for (name, reason) in [
        ("file", Reason::HardLinked),
        ("link", Reason::SymbolicLink),
        ("dangling", Reason::SymbolicLink),
        ("folder", Reason::NotAFile),
        ("pipe", Reason::NotAFile),
        ("template", Reason::Protected),
        ("..", Reason::NoName),
        ("new/", Reason::NoName),
    ] {
        // Together with one that could be written: all or none.
        let errors = folder.write(&[("good", "new"), (name, "new")]).unwrap_err();
        assert!(
            matches!(&errors[..], [WriteError::Refused { reason: found, .. }] if *found == reason),
            "{name}: {errors:?}"
        );
    }
    let errors = folder.write(&[("a", "1"), ("a", "2"), ("pipe", "3")]).unwrap_err();
    assert_eq!(errors.len(), 2, "all refusals are told at once");
    assert_eq!(folder.names(), before);
    assert_eq!(folder.read("template"), "old");
}

#[test]
fn a_folder_that_everyone_can_write_is_refused_unless_sticky() {
    let folder = Folder::new();
    let open = folder.path("open");
    fs::create_dir(&open).unwrap();
    let contents = Secret::copied_from(b"x");
    let path = open.join("x");
    let write = || {
        let target = Target { path: &path, contents: &contents, mode: None, owner: None };
        write_all(&[target], &[])
    };
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(
        &write().unwrap_err()[..],
        [WriteError::Refused { reason: Reason::FolderOpen, .. }]
    ));
    fs::set_permissions(&open, Permissions::from_mode(0o1777)).unwrap();
    write().unwrap();
}

#[test]
fn a_folder_that_everyone_can_write_is_refused_anywhere_on_the_way() {
    let folder = Folder::new();
    let open = folder.path("open");
    fs::create_dir_all(open.join("own/deeper")).unwrap();
    symlink(open.join("own"), folder.path("link")).unwrap();
    let contents = Secret::copied_from(b"x");
    for (mode, is_refused) in [(0o777, true), (0o1777, false), (0o775, false)] {
        fs::set_permissions(&open, Permissions::from_mode(mode)).unwrap();
        for way in ["open/own/x", "open/own/deeper/x", "open/new/x", "link/x", "open/../x"] {
            let path = folder.path(way);
            let target = Target { path: &path, contents: &contents, mode: None, owner: None };
            let written = write_all(&[target], &[]);
            let way_open = written.as_ref().is_err_and(|errors| {
                matches!(&errors[..], [WriteError::Refused { reason: Reason::WayOpen, .. }])
            });
            assert_eq!(way_open, is_refused, "{way} with {mode:o}: {written:?}");
            assert_eq!(written.is_err(), is_refused, "{way} with {mode:o}");
        }
    }
}

#[test]
fn a_foreign_file_is_refused() {
    let folder = Folder::new();
    fs::write(folder.path("x"), "old").unwrap();
    if std::os::unix::fs::chown(folder.path("x"), Some(65_534), None).is_err() {
        println!("skipped: only root can give a file away");
        return;
    }
    let errors = folder.write(&[("x", "new")]).unwrap_err();
    assert!(matches!(&errors[..], [WriteError::Refused { reason: Reason::ForeignOwner, .. }]));
    assert_eq!(folder.read("x"), "old");
}

#[test]
fn a_failure_of_one_file_leaves_all_as_they_were() {
    let folder = Folder::new();
    fs::write(folder.path("a"), "old").unwrap();
    let long = "x".repeat(300);
    let errors = folder.write(&[("a", "new"), ("b", "new"), (&long, "new")]).unwrap_err();
    assert!(matches!(&errors[..], [WriteError::Io { .. }]), "{errors:?}");
    assert_eq!(folder.read("a"), "old");
    assert_eq!(folder.names(), ["a"]);
}

#[test]
fn many_files_are_written_together() {
    let folder = Folder::new();
    let names: Vec<_> = (0..100).map(|n| format!("{n:03}")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    for _ in 0..2 {
        folder.write(&files).unwrap();
        assert_eq!(folder.names(), names);
    }
    assert_eq!(folder.read("042"), "042");
}

/// In a folder that gives its group to new files, the old file's was lost.
#[test]
fn an_existing_group_is_kept() {
    let folder = Folder::new();
    fs::write(folder.path("x"), "old").unwrap();
    fs::set_permissions(folder.path("x"), Permissions::from_mode(0o640)).unwrap();
    if std::os::unix::fs::chown(folder.path("x"), None, Some(1234)).is_err() {
        println!("skipped: only root can give a file to any group");
        return;
    }
    folder.write(&[("x", "new")]).unwrap();
    let group = |name| fs::metadata(folder.path(name)).unwrap().gid();
    assert_eq!((group("x"), folder.mode("x")), (1234, 0o640));
    let own = group("");
    std::os::unix::fs::chown(folder.path("x"), None, Some(own)).unwrap();
    std::os::unix::fs::chown(folder.path(""), None, Some(1234)).unwrap();
    fs::set_permissions(folder.path(""), Permissions::from_mode(0o2700)).unwrap();
    folder.write(&[("x", "new")]).unwrap();
    assert_eq!(group("x"), own);
}

#[test]
fn what_waits_to_be_committed_is_seen_by_nobody() {
    let folder = Folder::new();
    fs::write(folder.path("a"), "old").unwrap();
    let contents = Secret::copied_from(b"new");
    let path = folder.path("a");
    let prepared = || {
        let target = Target { path: &path, contents: &contents, mode: None, owner: None };
        Transaction::prepare(&[target], &[], Duration::ZERO)
    };
    drop(prepared().unwrap());
    assert_eq!((folder.read("a").as_str(), folder.names()), ("old", vec!["a".to_owned()]));
    let first = prepared().unwrap();
    let errors = prepared().map(drop).unwrap_err();
    assert!(matches!(&errors[..], [WriteError::Busy { .. }]), "{errors:?}");
    assert!(matches!(recover(&folder.path(""), Duration::ZERO), Err(WriteError::Busy { .. })));
    assert_eq!(folder.read("a"), "old");
    first.commit().unwrap();
    assert_eq!((folder.read("a").as_str(), folder.names()), ("new", vec!["a".to_owned()]));
    // Somebody else was faster than the commit.
    let late = prepared().unwrap();
    fs::rename(folder.path("a"), folder.path("b")).unwrap();
    fs::write(folder.path("a"), "theirs").unwrap();
    let errors = late.commit().unwrap_err();
    let changed = WriteError::Refused { path: path.clone(), reason: Reason::Changed };
    assert_eq!(format!("{errors:?}"), format!("{:?}", [changed]));
    assert_eq!((folder.read("a").as_str(), folder.names().len()), ("theirs", 2));
}

#[test]
fn a_folder_that_vanishes_is_an_error() {
    let folder = Folder::new();
    fs::create_dir(folder.path("there")).unwrap();
    fs::create_dir(folder.path("gone")).unwrap();
    fs::write(folder.path("there/a"), "old").unwrap();
    let contents = Secret::copied_from(b"new");
    let paths = [folder.path("there/a"), folder.path("gone/b")];
    let targets =
        paths.each_ref().map(|path| Target { path, contents: &contents, mode: None, owner: None });
    let transaction = Transaction::prepare(&targets, &[], Duration::ZERO).unwrap();
    fs::remove_dir_all(folder.path("gone")).unwrap();
    let errors = transaction.commit().unwrap_err();
    assert!(matches!(&errors[..], [WriteError::Io { step: "replace", .. }]), "{errors:?}");
    assert_eq!(folder.read("there/a"), "old");
    assert_eq!(fs::read_dir(folder.path("there")).unwrap().count(), 1);
    assert!(!folder.path("gone").exists());
}

#[test]
fn a_journal_that_is_not_ours_is_left_alone() {
    let folder = Folder::new();
    let journal = folder.path(".bulla-journal");
    fs::write(folder.path("victim"), "theirs").unwrap();
    let number = |name| fs::metadata(folder.path(name)).unwrap().ino();
    let refused = |what: &str| {
        let errors = folder.write(&[("a", "new")]).unwrap_err();
        let foreign = Reason::ForeignJournal;
        assert!(
            matches!(&errors[..], [WriteError::Refused { reason, .. }] if *reason == foreign),
            "{what}: {errors:?}"
        );
        assert!(!folder.path("a").exists(), "{what}");
        assert_eq!(folder.read("victim"), "theirs", "{what}");
    };
    // It was moved here from another folder, and would remove a file.
    let text = |of: u64, entry: &str| {
        let path = folder.0.path().canonicalize().unwrap();
        format!("bulla-journal 1 00000000000000ff {of} {}\n{entry}\nend\n", path.display())
    };
    let entry = format!("file 1 {} 0 victim", number("victim"));
    fs::write(&journal, text(number("") + 1, &entry)).unwrap();
    fs::set_permissions(&journal, Permissions::from_mode(0o600)).unwrap();
    refused("of another folder");
    for mode in [0o640, 0o602, 0o604] {
        fs::set_permissions(&journal, Permissions::from_mode(mode)).unwrap();
        refused("open to others");
    }
    fs::set_permissions(&journal, Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(&journal, folder.path("twin")).unwrap();
    refused("with two names");
    fs::remove_file(folder.path("twin")).unwrap();
    if std::os::unix::fs::chown(&journal, Some(65_534), None).is_ok() {
        refused("of another user");
    }
    fs::remove_file(&journal).unwrap();
    symlink("victim", &journal).unwrap();
    refused("a link");
    fs::remove_file(&journal).unwrap();
    assert!(Command::new("mkfifo").arg(&journal).status().unwrap().success());
    refused("a pipe");
    fs::remove_file(&journal).unwrap();
    fs::create_dir(&journal).unwrap();
    refused("a folder");
    fs::remove_dir(&journal).unwrap();

    // One of ours that tells of files that are not there any more does nothing.
    fs::write(&journal, text(number(""), "file 1 1 2 victim")).unwrap();
    fs::set_permissions(&journal, Permissions::from_mode(0o600)).unwrap();
    folder.write(&[("a", "new")]).unwrap();
    assert_eq!((folder.read("a").as_str(), folder.read("victim").as_str()), ("new", "theirs"));
    assert_eq!(folder.names(), ["a", "victim"]);
}

/// Its owner can let it lead elsewhere between two looks, and root would follow.
#[test]
fn a_link_of_another_user_is_not_followed() {
    let folder = Folder::new();
    fs::create_dir(folder.path("real")).unwrap();
    symlink("real", folder.path("ours")).unwrap();
    symlink("ours/../ours", folder.path("link")).unwrap();
    symlink("loop", folder.path("loop")).unwrap();
    folder.write(&[("ours/a", "1"), ("link/b", "2"), ("link/new/c", "3")]).unwrap();
    assert_eq!((folder.read("real/b").as_str(), folder.read("real/new/c").as_str()), ("2", "3"));
    assert!(folder.write(&[("loop/a", "1")]).is_err());
    if std::os::unix::fs::lchown(folder.path("ours"), Some(65_534), None).is_err() {
        println!("skipped: only root can give a link away");
        return;
    }
    for name in ["ours/a", "link/b", "ours/new/c", "ours/more/c"] {
        let errors = folder.write(&[(name, "new")]).unwrap_err();
        let foreign = Reason::ForeignLink;
        assert!(
            matches!(&errors[..], [WriteError::Refused { reason, .. }] if *reason == foreign),
            "{name}: {errors:?}"
        );
    }
    assert_eq!((folder.read("real/a").as_str(), folder.read("real/new/c").as_str()), ("1", "3"));
    assert!(!folder.path("real/more").exists());
}

/// Owner and mode of a folder that was just made were once set by its path, through any link that had
/// taken its place, and so was the file written.
#[test]
fn folders_are_not_made_through_a_link_that_is_swapped_in() {
    let folder = Folder::new();
    let victim = folder.path("victim");
    fs::create_dir(&victim).unwrap();
    fs::set_permissions(&victim, Permissions::from_mode(0o700)).unwrap();
    symlink("victim", folder.path("made")).unwrap();
    if std::os::unix::fs::lchown(folder.path("made"), Some(65_534), None).is_err() {
        println!("skipped: only root can give a link away");
        return;
    }
    let contents = Secret::copied_from(b"secret");
    let [made, trap, path] = ["made", "trap", "made/x"].map(|name| folder.path(name));
    let owner = Some(Owner { user: 65_534, group: 65_534 });
    for round in 0..300 {
        // The link waits under another name until the folder is there.
        fs::rename(&made, &trap).unwrap();
        let away = folder.path(&format!("away-{round}"));
        let written = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while fs::rename(&made, &away).is_err() && !written.load(Ordering::Relaxed) {}
                fs::rename(&trap, &made).or_else(|_| fs::rename(&made, &away)).unwrap();
            });
            let target = Target { path: &path, contents: &contents, mode: Some(0o644), owner };
            let _ = write_all(&[target], &[]);
            written.store(true, Ordering::Relaxed);
        });
        if trap.exists() {
            fs::rename(&trap, &made).unwrap();
        }
        let now = fs::metadata(&victim).unwrap();
        assert_eq!((now.mode() & 0o777, now.uid()), (0o700, 0), "in round {round}");
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0, "in round {round}");
    }
}

/// The same for the new folder of a switch, whose name can be seen as soon as it is there.
#[test]
fn a_switch_fills_no_folder_through_a_link_that_is_swapped_in() {
    for round in 0..100 {
        let folder = Folder::new();
        let [victim, trap, link] = ["victim", "trap", "live"].map(|name| folder.path(name));
        fs::create_dir(&victim).unwrap();
        fs::set_permissions(&victim, Permissions::from_mode(0o700)).unwrap();
        symlink("victim", &trap).unwrap();
        if std::os::unix::fs::lchown(&trap, Some(65_534), None).is_err() {
            println!("skipped: only root can give a link away");
            return;
        }
        let contents = Secret::copied_from(b"secret");
        let owner = Some(Owner { user: 65_534, group: 65_534 });
        let written = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !written.load(Ordering::Relaxed) {
                    let names = folder.names();
                    if let Some(new) = names.iter().find(|name| name.starts_with("live.bulla-")) {
                        let _ = fs::rename(folder.path(new), folder.path("away"));
                        let _ = fs::rename(&trap, folder.path(new));
                        break;
                    }
                }
            });
            let path = Path::new("sub/x");
            let target = Target { path, contents: &contents, mode: Some(0o644), owner };
            let _ = Switch::prepare(&link, &[target], &[], Duration::ZERO).map(Switch::commit);
            written.store(true, Ordering::Relaxed);
        });
        let now = fs::metadata(&victim).unwrap();
        assert_eq!((now.mode() & 0o777, now.uid()), (0o700, 0), "in round {round}");
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0, "in round {round}");
    }
}

/// One of 3 GiB was once read into memory.
#[test]
fn a_journal_without_end_is_refused() {
    let folder = Folder::new();
    let path = folder.path(".bulla-journal");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(3 << 30).unwrap();
    let refused = |error: &WriteError| {
        matches!(error, WriteError::Refused { reason: Reason::JournalTooLarge, .. })
    };
    assert!(refused(&recover(&folder.path(""), Duration::ZERO).unwrap_err()));
    assert!(refused(&folder.write(&[("a", "new")]).unwrap_err()[0]));
    assert_eq!(folder.names(), [".bulla-journal"]);
}

#[test]
fn folders_that_were_made_for_nothing_are_taken_back() {
    let folder = Folder::new();
    let contents = Secret::copied_from(b"x");
    let path = folder.path("a/b/x");
    let target = Target { path: &path, contents: &contents, mode: None, owner: None };
    let transaction = Transaction::prepare(&[target], &[], Duration::ZERO).unwrap();
    assert_eq!(folder.mode("a/b"), 0o700);
    drop(transaction);
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn hidden_files_of_a_crash_are_removed_and_no_others() {
    let folder = Folder::new();
    let left = ".bulla-00000000000000ff-1.new";
    let others = [".bulla-12-1.new", ".bulla-00000000000000ff-1.other", "x.new"];
    for name in others.iter().chain([&left]) {
        fs::write(folder.path(name), "x").unwrap();
    }
    fs::create_dir(folder.path(".bulla-00000000000000ff-2.new")).unwrap();
    // Without a journal nothing crashed, as far as anybody knows.
    folder.write(&[("a", "new")]).unwrap();
    assert!(folder.path(left).exists());
    fs::write(folder.path(".bulla-journal"), "").unwrap();
    fs::set_permissions(folder.path(".bulla-journal"), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(recover(&folder.path(""), Duration::ZERO).unwrap(), None);
    assert!(!folder.path(left).exists());
    assert_eq!(folder.names().len(), others.len() + 2);
    for name in [left, ".bulla-journal"] {
        let errors = folder.write(&[(name, "new")]).unwrap_err();
        assert!(matches!(&errors[..], [WriteError::Refused { reason: Reason::NoName, .. }]));
    }
}

#[test]
fn protected_places_are_refused_before_they_exist() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("keys/deep")).unwrap();
    symlink("keys", folder.path("link")).unwrap();
    let contents = Secret::copied_from(b"x");
    let paths = ["vault-wal", "link/deep/x", "keys/x", "link/../vault-wal"];
    for path in paths.map(|name| folder.path(name)) {
        let target = Target { path: &path, contents: &contents, mode: None, owner: None };
        let protected = [folder.path("link/../vault-wal"), folder.path("keys")];
        let protected: Vec<_> = protected.iter().map(PathBuf::as_path).collect();
        let errors = write_all(&[target], &protected).unwrap_err();
        assert!(
            matches!(&errors[..], [WriteError::Refused { reason: Reason::Protected, .. }]),
            "{}: {errors:?}",
            path.display()
        );
    }
    assert_eq!(folder.names(), ["keys", "link"]);
}

#[test]
fn only_regular_files_are_read() {
    let folder = Folder::new();
    fs::write(folder.path("file"), "text").unwrap();
    symlink("file", folder.path("link")).unwrap();
    symlink("loop", folder.path("loop")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.path("pipe")).status().unwrap().success());
    let sparse = fs::File::create(folder.path("sparse")).unwrap();
    sparse.set_len(4 << 30).unwrap();
    let read = |path: &Path| read_template(path);
    assert_eq!(read(&folder.path("link")).unwrap(), b"text");
    for path in [folder.path("pipe"), folder.path(""), "/dev/zero".into(), "/dev/null".into()] {
        assert!(matches!(read(&path), Err(ReadError::NotAFile)), "{}", path.display());
    }
    if cfg!(target_os = "linux") {
        assert!(matches!(read(Path::new("/proc/self/environ")), Err(ReadError::NotAFile)));
    }
    assert!(matches!(read(&folder.path("sparse")), Err(ReadError::TooLarge)));
    assert!(matches!(read(&folder.path("loop")), Err(ReadError::Io(_))));
    assert!(matches!(read(&folder.path("none")), Err(ReadError::Io(_))));
}

fn write_all(targets: &[Target<'_>], protected: &[&Path]) -> Result<(), Vec<WriteError>> {
    Transaction::prepare(targets, protected, Duration::from_millis(50))?.commit()
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, files: &[(&str, &str)]) -> Result<(), Vec<WriteError>> {
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (self.path(name), Secret::copied_from(text.as_bytes())))
            .collect();
        let targets: Vec<_> = files
            .iter()
            .map(|(path, contents)| Target { path, contents, mode: None, owner: None })
            .collect();
        write_all(&targets, &[&self.path("template")])
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().mode() & 0o777
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

//! Reading templates and replacing files: what is refused, and that a failure leaves no trace.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use bulla_resolve::{ReadError, Reason, Secret, Target, WriteError, read_template, write_all};
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
fn an_existing_mode_is_kept_only_where_it_is_stricter() {
    let folder = Folder::new();
    for (before, after) in [(0o644, 0o600), (0o400, 0o400), (0o600, 0o600), (0o777, 0o600)] {
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

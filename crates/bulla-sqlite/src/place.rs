//! Where a vault lies: the rules for its folder and its file, and how a file comes into being.
//!
//! Nothing here opens the vault's own file. POSIX drops all of a process's locks on a file when
//! the process closes any descriptor of it, and SQLite's locks are of that sort.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use bulla_vault::store::StoreError;
use rustix::fs::{AtFlags, CWD, OFlags, RenameFlags};

use crate::connection::Access;
use crate::fault;

/// The folder of a vault, free of symbolic links, and the vault's path in it.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) path: PathBuf,
}

/// Which file was opened, so that another one in its place is noticed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    /// Size and times, where the file is taken not to change at all.
    frozen: Option<[i64; 5]>,
}

impl Place {
    /// Resolves the folder, which has to exist.
    pub(crate) fn of(path: &Path) -> Result<Self, StoreError> {
        const INVALID: StoreError =
            StoreError::Io { doing: "open", kind: ErrorKind::InvalidFilename };
        let name = path.file_name().ok_or(INVALID)?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let folder = folder.canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound => StoreError::NotFound,
            _ => fault::system("open")(error),
        })?;
        let path = folder.join(name);
        if path.as_os_str().len() + "-journal".len() > LONGEST_PATH {
            return Err(INVALID);
        }
        Ok(Self { folder, path })
    }

    /// What SQLite and we put beside the vault: its own name with something behind it.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.path, suffix)
    }

    /// Only we or root own the folder, and nobody else can write in it.
    pub(crate) fn check_folder(&self) -> Result<(), StoreError> {
        let folder = fs::metadata(&self.folder).map_err(fault::system("open"))?;
        if folder.uid() != own_uid() && folder.uid() != 0 {
            return Err(StoreError::Unsafe { what: "the folder of the vault is another user's" });
        }
        if folder.mode() & 0o022 != 0 {
            return Err(StoreError::Unsafe {
                what: "others than its owner can write in the folder of the vault",
            });
        }
        Ok(())
    }

    /// SQLite's shared index and its locks do not work across machines.
    pub(crate) fn check_filesystem(&self) -> Result<(), StoreError> {
        if on_network(&self.folder).map_err(fault::system("open"))? {
            return Err(StoreError::Unsafe { what: "the vault lies on a network file system" });
        }
        Ok(())
    }

    /// The file is ours alone, by its own name, and nothing foreign beside it would change it.
    pub(crate) fn check_file(&self) -> Result<(), StoreError> {
        let file = self.metadata()?;
        check_owned(&file)?;
        if file.len() == 0 {
            return Err(StoreError::Damaged { what: "the file is empty" });
        }
        // A vault never has a rollback journal, and SQLite would play a stray one into it.
        if exists(&self.beside("-journal"))? {
            return Err(StoreError::Unsafe { what: "a rollback journal lies beside the vault" });
        }
        Ok(())
    }

    /// Whether the vault can be written here; if not, it may be read only where no log is left.
    pub(crate) fn access(&self) -> Result<Access, StoreError> {
        if writable(&self.folder)? && writable(&self.path)? {
            return Ok(Access::Shared);
        }
        match fs::symlink_metadata(self.beside("-wal")) {
            Ok(log) if log.len() > 0 => Err(StoreError::Unsafe {
                what: "the vault was not closed or is in use, and cannot be written here",
            }),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(fault::system("open")(error)),
            _ => Ok(Access::Immutable),
        }
    }

    /// Which file lies here now.
    pub(crate) fn identity(&self, access: Access) -> Result<Identity, StoreError> {
        let file = self.metadata()?;
        let frozen = match access {
            Access::Shared => None,
            Access::Immutable => Some([
                i64::try_from(file.len()).unwrap_or(i64::MAX),
                file.mtime(),
                file.mtime_nsec(),
                file.ctime(),
                file.ctime_nsec(),
            ]),
        };
        Ok(Identity { device: file.dev(), inode: file.ino(), frozen })
    }

    /// The length of the file if it holds everything: a log, where there is one, is empty. The caller
    /// holds a snapshot, so that nothing moves from a log into the file meanwhile.
    pub(crate) fn len_at_rest(&self) -> Result<Option<u64>, StoreError> {
        match fs::symlink_metadata(self.beside("-wal")) {
            Ok(log) if log.len() > 0 => Ok(None),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(fault::system("read")(error)),
            _ => Ok(Some(self.metadata()?.len())),
        }
    }

    fn metadata(&self) -> Result<Metadata, StoreError> {
        fs::symlink_metadata(&self.path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => StoreError::NotFound,
            _ => fault::system("open")(error),
        })
    }
}

/// A file that is being filled under a hidden name of its own, in the folder where it will lie.
///
/// It is either published whole or, when dropped, removed.
pub(crate) struct Draft<'p> {
    place: &'p Place,
    pub(crate) path: PathBuf,
    published: bool,
}

impl<'p> Draft<'p> {
    /// Makes the empty file. Refuses where the vault, or anything of a vault of that name, is
    /// already there.
    pub(crate) fn of(place: &'p Place) -> Result<Self, StoreError> {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            if exists(&place.beside(suffix))? {
                return Err(StoreError::Exists);
            }
        }
        // A name is only ever used once by a process; one that a killed process of the same number
        // left behind is passed over.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (path, file) = loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = place.folder.join(format!(".bulla-{}-{number}.new", std::process::id()));
            let created = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
                .open(&path);
            match created {
                Ok(file) => break (path, file),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    return Err(StoreError::ReadOnly);
                }
                Err(error) => return Err(fault::system("create")(error)),
            }
        };
        let draft = Self { place, path, published: false };
        // Some file systems know no modes, and give every file the same one.
        check_owned(&file.metadata().map_err(fault::system("create"))?)?;
        Ok(draft)
    }

    /// Makes the file durable and gives it its name, unless somebody else was faster.
    pub(crate) fn publish(mut self) -> Result<(), StoreError> {
        let creating = fault::system("create");
        // Closing folds the log back, unless that failed: without it the file is not whole.
        if exists(&beside(&self.path, "-wal"))? {
            return Err(StoreError::Io { doing: "create", kind: ErrorKind::Other });
        }
        // No connection is open any more, so this descriptor costs nobody a lock.
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        file.and_then(|file| file.sync_all()).map_err(&creating)?;
        rename_to_new(&self.path, &self.place.path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => StoreError::Exists,
            _ => creating(error),
        })?;
        self.published = true;
        sync_folder(&self.place.folder).map_err(&creating)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.published {
            for suffix in ["", "-wal", "-shm", "-journal"] {
                // Nothing more can be done about a file that does not go, or was never there.
                let _ = fs::remove_file(beside(&self.path, suffix));
            }
        }
    }
}

/// Opens a file for locking, in a folder of such files, and makes both where they are missing.
pub(crate) fn lock_file(folder: &Path, name: &str) -> Result<File, StoreError> {
    let open = || lock_options().write(true).create(true).mode(0o600).open(folder.join(name));
    let file = match open() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            match DirBuilder::new().mode(0o700).create(folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                _ => open(),
            }
        }
        opened => opened,
    };
    lock_file_opened(file)
}

/// Opens a file for locking if there is one, and makes nothing.
pub(crate) fn lock_file_there(folder: &Path, name: &str) -> Result<Option<File>, StoreError> {
    match lock_options().open(folder.join(name)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => lock_file_opened(opened).map(Some),
    }
}

fn lock_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).truncate(false).custom_flags(flags.bits().cast_signed());
    options
}

fn lock_file_opened(opened: io::Result<File>) -> Result<File, StoreError> {
    let file = opened.map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => StoreError::ReadOnly,
        _ => fault::system("lock")(error),
    })?;
    if !file.metadata().map_err(fault::system("lock"))?.is_file() {
        return Err(StoreError::Unsafe { what: "a lock beside the vault is not a regular file" });
    }
    Ok(file)
}

/// `MAX_PATHNAME` of SQLite's Unix layer.
const LONGEST_PATH: usize = 512;

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn check_owned(file: &Metadata) -> Result<(), StoreError> {
    let what = if file.is_symlink() {
        "the vault is a symbolic link"
    } else if !file.is_file() {
        "the vault is not a regular file"
    } else if file.uid() != own_uid() {
        "the vault is another user's"
    } else if file.mode() & 0o077 != 0 {
        "others than its owner can read or write the vault"
    } else if file.nlink() != 1 {
        "the vault has a second name (a hard link)"
    } else {
        return Ok(());
    };
    Err(StoreError::Unsafe { what })
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn exists(path: &Path) -> Result<bool, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(fault::system("open")(error)),
    }
}

fn writable(path: &Path) -> Result<bool, StoreError> {
    use rustix::fs::Access;
    match rustix::fs::accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::ROFS | rustix::io::Errno::PERM) => {
            Ok(false)
        }
        Err(error) => Err(fault::system("open")(error.into())),
    }
}

fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system cannot; a hard link refuses to replace just as well, in two steps.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        renamed => Ok(renamed?),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Whether others may reach the same files from another machine.
#[cfg(target_os = "linux")]
fn on_network(folder: &Path) -> io::Result<bool> {
    Ok(is_network(rustix::fs::statfs(folder)?.f_type as i64))
}

/// Only Linux tells by a number.
#[cfg(not(target_os = "linux"))]
fn on_network(_folder: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Whether an `f_type` of statfs(2) is that of a network or cluster file system. FUSE is among
/// these, since nothing tells what stands behind it.
#[cfg(target_os = "linux")]
fn is_network(f_type: i64) -> bool {
    const NETWORK: [i64; 15] = [
        0x6969,      // NFS
        0x517b,      // SMB
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB2
        0x564c,      // NCP
        0x5346_414f, // AFS (OpenAFS)
        0x6b41_4653, // AFS (kAFS)
        0x7375_7245, // Coda
        0x0102_1997, // 9P
        0x00c3_6400, // Ceph
        0x0bd0_0bd0, // Lustre
        0x0116_1970, // GFS2
        0x7461_636f, // OCFS2
        0x4750_4653, // GPFS
        0x6573_5546, // FUSE
    ];
    // The field is wider than the number in it, and signed on some machines.
    NETWORK.contains(&(f_type & 0xffff_ffff))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_told_apart() {
        let cifs_as_signed = i64::from(0xff53_4d42_u32.cast_signed());
        for network in [0x6969, 0xff53_4d42, cifs_as_signed, 0xfe53_4d42, 0x6573_5546, 0x0102_1997]
        {
            assert!(is_network(network), "{network:x}");
        }
        // ext4, tmpfs, btrfs, XFS, overlayfs
        for local in [0xef53, 0x0102_1994, 0x9123_683e, 0x5846_5342, 0x794c_7630] {
            assert!(!is_network(local), "{local:x}");
        }
    }
}

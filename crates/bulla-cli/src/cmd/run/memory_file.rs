//! Files that are nowhere but in memory, for a program and what it starts.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use bulla_resolve::Secret;
/// A file that no folder has, which nobody can write to any more. It goes when the last process that
/// has it ends, however that comes about: nothing has to be removed.
pub(crate) struct MemoryFile {
    pub(crate) name: String,
    file: OwnedFd,
}

#[cfg(target_os = "linux")]
/// The lowest number that a file gets: scripts use small ones, and shells some up to 63.
const LOWEST: i32 = 100;

impl MemoryFile {
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new(_name: &str, _contents: &Secret) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn new(name: &str, contents: &Secret) -> io::Result<Self> {
        use rustix::fs::{
            MemfdFlags, Mode, SealFlags, SeekFrom, fchmod, fcntl_add_seals, memfd_create, seek,
        };
        use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

        use super::pump::write_all;

        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let made = match memfd_create("bulla", flags | MemfdFlags::NOEXEC_SEAL) {
            // Linux before 6.3 does not know it.
            Err(Errno::INVAL) => memfd_create("bulla", flags),
            made => made,
        }?;
        write_all(&made, contents.expose())?;
        fchmod(&made, Mode::RUSR)?;
        fcntl_add_seals(
            &made,
            SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
        )?;
        seek(&made, SeekFrom::Start(0))?;
        let file = fcntl_dupfd_cloexec(&made, LOWEST)?;
        // The program is to inherit it, and is the only one that we start.
        fcntl_setfd(&file, FdFlags::empty())?;
        Ok(Self { name: name.to_owned(), file })
    }

    /// Where the program finds it. Each time that this is opened, it is read from its beginning.
    pub(crate) fn path(&self) -> OsString {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}

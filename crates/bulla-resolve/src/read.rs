//! Reads a template without trusting what lies at its path.

use std::io;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::template::Template;

/// Reads the whole file at `path`.
///
/// It never waits for a writer at the other end of a pipe and never reads a device, however the path
/// is swapped meanwhile.
///
/// # Errors
/// If it is no regular file, lies in a file system that the kernel makes up, such as `/proc`, or is
/// larger than [`Template::MAX_LEN`].
pub fn read_template(path: &Path) -> Result<Vec<u8>, ReadError> {
    // Opening a device can already do something: look before that, and again afterwards.
    let before = rustix::fs::stat(path)?;
    check_type(before.st_mode)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&fd)?;
    check_type(stat.st_mode)?;
    // What the kernel makes up lies on no device: the number is then an unnamed one, of major 0
    // (admin-guide/devices.txt). Other file systems may have such numbers, too.
    #[cfg(target_os = "linux")]
    if rustix::fs::major(stat.st_dev) == 0 && made_up(rustix::fs::fstatfs(&fd)?.f_type) {
        return Err(ReadError::NotAFile);
    }
    let len = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if len > Template::MAX_LEN {
        return Err(ReadError::TooLarge);
    }
    let mut bytes = Vec::with_capacity(len + 1);
    loop {
        match rustix::io::read(&fd, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(0) => return Ok(bytes),
            // It may grow while it is read.
            Ok(_) if bytes.len() > Template::MAX_LEN => return Err(ReadError::TooLarge),
            // There was room for more.
            Ok(_) if bytes.len() == len => return Ok(bytes),
            Ok(_) => bytes.reserve(1),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Why a template was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system refused.
    #[error("cannot read it: {}", .0.kind())]
    Io(#[source] io::Error),
    /// It is a directory, a pipe, a socket, a device, or something that the kernel makes up.
    #[error("it is no regular file")]
    NotAFile,
    /// It is larger than [`Template::MAX_LEN`].
    #[error("it is larger than 256 MiB")]
    TooLarge,
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for ReadError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

fn check_type(mode: rustix::fs::RawMode) -> Result<(), ReadError> {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Ok(()),
        _ => Err(ReadError::NotAFile),
    }
}

/// Whether files in a file system of this type hold what the kernel knows and not what was written.
#[cfg(target_os = "linux")]
fn made_up(magic: rustix::fs::FsWord) -> bool {
    /// `SYSFS_MAGIC` of linux/magic.h.
    const SYSFS: rustix::fs::FsWord = 0x6265_6572;
    magic == rustix::fs::PROC_SUPER_MAGIC || magic == SYSFS
}

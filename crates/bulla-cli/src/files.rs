//! Files that bulla reads for itself: where they are by default, and which ones it trusts.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bulla_vault::Secret;
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::env;
use crate::failure::{Exit, Failure};

/// A folder of the XDG base directory specification: `variable` if it is set to an absolute path,
/// else `default` in the home.
pub(crate) fn xdg_folder(variable: &str, default: &str) -> Option<PathBuf> {
    absolute(variable).or_else(|| Some(absolute(env::HOME)?.join(default)))
}

/// The path that a variable holds; an empty one counts as not set.
pub(crate) fn path_in(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn absolute(variable: &str) -> Option<PathBuf> {
    path_in(variable).filter(|path| path.is_absolute())
}

/// Reads a file that holds a key or a passphrase: at most `max` bytes, and not if others than its
/// owner can read it. `-` is standard input.
pub(crate) fn read_key_file(path: &Path, max: usize) -> Result<Secret, Failure> {
    if path == Path::new("-") {
        return read_at_most(&mut io::stdin().lock(), path, max);
    }
    // Not to wait for ever for somebody to open the other end of a FIFO that nobody writes to
    // would mean to read nothing from one that is written to a moment later; so we wait.
    let mut file = File::options()
        .read(true)
        .custom_flags(OFlags::NOCTTY.bits().cast_signed())
        .open(path)
        .map_err(|error| Failure::file("read", path, &error))?;
    let metadata = file.metadata().map_err(|error| Failure::file("read", path, &error))?;
    if metadata.is_dir() {
        return Err(unsafe_file(path, "is a folder").hint("name the file in it"));
    }
    // A group may read it, as credentials of services often want; nobody else, and no group write.
    if metadata.is_file() && metadata.mode() & 0o027 != 0 {
        return Err(unsafe_file(path, "can be read or written by others")
            .hint(format_args!("chmod 600 {}", path.display())));
    }
    let me = rustix::process::geteuid().as_raw();
    if metadata.is_file() && metadata.uid() != me && metadata.uid() != 0 {
        return Err(unsafe_file(path, "belongs to another user")
            .hint("make a copy of your own that only you can read"));
    }
    read_at_most(&mut file, path, max)
}

/// Opens a file for reading; `None` if it is no regular one. It never waits for somebody who may not
/// come, as at a pipe, and never makes a terminal ours.
pub(crate) fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Reads to the end, wiping every buffer that was too small.
pub(crate) fn read_at_most(
    from: &mut dyn Read,
    path: &Path,
    max: usize,
) -> Result<Secret, Failure> {
    let mut buffer = Zeroizing::new(vec![0; max.min(8192) + 1]);
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            if filled > max {
                let fact = format!("{} holds more than {max} bytes", path.display());
                return Err(Failure::new(Exit::Failed, "file-too-large", fact));
            }
            let mut larger = Zeroizing::new(vec![0; (2 * filled).min(max + 1)]);
            larger[..filled].copy_from_slice(&buffer);
            buffer = larger;
        }
        match from.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(Secret::copied_from(&buffer[..filled])),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::file("read", path, &error)),
        }
    }
}

/// What is to be made needs a folder that is there: a path with a slip in it is no reason to make
/// one.
pub(crate) fn folder_is_there(path: &Path) -> Result<(), Failure> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            let fact = format!("there is no folder {}", folder.display());
            Err(Failure::new(Exit::Missing, "no-folder", fact)
                .hint("make it first, or look whether the path is the one that you meant"))
        }
        _ => Ok(()),
    }
}

fn unsafe_file(path: &Path, what: &str) -> Failure {
    Failure::new(Exit::Failed, "unsafe-file", format!("{} {what}", path.display()))
}

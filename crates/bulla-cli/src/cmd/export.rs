//! `bulla export`: every entry in clear, as lines of JSON.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bulla_vault::Snapshot;
use rustix::fs::{AtFlags, CWD};
#[cfg(target_os = "linux")]
use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::Done;
use super::import::lines;
use crate::cmd::render::is_standard;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::session::with_proof;
use crate::unlock::Proof;

#[derive(clap::Args)]
pub(crate) struct ExportArgs {
    /// Say that you know: what comes out is plaintext
    #[arg(long, required = true)]
    plaintext: bool,
    /// Write to this new file, which only you can read; `-` is standard output, and the default
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print secrets even on a terminal
    #[arg(long)]
    reveal: bool,
}

pub(crate) fn run(context: &Context, args: &ExportArgs) -> Done {
    debug_assert!(args.plaintext, "clap demands it");
    let output = args.output.as_deref().filter(|output| !is_standard(output));
    if output.is_none() && context.printer.out_is_terminal && !args.reveal {
        let fact = "standard output is a terminal, and all secrets would be on it";
        return Err(Failure::new(Exit::Usage, "terminal", fact)
            .hint("--output FILE, or a pipe; --reveal prints them all the same"));
    }
    with_proof(context, Proof::Fresh, |vault, _| {
        let snapshot = vault.read()?;
        match output {
            None => write(context, &snapshot, &mut |line| context.printer.data(line))?,
            Some(path) => {
                let failed = |error: io::Error| Failure::file("write", path, &error);
                let mut file = NewFile::create(path, &context.random_name()?).map_err(failed)?;
                write(context, &snapshot, &mut |line| file.file.write_all(line).map_err(failed))?;
                file.finish().map_err(failed)?;
                context.printer.note(format_args!(
                    "{} holds every secret in clear: delete it as soon as you can",
                    path.display()
                ));
            }
        }
        Ok(Exit::Done)
    })
}

/// Writes the entries in the order of their names, so that two exports can be compared.
fn write(
    context: &Context,
    snapshot: &Snapshot<'_>,
    out: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut names = Vec::new();
    snapshot.each::<Failure>(&mut |version| {
        if version.live().is_some() {
            names.push(version.name);
        }
        Ok(())
    })?;
    names.sort();
    let progress = Progress::new("exporting", context.printer.quiet);
    let mut line = Zeroizing::new(Vec::with_capacity(1 << 16));
    for (done, name) in (1..).zip(&names) {
        if let Some(version) = snapshot.find(name)?
            && let Some(entry) = version.live()
        {
            line.clear();
            lines::write(name, entry, &mut line);
            out(&line)?;
        }
        progress.at(done, names.len() as u64);
    }
    Ok(())
}

/// A file that gets its name when it is whole: half an export is no use to anybody but a thief. A kill
/// leaves nothing of it, or a hidden file where the file system knows no files without a name.
struct NewFile<'a> {
    path: &'a Path,
    file: File,
    hidden: Option<PathBuf>,
}

impl<'a> NewFile<'a> {
    fn create(path: &'a Path, random: &str) -> io::Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(Errno::EXIST.into());
        }
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        if let Some(file) = unnamed(folder) {
            return Ok(Self { path, file, hidden: None });
        }
        let hidden = folder.join(format!(".bulla-{random}.new"));
        let file = File::options().write(true).create_new(true).mode(0o600).open(&hidden)?;
        Ok(Self { path, file, hidden: Some(hidden) })
    }

    /// Gives it its name, which nothing may have taken meanwhile.
    fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        let Some(hidden) = &self.hidden else {
            let unnamed = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            rustix::fs::linkat(CWD, unnamed, CWD, self.path, AtFlags::SYMLINK_FOLLOW)?;
            return Ok(());
        };
        match rename_new(hidden, self.path) {
            // Not every file system can see to that itself.
            Err(Errno::INVAL | Errno::NOSYS) if self.path.symlink_metadata().is_err() => {
                fs::rename(hidden, self.path)?;
            }
            renamed => renamed?,
        }
        self.hidden = None;
        Ok(())
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            let _ = fs::remove_file(hidden);
        }
    }
}

/// A file without a name that can be given one.
#[cfg(target_os = "linux")]
fn unnamed(folder: &Path) -> Option<File> {
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, folder, flags, Mode::RUSR | Mode::WUSR).ok()?;
    fs::metadata(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    Some(file.into())
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path) -> Option<File> {
    None
}

#[cfg(target_os = "linux")]
fn rename_new(from: &Path, to: &Path) -> Result<(), Errno> {
    rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
}

#[cfg(not(target_os = "linux"))]
fn rename_new(_: &Path, _: &Path) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

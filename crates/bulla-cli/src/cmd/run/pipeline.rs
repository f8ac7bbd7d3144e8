//! Tells the pipeline that we run in which texts it has to mask from now on.
//!
//! GitHub Actions and Azure Pipelines read commands from what a step prints, and keep these out of
//! their logs. To print such a command with a secret in it anywhere else would be a leak. So it is
//! only printed if the process at the other end of standard output is the worker of the pipeline,
//! which has started us: not if the output goes into a file or through `tee`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::pieces::{is_maskable, pieces};
use super::pump::write_all;
use crate::context::Context;

/// A pipeline that can be told at run time; GitLab's cannot.
#[derive(Clone, Copy)]
enum Pipeline {
    Azure,
    GitHub,
}

impl Pipeline {
    fn here() -> Option<Self> {
        let is_set = |name, value: &str| {
            std::env::var_os(name).is_some_and(|found| found.eq_ignore_ascii_case(value))
        };
        if is_set("GITHUB_ACTIONS", "true") {
            return Some(Self::GitHub);
        }
        is_set("TF_BUILD", "true").then_some(Self::Azure)
    }

    /// The name of the process that reads what a step prints.
    fn worker(self) -> &'static str {
        match self {
            Self::Azure => "Agent.Worker",
            Self::GitHub => "Runner.Worker",
        }
    }

    /// The lines that have `text` masked. They begin with a line feed, as what was printed before
    /// may have had none at its end, and are short enough for the kernel to write each as a whole.
    fn commands(self, text: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
        let (begin, percents): (&[u8], &[&[u8]]) = match self {
            // Whether an agent decodes this is a setting of it.
            Self::Azure => (b"\n##vso[task.setsecret]", &[b"%AZP25", b"%"]),
            Self::GitHub => (b"\n::add-mask::", &[b"%25"]),
        };
        let has_percent = text.contains(&b'%');
        let percents = if has_percent { percents } else { &percents[..1] };
        let command = |percent: &&[u8]| {
            let mut line = Zeroizing::new(Vec::with_capacity(begin.len() + 6 * text.len() + 1));
            line.extend_from_slice(begin);
            for &byte in text {
                match byte {
                    b'%' => line.extend_from_slice(percent),
                    _ => line.push(byte),
                }
            }
            line.push(b'\n');
            line
        };
        percents.iter().map(command).collect()
    }
}

/// Has each line of `secrets` masked in the rest of the pipeline, if we run in one.
pub(crate) fn register<'s>(
    context: &Context,
    secrets: impl Iterator<Item = &'s [u8]>,
) -> io::Result<()> {
    let Some(pipeline) = Pipeline::here() else { return Ok(()) };
    if !reads_our_output(pipeline.worker()) {
        context.printer.note(
            "note: the pipeline is not told what to mask, as standard output does not go straight to it",
        );
        return Ok(());
    }
    for secret in secrets {
        // Workers take a carriage return for the end of a line as well, and would print what is behind it.
        let is_line = |piece: &&[u8]| !piece.iter().any(|&byte| byte == b'\n' || byte == b'\r');
        for line in pieces(secret).into_iter().filter(is_line).filter(|line| is_maskable(line)) {
            for command in pipeline.commands(line) {
                write_all(io::stdout(), &command)?;
            }
        }
    }
    Ok(())
}

/// Whether one of the processes that we descend from has this name and the other end of the pipe
/// that is our standard output.
fn reads_our_output(worker: &str) -> bool {
    let Ok(pipe) = fs::read_link("/proc/self/fd/1") else { return false };
    if !pipe.to_string_lossy().starts_with("pipe:") {
        return false;
    }
    let mut process = parent(Path::new("/proc/self"));
    while let Some(folder) = process {
        let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
        if name.trim_end() == worker {
            let open = fs::read_dir(folder.join("fd")).into_iter().flatten().flatten();
            return open.into_iter().any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == pipe));
        }
        process = parent(&folder);
    }
    false
}

fn parent(process: &Path) -> Option<PathBuf> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let id: u32 =
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
    (id != 0).then(|| PathBuf::from(format!("/proc/{id}")))
}

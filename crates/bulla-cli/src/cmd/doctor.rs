//! `bulla doctor`: looks for what could be wrong around the vault, without a key.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bulla_vault::{LockedVault, SlotSort};
use serde_json::json;

use super::Done;
use super::render::{WAIT, told};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::files::xdg_folder;
use crate::memory::MemoryFile;
use crate::printer::counted;
use crate::{env, kernel};

/// What one look came to.
enum Finding {
    Fine(String),
    /// Not wrong, but worth knowing.
    Note(String),
    Wrong(Failure),
}

#[derive(clap::Args)]
pub(crate) struct DoctorArgs {
    /// Folders of renderings, in which an interrupted render is finished or undone
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &DoctorArgs) -> Done {
    let mut findings = vec![
        ("vault", vault(context)),
        ("left over", left_over(context)),
        ("memory", memory(context)),
        ("identity", identity()),
        ("keyring", keyring()),
        ("core dumps", core_dumps()),
        ("other users", debuggers()),
    ];
    findings.extend(args.folders.iter().map(|folder| ("renderings", renderings(folder))));
    findings.retain(|(_, finding)| !matches!(finding, Finding::Fine(text) if text.is_empty()));
    let mut ends = Vec::new();
    for (what, finding) in &findings {
        let (state, text, hints): (_, &str, &[String]) = match finding {
            Finding::Fine(text) => ("ok", text, &[]),
            Finding::Note(text) => ("note", text, &[]),
            Finding::Wrong(failure) => {
                ends.push(failure.exit);
                ("wrong", &failure.fact, &failure.hints)
            }
        };
        if context.printer.json {
            let value = json!({"check": what, "state": state, "message": text, "hints": hints});
            context.printer.value(&value)?;
            continue;
        }
        context.printer.one_line(format_args!("{state:6} {what:12} {text}"))?;
        for hint in hints {
            context.printer.one_line(format_args!("       {:12} hint: {hint}", ""))?;
        }
    }
    Ok(Exit::worst(ends))
}

fn vault(context: &Context) -> Finding {
    let look = || {
        let path = context.vault_path()?;
        let store = context.store()?;
        store.check()?;
        let locked = LockedVault::find(&store, &context.random)?;
        let passphrases =
            locked.slots().filter(|(_, s)| matches!(s, SlotSort::Passphrase(_))).count();
        let identities = locked.slots().count() - passphrases;
        Ok(format!(
            "{} is well-formed, with {} and {} (`bulla fsck` verifies what is in it)",
            path.display(),
            counted(passphrases as u64, "passphrase slot", "passphrase slots"),
            counted(identities as u64, "identity slot", "identity slots")
        ))
    };
    look().map_or_else(Finding::Wrong, Finding::Fine)
}

/// What a crash leaves behind is hidden, and never in use for long.
fn left_over(context: &Context) -> Finding {
    let Ok(path) = context.vault_path() else { return Finding::Fine(String::new()) };
    let Some(folder) = path.parent() else { return Finding::Fine(String::new()) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(folder) else { return Finding::Fine(String::new()) };
    let left: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(".bulla-") && name.contains(".new")
        })
        .map(|path| path.display().to_string())
        .collect();
    if left.is_empty() {
        return Finding::Fine("no half-made vault or backup".to_owned());
    }
    let fact = format!("a crash left {}", left.join(", "));
    Finding::Wrong(
        Failure::new(Exit::Failed, "left-over", fact)
            .hint("if no bulla is running, remove it; nothing in it was ever acknowledged"),
    )
}

/// Makes what an interrupted render left all new or all old.
fn renderings(folder: &Path) -> Finding {
    match bulla_resolve::recover(folder, WAIT) {
        Ok(None) => Finding::Fine(format!("no interrupted render into {}", folder.display())),
        Ok(Some(recovered)) => Finding::Note(told(&recovered)),
        Err(error) => Finding::Wrong(error.into()),
    }
}

fn memory(context: &Context) -> Finding {
    let look = || {
        let store = context.store()?;
        let locked = LockedVault::find(&store, &context.random)?;
        Ok::<_, Failure>(
            MemoryFile::of(context, &locked.vault_id()).load(locked.pin(), &context.printer),
        )
    };
    match look() {
        Err(_) => Finding::Fine(String::new()),
        Ok(Some(remembered)) => {
            Finding::Fine(format!("this client has seen epoch {}", remembered.epoch()))
        }
        Ok(None) => Finding::Note(
            "this client has not seen this vault yet, so it could not notice an older state"
                .to_owned(),
        ),
    }
}

fn identity() -> Finding {
    let Some(folder) = xdg_folder(env::XDG_CONFIG_HOME, ".config") else {
        return Finding::Fine(String::new());
    };
    let path = folder.join("bulla/identity");
    let Ok(metadata) = fs::metadata(&path) else { return Finding::Fine(String::new()) };
    if metadata.mode() & 0o027 == 0 {
        return Finding::Fine(format!("{} is readable by you alone", path.display()));
    }
    let fact = format!("{} can be read or written by others", path.display());
    Finding::Wrong(
        Failure::new(Exit::Failed, "unsafe-file", fact)
            .hint(format_args!("chmod 600 {}", path.display())),
    )
}

fn keyring() -> Finding {
    if kernel::works() {
        Finding::Fine("the kernel keeps keys for this session, so `bulla unlock` works".to_owned())
    } else {
        Finding::Note(
            "the kernel keeps no keys for this session, so `bulla unlock` fails".to_owned(),
        )
    }
}

fn core_dumps() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Core);
    if limit.current == Some(0) {
        Finding::Fine("off for this program".to_owned())
    } else {
        Finding::Note("could not be switched off".to_owned())
    }
}

fn debuggers() -> Finding {
    #[cfg(target_os = "linux")]
    if !matches!(
        rustix::process::dumpable_behavior(),
        Ok(rustix::process::DumpableBehavior::NotDumpable)
    ) {
        return Finding::Note(
            "programs of the same user can read this program's memory".to_owned(),
        );
    }
    Finding::Fine("programs of the same user cannot read this program's memory".to_owned())
}

//! The ways to open a vault, in the order in which they are tried.

use std::path::{Path, PathBuf};

use bulla_vault::{
    Expect, Identity, IdentityFile, LockedVault, OpenError, Passphrase, Pin, Secret, SlotSort,
    Unlock, Vault,
};

use crate::context::Context;
use crate::env;
use crate::failure::{Exit, Failure};
use crate::files::{path_in, read_at_most, read_key_file, xdg_folder};
use crate::input::without_final_newline;
use crate::{kernel, prompt, tty};

/// Whether the key that `unlock` keeps will do.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Proof {
    /// Anything that opens the vault.
    Any,
    /// A passphrase or an identity, given now: for what changes who can open the vault, or takes
    /// everything out of it.
    Fresh,
    /// Anything that opens it without a question to a person.
    Unasked,
}

/// What opened the vault, for commands that need it once more.
pub(crate) enum OpenedBy {
    Passphrase(Passphrase),
    Identity,
    Kernel,
}

/// Opens the vault by the first way that there is.
pub(crate) fn open<'s>(
    context: &Context,
    locked: &LockedVault<'s>,
    expect: &mut Expect,
    proof: Proof,
) -> Result<(Vault<'s>, OpenedBy), Failure> {
    if let Some(pin) = &context.global.pin {
        let pin = Pin::parse(pin.trim()).ok_or_else(|| {
            Failure::usage("a pin has 64 hexadecimal digits")
                .hint("`bulla init`, `slot add` and `rekey` print it")
        })?;
        expect.pins.push(pin);
    }
    expect.min_epoch = context.global.min_epoch;
    expect.accept_rollback = context.global.accept_rollback;

    let ask = proof != Proof::Unasked && tty::is_there();
    if let Some(passphrase) = given_passphrase(context)? {
        return by_passphrase(locked, passphrase, expect);
    }
    if !context.global.identity.is_empty() {
        return by_identities(context, locked, &context.global.identity, expect, ask);
    }
    if proof != Proof::Fresh
        && let Some(key) = kernel::find(&locked.vault_id())
    {
        match locked.unlock(Unlock::Key(key), expect) {
            Ok(vault) => return Ok((vault, OpenedBy::Kernel)),
            Err(OpenError::Rekeyed) => {
                // The key that `unlock` keeps will never open it again.
                let hints = vec!["bulla lock, then try again".to_owned()];
                let failure = Failure::from(OpenError::Rekeyed);
                return Err(Failure { exit: Exit::Locked, hints, ..failure });
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(path) = path_in(env::PASSPHRASE_FILE) {
        let passphrase = passphrase_from(&path)?;
        return by_passphrase(locked, passphrase, expect);
    }
    if let Some(path) = path_in(env::IDENTITY_FILE) {
        return by_identities(context, locked, &[path], expect, ask);
    }
    let has = |wanted: fn(&SlotSort) -> bool| locked.slots().any(|(_, sort)| wanted(&sort));
    let takes_identity = has(|sort| matches!(sort, SlotSort::Identity));
    let takes_passphrase = has(|sort| matches!(sort, SlotSort::Passphrase(_)));
    if takes_identity && let Some(path) = default_identity() {
        // An identity that lies there for other vaults is no reason not to ask, and its pins are
        // those of the other vaults.
        let pins = expect.pins.clone();
        match by_identities(context, locked, &[path], expect, ask) {
            Err(failure) if failure.code == "locked" && takes_passphrase && ask => {
                expect.pins = pins;
            }
            done => return done,
        }
    }
    if takes_passphrase && ask {
        let passphrase = prompt::passphrase("Passphrase of the vault: ")?;
        return by_passphrase(locked, passphrase, expect);
    }
    Err(not_opened())
}

fn not_opened() -> Failure {
    Failure::new(Exit::Locked, "locked", "the vault is locked, and nothing that opens it was given")
        .hint("give --identity FILE or --passphrase-fd N, set BULLA_IDENTITY_FILE or BULLA_PASSPHRASE_FILE, or run this on a terminal")
}

fn by_passphrase<'s>(
    locked: &LockedVault<'s>,
    passphrase: Passphrase,
    expect: &Expect,
) -> Result<(Vault<'s>, OpenedBy), Failure> {
    let vault = locked.unlock(Unlock::Passphrase(&passphrase), expect)?;
    Ok((vault, OpenedBy::Passphrase(passphrase)))
}

fn by_identities<'s>(
    context: &Context,
    locked: &LockedVault<'s>,
    paths: &[PathBuf],
    expect: &mut Expect,
    ask: bool,
) -> Result<(Vault<'s>, OpenedBy), Failure> {
    let mut identities = Vec::new();
    for path in paths {
        let (more, pins) = read_identities(path, ask)?;
        identities.extend(more);
        // A pin on the command line is the one that counts.
        if context.global.pin.is_none() {
            expect.pins.extend(pins);
        }
    }
    let found = locked.pin();
    let known = !expect.pins.is_empty() || expect.remembered.is_some();
    if !known && ask {
        ask_for_pin(context, found)?;
        expect.pins.push(found);
    }
    let vault = locked.unlock(Unlock::Identities(&identities), expect)?;
    Ok((vault, OpenedBy::Identity))
}

fn ask_for_pin(context: &Context, found: Pin) -> Result<(), Failure> {
    context.printer.note(format_args!(
        "This vault was never opened here. Its pin is\n  {found}\n\
         Compare it with the one that you were given: anybody could have made a vault for your identity."
    ));
    if prompt::confirm("Is it the same?")? {
        return Ok(());
    }
    Err(OpenError::UnknownPin { found }.into())
}

/// Reads an identity file; where one may `ask`, for the passphrases of protected identities.
fn read_identities(path: &Path, ask: bool) -> Result<(Vec<Identity>, Vec<Pin>), Failure> {
    let text = read_key_file(path, IdentityFile::MAX_LEN)?;
    let invalid = |fact: String| {
        Failure::new(Exit::Failed, "identity-file", format!("{}: {fact}", path.display()))
    };
    let text = std::str::from_utf8(text.expose()).map_err(|_| {
        invalid("this is not text".to_owned())
            .hint("`bulla identity new` or `age-keygen -pq` makes one")
    })?;
    let file = IdentityFile::parse(text).map_err(|error| {
        invalid(error.to_string()).hint("`bulla identity new` or `age-keygen -pq` makes one")
    })?;
    let IdentityFile { mut identities, protected, pins } = file;
    for protected in protected {
        if !ask {
            return Err(Failure::new(
                Exit::Locked,
                "locked",
                format!("{} is protected by a passphrase", path.display()),
            )
            .hint(
                "without a terminal, use an identity made with `bulla identity new --for-machine`",
            ));
        }
        let question = format!("Passphrase of {}: ", path.display());
        let passphrase = prompt::passphrase(&question)?;
        identities.push(
            protected
                .open(&passphrase)
                .map_err(|error| Failure::from(error).about(path.display()))?,
        );
    }
    Ok((identities, pins))
}

/// A passphrase for a new vault, where one is given without asking.
pub(crate) fn passphrase_given(context: &Context) -> Result<Option<Passphrase>, Failure> {
    match given_passphrase(context)? {
        Some(passphrase) => Ok(Some(passphrase)),
        None => path_in(env::PASSPHRASE_FILE).map(|path| passphrase_from(&path)).transpose(),
    }
}

/// A passphrase from `--passphrase-fd`.
fn given_passphrase(context: &Context) -> Result<Option<Passphrase>, Failure> {
    if let Some(own) = context.own_passphrase() {
        return Ok(Passphrase::new(Secret::copied_from(own.expose())));
    }
    let Some(number) = context.global.passphrase_fd else { return Ok(None) };
    if number == 0 {
        let path = Path::new("standard input");
        let read = read_at_most(&mut std::io::stdin().lock(), path, Passphrase::MAX_LEN + 1)?;
        return to_passphrase(read, path).map(Some);
    }
    let path = PathBuf::from(format!("/dev/fd/{number}"));
    let mut file =
        std::fs::File::open(&path).map_err(|error| Failure::file("read", &path, &error))?;
    let read = read_at_most(&mut file, &path, Passphrase::MAX_LEN + 1)?;
    to_passphrase(read, &path).map(Some)
}

fn passphrase_from(path: &Path) -> Result<Passphrase, Failure> {
    to_passphrase(read_key_file(path, Passphrase::MAX_LEN + 1)?, path)
}

fn to_passphrase(read: Secret, path: &Path) -> Result<Passphrase, Failure> {
    Passphrase::new(without_final_newline(read).0).ok_or_else(|| {
        let fact =
            format!("{} holds no passphrase of 1 to {} bytes", path.display(), Passphrase::MAX_LEN);
        Failure::new(Exit::Failed, "passphrase", fact).hint(
            "it has to hold the passphrase, perhaps with a newline behind it, and nothing else",
        )
    })
}

/// The files that hold the keys of this run or another, which nothing may write over.
pub(crate) fn key_files(context: &Context) -> Vec<PathBuf> {
    let named = [env::PASSPHRASE_FILE, env::IDENTITY_FILE].into_iter().filter_map(path_in);
    let given = context.global.identity.iter().filter(|path| **path != Path::new("-")).cloned();
    named.chain(given).chain(usual_identities()).collect()
}

fn default_identity() -> Option<PathBuf> {
    usual_identities().find(|path| path.exists())
}

fn usual_identities() -> impl Iterator<Item = PathBuf> {
    let own = xdg_folder(env::XDG_CONFIG_HOME, ".config").map(|f| f.join("bulla/identity"));
    [credential(), own].into_iter().flatten()
}

/// Where systemd would put an identity for this service.
pub(crate) fn credential() -> Option<PathBuf> {
    path_in(env::CREDENTIALS_DIRECTORY).map(|folder| folder.join("bulla-identity"))
}

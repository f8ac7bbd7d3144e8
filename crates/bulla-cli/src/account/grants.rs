//! The vault as the place where grants are kept.

use std::time::{Duration, Instant};

use bulla_oauth::{Clock, Grant, Grants, Life, SCHEMA};
use bulla_vault::store::{Lock, StoreError};
use bulla_vault::{
    Entry, EntryName, Expect, Field, FieldName, Kind, LockedVault, TokenState, Unlock, Vault,
    WriteError,
};

use super::{REFRESH_TOKEN, of_kind};
use crate::cmd::target::find_live;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::hold::{self, Held};

/// The grant of one mailbox in a vault.
pub(crate) struct VaultGrants<'v> {
    pub(crate) context: &'v Context,
    pub(crate) vault: &'v Vault<'v>,
    pub(crate) name: &'v EntryName,
}

/// How long it is tried to write what a provider gave, and how often. Whoever is told that the disk
/// is full has that long to make room.
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_secs(5);

impl Grants for VaultGrants<'_> {
    type Error = Failure;
    type Lock<'g>
        = (Box<dyn Lock + 'g>, Held)
    where
        Self: 'g;

    fn lock(&self) -> Result<Self::Lock<'_>, Failure> {
        if self.context.global.accept_rollback {
            let fact = "an older state of the vault is taken once, and its refresh token is asked for nothing: it may have been replaced, and a provider that sees it again withdraws the grant";
            return Err(Failure::new(Exit::Failed, "rollback", fact).hint(
                "`bulla backup adopt` makes this state the true one; without --accept-rollback the newest one is used",
            ));
        }
        Ok((lock(self.vault, self.name)?, Held::begin()))
    }

    fn load(&self) -> Result<Grant, Failure> {
        let found = find_live(&self.vault.read()?, self.name, None)?;
        grant(self.name, found.live().expect("only entries that are there are found"))
    }

    fn store(&self, grant: &Grant, seen: Option<&bulla_oauth::Secret>) -> Result<(), Failure> {
        // Before the provider is asked there is nothing to lose, and no reason to keep anybody
        // waiting. Neither is there if it gave nothing.
        let asked = !matches!(grant.life, Life::Refreshing { .. });
        let stored = match asked {
            true => persist(self.context, self.vault, self.name, |vault| {
                self.try_store(vault, grant, seen)
            }),
            false => self.try_store(self.vault, grant, seen),
        };
        stored.map_err(|failure| failure.about(self.name))
    }
}

impl VaultGrants<'_> {
    fn try_store(
        &self,
        vault: &Vault<'_>,
        grant: &Grant,
        seen: Option<&bulla_oauth::Secret>,
    ) -> Result<(), Failure> {
        let mut batch = vault.write(self.context.stamp(None))?;
        let found = batch.find(self.name)?;
        let Some(bulla_vault::State::Live(mut entry)) = found.map(|version| version.state) else {
            let fact = "the mailbox was removed while its token was being renewed";
            return Err(Failure::new(Exit::Conflict, "removed", fact));
        };
        // A token that somebody put in meanwhile is newer than ours.
        if bulla_oauth::Secret::are_same(refresh_token(&entry).as_ref(), seen) {
            put(&mut entry, grant.refresh.as_ref())?;
        }
        entry.set_token_state(Some(state(grant)));
        batch.overwrite(self.name, entry)?;
        Ok(batch.commit()?)
    }
}

/// Writes what a provider gave and will not give again: where the vault is busy or away, or the disk
/// fails, again and again for five minutes, so that somebody can make room.
pub(crate) fn persist<T>(
    context: &Context,
    vault: &Vault<'_>,
    name: &EntryName,
    mut write: impl FnMut(&Vault<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut written = write(vault);
    for tries in 0..TRIES {
        let failure = match written {
            Err(failure) if PASSING.contains(&failure.code) => failure,
            done => return done,
        };
        if tries == 0 {
            context.printer.warn(format_args!(
                "what the provider answered for {name} cannot be written yet; it is kept in memory and tried again for five minutes: {}",
                failure.fact
            ));
        }
        std::thread::sleep(PAUSE);
        written = match failure.code {
            "busy" | "disk-full" => write(vault),
            // A store that failed once is not to be written to again; one that is opened anew looks
            // at what has reached the disk.
            _ => anew(context, vault, &mut write),
        };
    }
    // The signal that was held ends this before anybody else could tell it.
    if let Err(failure) = &written
        && hold::is_to_end()
    {
        context.printer.failure(failure);
        context.printer.warn(format_args!("what the provider answered for {name} is lost"));
    }
    written
}

/// Failures of a store that may pass: somebody else writes, a disk or a quota is full, a device is
/// gone for a moment, and the vault with it.
const PASSING: [&str; 6] = ["busy", "disk-full", "no-vault", "read-only", "replaced", "store"];

fn anew<T>(
    context: &Context,
    vault: &Vault<'_>,
    write: &mut impl FnMut(&Vault<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let store = context.store()?;
    let locked = LockedVault::find(&store, &context.random)?;
    let expect = Expect {
        pins: vec![vault.pin()],
        remembered: Some(vault.remembered()),
        ..Expect::default()
    };
    write(&locked.unlock(Unlock::Key(vault.key()), &expect)?)
}

/// Waits for the lock of a mailbox.
fn lock<'v>(vault: &'v Vault<'_>, name: &EntryName) -> Result<Box<dyn Lock + 'v>, Failure> {
    vault.lock(name).map_err(|error| match error {
        StoreError::Busy => {
            let fact = "another program has been at work on it for longer than this waits";
            Failure::new(Exit::Conflict, "busy", fact)
                .hint("it asks a provider or a mail server, or waits for room on the disk; try again, or see who it is with `fuser`")
        }
        error => error.into(),
    })
}

/// The same for a change of it, saying so where somebody else is at work on it: that may take minutes.
fn lock_to_change<'v>(
    context: &Context,
    vault: &'v Vault<'_>,
    name: &EntryName,
) -> Result<Box<dyn Lock + 'v>, Failure> {
    if vault.is_locked(name)? {
        context.printer.note(format_args!("waiting for another program that is at work on {name}"));
    }
    lock(vault, name)
}

/// What is held from before a provider is asked for what it does only once, until its answer is kept.
pub(crate) struct Ready<'v> {
    /// The mailbox's lock, so that nobody refreshes the grant or changes the vault's key before.
    pub(crate) lock: Box<dyn Lock + 'v>,
    /// What was asked for is done at the provider, whoever ends this.
    pub(crate) held: Held,
}

/// Makes sure that what a provider answers can be kept.
pub(crate) fn ready<'v>(
    context: &Context,
    vault: &'v Vault<'_>,
    name: &EntryName,
) -> Result<Ready<'v>, Failure> {
    let lock = lock_to_change(context, vault, name)?;
    // Whoever is just changing the vault's key has looked at the locks before this one was taken: it
    // is waited for, and then nothing is asked for, as under another key nothing could be kept. Who
    // begins later sees the lock.
    drop(vault.write(context.stamp(None))?);
    Ok(Ready { lock, held: Held::begin() })
}

/// Waits until nobody renews a token of these mailboxes, and keeps it so for as long as the locks are
/// held: what a provider gives meanwhile would find no place. Other entries do not matter.
pub(crate) fn hold_still<'v>(
    context: &Context,
    vault: &'v Vault<'_>,
    names: &[EntryName],
) -> Result<Vec<Box<dyn Lock + 'v>>, Failure> {
    let snapshot = vault.read()?;
    let mut mailboxes = Vec::new();
    for name in names {
        let found = snapshot.find(name)?;
        if found.as_ref().and_then(|v| v.live()).is_some_and(|e| e.kind() == Kind::Mailbox) {
            mailboxes.push(name);
        }
    }
    drop(snapshot);
    // In one order, so that two who do this do not wait for each other, and each only once.
    mailboxes.sort();
    mailboxes.dedup();
    let lock = |name: &EntryName| {
        lock_to_change(context, vault, name).map_err(|failure| failure.about(name))
    };
    mailboxes.into_iter().map(lock).collect()
}

/// The mailboxes whose tokens are being renewed, or whose owners are just consenting: under another key
/// a token that comes could not be written, and its lock has another name.
pub(crate) fn being_renewed(vault: &Vault<'_>) -> Result<Vec<EntryName>, Failure> {
    let mut held = Vec::new();
    for name in of_kind(&vault.read()?, Kind::Mailbox)? {
        if vault.is_locked(&name)? {
            held.push(name);
        }
    }
    Ok(held)
}

/// The grant in an entry.
pub(crate) fn grant(name: &EntryName, entry: &Entry) -> Result<Grant, Failure> {
    let refresh = refresh_token(entry);
    let Some(TokenState { schema, bytes }) = entry.token_state() else {
        return Ok(Grant::new(refresh));
    };
    let bytes = bulla_oauth::Secret::copied_from(bytes.expose());
    Grant::decode(refresh, *schema, &bytes).map_err(|error| {
        Failure::new(Exit::Failed, "token-state", error)
            .about(name)
            .hint("install a newer bulla; `bulla mailbox authorize` makes a new state")
    })
}

/// The state of a grant as the vault keeps it.
pub(crate) fn state(grant: &Grant) -> TokenState {
    let bytes = bulla_vault::Secret::copied_from(grant.encode().expose());
    TokenState { schema: SCHEMA, bytes }
}

/// Puts a refresh token into an entry, or takes none away.
pub(crate) fn put(
    entry: &mut Entry,
    refresh: Option<&bulla_oauth::Secret>,
) -> Result<(), WriteError> {
    let Some(refresh) = refresh else { return Ok(()) };
    let value = bulla_vault::Secret::copied_from(refresh.expose());
    entry.set(Field { name: refresh_field(), value, public: false, expires: None })?;
    Ok(())
}

/// The refresh token in an entry.
pub(crate) fn refresh_token(entry: &Entry) -> Option<bulla_oauth::Secret> {
    let value = entry.field(&refresh_field())?.value.expose();
    (!value.is_empty()).then(|| bulla_oauth::Secret::copied_from(value))
}

fn refresh_field() -> FieldName {
    FieldName::new(REFRESH_TOKEN).expect("the name is ours")
}

/// The system's clock.
pub(crate) struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }

    fn sleep(&self, time: Duration) {
        // Who is to end waits for no second attempt.
        let until = Instant::now() + time;
        while !hold::is_to_end()
            && let Some(left) =
                until.checked_duration_since(Instant::now()).filter(|t| !t.is_zero())
        {
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    fn jitter(&self) -> f64 {
        // Processes that were started together differ in this, and nothing secret hangs on it.
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        f64::from(since.map_or(0, |since| since.subsec_nanos()) % 1000) / 1000.0
    }
}

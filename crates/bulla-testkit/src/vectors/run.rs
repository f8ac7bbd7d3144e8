//! Running a vector through the public interface of the vault.

use bulla_vault::store::{MemoryStore, Store, Table};
use bulla_vault::{
    Entry, EntryName, Expect, Fault, Identity, LockedVault, OpenError, ParseKeyError, Part,
    Passphrase, Pin, ProtectedIdentity, ReadError, Remembered, Secret, Snapshot, State,
    SystemRandom, Unlock, Vault, Version,
};

use super::text::{escape, hex};
use super::{Malformed, Opener, Outcome, Vector};

impl Vector {
    /// What comes of each opener, in their order.
    ///
    /// # Errors
    /// If the vector's own words cannot be read.
    pub fn run(&self) -> Result<Vec<Outcome>, Malformed> {
        let store = self.store()?;
        let expect = || self.expectation();
        let read = self.read.as_deref().map(EntryName::new).transpose();
        let read = read.map_err(|_| malformed("`read` is not a name"))?;
        self.openers
            .iter()
            .map(|opener| {
                let opened = open(&store, opener, &expect()?);
                let listing = opened.and_then(|vault| {
                    let snapshot = vault.read().map_err(|error| stage_of_read(&error))?;
                    match &read {
                        Some(name) => listed(&snapshot, name),
                        None => checked(&snapshot),
                    }
                });
                Ok(match listing {
                    Ok(listing) => Outcome { stage: "success".to_owned(), listing },
                    Err(stage) => Outcome { stage, listing: Vec::new() },
                })
            })
            .collect()
    }

    /// A store with the rows of the vector.
    ///
    /// # Errors
    /// If there is a table of another name.
    pub fn store(&self) -> Result<MemoryStore, Malformed> {
        let store = MemoryStore::new();
        let mut txn = store.write().expect("a store in memory does not fail");
        for row in &self.rows {
            let table = match row.table.as_str() {
                "head" => Table::Head,
                "keyring" => Table::Keyring,
                "entry" => Table::Entry,
                "history" => Table::History,
                "node" => Table::Node,
                _ => return Err(malformed("an unknown table")),
            };
            txn.put(table, &row.key, &row.value).expect("a store in memory does not fail");
        }
        txn.commit().expect("a store in memory does not fail");
        Ok(store)
    }

    fn expectation(&self) -> Result<Expect, Malformed> {
        let pin = self.pin.as_ref().map(|pin| Pin::parse(pin).ok_or(malformed("not a pin")));
        let memory = self
            .remember
            .as_ref()
            .map(|text| Remembered::parse(&format!("{text}\n")).ok_or(malformed("not a memory")));
        Ok(Expect {
            pins: pin.transpose()?.into_iter().collect(),
            remembered: memory.transpose()?,
            min_epoch: self.min_epoch,
            accept_rollback: false,
        })
    }
}

fn malformed(what: &'static str) -> Malformed {
    Malformed { line: 0, what }
}

fn open<'s>(store: &'s dyn Store, opener: &Opener, expect: &Expect) -> Result<Vault<'s>, String> {
    let unlocked = |unlock: Unlock<'_>| {
        LockedVault::find(store, &SystemRandom)
            .and_then(|locked| locked.unlock(unlock, expect))
            .map_err(|error| stage_of_open(&error))
    };
    match opener {
        Opener::Passphrase(bytes) => unlocked(Unlock::Passphrase(&passphrase(bytes))),
        Opener::Identity(text) => {
            let identity = Identity::parse(text).map_err(stage_of_key)?;
            unlocked(Unlock::Identities(&[identity]))
        }
        Opener::Protected { identity, passphrase: bytes } => {
            let protected = ProtectedIdentity::parse(identity).map_err(stage_of_key)?;
            let identity =
                protected.open(&passphrase(bytes)).map_err(|error| stage_of_open(&error))?;
            unlocked(Unlock::Identities(&[identity]))
        }
    }
}

fn passphrase(bytes: &[u8]) -> Passphrase {
    Passphrase::new(Secret::copied_from(bytes)).expect("vectors have passphrases that fit")
}

/// Opens and verifies everything, and lists the entries in the order of their names.
fn checked(snapshot: &Snapshot<'_>) -> Result<Vec<String>, String> {
    let report = snapshot.check(&mut |_| {}).map_err(|_| "store".to_owned())?;
    let mut stages: Vec<_> = report.faults.iter().map(stage_of_fault).collect();
    stages.dedup();
    if !stages.is_empty() {
        return Err(stages.join(" "));
    }
    snapshot.slots().map_err(|error| stage_of_read(&error))?;
    let mut names = Vec::new();
    snapshot
        .each::<ReadError>(&mut |version| {
            names.push(version.name);
            Ok(())
        })
        .map_err(|error| stage_of_read(&error))?;
    names.sort();
    let mut lines = Vec::new();
    for name in &names {
        lines.extend(listed(snapshot, name)?);
    }
    Ok(lines)
}

/// The lines of one entry, its newest version first; none if there is no such entry.
fn listed(snapshot: &Snapshot<'_>, name: &EntryName) -> Result<Vec<String>, String> {
    let newest = snapshot.find(name).map_err(|error| stage_of_read(&error))?;
    let Some(newest) = newest else { return Ok(Vec::new()) };
    let mut lines = vec![format!("entry: {}", escape(newest.name.as_str().as_bytes()))];
    describe(&newest, &mut lines);
    for &kept in newest.kept.iter().rev() {
        let earlier = snapshot.find_version(name, kept).map_err(|error| stage_of_read(&error))?;
        describe(&earlier.ok_or("history")?, &mut lines);
    }
    Ok(lines)
}

fn describe(version: &Version, lines: &mut Vec<String>) {
    let Version { name: _, state, version, seq, author, time, reason, kept: _ } = version;
    let state_text = match state {
        State::Live(entry) => format!("kind={}", entry.kind().as_str()),
        State::Removed { moved_to: None } => "removed".to_owned(),
        State::Removed { moved_to: Some(to) } => {
            format!("removed moved-to={}", escape(to.as_str().as_bytes()))
        }
    };
    lines.push(format!(
        "version: {version} seq={seq} time={time} author={} reason={} {state_text}",
        hex(author),
        escape(reason.as_bytes()),
    ));
    if let State::Live(entry) = state {
        describe_entry(entry, lines);
    }
}

fn describe_entry(entry: &Entry, lines: &mut Vec<String>) {
    for field in entry.fields() {
        let mut line = format!(
            "field: {} value={}",
            escape(field.name.as_str().as_bytes()),
            hex(field.value.expose())
        );
        if field.public {
            line += " public";
        }
        if let Some(expires) = field.expires {
            line += &format!(" expires={expires}");
        }
        lines.push(line);
    }
    if let Some(state) = entry.token_state() {
        lines.push(format!("token: schema={} value={}", state.schema, hex(state.bytes.expose())));
    }
}

fn stage_of_open(error: &OpenError) -> String {
    match error {
        OpenError::Damaged(_) => "damaged",
        OpenError::Forked { .. } => "forked",
        OpenError::KdfBounds => "kdf-bounds",
        OpenError::Locked => "locked",
        OpenError::OtherPin { .. } => "other-pin",
        OpenError::Rekeyed => "rekeyed",
        OpenError::Restored => "restored",
        OpenError::RolledBack { .. } | OpenError::TooOld { .. } => "rolled-back",
        OpenError::Tampered(part) => return stage_of_part(*part).to_owned(),
        OpenError::UnknownPin { .. } => "unknown-pin",
        OpenError::Unsupported { .. } => "unsupported",
        OpenError::OutOfMemory | OpenError::Store(_) => "machine",
        _ => "unnamed",
    }
    .to_owned()
}

fn stage_of_read(error: &ReadError) -> String {
    match error {
        ReadError::Newer => "newer".to_owned(),
        ReadError::Open(error) => stage_of_open(error),
        ReadError::Tampered(part) => stage_of_part(*part).to_owned(),
        _ => "machine".to_owned(),
    }
}

fn stage_of_fault(fault: &Fault) -> &'static str {
    fault.part.map_or("newer", stage_of_part)
}

fn stage_of_key(error: ParseKeyError) -> String {
    match error {
        ParseKeyError::KdfBounds => "kdf-bounds",
        _ => "identity",
    }
    .to_owned()
}

/// The records whose MAC fails are called by their MAC: they have other stages of their own.
fn stage_of_part(part: Part) -> &'static str {
    match part {
        Part::Head => "head-mac",
        Part::Keyring => "keyring-mac",
        other => other.as_str(),
    }
}

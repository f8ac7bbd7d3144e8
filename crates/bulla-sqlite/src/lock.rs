//! Locks across processes, for work that leaves the machine.
//!
//! Each name has an empty file of its own, in a folder beside the vault, and a lock is `flock(2)`
//! on it. The kernel lets go of it when the holder ends, however it ends. No file is ever deleted:
//! whoever waits for one that is gone would hold a lock that nobody else can see. Two names never
//! share a file, so holders of different names cannot wait for each other.

use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bulla_vault::store::{Lock, StoreError};

use crate::{fault, place};

/// A held lock. Closing the file lets go of it.
struct Held(#[expect(dead_code, reason = "held for its lock")] File);

impl Lock for Held {}

pub(crate) fn take(
    folder: &Path,
    name: &[u8; 16],
    wait: Duration,
) -> Result<Box<dyn Lock>, StoreError> {
    let file = place::lock_file(folder, &hex(name))?;
    let started = Instant::now();
    let mut pause = SHORTEST_PAUSE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Box::new(Held(file))),
            Err(TryLockError::Error(error)) => return Err(fault::system("lock")(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        let left = wait.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(StoreError::Busy);
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether somebody holds a lock. The shared one that is tried for a moment keeps nobody else who asks
/// from the truth; and where nobody has ever taken it, no file is made.
pub(crate) fn is_held(folder: &Path, name: &[u8; 16]) -> Result<bool, StoreError> {
    let Some(file) = place::lock_file_there(folder, &hex(name))? else { return Ok(false) };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(fault::system("lock")(error)),
    }
}

/// A lock is held for a request over the network, so asking more often than this is of no use, and
/// an answer that comes this much later is not felt.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
const SHORTEST_PAUSE: Duration = Duration::from_micros(200);

fn hex(name: &[u8; 16]) -> String {
    name.iter().fold(String::with_capacity(32), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes everything");
        hex
    })
}

//! The port for randomness, so that test vectors repeat.

/// A source of random bytes that nobody can predict.
pub trait Random {
    /// Fills `bytes`, all of them, before anything is written anywhere.
    ///
    /// # Errors
    /// If there is none to be had; nothing may be sealed then.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The operating system's random bytes. The right source everywhere outside of tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(bytes).map_err(|_| NoRandomness)
    }
}

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandomness;

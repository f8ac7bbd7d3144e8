//! The kit tested on the store in memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod conforms;
mod faulty;
mod lies;

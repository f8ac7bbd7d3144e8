//! What the tests of several crates share. It is not published.
//!
//! - [`canary`] looks for secrets where none should be;
//! - [`conformance`] holds every store to the promises of `bulla_vault::store`;
//! - [`hostile`] plays stores that lie ([`hostile::HostileStore`]) and stores that fail
//!   ([`hostile::FaultyStore`]), so that a vault can be shown to notice the one and to survive the
//!   other;
//! - [`testbed`] starts real servers for tokens and mail, from `tests/testbed`;
//! - [`vectors`] reads the files of `tests/vectors` and runs them.

#![forbid(unsafe_code)]

pub mod canary;
pub mod conformance;
pub mod hostile;
pub mod testbed;
pub mod vectors;

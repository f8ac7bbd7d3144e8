//! Behaviour of the resolver, mostly as data: one file per case under `tests/cases`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cases;

//! The embedded store tested through its public face.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod backup;
mod conforms;
mod crash;
mod damage;
mod disk;
mod place;
mod processes;
mod support;

//! The kit tested: its suites on the store in memory, its servers with curl.

#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod conforms;
mod faulty;
mod lies;
mod testbed;

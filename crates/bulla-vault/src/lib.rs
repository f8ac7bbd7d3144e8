//! An encrypted, versioned store of credentials that does not trust the place it is stored in.

#![forbid(unsafe_code)]

pub mod store;

//! SQLite's result codes in the words of the store port. SQLite's own messages are not kept: they
//! may hold paths and parts of the file.

use std::io::ErrorKind;

use bulla_vault::store::StoreError;
use rusqlite::{Error, ErrorCode, ffi};
use rustix::io::Errno;

/// How an error of SQLite is told that came up while `doing` something to the vault.
pub(crate) fn during(doing: &'static str) -> impl Fn(Error) -> StoreError {
    move |error| told(doing, &error)
}

/// The same for an error of the system.
pub(crate) fn system(doing: &'static str) -> impl Fn(std::io::Error) -> StoreError {
    move |error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly,
        // Rust has no kind for it.
        _ if Errno::from_io_error(&error) == Some(Errno::IO) => StoreError::Disk { doing },
        kind => StoreError::Io { doing, kind },
    }
}

fn told(doing: &'static str, error: &Error) -> StoreError {
    let Error::SqliteFailure(ffi::Error { code, extended_code }, _) = error else {
        // What is left are values of another type than the one that was asked for, and rows that
        // are missing where there is always one.
        return StoreError::Damaged { what: "a row is not of the form that a vault writes" };
    };
    match *extended_code {
        ffi::SQLITE_CANTOPEN_SYMLINK => {
            return StoreError::Unsafe { what: "the vault is a symbolic link" };
        }
        ffi::SQLITE_IOERR_SHORT_READ => {
            return StoreError::Damaged { what: "the file ends before its last page does" };
        }
        // SQLite could not make room for its index beside the vault.
        ffi::SQLITE_IOERR_SHMSIZE => return StoreError::Full,
        ffi::SQLITE_READONLY_DBMOVED => return StoreError::Replaced,
        _ => {}
    }
    match code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => StoreError::Busy,
        ErrorCode::DatabaseCorrupt => {
            StoreError::Damaged { what: "its structure is not that of a sound SQLite file" }
        }
        ErrorCode::NotADatabase => StoreError::Damaged { what: "the file is not a vault" },
        ErrorCode::ConstraintViolation | ErrorCode::SchemaChanged | ErrorCode::Unknown => {
            StoreError::Damaged { what: "its tables are not those of a vault" }
        }
        ErrorCode::TooBig => {
            StoreError::Damaged { what: "a row is longer than any that a vault writes" }
        }
        ErrorCode::DiskFull => StoreError::Full,
        ErrorCode::ReadOnly => StoreError::ReadOnly,
        // SQLite tells that a disk is full, and of all else only that it failed.
        ErrorCode::SystemIoFailure => StoreError::Disk { doing },
        ErrorCode::OutOfMemory => StoreError::Io { doing, kind: ErrorKind::OutOfMemory },
        ErrorCode::PermissionDenied => StoreError::Io { doing, kind: ErrorKind::PermissionDenied },
        _ => StoreError::Io { doing, kind: ErrorKind::Other },
    }
}

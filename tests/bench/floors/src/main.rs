//! The least that each piece of work costs: the same rows in a bare SQLite file, the same Argon2id,
//! the same replacing of names in plain files with values that lie there in clear. Nothing is
//! encrypted, checked or proven.
//!
//! ```text
//! floors sqlite-fill DB ROWS BYTES       makes a file with so many rows of so many bytes, in one commit
//! floors sqlite-get DB ROWS              reads the row in the middle
//! floors sqlite-add DB BYTES             adds a row, in one commit
//! floors argon2 KIB PASSES LANES         derives a key from standard input
//! floors render VARS TEMPLATE OUT        replaces each ${NAME}
//! floors render-tree VARS FOLDER INTO    the same for every file of a folder
//! ```

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags, params};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["sqlite-fill", db, rows, bytes] => sqlite_fill(db, rows.parse()?, bytes.parse()?),
        ["sqlite-get", db, rows] => sqlite_get(db, rows.parse()?),
        ["sqlite-add", db, bytes] => sqlite_add(db, bytes.parse()?),
        ["argon2", kib, passes, lanes] => argon2(kib.parse()?, passes.parse()?, lanes.parse()?),
        ["render", vars, template, out] => {
            let (vars, text) = (fs::read(vars)?, fs::read(template)?);
            write(Path::new(out), &text, &values(&vars)?)
        }
        ["render-tree", vars, folder, into] => {
            let vars = fs::read(vars)?;
            let values = values(&vars)?;
            fs::create_dir(into)?;
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                write(&Path::new(into).join(entry.file_name()), &fs::read(entry.path())?, &values)?;
            }
            Ok(())
        }
        _ => Err("the comment at the top of floors/src/main.rs says what there is".into()),
    }
}

// --- SQLite, with the settings that a vault uses for durability and speed ---

fn sqlite_fill(db: &str, rows: u64, bytes: usize) -> Result<(), Box<dyn Error>> {
    let mut new = Connection::open(db)?;
    new.pragma_update(None, "page_size", 8192)?;
    new.pragma_update(None, "journal_mode", "WAL")?;
    new.pragma_update(None, "synchronous", "FULL")?;
    new.pragma_update(None, "cache_size", -65_536)?;
    new.execute_batch("CREATE TABLE entry (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID")?;
    let all = new.transaction()?;
    {
        let mut put = all.prepare("INSERT INTO entry VALUES (?1, ?2)")?;
        let mut value = vec![0; bytes];
        for row in 0..rows {
            noise(row, &mut value);
            put.execute(params![key(row, rows), value])?;
        }
    }
    all.commit()?;
    Ok(())
}

fn sqlite_get(db: &str, rows: u64) -> Result<(), Box<dyn Error>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = Connection::open_with_flags(db, flags)?;
    let value: Vec<u8> =
        file.query_row("SELECT v FROM entry WHERE k = ?1", [key(rows / 2, rows)], |row| row.get(0))?;
    io::stdout().write_all(&value)?;
    Ok(())
}

fn sqlite_add(db: &str, bytes: usize) -> Result<(), Box<dyn Error>> {
    let file = Connection::open(db)?;
    file.pragma_update(None, "synchronous", "FULL")?;
    // SQLite writes nothing where the new bytes are the old ones, so they are new in every run.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let mut value = vec![0; bytes];
    noise(now as u64, &mut value);
    let mut key = [0; 16];
    noise(!now as u64, &mut key);
    file.execute("INSERT INTO entry VALUES (?1, ?2)", params![key, value])?;
    Ok(())
}

/// Keys in rising order, spread over the whole range as those of a vault are.
fn key(row: u64, rows: u64) -> [u8; 16] {
    let mut key = [0; 16];
    noise(row, &mut key);
    key[..8].copy_from_slice(&((u64::MAX / rows.max(1)) * row).to_be_bytes());
    key
}

/// Bytes that do not compress and cost next to nothing.
fn noise(seed: u64, out: &mut [u8]) {
    let mut state = seed;
    for chunk in out.chunks_mut(8) {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
    }
}

// --- Argon2id ---

fn argon2(kib: u32, passes: u32, lanes: u32) -> Result<(), Box<dyn Error>> {
    let mut passphrase = Vec::new();
    io::stdin().read_to_end(&mut passphrase)?;
    let params = argon2::Params::new(kib, passes, lanes, Some(32))?;
    let mut key = [0; 32];
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_into(&passphrase, &[7; 32], &mut key)?;
    println!("{key:02x?}");
    Ok(())
}

// --- Replacing names by values that lie there in clear ---

fn values(vars: &[u8]) -> Result<HashMap<&[u8], &[u8]>, Box<dyn Error>> {
    vars.split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let at = line.iter().position(|&byte| byte == b'=').ok_or("a line without `=`")?;
            Ok((&line[..at], &line[at + 1..]))
        })
        .collect()
}

fn write(path: &Path, text: &[u8], values: &HashMap<&[u8], &[u8]>) -> Result<(), Box<dyn Error>> {
    let mut out = io::BufWriter::with_capacity(1 << 16, File::create_new(path)?);
    let mut rest = text;
    while let Some(at) = find(rest, b'$') {
        let (before, found) = rest.split_at(at);
        out.write_all(before)?;
        let end = found.starts_with(b"${").then(|| find(found, b'}')).flatten();
        let Some((end, value)) = end.and_then(|end| Some((end, values.get(&found[2..end])?))) else {
            out.write_all(b"$")?;
            rest = &found[1..];
            continue;
        };
        out.write_all(value)?;
        rest = &found[end + 1..];
    }
    out.write_all(rest)?;
    Ok(out.flush()?)
}

/// As quick as memchr for files in which the byte is rare, and needs no crate.
fn find(text: &[u8], byte: u8) -> Option<usize> {
    let mut done = 0;
    for chunk in text.chunks(64) {
        if chunk.contains(&byte) {
            return chunk.iter().position(|&b| b == byte).map(|at| done + at);
        }
        done += chunk.len();
    }
    None
}

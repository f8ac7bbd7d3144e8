//! Bincode 2, the only module that names it.
//!
//! The crate is finished rather than maintained (RUSTSEC-2025-0141), so it is kept on a short
//! leash: it sees authenticated bytes only, always under a limit; what it leaves over is an error;
//! and what it read must encode to the very same bytes, because its numbers have more than one
//! spelling. That its bytes can be left behind with another crate is proven in the tests.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::SizeWriter;
use bincode::{BorrowDecode, Encode};
use zeroize::Zeroizing;

use crate::padding::{MAX_PADDED, PREFIX, padded_len};

/// What decoding may claim. Bincode counts what values take in memory, and a field of 5 bytes takes
/// 56: everything that fits into 16 MiB when it is written has to fit when it is read.
const MAX_CLAIM: usize = 16 * MAX_PADDED;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_CLAIM>> =
    bincode::config::standard().with_limit();

/// The value does not fit into 16 MiB.
#[derive(Debug)]
pub(crate) struct TooLarge;

/// The bytes are not what we write.
#[derive(Debug)]
pub(crate) enum DecodeFault {
    Padding,
    Encoding,
}

/// Encodes `value` as `length (u32) | bytes | zeros` up to its size class, in one buffer that never
/// grows, so that no half-filled copy stays behind.
pub(crate) fn encode_padded(value: &impl Encode) -> Result<Zeroizing<Vec<u8>>, TooLarge> {
    let len = encoded_len(value).ok_or(TooLarge)?;
    let padded = padded_len(len).ok_or(TooLarge)?;
    let mut buffer = Zeroizing::new(vec![0; padded]);
    let prefix = u32::try_from(len).expect("a padded length is at most 16 MiB");
    buffer[..PREFIX].copy_from_slice(&prefix.to_le_bytes());
    bincode::encode_into_slice(value, &mut buffer[PREFIX..PREFIX + len], CONFIG)
        .expect("the buffer was made to measure");
    Ok(buffer)
}

/// Decodes what [`encode_padded`] made, and nothing else.
pub(crate) fn decode_padded<'a, T>(padded: &'a [u8]) -> Result<T, DecodeFault>
where
    T: BorrowDecode<'a, ()> + Encode,
{
    let (prefix, rest) = padded.split_first_chunk::<PREFIX>().ok_or(DecodeFault::Padding)?;
    let len = u32::from_le_bytes(*prefix) as usize;
    if padded_len(len) != Some(padded.len()) {
        return Err(DecodeFault::Padding);
    }
    let (bytes, zeros) = rest.split_at(len);
    if zeros.iter().any(|&byte| byte != 0) {
        return Err(DecodeFault::Padding);
    }
    decode(bytes)
}

fn decode<'a, T: BorrowDecode<'a, ()> + Encode>(bytes: &'a [u8]) -> Result<T, DecodeFault> {
    let (value, used) = bincode::borrow_decode_from_slice::<T, _>(bytes, CONFIG)
        .map_err(|_| DecodeFault::Encoding)?;
    if used != bytes.len() || encoded_len(&value) != Some(bytes.len()) {
        return Err(DecodeFault::Encoding);
    }
    let mut again = Zeroizing::new(vec![0; bytes.len()]);
    bincode::encode_into_slice(&value, &mut again, CONFIG).map_err(|_| DecodeFault::Encoding)?;
    if *again == bytes { Ok(value) } else { Err(DecodeFault::Encoding) }
}

fn encoded_len(value: &impl Encode) -> Option<usize> {
    let mut counted = SizeWriter::default();
    bincode::encode_into_writer(value, &mut counted, CONFIG).ok()?;
    Some(counted.bytes_written)
}

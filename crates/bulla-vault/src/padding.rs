//! How long a plaintext is made, so that the store learns a size class and no length.

/// The longest padded plaintext in bytes: 16 MiB.
pub(crate) const MAX_PADDED: usize = 1 << 24;

/// Length of the prefix that holds the true length.
pub(crate) const PREFIX: usize = 4;

/// The padded length for a plaintext of `len` bytes and its prefix: the next multiple of 256 up to
/// 4 KiB, then Padme (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
/// Communication with PURBs", PETS 2019, section 4), which costs at most 12 %. `None` if that is
/// more than 16 MiB.
pub(crate) fn padded_len(len: usize) -> Option<usize> {
    let total = len.checked_add(PREFIX)?;
    let step = if total <= 4096 {
        256
    } else {
        let exponent = total.ilog2();
        let mantissa_bits = exponent.ilog2() + 1;
        1 << (exponent - mantissa_bits)
    };
    let padded = total.checked_next_multiple_of(step)?;
    (padded <= MAX_PADDED).then_some(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_as_documented() {
        for (len, padded) in [
            (0, 256),
            (252, 256),
            (253, 512),
            (4092, 4096),
            (4093, 4352),
            (8188, 8192),
            (8189, 8704),
            (100_000, 100_352),
            (MAX_PADDED - PREFIX, MAX_PADDED),
        ] {
            assert_eq!(padded_len(len), Some(padded), "{len}");
        }
        assert_eq!(padded_len(MAX_PADDED - PREFIX + 1), None);
        assert_eq!(padded_len(usize::MAX), None);
    }

    #[test]
    fn a_padded_length_is_its_own_class() {
        for len in 0..70_000 {
            let padded = padded_len(len).unwrap();
            assert!(padded >= len + PREFIX);
            assert_eq!(padded_len(padded - PREFIX), Some(padded), "{len}");
        }
    }
}

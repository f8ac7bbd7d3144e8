//! Length-prefixed concatenation: what keys, tags and signatures are bound to.

/// `LP(a, b, ...)` of docs/format.md: each part preceded by its length as a `u32`, little-endian.
/// Two different lists of parts never give the same bytes.
#[derive(Clone)]
pub(crate) struct Binding(Vec<u8>);

impl Binding {
    pub(crate) fn new(label: &str) -> Self {
        Self(Vec::with_capacity(256)).part(label.as_bytes())
    }

    #[must_use]
    pub(crate) fn part(mut self, part: &[u8]) -> Self {
        let len = u32::try_from(part.len()).expect("parts are capped far below 4 GiB");
        self.0.extend_from_slice(&len.to_le_bytes());
        self.0.extend_from_slice(part);
        self
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_run_together() {
        let joined = Binding::new("l").part(b"to").part(b"ot");
        let shifted = Binding::new("l").part(b"too").part(b"t");
        assert_ne!(joined.bytes(), shifted.bytes());
        assert_eq!(&joined.bytes()[..9], b"\x01\0\0\0l\x02\0\0\0");
    }
}

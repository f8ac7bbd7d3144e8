//! Plain text: one scalar, the whole file. References stand in braces only, and every byte can be
//! carried.

use std::ops::Range;

use super::{Content, Malformed, Output, Refusal, Role, Scalar, Syntax, Text};

pub(super) struct PlainText;

impl Syntax for PlainText {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let span = 0..src.len();
        found(Scalar {
            span: span.clone(),
            text: Text::Verbatim(span),
            role: Role::Value,
            depth: 0,
            owner: None,
        });
        Ok(())
    }

    fn encode(
        &self,
        _src: &[u8],
        _span: Range<usize>,
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        content.parts.iter().for_each(|&part| out.copy(part));
        Ok(())
    }

    fn resolves_bare(&self) -> bool {
        false
    }
}

//! Secrets that are ones by an alias of YAML. Another template than the alias would have to name them, so they
//! stay.

use std::collections::BTreeSet;

use super::{Search, Stay, is_secret_there};
use crate::adopt::signs;
use crate::expression;
use crate::format::{Aliased, InSecret, aliased, data_of, in_secrets};

impl Search<'_> {
    /// Secrets by the name of an alias, and in the data of a Secret by one.
    pub(super) fn aliases(&mut self) {
        let mut known: BTreeSet<_> = self.stays.iter().map(|stay| stay.span.start).collect();
        known.extend(self.spots.keys());
        for Aliased { name, span, text } in aliased(self.src) {
            let is_known = known.contains(&span.start);
            if is_known || !signs::is_secret(&name, &text) || signs::is_placeholder(&text) {
                continue;
            }
            if !expression::has_plain(text.as_bytes()) {
                known.insert(span.start);
                self.stays.push(Stay::aliased(
                    span,
                    &name,
                    "an alias gives it this name elsewhere",
                ));
            }
        }
        for InSecret { name, span, text, encoded } in in_secrets(self.src) {
            let data = encoded.then(|| data_of(text.as_bytes())).flatten();
            let data = data.as_ref().map_or(text.as_bytes(), |data| &data[..]);
            let written = self.src.get(span.clone()).unwrap_or_default();
            let is_word = ["null", "~", "true", "false"]
                .iter()
                .any(|word| written.trim_ascii().eq_ignore_ascii_case(word.as_bytes()));
            let is_secret =
                str::from_utf8(data).map_or(true, |data| is_secret_there(encoded, data));
            if is_secret && !is_word && !expression::has_plain(data) && known.insert(span.start) {
                let because = "an alias makes it a value of a Kubernetes Secret";
                self.stays.push(Stay::aliased(span, &name, because));
            }
        }
    }
}

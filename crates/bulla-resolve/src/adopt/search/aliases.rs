//! Secrets that are ones by an alias of YAML. Another template than the alias would have to name them, so they
//! stay.

use std::collections::BTreeSet;

use super::{Search, is_secret_there};
use crate::adopt::signs;
use crate::expression;
use crate::format::{Aliased, InSecret, aliased, data_of, in_secrets};
use crate::problem::without_secrets;

impl Search<'_> {
    /// Secrets by the name of an alias, and in the data of a Secret by one.
    pub(super) fn aliases(&mut self) {
        let mut known: BTreeSet<_> = self.opaque.iter().map(|(span, _)| span.start).collect();
        known.extend(self.spots.keys());
        for Aliased { name, span, text } in aliased(self.src) {
            let is_known = known.contains(&span.start);
            if is_known || !signs::is_secret(&name, &text) || signs::is_placeholder(&text) {
                continue;
            }
            if !expression::has_plain(text.as_bytes()) {
                known.insert(span.start);
                self.by_alias.insert(span.start, "an alias gives it this name elsewhere");
                self.opaque.push((span, without_secrets(&name).into_owned()));
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
                let what = "an alias makes it a value of a Kubernetes Secret";
                self.by_alias.insert(span.start, what);
                self.opaque.push((span, without_secrets(&name).into_owned()));
            }
        }
    }
}

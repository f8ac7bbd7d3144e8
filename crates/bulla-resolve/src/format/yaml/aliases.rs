//! Whether aliases could make data of a Kubernetes Secret, or the like, of what does not look like it.

use saphyr_parser::{Event, Parser};

/// Whether an alias or a merge key could bring what stands at an anchor into the data of a Secret: one
/// that is a key, or stands for its kind, version or data, or in its data.
pub(super) fn may_make_secret(text: &str) -> bool {
    let mut open: Vec<Collection> = Vec::new();
    let (mut used, mut versioned, mut secret) = (false, false, false);
    // Any item of a list of Secrets is one, wherever it comes from.
    let (mut used_anywhere, mut in_list) = (false, false);
    for event in Parser::new_from_str(text) {
        // What is wrong is told by whoever reads the values.
        let Ok((event, _)) = event else { return false };
        let mut node = |text| open.last_mut().is_some_and(|around| around.node(text));
        match event {
            Event::Scalar(text, ..) => {
                versioned |= text == "apiVersion";
                in_list |= text == "SecretList";
                secret |= matches!(&*text, "Secret" | "SecretList" | "binaryData");
                node(Some(&text));
            }
            Event::Alias(_) => {
                used |= node(None);
                used_anywhere = true;
            }
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let matters = node(None);
                let is_mapping = matches!(event, Event::MappingStart(..));
                let key_next = is_mapping.then_some(true);
                open.push(Collection { key_next, matters, named: false });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
            }
            _ => {}
        }
    }
    (used || (used_anywhere && in_list)) && versioned && secret
}

struct Collection {
    /// Whether the next node in it is a key; `None` in a sequence.
    key_next: Option<bool>,
    /// Whether an alias anywhere in it matters.
    matters: bool,
    /// Whether one matters that is the value of the last key.
    named: bool,
}

impl Collection {
    /// Takes note of one more node, with its text if it is a scalar; whether an alias here matters.
    fn node(&mut self, text: Option<&str>) -> bool {
        let Some(key_next) = &mut self.key_next else { return self.matters };
        if std::mem::replace(key_next, !*key_next) {
            self.named = text.is_none_or(|text| NAMES.contains(&text));
            return true;
        }
        self.matters || self.named
    }
}

const NAMES: [&str; 5] = ["<<", "apiVersion", "binaryData", "data", "kind"];

//! Where a template asks for what: the closure, place by place.

use std::collections::HashMap;

use crate::Reference;
use crate::filter::Filter;
use crate::genesys::Sections;
use crate::problem::{Pending, Rule, locate, without_secrets};
use crate::template::{Origin, Segment, Slot, Template};

/// One place of a template that asks for a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Use {
    /// What is asked for.
    pub reference: Reference,
    /// What may be meant instead; just one of the two has to exist.
    pub alternative: Option<Reference>,
    /// Whether nothing is wrong where it does not exist.
    pub optional: bool,
    /// How it came to be asked for here.
    pub origin: Origin,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
}

impl Template {
    /// Every place that asks for a value, in the order of the file. No key is needed to know them.
    #[must_use]
    pub fn uses(&self) -> Vec<Use> {
        let mut filled = self.filled();
        let mut slots = Vec::new();
        for place in &self.places {
            let mut origin = filled.remove(&place.scalar);
            for segment in &place.segments {
                if let Segment::Value(slot) = segment {
                    slots.push((slot, origin.take().unwrap_or(Origin::Written)));
                }
            }
        }
        slots.sort_by_key(|(slot, _)| slot.at);
        let places = slots.iter().map(|(slot, _)| Pending::new(slot.at, Rule::Missing, ""));
        let places = locate(&self.name, &self.src, places.collect());
        let reference = |index: usize| self.wanted[index].reference.clone();
        let of = |((slot, origin), place): ((&Slot, Origin), crate::Problem)| Use {
            reference: reference(slot.wanted),
            alternative: slot.alternative.map(reference),
            optional: slot.filters.contains(&Filter::Optional),
            origin,
            line: place.line,
            column: place.column,
        };
        slots.into_iter().zip(places).map(of).collect()
    }

    /// The options that the fill rule fills, by the number of their scalar. The closure knows only
    /// the first of those that are filled with the same.
    fn filled(&self) -> HashMap<usize, Origin> {
        let is_filled = |wanted: &crate::Wanted| matches!(wanted.origin, Origin::Filled { .. });
        let genesys = self.format.filter(|format| format.is_genesys());
        let Some(format) = genesys.filter(|_| self.wanted.iter().any(is_filled)) else {
            return HashMap::new();
        };
        let sections = Sections::of(&self.src, format).unwrap_or_default();
        let shown = |name: &str| without_secrets(name).into_owned();
        let blank = sections.iter().flat_map(|section| {
            let blank = section.options.iter().filter(|option| option.is_blank());
            blank.map(|option| {
                let (section, option_name) = (shown(&section.name), shown(&option.name));
                (option.scalar, Origin::Filled { section, option: option_name })
            })
        });
        blank.collect()
    }
}

//! What adopting finds or leaves, for whoever only tells of it.

use std::ops::Range;

use super::Find;
use super::search::{Search, Stay};
use crate::format::{Format, Malformed, Scalar};

/// A secret that stands in a file in clear.
pub(crate) struct Literal {
    /// The section and option, or the path of keys.
    pub(crate) place: String,
    /// Where messages say that it is.
    pub(crate) at: usize,
    /// The scalar that it stands in.
    pub(crate) scalar: Range<usize>,
    /// Where it stands there, or the scalar where that is not known.
    pub(crate) span: Range<usize>,
    /// Whether it stands in a Secret of Kubernetes.
    pub(crate) in_secret: bool,
}

/// The literal secrets of a file, also those that no template would give back: what adopting finds or
/// leaves, and so the one judgement of what a secret in clear is.
pub(crate) fn literals(name: &str, src: &[u8], format: Format) -> Result<Vec<Literal>, Malformed> {
    let mut search = Search::new(name, src, format);
    search.run()?;
    Ok(literals_of(search))
}

/// Finds the same while the file is read as a template, which spares it a way through the file.
pub(crate) struct LiteralSearch<'a>(Search<'a>);

impl<'a> LiteralSearch<'a> {
    pub(crate) fn new(name: &str, src: &'a [u8], format: Format) -> Self {
        Self(Search::new(name, src, format))
    }

    /// Comes to the next scalar of the file.
    pub(crate) fn look_at(&mut self, scalar: &Scalar) {
        self.0.look_at(scalar);
    }

    /// What was found, at the end of the file.
    pub(crate) fn literals(mut self) -> Vec<Literal> {
        self.0.finish();
        literals_of(self.0)
    }
}

fn literals_of(search: Search<'_>) -> Vec<Literal> {
    let finds = search.finds.into_iter().filter(|find| !find.public);
    let spots = &search.spots;
    let finds = finds.map(|find| {
        let span = spots[&find.span.start].whereabouts(&find);
        let Find { place, span: scalar, at, in_secret, .. } = find;
        Literal { place, at: at.unwrap_or(scalar.start), scalar, span, in_secret }
    });
    let stays = search.stays.into_iter();
    let stays = stays.map(|Stay { place, span: scalar, at: span, .. }| Literal {
        place,
        at: span.start,
        scalar,
        span,
        in_secret: false,
    });
    finds.chain(stays).collect()
}

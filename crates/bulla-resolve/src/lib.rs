//! Puts secrets in the place of references in configuration files, and proves that they arrived.
//!
//! A template is a configuration file with references such as `bulla://secret-gmail/client-secret`
//! in it. This crate finds them, asks a [`Source`] for all of their values at once, writes each value
//! in the way that the file's own format writes such a text, and reads the result again: a scalar
//! that received values decodes to exactly its text with the values in place, and every byte around
//! it is as it was. What a format cannot carry is refused with line and column.
//!
//! ```
//! use bulla_resolve::{Answer, Format, Reference, Secret, Source, Template, render};
//!
//! struct Fixed;
//!
//! impl Source for Fixed {
//!     fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
//!         let answer = |_| Answer::Value { secret: Secret::copied_from(b"GOCSPX-x"), version: 1 };
//!         wanted.iter().map(answer).collect()
//!     }
//! }
//!
//! let file = b"[secret-gmail]\npassword = bulla://secret-gmail/client-secret\n";
//! let template = Template::parse("app.cfg", file.to_vec(), Some(Format::GenesysIni));
//! let renderings = render(&[template], &Fixed, &[]).expect("the value can be carried");
//! assert_eq!(renderings[0].contents.expose(), b"[secret-gmail]\npassword = GOCSPX-x\n");
//! ```
//!
//! # What it does not do
//! There is no logic in templates: no loops, conditions or computed names. So the references of a
//! file, its [closure](Template::closure), are known without any key. Placed values are never
//! searched again.
//!
//! # Security notes
//! Values are held in buffers that are wiped; errors cannot hold a value, nor a piece of a file other
//! than references and names. The parsers of YAML and XML keep buffers of their own, which are freed
//! and not wiped.

#![forbid(unsafe_code)]

mod adopt;
mod check;
mod diff;
mod expression;
mod filter;
mod format;
mod genesys;
mod indirect;
mod migrate;
mod names;
mod pairs;
mod problem;
mod read;
mod reference;
mod rehearse;
mod render;
mod secret;
mod source;
mod template;
mod unclear;
mod uses;
mod write;

pub use adopt::{Adoption, EntryKind, Find, Left, Stays, looks_secret};
pub use check::Check;
pub use diff::{Diff, Piece, Row, Sign, diff};
pub use filter::Filter;
pub use format::Format;
pub use migrate::{Migration, Moved, Naming, Unmoved};
pub use pairs::dotenv_pairs;
pub use problem::{About, Kind, Problem, Rule, without_secrets};
pub use read::{ReadError, read_template};
pub use reference::{InvalidReference, MAX_ENTRY, MAX_FIELD, Pin, Reference, SCHEME};
pub use rehearse::{Rehearsal, rehearse};
pub use render::{Rendering, render};
pub use secret::Secret;
pub use source::{Answer, Failure, FailureKind, RefPart, Source};
pub use template::{Origin, Template, Wanted};
pub use uses::Use;
pub use write::{Owner, Reason, Recovered, Switch, Target, Transaction, WriteError, recover};

//! `NAME=VALUE` lines, which become the fields of one entry.

use bulla_resolve::{Format, dotenv_pairs};
use bulla_vault::{Entry, EntryName, Field, FieldName, Kind, Secret};

use super::malformed;
use crate::cmd::run::DIALECTS;
use crate::failure::Failure;

pub(super) fn read(
    file: &Secret,
    name: Option<EntryName>,
    format: Format,
) -> Result<(EntryName, Entry), Failure> {
    let name = name.ok_or_else(|| {
        Failure::usage("the fields of a dotenv file need an entry to go into")
            .hint("--entry NAME says which")
    })?;
    let mut entry = Entry::new(Kind::Secret);
    let pairs = dotenv_pairs("", file.expose(), format).map_err(|it| {
        let failure =
            malformed(format_args!("line {}, column {}: {}", it.line, it.column, it.what));
        if format == Format::Dotenv { failure.hint(DIALECTS) } else { failure }
    })?;
    for (field, value) in pairs {
        let field = FieldName::new(&field).map_err(malformed)?;
        if entry.field(&field).is_some() {
            return Err(malformed(format_args!("`{field}` is there twice")));
        }
        let value = Secret::copied_from(value.expose());
        entry
            .set(Field { name: field, value, public: false, expires: None })
            .map_err(bulla_vault::WriteError::from)?;
    }
    if entry.fields().is_empty() {
        return Err(malformed("there is no NAME=VALUE line in it"));
    }
    Ok((name, entry))
}

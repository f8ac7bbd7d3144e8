//! Reading and writing the files.

use super::text::{escape, hex, unescape, unhex};
use super::{Malformed, Opener, Row, Vector};

impl Vector {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is not of the form that `tests/vectors/README.md` describes.
    pub fn parse(file: &str) -> Result<Self, Malformed> {
        let mut vector = Self::default();
        let mut protected = None;
        for (line, text) in (1..).zip(file.lines()) {
            let wrong = |what| Malformed { line, what };
            let (key, value) = text.split_once(": ").ok_or(wrong("not `KEY: VALUE`"))?;
            let number = || value.parse().map_err(|_| wrong("not a number"));
            let escaped = || unescape(value).ok_or(wrong("not an escaped text"));
            match key {
                "comment" => vector.comment = value.to_owned(),
                "expect" => vector.expect = value.to_owned(),
                "passphrase" => vector.openers.push(Opener::Passphrase(escaped()?)),
                "identity" => vector.openers.push(Opener::Identity(value.to_owned())),
                "protected-identity" => protected = Some(value.to_owned()),
                "identity-passphrase" => {
                    let identity = protected.take().ok_or(wrong("no protected identity"))?;
                    vector.openers.push(Opener::Protected { identity, passphrase: escaped()? });
                }
                "pin" => vector.pin = Some(value.to_owned()),
                "min-epoch" => vector.min_epoch = Some(number()?),
                "remember" => vector.remember = Some(value.to_owned()),
                "read" => {
                    let name = String::from_utf8(escaped()?).map_err(|_| wrong("not UTF-8"))?;
                    vector.read = Some(name);
                }
                "entry" | "version" | "field" | "token" => vector.listing.push(text.to_owned()),
                "row" => vector.rows.push(Row::parse(value).ok_or(wrong("not a row"))?),
                _ => return Err(wrong("an unknown key")),
            }
        }
        // One form only: no line is repeated, out of order, or without effect.
        if vector.to_text() == file {
            Ok(vector)
        } else {
            Err(Malformed { line: 0, what: "the lines are not in their order" })
        }
    }

    /// Writes a file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { comment, expect, openers, pin, min_epoch, remember, read, listing, rows } = self;
        let mut lines = vec![format!("comment: {comment}"), format!("expect: {expect}")];
        for opener in openers {
            match opener {
                Opener::Passphrase(bytes) => lines.push(format!("passphrase: {}", escape(bytes))),
                Opener::Identity(text) => lines.push(format!("identity: {text}")),
                Opener::Protected { identity, passphrase } => {
                    lines.push(format!("protected-identity: {identity}"));
                    lines.push(format!("identity-passphrase: {}", escape(passphrase)));
                }
            }
        }
        lines.extend(pin.iter().map(|pin| format!("pin: {pin}")));
        lines.extend(min_epoch.iter().map(|epoch| format!("min-epoch: {epoch}")));
        lines.extend(remember.iter().map(|memory| format!("remember: {memory}")));
        lines.extend(read.iter().map(|name| format!("read: {}", escape(name.as_bytes()))));
        lines.extend(listing.iter().cloned());
        lines.extend(rows.iter().map(Row::to_line));
        lines.into_iter().map(|line| line + "\n").collect()
    }
}

impl Row {
    fn parse(value: &str) -> Option<Self> {
        let mut words = value.split(' ');
        let row = Self {
            table: words.next()?.to_owned(),
            key: unhex(words.next()?)?,
            value: unhex(words.next()?)?,
        };
        words.next().is_none().then_some(row)
    }

    fn to_line(&self) -> String {
        format!("row: {} {} {}", self.table, hex(&self.key), hex(&self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "comment: one\nexpect: success\npassphrase: a%20b\nidentity: X\n\
        protected-identity: Y\nidentity-passphrase: c\nmin-epoch: 7\nread: a/b\nentry: a/b\n\
        row: head 00 0102\nrow: entry 00 \n";

    #[test]
    fn a_file_comes_back() {
        let vector = Vector::parse(FILE).unwrap();
        assert_eq!(vector.to_text(), FILE);
        assert_eq!(vector.openers.len(), 3);
        assert_eq!(vector.rows[1].value, b"");
    }

    #[test]
    fn there_is_one_form() {
        for (from, to) in [
            ("expect: success\n", "expect: success\nexpect: success\n"),
            ("min-epoch: 7", "min-epoch: 07"),
            ("min-epoch: 7", "min-epoch: x"),
            ("identity-passphrase: c\n", ""),
            ("row: head 00 0102", "row: head 00 0102 03"),
            ("row: head 00 0102", "row: head 00"),
            ("row: head", "rows: head"),
            ("identity: X", "identity:X"),
        ] {
            let other = FILE.replacen(from, to, 1);
            assert_ne!(other, FILE);
            assert!(Vector::parse(&other).is_err(), "{from} {to}");
        }
    }
}

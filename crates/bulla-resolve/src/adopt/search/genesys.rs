//! The credentials of Genesys configurations, by the rules of its mail server.

use super::{EntryKind, Find, Search, What};
use crate::genesys::{CLIENT_ID, CLIENT_SECRET, PASSWORD, REFRESH_TOKEN, Section};
use crate::names::{self, segment};

impl Search<'_> {
    /// The credentials of a section that Genesys' mail server reads.
    pub(super) fn genesys_section(&mut self, section: &Section) {
        let own = section.own_entry(&self.stem);
        let secret = section.text("secret").map(|name| format!("secret-{name}"));
        for option in section.options.iter().filter(|option| !option.referred && !option.is_blank())
        {
            let place = format!("[{}] {}", section.name, option.name);
            let find = What { place, ..What::whole(option.span.clone(), &option.value) };
            match (option.name.as_str(), &secret) {
                ("password", _) if !section.is_client() => {
                    let entry = names::whole(&section.name);
                    self.add(find, entry, EntryKind::OauthClient, CLIENT_SECRET, false);
                }
                ("password", Some(_)) if section.uses_tokens() => {
                    self.refresh_token(find, section);
                }
                // The application's own secret, repeated in each section that uses it.
                ("password", None) if section.uses_application() => {
                    let entry = self.shared(&option.value, CLIENT_SECRET).unwrap_or(own.clone());
                    self.add(find, &entry, EntryKind::Secret, CLIENT_SECRET, false);
                }
                ("password", _) => self.add(find, &own, EntryKind::Secret, PASSWORD, false),
                ("client-id", Some(entry)) if section.is_client() && section.uses_tokens() => {
                    self.client_id(find, names::whole(entry));
                }
                (name, _) if name.ends_with(".password") => {
                    self.add(find, &own, EntryKind::Secret, &segment(name), false);
                }
                _ => {}
            }
        }
    }

    fn refresh_token(&mut self, find: What<'_>, section: &Section) {
        let Some(address) = section.address() else {
            let own = section.own_entry(&self.stem);
            return self.add(find, &own, EntryKind::Secret, REFRESH_TOKEN, false);
        };
        let shared = format!("mailbox/{address}");
        // One grant can serve the mailbox and the outgoing server; another one is told apart.
        let differs = self.known(&shared, REFRESH_TOKEN).is_some_and(|value| value != find.value);
        let entry =
            if differs { format!("{shared}+{}", names::whole(&section.name)) } else { shared };
        let client = section.client();
        self.add(What { client, ..find }, &entry, EntryKind::Mailbox, REFRESH_TOKEN, false);
    }

    fn client_id(&mut self, find: What<'_>, entry: &str) {
        // Not secret: where two sections disagree, the second keeps its own.
        if self.known(entry, CLIENT_ID).is_none_or(|value| value == find.value) {
            self.add(find, entry, EntryKind::OauthClient, CLIENT_ID, true);
        }
    }

    /// The entry that already has `value` in its field `field`.
    fn shared(&self, value: &[u8], field: &str) -> Option<String> {
        let same = |find: &&Find| find.field == field && find.value.expose() == value;
        let find = self.finds.iter().filter(|f| f.kind == EntryKind::Secret).find(same)?;
        Some(find.entry.clone())
    }

    /// What was found first for a field.
    fn known(&self, entry: &str, field: &str) -> Option<&[u8]> {
        let (first, _) = self.fields.get(&(entry.to_owned(), field.to_owned()))?;
        Some(self.finds[*first].value.expose())
    }
}

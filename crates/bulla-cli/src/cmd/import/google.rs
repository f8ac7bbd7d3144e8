//! Google's `client_secret_*.json`.

use bulla_vault::{Entry, EntryName, Field, FieldName, Kind, Secret};
use serde::Deserialize;

use super::malformed;
use crate::cmd::target::entry_name;
use crate::failure::Failure;

/// What the Google Cloud console lets one download, once. Only these fields matter; some files
/// have fewer.
#[derive(Deserialize)]
struct Downloaded<'a> {
    #[serde(borrow, alias = "web")]
    installed: Client<'a>,
}

#[derive(Deserialize)]
struct Client<'a> {
    client_id: &'a str,
    client_secret: &'a str,
    #[serde(default)]
    project_id: Option<&'a str>,
    #[serde(default)]
    auth_uri: Option<&'a str>,
    #[serde(default)]
    token_uri: Option<&'a str>,
}

/// Reads the file as an entry of kind `oauth-client`, named after the project unless told.
pub(super) fn read(file: &Secret, name: Option<EntryName>) -> Result<(EntryName, Entry), Failure> {
    let downloaded: Downloaded<'_> = serde_json::from_slice(file.expose()).map_err(|_| {
        malformed("this is not a client secret file of Google's").hint(
            "in the console, a client of type Desktop app (or Web application) offers it for download when its secret is made",
        )
    })?;
    let Client { client_id, client_secret, project_id, auth_uri, token_uri } = downloaded.installed;
    if client_id.is_empty() || client_secret.is_empty() {
        return Err(malformed("the client id or the client secret in it is empty"));
    }
    let name = match name {
        Some(name) => name,
        None => entry_name(&format!("secret-{}", project_id.unwrap_or("google")))?,
    };
    let mut entry = Entry::new(Kind::OauthClient);
    let public = [
        ("client-id", Some(client_id)),
        ("project-id", project_id),
        ("auth-uri", auth_uri),
        ("token-uri", token_uri),
    ];
    let public = public.into_iter().filter_map(|(name, value)| Some((name, value?, true)));
    for (name, value, public) in public.chain([("client-secret", client_secret, false)]) {
        let field = Field {
            name: FieldName::new(name).expect("the names are ours"),
            value: Secret::copied_from(value.as_bytes()),
            public,
            expires: None,
        };
        entry.set(field).map_err(bulla_vault::WriteError::from)?;
    }
    Ok((name, entry))
}

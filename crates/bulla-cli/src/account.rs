//! A mailbox as the vault knows it: whose grant it is, which client asks, and whom.

mod grants;
mod network;

use bulla_oauth::{
    Authentication, Client, ClientAt, GrantType, Provider, Providers, Refresh, Server,
    TokenEndpoint,
};
use bulla_vault::{Entry, EntryName, FieldName, Kind, Snapshot};

use crate::cmd::target::{entry_name, find_live};
use crate::context::Context;
use crate::env;
use crate::failure::{Exit, Failure};
use crate::files::xdg_folder;

pub(crate) use grants::{
    Ready, VaultGrants, WallClock, being_renewed, grant, hold_still, persist, put, ready,
    refresh_token, state,
};
pub(crate) use network::Network;

/// Everything that it takes to keep a mailbox's grant alive.
pub(crate) struct Account {
    /// The entry of the mailbox.
    pub(crate) name: EntryName,
    /// Its address.
    pub(crate) address: String,
    /// The user name that the mail server knows it by.
    pub(crate) user: String,
    /// Where its mail is, by protocol.
    pub(crate) servers: Vec<Server>,
    pub(crate) grant_type: GrantType,
    pub(crate) registration: Registration,
}

/// A client, and the provider that it is registered with.
pub(crate) struct Registration {
    /// The entry of the client.
    pub(crate) name: EntryName,
    pub(crate) client: Client,
    /// What is known of it. Of a provider that is named by its issuer, that is no more than the vault
    /// has, until it is [asked](Self::discover).
    pub(crate) provider: Provider,
    /// What the provider is called: its name in the file of providers, or else its issuer's address.
    pub(crate) provider_name: String,
    /// When the entry was last changed, in seconds since 1970.
    pub(crate) changed: u64,
    /// The client as the provider knows it.
    pub(crate) at: ClientAt,
    is_asked: bool,
    /// Whether the entry says where the secret goes.
    says_where: bool,
}

/// Public fields of a mailbox.
pub(crate) const CLIENT: &str = "client";
pub(crate) const USER: &str = "user";
pub(crate) const GRANT_TYPE: &str = "grant-type";
pub(crate) const CLIENT_CREDENTIALS: &str = "client-credentials";
pub(crate) const SCOPE: &str = "scope";
pub(crate) const SERVERS: [&str; 3] = ["imap", "pop3", "smtp"];
/// The secret field of a client.
pub(crate) const CLIENT_SECRET: &str = "client-secret";
/// The secret field of a mailbox.
pub(crate) const REFRESH_TOKEN: &str = "refresh-token";

/// The entry of a mailbox that is to be made: an address, if it is not there yet.
pub(crate) fn new_mailbox_name(snapshot: &Snapshot<'_>, text: &str) -> Result<EntryName, Failure> {
    let name = mailbox_name(text)?;
    let (user, host) = address_of(&name).split_once('@').unwrap_or_default();
    if (user.is_empty() || host.is_empty()) && snapshot.find(&name)?.is_none() {
        let fact = format!("`{text}` is no address of a mailbox");
        return Err(Failure::usage(fact).hint("it is of the form support@example.com"));
    }
    Ok(name)
}

/// The entry that an address, or the name of an entry, means.
pub(crate) fn mailbox_name(text: &str) -> Result<EntryName, Failure> {
    if text.starts_with("mailbox/") {
        entry_name(text)
    } else {
        entry_name(&format!("mailbox/{text}"))
    }
}

/// A mailbox as commands take it: its address, or what tells a second grant of one address.
pub(crate) fn who(name: &EntryName) -> &str {
    name.as_str().strip_prefix("mailbox/").unwrap_or(name.as_str())
}

/// The address of a mailbox. A second grant of one address is `mailbox/ADDRESS+SECTION`.
pub(crate) fn address_of(name: &EntryName) -> &str {
    let address = who(name);
    match address.split_once('@') {
        Some((local, domain)) => {
            let domain = domain.split('+').next().unwrap_or(domain);
            &address[..local.len() + 1 + domain.len()]
        }
        None => address,
    }
}

/// The user name that the mail server knows a mailbox by.
pub(crate) fn user(name: &EntryName, entry: &Entry) -> String {
    text(entry, USER).unwrap_or_else(|| address_of(name).to_owned())
}

/// The text of a field, if it is there and text.
pub(crate) fn text(entry: &Entry, field: &str) -> Option<String> {
    let name = FieldName::new(field).expect("the names are ours");
    let value = entry.field(&name)?.value.expose();
    Some(std::str::from_utf8(value).ok()?.to_owned()).filter(|text| !text.is_empty())
}

impl Account {
    /// Puts together what the vault knows of a mailbox.
    pub(crate) fn find(
        context: &Context,
        snapshot: &Snapshot<'_>,
        name: &EntryName,
    ) -> Result<Self, Failure> {
        let found = find_live(snapshot, name, None)?;
        let entry = found.live().expect("only entries that are there are found");
        if entry.kind() != Kind::Mailbox {
            let fact = format!("`{name}` is a {}", entry.kind().as_str());
            return Err(Failure::new(Exit::Usage, "kind", fact)
                .hint("tokens are for entries of kind mailbox"));
        }
        let client = match text(entry, CLIENT) {
            Some(client) => entry_name(&client)?,
            None => only_client(snapshot, name)?,
        };
        let mut registration = Registration::find(context, snapshot, &client)?;
        if let Ok(grant) = grant(name, entry)
            && grant.is_of(&registration.at)
            && let Some(endpoint) = grant.life.details().and_then(|d| d.token_endpoint.clone())
        {
            registration.trust(endpoint);
        }
        let grant_type = match text(entry, GRANT_TYPE).as_deref() {
            None => GrantType::RefreshToken,
            Some(CLIENT_CREDENTIALS) => {
                let scope = registration.app_scope(text(entry, SCOPE));
                GrantType::ClientCredentials(scope.map_err(|failure| {
                    failure
                        .about(name)
                        .hint(format_args!("`bulla set {name} --public scope=...` says so"))
                })?)
            }
            Some(_) => {
                let fact = format!("`{name}` has a grant-type that bulla does not know");
                return Err(Failure::new(Exit::Usage, "grant-type", fact)
                    .hint("without that field, or with client-credentials, it works"));
            }
        };
        let address = address_of(name).to_owned();
        let user = user(name, entry);
        let servers = servers(&registration.provider, name, |field| text(entry, field))?;
        Ok(Self { name: name.clone(), address, user, servers, grant_type, registration })
    }

    /// Finds out what the vault does not know of where tokens come from. The first refresh of a grant
    /// asks the issuer; after it the grant remembers.
    pub(crate) fn reach(&mut self, network: &Network) -> Result<(), Failure> {
        network.ready()?;
        if self.registration.provider.token_endpoint.is_empty() {
            self.registration.discover(network)?;
        }
        Ok(())
    }

    /// The same failure with the names of this mailbox in its hints, so that they can be pasted.
    pub(crate) fn named(&self, failure: impl Into<Failure>) -> Failure {
        let mut failure = failure.into();
        for hint in &mut failure.hints {
            *hint = hint
                .replace("ADDRESS", who(&self.name))
                .replace("MAILBOX", self.name.as_str())
                .replace("CLIENT", self.registration.name.as_str());
        }
        failure
    }

    /// The account that tokens have to be of. At Microsoft and elsewhere one account may open
    /// another's mailbox; then the mail server decides.
    pub(crate) fn only_account(&self) -> Option<&str> {
        let may_be_shared =
            self.user != self.address || self.registration.provider.app_scope.is_some();
        let by_itself = self.grant_type != GrantType::RefreshToken;
        (!may_be_shared && !by_itself).then_some(self.address.as_str())
    }

    /// What it takes to get tokens for it, once it is [reached](Self::reach).
    pub(crate) fn refresh<'a>(
        &'a self,
        grants: &'a VaultGrants<'a>,
        network: &'a Network,
    ) -> Refresh<'a, VaultGrants<'a>> {
        Refresh {
            grants,
            client: &self.registration.client,
            client_at: &self.registration.at,
            account: self.only_account(),
            token_endpoint: &self.registration.provider.token_endpoint,
            grant_type: self.grant_type.clone(),
            http: network,
            clock: &WallClock,
        }
    }
}

/// Where the mail of a mailbox is: what the mailbox says, else what is known of the provider.
pub(crate) fn servers(
    provider: &Provider,
    name: &EntryName,
    own: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Server>, Failure> {
    let known = [&provider.imap, &provider.pop3, &provider.smtp];
    let texts = SERVERS.into_iter().zip(known);
    let texts = texts.filter_map(|(field, known)| Some((field, own(field).or(known.clone())?)));
    texts
        .map(|(field, text)| {
            let server = text.parse::<Server>();
            let server = server.ok().filter(|s| s.protocol.name().eq_ignore_ascii_case(field));
            server.ok_or_else(|| {
                let fact = format!("the field `{field}` of `{name}` names no {field} server");
                Failure::new(Exit::Usage, "server", fact).hint(format_args!(
                    "it is of the form {field}s://HOST:PORT, or {field}://HOST:PORT for STARTTLS"
                ))
            })
        })
        .collect()
}

/// Every entry of this kind, by name.
pub(crate) fn of_kind(snapshot: &Snapshot<'_>, kind: Kind) -> Result<Vec<EntryName>, Failure> {
    let mut names = Vec::new();
    snapshot.each::<Failure>(&mut |version| {
        if version.live().is_some_and(|entry| entry.kind() == kind) {
            names.push(version.name);
        }
        Ok(())
    })?;
    names.sort();
    Ok(names)
}

/// The client of a mailbox that names none: the only one there is.
fn only_client(snapshot: &Snapshot<'_>, mailbox: &EntryName) -> Result<EntryName, Failure> {
    match <[EntryName; 1]>::try_from(of_kind(snapshot, Kind::OauthClient)?) {
        Ok([only]) => Ok(only),
        Err(clients) => {
            let fact = format!("`{mailbox}` does not say which client its grant belongs to");
            let failure = Failure::new(Exit::Usage, "which-client", fact);
            Err(match clients.first() {
                None => failure.hint("`bulla import client_secret_*.json` makes one"),
                Some(first) => failure.hint(format_args!(
                    "`bulla set {mailbox} --public client={first}` does, or with another of `bulla ls --long`"
                )),
            })
        }
    }
}

impl Registration {
    /// Puts together what the vault and the files of providers know of a client.
    pub(crate) fn find(
        context: &Context,
        snapshot: &Snapshot<'_>,
        name: &EntryName,
    ) -> Result<Self, Failure> {
        let found = find_live(snapshot, name, None)?;
        let entry = found.live().expect("only entries that are there are found");
        if entry.kind() != Kind::OauthClient {
            let fact = format!("`{name}` is a {}, not an oauth-client", entry.kind().as_str());
            return Err(Failure::new(Exit::Usage, "kind", fact)
                .hint("`bulla import client_secret_*.json --entry NAME` makes one, or `bulla set NAME --kind oauth-client`"));
        }
        let id = text(entry, "client-id").ok_or_else(|| {
            Failure::new(Exit::Missing, "missing-field", format!("`{name}` has no client-id"))
                .hint(format_args!("`bulla set {name} --public client-id=...` sets it"))
        })?;
        let secret = FieldName::new(CLIENT_SECRET).expect("the name is ours");
        let secret = entry.field(&secret).map(|field| field.value.expose());
        let secret = secret.filter(|secret| !secret.is_empty());
        let secret = secret.map(bulla_oauth::Secret::copied_from);
        let (provider_name, provider) = provider(context, name, entry, &id)?;
        let says = text(entry, "client-authentication");
        let authentication = match says.as_deref() {
            Some("basic") => Authentication::Basic,
            Some(_) => Authentication::Post,
            None => provider.authentication,
        };
        let client = Client { id, secret, authentication };
        let is_asked = !provider.token_endpoint.is_empty();
        let at = provider.issuer.as_deref().unwrap_or(&provider.token_endpoint);
        let at = ClientAt { provider: at.trim_end_matches('/').to_owned(), id: client.id.clone() };
        Ok(Self {
            name: name.clone(),
            client,
            provider,
            provider_name,
            at,
            changed: found.time,
            is_asked,
            says_where: says.is_some(),
        })
    }

    /// Asks the issuer for what a provider that is named by it has. No state of the vault may be held
    /// meanwhile.
    pub(crate) fn discover(&mut self, network: &Network) -> Result<(), Failure> {
        if self.is_asked {
            return Ok(());
        }
        network.ready()?;
        let issuer = self.provider.issuer.clone().unwrap_or_default();
        let found = Provider::discover(&issuer, network);
        self.provider = found.map_err(|error| Failure::from(error).about(issuer))?;
        self.is_asked = true;
        if !self.says_where {
            self.client.authentication = self.provider.authentication;
        }
        Ok(())
    }

    /// Takes a token endpoint from which tokens came before.
    fn trust(&mut self, endpoint: TokenEndpoint) {
        if self.provider.token_endpoint.is_empty() {
            self.provider.token_endpoint = endpoint.url;
            if !self.says_where {
                self.client.authentication = endpoint.authentication;
            }
        }
    }

    /// The scope with which the client speaks for itself.
    pub(crate) fn app_scope(&self, own: Option<String>) -> Result<String, Failure> {
        own.or_else(|| self.provider.app_scope.clone()).ok_or_else(|| {
            let fact = "nobody knows with which scope this client speaks for itself";
            Failure::new(Exit::Usage, "scope", fact)
        })
    }
}

/// The provider that a client is registered with, and what it is called: what the entry says, or what its
/// form tells.
fn provider(
    context: &Context,
    name: &EntryName,
    entry: &Entry,
    client_id: &str,
) -> Result<(String, Provider), Failure> {
    let token_uri = text(entry, "token-uri").unwrap_or_default();
    let told = text(entry, "provider");
    let told = match told.as_deref() {
        Some(told) => told,
        None if client_id.ends_with(".apps.googleusercontent.com")
            || token_uri.starts_with("https://oauth2.googleapis.com/") =>
        {
            "google"
        }
        None if token_uri.starts_with("https://login.microsoftonline.com/") => "microsoft",
        None => {
            let fact = format!("`{name}` does not say which provider it is registered with");
            return Err(Failure::new(Exit::Usage, "which-provider", fact).hint(format_args!(
                "`bulla set {name} --public provider=google` does; microsoft, or the https address of an issuer"
            )));
        }
    };
    if told.starts_with("https://") {
        let provider = Provider { issuer: Some(told.to_owned()), ..Provider::default() };
        return Ok((told.to_owned(), provider));
    }
    let known = providers(context)?;
    let tenant = text(entry, "tenant").or_else(|| text(entry, "directory-id"));
    let found = known.get(told, tenant.as_deref()).ok_or_else(|| {
        let names: Vec<_> = known.names().collect();
        let fact = format!("`{name}` is registered with `{told}`, which bulla does not know");
        Failure::new(Exit::Usage, "which-provider", fact).hint(format_args!(
            "it knows {}, and any issuer by its https address",
            names.join(", ")
        ))
    })?;
    Ok((told.to_owned(), found))
}

/// The providers that are built in, and those of the user's own file.
fn providers(context: &Context) -> Result<Providers, Failure> {
    let mut providers = Providers::built_in();
    let own = xdg_folder(env::XDG_CONFIG_HOME, ".config").map(|f| f.join("bulla/providers.toml"));
    let Some(own) = own.filter(|own| own.exists() && !context.is_elsewhere()) else {
        return Ok(providers);
    };
    let file = crate::input::file(&own, 1 << 20)?;
    let malformed = |fact: String| {
        Failure::new(Exit::Usage, "providers", format!("{}: {fact}", own.display()))
            .hint("docs/reference.md says what a file of providers holds")
    };
    let file =
        std::str::from_utf8(file.expose()).map_err(|_| malformed("it is not UTF-8".to_owned()))?;
    providers.add(file).map_err(malformed)?;
    Ok(providers)
}

//! `bulla mailbox status`: which grants work, and when they end.

use std::collections::BTreeMap;

use bulla_oauth::{ClientAt, Details, Grant, Life};
use bulla_vault::{Entry, EntryName, Kind, Vault};
use serde_json::json;

use super::NetworkArgs;
use super::token::life;
use crate::account::{
    Account, CLIENT, GRANT_TYPE, Network, Registration, VaultGrants, address_of, grant,
    mailbox_name, text, who,
};
use crate::cmd::Done;
use crate::cmd::target::{entry_name, time};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::session::with_vault;

#[derive(clap::Args)]
pub(crate) struct StatusArgs {
    /// Only these addresses
    addresses: Vec<String>,
    /// Refresh every grant first: a token that another program uses may have died unseen
    #[arg(long)]
    probe: bool,
    /// Count a grant that ends within this time as one that a person has to see to
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = life)]
    expires_within: u64,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What is told of one mailbox.
struct Row {
    name: EntryName,
    client: Option<String>,
    grant: Grant,
    by_itself: bool,
    /// What went wrong when it was asked.
    failed: Option<Failure>,
    /// What became of a refresh whose end is not written.
    refresh: Refresh,
}

/// What is known of a refresh that was begun and whose end is not written.
#[derive(Clone, Copy)]
enum Refresh {
    /// Its lock is held: somebody is at it.
    UnderWay,
    /// Nobody is at it any more.
    CutOff,
    /// The store tells nothing of its locks, as where it cannot be written.
    Unknown,
}

/// What is to be said of a grant.
struct Verdict {
    /// In one word.
    state: &'static str,
    /// In a sentence, where the word does not say it all.
    detail: Option<String>,
    /// When it ends, and why then.
    ends: Option<(u64, &'static str)>,
    /// A command, or a sentence where there is none.
    to_do: Option<String>,
    exit: Exit,
}

/// Why grants end.
const AS_SAID: &str = "as the provider said";
const IF_IDLE: &str = "if it is not used until then";
/// A grant that was used less long ago than this, in seconds, is not used again just to put off its end.
const A_DAY: u64 = 86_400;

pub(crate) fn run(context: &Context, args: &StatusArgs) -> Done {
    let wanted: Vec<_> =
        args.addresses.iter().map(|text| mailbox_name(text)).collect::<Result<_, _>>()?;
    let network = args.network.network();
    with_vault(context, |vault| {
        let mut rows = rows(vault, &wanted)?;
        if let Some(missing) = wanted.iter().find(|name| rows.iter().all(|row| row.name != **name))
        {
            return Err(crate::cmd::target::no_such_entry(&vault.read()?, missing));
        }
        if args.probe {
            let progress = Progress::of_slow("asking providers", context.printer.quiet);
            let all = rows.len() as u64;
            for (done, row) in (1..).zip(&mut rows) {
                probe(context, vault, row, &network)?;
                progress.at(done, all);
            }
        }
        for row in &mut rows {
            look_for_its_end(context, vault, row);
        }
        let (clients, failures) = clients(context, vault, &rows)?;
        let now = context.now();
        let mut ends = Vec::new();
        let mut verdicts = Vec::new();
        for row in &rows {
            let client = row.client.as_ref().and_then(|client| clients.get(client)?.as_ref());
            let other = row.grant.origin.client.as_ref();
            let other = other.filter(|at| client.is_some_and(|client| client.at != **at));
            let idle_days = client.and_then(|client| client.provider.idle_days);
            let verdict = verdict(row, other, idle_days, now, args.expires_within);
            ends.push(verdict.exit);
            verdicts.push(verdict);
        }
        if context.printer.json {
            for (row, verdict) in rows.iter().zip(&verdicts) {
                context.printer.value(&to_json(row, verdict))?;
            }
        } else {
            print(context, &rows, &verdicts)?;
        }
        for failure in failures {
            ends.push(failure.exit);
            context.printer.failure(&failure);
        }
        Ok(Exit::worst(ends.into_iter().filter(|end| *end != Exit::Done)))
    })
}

/// Every mailbox, or the wanted ones, in one read of the vault.
fn rows(vault: &Vault<'_>, wanted: &[EntryName]) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    vault.read()?.each::<Failure>(&mut |version| {
        let chosen = wanted.is_empty() || wanted.contains(&version.name);
        if let Some(entry) = version.live().filter(|entry| chosen && entry.kind() == Kind::Mailbox)
        {
            rows.push(row(&version.name, entry));
        }
        Ok(())
    })?;
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rows)
}

fn row(name: &EntryName, entry: &Entry) -> Row {
    let (grant, failed) = match grant(name, entry) {
        Ok(grant) => (grant, None),
        Err(failure) => (Grant::new(None), Some(failure)),
    };
    Row {
        name: name.clone(),
        client: text(entry, CLIENT),
        grant,
        by_itself: text(entry, GRANT_TYPE).is_some(),
        failed,
        refresh: Refresh::Unknown,
    }
}

/// Finds out whether a refresh whose end is not written is under way.
fn look_for_its_end(context: &Context, vault: &Vault<'_>, row: &mut Row) {
    if !matches!(row.grant.life, Life::Refreshing { .. }) {
        return;
    }
    row.refresh = match vault.is_locked(&row.name) {
        Ok(true) => Refresh::UnderWay,
        Ok(false) => {
            // It may have ended since it was read.
            let grants = VaultGrants { context, vault, name: &row.name };
            if let Ok(grant) = bulla_oauth::Grants::load(&grants) {
                row.grant = grant;
            }
            Refresh::CutOff
        }
        Err(_) => Refresh::Unknown,
    };
}

fn probe(
    context: &Context,
    vault: &Vault<'_>,
    row: &mut Row,
    network: &Network,
) -> Result<(), Failure> {
    network.ready()?;
    let grants = VaultGrants { context, vault, name: &row.name };
    let asked = Account::find(context, &vault.read()?, &row.name).and_then(|mut account| {
        account.reach(network)?;
        account.refresh(&grants, network).probe().map_err(|error| account.named(error))
    });
    row.failed = asked.err();
    if let Ok(grant) = bulla_oauth::Grants::load(&grants) {
        row.grant = grant;
    }
    Ok(())
}

/// What is known of the client of each mailbox.
type Clients = BTreeMap<String, Option<Registration>>;

/// What is known of the client of each mailbox, and why nothing is known of some, each reason once.
fn clients(
    context: &Context,
    vault: &Vault<'_>,
    rows: &[Row],
) -> Result<(Clients, Vec<Failure>), Failure> {
    let snapshot = vault.read()?;
    let (mut all, mut failures) = (BTreeMap::new(), Vec::<Failure>::new());
    for client in rows.iter().filter_map(|row| row.client.as_ref()) {
        if all.contains_key(client) {
            continue;
        }
        let found =
            entry_name(client).and_then(|name| Registration::find(context, &snapshot, &name));
        let told = rows.iter().filter_map(|row| row.failed.as_ref());
        match found {
            Ok(found) => _ = all.insert(client.clone(), Some(found)),
            Err(failure) => {
                if failures.iter().chain(told).all(|other| other.fact != failure.fact) {
                    failures.push(failure);
                }
                all.insert(client.clone(), None);
            }
        }
    }
    Ok((all, failures))
}

/// `other` is the client that the grant was given to, if the mailbox has another one now.
fn verdict(
    row: &Row,
    other: Option<&ClientAt>,
    idle_days: Option<u64>,
    now: u64,
    within: u64,
) -> Verdict {
    let who = who(&row.name);
    let authorize = || Some(format!("bulla mailbox authorize {who}"));
    let probe = || Some(format!("bulla mailbox status --probe {who}"));
    let told = |state, detail: Option<String>, to_do, exit| Verdict {
        state,
        detail,
        ends: None,
        to_do,
        exit,
    };
    let because = |detail: &str| Some(detail.to_owned());
    if let Some(ClientAt { provider, id }) = other.filter(|_| !row.by_itself) {
        let detail = format!(
            "never authorised with this client; its grant is of the client {id} at {provider}, and \
             `bulla set {} --public client=ENTRY` goes back to that",
            row.name
        );
        return told("new", Some(detail), authorize(), Exit::NeedsPerson);
    }
    // What the state says of itself comes first: it is the reason of most failures.
    match &row.grant.life {
        Life::NeedsPerson { refusal, .. } if refusal.error == "other_account" => {
            let detail = refusal.description.clone();
            return told("other", detail, authorize(), Exit::NeedsPerson);
        }
        Life::NeedsPerson { refusal, cut_off, .. } => {
            let cut = if cut_off.is_some() { "; the answer to a refresh was lost" } else { "" };
            let state = if refusal.is_final() { "dead" } else { "declined" };
            let detail = format!("the provider says {refusal}{cut}");
            return told(state, Some(detail), authorize(), Exit::NeedsPerson);
        }
        // A person did that, so nobody has to be called.
        Life::Revoked { .. } => {
            let detail = because("it was revoked here; when nobody needs the mailbox any more:");
            return told("revoked", detail, Some(format!("bulla rm {}", row.name)), Exit::Done);
        }
        _ => {}
    }
    if let Some(failure) = &row.failed {
        let (detail, hint) = (failure.fact.clone(), failure.hints.first().cloned());
        return told("failed", Some(detail), hint, failure.exit);
    }
    if row.grant.refresh.is_none() && !row.by_itself {
        return told("new", because("never authorised"), authorize(), Exit::NeedsPerson);
    }
    let refreshing = matches!(row.grant.life, Life::Refreshing { .. });
    if refreshing && matches!(row.refresh, Refresh::UnderWay) {
        return told("refreshing", because("being refreshed"), None, Exit::Done);
    }
    let Some(details) = row.grant.life.details() else {
        return told("untried", because("not tried yet"), probe(), Exit::Done);
    };
    if let Some((_, refusal)) = &details.trouble {
        let detail = format!("the provider refuses the client: {refusal}");
        let to_do = match &row.client {
            Some(client) if refusal.error == "invalid_client" => {
                Some(format!("bulla mailbox rotate-client {client}"))
            }
            Some(client) => Some(format!("bulla show {client}")),
            None => probe(),
        };
        return told("refused", Some(detail), to_do, Exit::NeedsPerson);
    }
    if refreshing {
        let (state, detail) = match row.refresh {
            Refresh::Unknown => ("unknown", "a refresh was begun, and its end is not known"),
            _ => ("cut-off", "a refresh was cut off"),
        };
        return told(state, because(detail), probe(), Exit::Done);
    }
    let ends = end(details, idle_days);
    let used = details.used.or(details.authorized).unwrap_or_default();
    let verdict = match ends {
        Some((at, why)) if at <= now.saturating_add(within) => {
            let state = if at <= now { "ended" } else { "ending" };
            match why {
                // Nobody has to consent again to what is merely to be used.
                IF_IDLE if now.saturating_sub(used) < A_DAY => {
                    told("works", None, None, Exit::Done)
                }
                IF_IDLE => {
                    let detail = "nobody used it here for long, and a refresh puts off its end";
                    told(state, because(detail), probe(), Exit::NeedsPerson)
                }
                _ => told(state, because(why), authorize(), Exit::NeedsPerson),
            }
        }
        _ => told("works", None, None, Exit::Done),
    };
    Verdict { ends, ..verdict }
}

/// When a grant ends if nobody does anything, and why.
fn end(details: &Details, idle_days: Option<u64>) -> Option<(u64, &'static str)> {
    if let Some(at) = details.dies_at {
        return Some((at, AS_SAID));
    }
    let used = details.used.or(details.authorized)?;
    Some((used.saturating_add(idle_days? * 86_400), IF_IDLE))
}

fn to_json(row: &Row, verdict: &Verdict) -> serde_json::Value {
    let details = row.grant.life.details();
    let at = |seconds: Option<u64>| seconds.map(time);
    json!({
        "address": address_of(&row.name),
        "entry": row.name.as_str(),
        "client": row.client,
        "state": verdict.state,
        "detail": verdict.detail,
        "scopes": details.map(|details| &details.scopes),
        "account": details.and_then(|details| details.account.as_ref()),
        "authorized": at(details.and_then(|details| details.authorized)),
        "used": at(details.and_then(|details| details.used)),
        "ends": at(verdict.ends.map(|(at, _)| at)),
        "ends_because": verdict.ends.map(|(_, why)| why),
        "to_do": verdict.to_do,
        "exit": verdict.exit.code(),
    })
}

fn columns(row: &Row, verdict: &Verdict) -> [String; 5] {
    let day = |seconds: u64| time(seconds).split('T').next().unwrap_or_default().to_owned();
    let details = row.grant.life.details();
    let dash = || "-".to_owned();
    [
        who(&row.name).to_owned(),
        row.client.clone().unwrap_or_else(dash),
        verdict.state.to_owned(),
        details.and_then(|details| details.used).map_or_else(dash, day),
        verdict.ends.map_or_else(dash, |(at, why)| match why {
            IF_IDLE => format!("{} if idle", day(at)),
            _ => day(at),
        }),
    ]
}

/// The lines of a table. What is much longer than others of its column does not make that wider: an
/// address has a line of its own then, and whatever else moves the rest of its line.
fn lines<'t>(table: impl Iterator<Item = &'t [String; 5]> + Clone) -> Vec<String> {
    let length = |row: &[String; 5], at: usize| row[at].chars().count();
    let width = |at| {
        let lengths = table.clone().map(|row| length(row, at));
        lengths.filter(|length| *length <= WIDEST).max().unwrap_or_default()
    };
    let widths: [_; 5] = std::array::from_fn(width);
    let mut lines = Vec::new();
    for row in table {
        let mut cells = row.each_ref().map(String::as_str);
        if length(row, 0) > widths[0] {
            lines.push(std::mem::take(&mut cells[0]).to_owned());
        }
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        lines.push(cells.collect::<Vec<_>>().join("  ").trim_end().to_owned());
    }
    lines
}

/// The most characters that a column is wide for.
const WIDEST: usize = 32;

/// A table that fits into a narrow terminal, and below it what its words do not say and what is to be
/// done.
fn print(context: &Context, rows: &[Row], verdicts: &[Verdict]) -> Result<(), Failure> {
    if rows.is_empty() {
        context.printer.note("there is no mailbox in the vault");
        return Ok(());
    }
    let heads = ["MAILBOX", "CLIENT", "STATE", "USED", "ENDS"].map(str::to_owned);
    let table: Vec<_> = rows.iter().zip(verdicts).map(|(row, v)| columns(row, v)).collect();
    for line in lines([&heads].into_iter().chain(&table)) {
        context.printer.one_line(line)?;
    }
    let more = |verdict: &Verdict| verdict.detail.is_some() || verdict.to_do.is_some();
    for (row, verdict) in rows.iter().zip(verdicts).filter(|(_, verdict)| more(verdict)) {
        let detail = verdict.detail.as_deref().unwrap_or(verdict.state);
        context.printer.line("")?;
        context.printer.one_line(format_args!("{}: {detail}", who(&row.name)))?;
        if let Some(to_do) = &verdict.to_do {
            context.printer.one_line(format_args!("    {to_do}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One address of 60 letters once made every line of the table longer than a terminal.
    #[test]
    fn a_long_address_makes_no_other_line_longer() {
        let row =
            |name: &str| [name, "secret-gmail", "works", "2026-09-01", "-"].map(str::to_owned);
        let long = format!("{}@example.com", "x".repeat(60));
        let table = [row("a@example.com"), row(&long), row("bob@example.com")];
        assert_eq!(
            lines(table.iter()),
            [
                "a@example.com    secret-gmail  works  2026-09-01  -",
                &long,
                "                 secret-gmail  works  2026-09-01  -",
                "bob@example.com  secret-gmail  works  2026-09-01  -",
            ]
        );
    }

    const NOW: u64 = 1_800_000_000;

    fn told(used: u64, dies_at: Option<u64>, within: u64) -> Verdict {
        let details = Details { used: Some(used), dies_at, ..Details::default() };
        let refresh = Some(bulla_oauth::Secret::copied_from(b"token"));
        let row = Row {
            name: EntryName::new("mailbox/a@example.com+second").unwrap(),
            client: None,
            grant: Grant { life: Life::Live(details), ..Grant::new(refresh) },
            by_itself: false,
            failed: None,
            refresh: Refresh::Unknown,
        };
        verdict(&row, None, Some(180), NOW, within)
    }

    /// Its owner was once to consent again, which takes a person, where a probe would do.
    #[test]
    fn a_grant_that_ends_if_it_is_idle_is_to_be_probed() {
        let year = 365 * 86_400;
        let verdict = told(NOW - 100 * 86_400, None, year);
        assert_eq!((verdict.state, verdict.exit), ("ending", Exit::NeedsPerson));
        let probe = Some("bulla mailbox status --probe a@example.com+second");
        assert_eq!(verdict.to_do.as_deref(), probe);
        let verdict = told(NOW - 181 * 86_400, None, 0);
        assert_eq!((verdict.state, verdict.to_do.as_deref()), ("ended", probe));
        // After a probe its end cannot be put off any further.
        let verdict = told(NOW - 60, None, year);
        assert_eq!((verdict.state, verdict.exit, verdict.to_do), ("works", Exit::Done, None));
        assert!(verdict.ends.is_some());
        // What the provider said cannot be put off.
        let verdict = told(NOW - 60, Some(NOW + 60), 3600);
        let authorize = Some("bulla mailbox authorize a@example.com+second");
        assert_eq!((verdict.state, verdict.to_do.as_deref()), ("ending", authorize));
    }
}

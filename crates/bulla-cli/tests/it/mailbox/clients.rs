//! Real mail clients log in with what `mailbox token` hands out, by the lines of
//! docs/guides/mail-clients.md, in which only the servers are replaced.

use std::fs;

use bulla_testkit::testbed::Options;

use super::World;
use crate::page::{Section, sections};
use crate::support::skipped;

/// The address in the guide.
const ADDRESS: &str = "support@example.com";

type Try = fn(&World, &str);

/// The sections of the guide with the program that each is for, and how it is tried.
const CLIENTS: &[(&str, &str, Try)] = &[
    ("msmtp", "msmtp", msmtp),
    ("mbsync (isync)", "mbsync", mbsync),
    ("mpop", "mpop", mpop),
    ("getmail", "getmail", getmail),
    ("neomutt", "neomutt", neomutt),
    ("curl", "curl", curl),
];

#[test]
fn mail_clients_log_in_with_these_tokens() {
    let guide = sections("guides/mail-clients.md");
    let fenced = guide.iter().filter(|section| !section.fenced().is_empty());
    let headings: Vec<_> = fenced.map(|section| section.heading.as_str()).collect();
    assert_eq!(headings, CLIENTS.iter().map(|client| client.0).collect::<Vec<_>>());

    let Some(world) = World::start(&Options::default()) else { return };
    world.authorize(ADDRESS, &world.servers());
    let programs: Vec<_> = CLIENTS.iter().map(|client| client.1).collect();
    those_of_the_guide(&world, &programs);
}

/// Has these programs log in, by what the guide says of them.
pub(super) fn those_of_the_guide(world: &World, programs: &[&str]) {
    let guide = sections("guides/mail-clients.md");
    for (heading, program, client) in CLIENTS.iter().filter(|(_, p, _)| programs.contains(p)) {
        let of_it = |section: &&Section| section.heading == *heading;
        let lines = guide.iter().find(of_it).expect("it was looked for").fenced();
        match world.home.sh(&format!("command -v {program}")).run().code() {
            0 => client(world, &lines),
            _ => skipped(&format!("{program} is not there")),
        }
    }
}

/// The lines of the guide with the bed's servers in the place of Google's.
#[track_caller]
fn at_the_bed(lines: &str, replacements: &[(&str, String)]) -> String {
    let mut lines = lines.to_owned();
    for (from, to) in replacements {
        assert_eq!(lines.matches(from).count(), 1, "`{from}` is not in the guide: {lines}");
        lines = lines.replace(from, to);
    }
    lines
}

/// The token goes in by standard input, since everybody can read arguments.
fn curl(world: &World, lines: &str) {
    let ca = world.bed.ca().display();
    let to = |options: &str, scheme: &str, port: &str| {
        let url = format!("{scheme}://localhost:{}/", world.bed.port(port));
        let curl = format!("curl -sS --fail --ssl-reqd --cacert {ca} {options} --config");
        let replacements =
            [("curl --config", curl), ("imaps://imap.gmail.com/INBOX", format!("{url}INBOX"))];
        let script = at_the_bed(lines, &replacements);
        // What curl fetches by POP3 is a list, and there is no INBOX.
        shell(
            world,
            &if scheme.starts_with("imap") { script } else { script.replace("INBOX", "") },
        );
    };
    for scheme in ["imaps", "imap", "pop3s", "pop3"] {
        to("", scheme, scheme);
    }
    world.home.write("mail", "Subject: by curl\r\n\r\nhello\r\n");
    let more = format!("-T mail --mail-from {ADDRESS} --mail-rcpt bob@example.com");
    to(&more, "smtp", "submission");
    assert!(sent(world, "by curl"));
}

fn msmtp(world: &World, lines: &str) {
    let port = world.bed.port("submission");
    let replacements =
        [("smtp.gmail.com", "localhost".to_owned()), ("port 587", format!("port {port}"))];
    let config = at_the_bed(lines, &replacements);
    for mechanism in ["xoauth2", "oauthbearer"] {
        let config = at_the_bed(&config, &[("auth xoauth2", format!("auth {mechanism}"))]);
        let more = format!("tls_trust_file {}\naccount default : work\n", world.bed.ca().display());
        world.home.write(".msmtprc", config + &more);
        let script =
            format!("printf 'Subject: {mechanism} by msmtp\\n\\nhello\\n' | msmtp bob@example.com");
        shell(world, &script);
        assert!(sent(world, &format!("{mechanism} by msmtp")));
    }
}

fn mpop(world: &World, lines: &str) {
    let port = world.bed.port("pop3s");
    let replacements =
        [("pop.gmail.com", "localhost".to_owned()), ("port 995", format!("port {port}"))];
    let more = format!("tls_trust_file {}\naccount default : work\n", world.bed.ca().display());
    fs::create_dir_all(world.home.file("Mail")).unwrap();
    for part in ["cur", "new", "tmp"] {
        fs::create_dir(world.home.file("Mail").join(part)).unwrap();
    }
    world.home.write(".mpoprc", at_the_bed(lines, &replacements) + &more);
    shell(world, "mpop");
}

fn mbsync(world: &World, lines: &str) {
    let (port, ca) = (world.bed.port("imaps"), world.bed.ca().display());
    let host = format!("localhost\nPort {port}\nCertificateFile {ca}");
    let account = at_the_bed(lines, &[("imap.gmail.com", host)]);
    let stores = "\nIMAPStore far\nAccount work\n\nMaildirStore near\nPath near/\nInbox near/INBOX\n\n\
                  Channel inbox\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\n";
    world.home.write(".mbsyncrc", account + stores);
    fs::create_dir(world.home.file("near")).unwrap();
    shell(world, "mbsync -c .mbsyncrc -a");
    assert!(world.home.file("near/INBOX/cur").exists());
}

fn getmail(world: &World, lines: &str) {
    let (port, ca) = (world.bed.port("imaps"), world.bed.ca().display());
    let host = format!("localhost\nport = {port}\nca_certs = {ca}");
    let config = at_the_bed(lines, &[("imap.gmail.com", host)]);
    let folder = world.home.file("fetched");
    fs::create_dir(&folder).unwrap();
    for part in ["cur", "new", "tmp"] {
        fs::create_dir(folder.join(part)).unwrap();
    }
    let more = format!("\n[destination]\ntype = Maildir\npath = {}/\n", folder.display());
    world.home.write(".getmail/getmailrc", config + &more);
    let said = shell(world, "getmail");
    assert!(said.contains("0 messages (0 bytes) retrieved, 0 skipped"), "{said}");
}

fn neomutt(world: &World, lines: &str) {
    let [imaps, submission] = ["imaps", "submission"].map(|name| world.bed.port(name));
    let replacements = [
        ("imap.gmail.com/", format!("localhost:{imaps}/")),
        ("smtp.gmail.com:587", format!("localhost:{submission}")),
    ];
    let more = format!("set ssl_ca_certificates_file = \"{}\"\n", world.bed.ca().display());
    world.home.write("muttrc", at_the_bed(lines, &replacements) + &more);
    let send = format!(
        "echo hello | neomutt -n -F muttrc -e 'set record=\"\" from={ADDRESS}' -s 'by neomutt' bob@example.com"
    );
    shell(world, &send);
    assert!(sent(world, "by neomutt"));
    // For its own screen it wants a terminal.
    let open = "TERM=xterm script -qec 'neomutt -n -F muttrc -f +INBOX -e \"push q\"' /dev/null </dev/null";
    let screen = shell(world, open);
    assert!(screen.contains("INBOX [Msgs:"), "{screen}");
}

/// Runs a script, which has to end well; gives what it said.
#[track_caller]
fn shell(world: &World, script: &str) -> String {
    let run = world.home.sh(script).env("SSL_CERT_FILE", world.home.file("roots.pem"));
    let ended = run.run();
    assert_eq!(ended.code(), 0, "{script}\n{ended}");
    ended.out()
}

fn sent(world: &World, subject: &str) -> bool {
    let sink = fs::read_to_string(world.bed.sink()).unwrap_or_default();
    sink.contains(&format!("Subject: {subject}"))
}

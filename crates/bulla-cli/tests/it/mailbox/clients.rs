//! Real mail clients log in with what `mailbox token` hands out.

use bulla_testkit::testbed::Options;

use super::World;
use crate::support::skipped;

#[test]
fn mail_clients_log_in_with_these_tokens() {
    let Some(world) = World::start(&Options::default()) else { return };
    let servers = world.servers();
    world.authorize("alice@example.com", &servers);
    curl(&world);
    for (program, client) in [("msmtp", msmtp as fn(&World)), ("mpop", mpop), ("mbsync", mbsync)] {
        match world.home.sh(&format!("command -v {program}")).run().code() {
            0 => client(&world),
            _ => skipped(&format!("{program} is not there")),
        }
    }
}

/// The token goes in by standard input, since everybody can read arguments.
fn curl(world: &World) {
    let ca = world.bed.ca().display();
    for (scheme, port) in
        [("imaps", "imaps"), ("imap", "imap"), ("pop3s", "pop3s"), ("pop3", "pop3")]
    {
        let port = world.bed.port(port);
        let script = format!(
            "set -e; token=$(bulla mailbox token alice@example.com)
             printf 'oauth2-bearer = \"%s\"\\n' \"$token\" |
             curl -sS --fail --ssl-reqd --cacert {ca} -u alice@example.com: -K - {scheme}://localhost:{port}/"
        );
        shell(world, &script);
    }
    let port = world.bed.port("submission");
    let script = format!(
        "set -e; token=$(bulla mailbox token alice@example.com)
         printf 'Subject: by curl\\r\\n\\r\\nhello\\r\\n' >mail
         printf 'oauth2-bearer = \"%s\"\\n' \"$token\" |
         curl -sS --ssl-reqd --cacert {ca} -u alice@example.com: -K - -T mail \\
             --mail-from alice@example.com --mail-rcpt bob@example.com smtp://localhost:{port}/"
    );
    shell(world, &script);
    assert!(sent(world, "by curl"));
}

fn msmtp(world: &World) {
    for mechanism in ["xoauth2", "oauthbearer"] {
        let config = format!(
            "account default\nhost localhost\nport {}\nfrom alice@example.com\nuser alice@example.com\n\
             auth {mechanism}\npasswordeval bulla mailbox token alice@example.com\n\
             tls on\ntls_trust_file {}\n",
            world.bed.port("submission"),
            world.bed.ca().display()
        );
        world.home.write(".msmtprc", config);
        let script =
            format!("printf 'Subject: {mechanism} by msmtp\\n\\nhello\\n' | msmtp bob@example.com");
        shell(world, &script);
        assert!(sent(world, &format!("{mechanism} by msmtp")));
    }
}

fn mpop(world: &World) {
    let config = format!(
        "account default\nhost localhost\nport {}\nuser alice@example.com\nauth xoauth2\n\
         passwordeval bulla mailbox token alice@example.com\ntls on\ntls_starttls off\n\
         tls_trust_file {}\ndelivery mbox {}\n",
        world.bed.port("pop3s"),
        world.bed.ca().display(),
        world.home.file("mpop.mbox").display()
    );
    world.home.write(".mpoprc", config);
    shell(world, "mpop");
}

fn mbsync(world: &World) {
    let config = format!(
        "IMAPAccount bed\nHost localhost\nPort {}\nUser alice@example.com\n\
         PassCmd \"bulla mailbox token alice@example.com\"\nAuthMechs XOAUTH2\nSSLType IMAPS\n\
         CertificateFile {}\n\nIMAPStore far\nAccount bed\n\nMaildirStore near\nPath {}/\nInbox {}\n\n\
         Channel inbox\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\n",
        world.bed.port("imaps"),
        world.bed.ca().display(),
        world.home.file("near").display(),
        world.home.file("near/INBOX").display()
    );
    world.home.write(".mbsyncrc", config);
    std::fs::create_dir(world.home.file("near")).unwrap();
    shell(world, "mbsync -c .mbsyncrc -a");
    assert!(world.home.file("near/INBOX/cur").exists());
}

fn shell(world: &World, script: &str) {
    let run = world.home.sh(script).env("SSL_CERT_FILE", world.home.file("roots.pem"));
    let ended = run.run();
    assert_eq!(ended.code(), 0, "{script}\n{ended}");
}

fn sent(world: &World, subject: &str) -> bool {
    let sink = std::fs::read_to_string(world.bed.sink()).unwrap_or_default();
    sink.contains(&format!("Subject: {subject}"))
}

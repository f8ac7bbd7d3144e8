//! The whole way, from a machine with nothing on it to mailboxes that let in what was rendered.

use std::process::Stdio;

use bulla_testkit::testbed::{Options, Testbed};

use super::{World, clients};
use crate::support::{Home, Way, skipped};

const ADDRESS: &str = "support@example.com";
/// As Google gives it out, for the client of this form that the bed has.
const DOWNLOAD: &str = r#"{"installed":{"client_id":"1234.apps.googleusercontent.com","project_id":"mail-42","auth_uri":"https://accounts.google.com/o/oauth2/auth","token_uri":"https://oauth2.googleapis.com/token","auth_provider_x509_cert_url":"https://www.googleapis.com/oauth2/v1/certs","client_secret":"GOCSPX-the-first-secret","redirect_uris":["http://localhost"]}}"#;

#[test]
fn from_nothing_to_mailboxes_that_open() {
    let mail_scope = Some("https://mail.google.com/");
    let options = Options { google: true, mail_scope, ..Options::default() };
    let Some(bed) = Testbed::start(&options) else { return };
    let world = World { bed, home: Home::new(Way::None) };
    world.home.write("roots.pem", std::fs::read(world.bed.ca()).unwrap());
    stand_in_for_google(&world);

    world.run("identity new --for-machine").succeeds();
    world.run("init --recipient @.config/bulla/identity").succeeds();
    world.home.write("client_secret_1234.json", DOWNLOAD);
    world.run("import client_secret_1234.json --entry secret-gmail").succeeds();
    std::fs::remove_file(world.home.file("client_secret_1234.json")).unwrap();
    authorize_in_a_real_browser(&world);
    world.holds_nothing_readable(&["GOCSPX-the-first-secret", &world.refresh_token(ADDRESS)]);

    for fetch in ["imap", "pop3"] {
        let template = world.run(&format!("genesys template --fetch {fetch}")).succeeds().out();
        world.home.write("emailserver.cfg", &template);
        world.run("check --with-vault emailserver.cfg").succeeds();
        world.run("render emailserver.cfg --output rendered.cfg").succeeds();
        let mut server = world.bed.email_server();
        let output = server.arg(world.home.file("rendered.cfg")).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let fetch = fetch.to_uppercase();
        let expected = format!(
            "[pop-client] {fetch} lets {ADDRESS} in\n[smtp-client] SMTP lets {ADDRESS} in\n"
        );
        assert_eq!(told, expected, "{}", String::from_utf8_lossy(&output.stderr));
    }
    clients::those_of_the_guide(&world, &["curl", "msmtp"]);
    world.run("mailbox verify --all").succeeds();
    world.run("mailbox status --probe").succeeds();
}

/// What is built in for Google, but for where it is.
fn stand_in_for_google(world: &World) {
    let issuer = world.bed.issuer();
    let [imap, pop3, smtp] = ["imaps", "pop3s", "submission"].map(|name| world.bed.port(name));
    let text = format!(
        "[google]\nissuer = 'https://accounts.google.com'\nauthorization-endpoint = '{issuer}/auth'\n\
         token-endpoint = '{issuer}/token'\nrevocation-endpoint = '{issuer}/token/revocation'\n\
         redirect = 'http://127.0.0.1:{{port}}'\nscopes = ['https://mail.google.com/']\n\
         parameters = {{ access_type = 'offline', prompt = 'consent' }}\nrevoking-is-wide = true\n\
         imap = 'imaps://localhost:{imap}'\npop3 = 'pop3s://localhost:{pop3}'\n\
         smtp = 'smtp://localhost:{smtp}'\n"
    );
    world.home.write(".config/bulla/providers.toml", text);
}

fn authorize_in_a_real_browser(world: &World) {
    let waiting = world.begin(&format!("mailbox authorize {ADDRESS} --client secret-gmail"));
    let url = waiting.url(ADDRESS);
    let mut browser = world.bed.chromium();
    browser.args([&url, ADDRESS]).arg(world.home.file("picture.png"));
    let shown = browser.stderr(Stdio::inherit()).output().unwrap().stdout;
    let mut shown = String::from_utf8(shown).unwrap();
    if let Some(why) = shown.strip_prefix("skipped: ") {
        skipped(why.trim_end());
        shown = world.visit(&url, ADDRESS, &["--follow"]);
    }
    let ended = waiting.end();
    assert_eq!(ended.code(), 0, "{ended}{shown}");
    assert!(ended.stderr.ends_with("is authorised, and its mailbox opens\n"), "{ended}");
    assert!(shown.contains("can be used from now on"), "{shown}");
}

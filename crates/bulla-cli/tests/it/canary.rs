//! The canary gate: every command in success and in failure, with canaries as value, passphrase,
//! name, field, reason and label; then every byte of what was printed and of every file is searched
//! for them, in all forms in which they could leak.
//!
//! Two sorts are told apart. A secret is printed only where printing it is what was asked for, and
//! is in no file but those that the test has made or asked for. A name is shown to who opened the
//! vault, but is in no file either: nothing readable at rest.

use std::path::Path;

use bulla_testkit::canary::{Canary, Scanner};

use crate::support::{Home, PASSPHRASE, SECRETS, VALUE, Way};

/// A step, with `V` for the secret, and `E`, `F`, `R`, `L`, `N` for names; a name of a file after `>` is
/// where a secret may be from then on.
struct Step {
    script: &'static str,
    /// Whether the command is meant to print the secret.
    prints: bool,
}

const fn quiet(script: &'static str) -> Step {
    Step { script, prints: false }
}

const fn prints(script: &'static str) -> Step {
    Step { script, prints: true }
}

/// Every command, well and badly used. What fails is as important as what succeeds, so that exit
/// codes are not looked at here; the cases do that.
const STEPS: &[Step] = &[
    quiet("bulla set E F -m R < value"),
    quiet("bulla set E F < value"),
    quiet("bulla set E F --from-file value --exact"),
    quiet("bulla set E F V"),
    quiet("bulla set E F --if-version 7 < value"),
    quiet("bulla set E F --expires V"),
    quiet("bulla set E --kind V"),
    quiet("bulla set E --public V"),
    quiet("bulla set mailbox/E password < value"),
    quiet("bulla set mailbox/E < value"),
    quiet("bulla set bulla://V < value"),
    quiet("bulla set other --json < value"),
    prints("bulla get E F"),
    prints("bulla get E F --json"),
    prints("bulla get E"),
    quiet("bulla get E N"),
    quiet("bulla get E F --version V"),
    quiet("bulla get E F --pin V"),
    quiet("bulla get E F --min-epoch 99"),
    quiet("bulla get E F --identity value"),
    quiet("bulla get E F > /dev/full"),
    quiet("bulla show E"),
    quiet("bulla show E --json"),
    prints("bulla show E --reveal"),
    prints("bulla show E --reveal --json"),
    quiet("bulla ls"),
    quiet("bulla ls -l"),
    quiet("bulla ls --json"),
    quiet("bulla log E"),
    quiet("bulla log E --json"),
    quiet("bulla log"),
    quiet("printf two | bulla set E F"),
    quiet("bulla revert E -m R"),
    quiet("bulla revert E 99"),
    quiet("bulla mv E moved/E"),
    quiet("bulla mv moved/E E"),
    quiet("bulla mv E other"),
    quiet("bulla rm other"),
    quiet("bulla rm other"),
    quiet("bulla rm other --purge"),
    quiet("bulla rm other --purge --yes"),
    quiet("bulla import lines.jsonl"),
    quiet("bulla import broken.jsonl"),
    quiet("bulla import value --format jsonl"),
    quiet("bulla import value --format google"),
    quiet("bulla import value --format dotenv --entry x"),
    quiet("bulla import dotenv --format dotenv --entry y"),
    prints("bulla export --plaintext"),
    quiet("bulla export --plaintext -o exported"),
    quiet("bulla export --plaintext -o exported"),
    quiet("bulla export"),
    prints("bulla render t.json"),
    quiet("bulla render t.json -o rendered.json"),
    quiet("bulla render t.json -o rendered.json --json"),
    quiet("bulla render t.json -o t.json"),
    quiet("bulla render missing.json -o rendered.json"),
    quiet("bulla render literal.cfg --format genesys-ini"),
    quiet("bulla render t.env -o rendered.env"),
    prints("bulla render value"),
    quiet("bulla run --env t.env -- sh -c 'echo $A; echo $A >&2; echo $A | base64'"),
    prints("bulla run --no-mask --env t.env -- sh -c 'echo $A'"),
    quiet("bulla run --file f=t.json -- cat {f}"),
    quiet("bulla run --file f=missing.json -- cat {f}"),
    quiet("bulla run --file V -- cat"),
    quiet("bulla run --env t.env --V -- true"),
    quiet("GITHUB_ACTIONS=true bulla run --env t.env -- true | cat"),
    quiet("bulla render value --format V"),
    quiet("bulla adopt literal.cfg --format genesys-ini -o template.cfg"),
    quiet("bulla adopt value --format json -o template.json"),
    quiet("bulla slot ls"),
    quiet("bulla slot ls --json"),
    quiet("bulla slot add L --recipient @recipient"),
    quiet("bulla slot add N --recipient V"),
    quiet("bulla slot add third"),
    quiet("bulla slot rm L"),
    quiet("bulla slot rm N"),
    quiet("bulla identity new --for-machine -o value"),
    quiet("bulla identity new --for-machine -o new-identity"),
    quiet("bulla passwd"),
    quiet("bulla rekey"),
    quiet("bulla fsck"),
    quiet("bulla fsck --json"),
    quiet("bulla doctor"),
    quiet("bulla doctor --json"),
    quiet("bulla backup create copy.bulla"),
    quiet("bulla backup create copy.bulla"),
    quiet("bulla backup verify copy.bulla"),
    quiet("bulla backup verify value"),
    quiet("bulla backup restore value"),
    quiet("bulla backup restore copy.bulla"),
    quiet("bulla backup adopt"),
    quiet(
        "bulla set c client-secret --kind oauth-client --public client-id=x --public provider=google < value",
    ),
    quiet("bulla mailbox add E --client c --no-verify < value"),
    quiet("bulla mailbox add E --client c V"),
    quiet("bulla mailbox add L --client N < value"),
    quiet("bulla mailbox add L --client c --imap V < value"),
    quiet("bulla mailbox status"),
    quiet("bulla mailbox status E --json"),
    quiet("bulla mailbox status N"),
    quiet("HTTPS_PROXY=http://127.0.0.1:1 bulla mailbox token E"),
    quiet("HTTPS_PROXY=http://127.0.0.1:1 bulla mailbox status --probe"),
    quiet("HTTPS_PROXY=http://127.0.0.1:1 bulla mailbox revoke E --yes"),
    quiet("HTTPS_PROXY=http://127.0.0.1:1 bulla mailbox verify E"),
    quiet("bulla mailbox token E --min-ttl V"),
    quiet("bulla mailbox token E --ca value"),
    quiet("bulla mailbox authorize E --client c --no-verify --timeout 1s"),
    quiet("bulla mailbox authorize E --client c --no-verify --paste < value"),
    quiet("bulla unlock --for 1m"),
    quiet("bulla lock"),
    quiet("bulla init"),
    quiet("bulla --vault new.bulla init --label L"),
    quiet("bulla --vault N.bulla get E F"),
    quiet("bulla ls --passphrase-fd 0 < value"),
    quiet("BULLA_PASSPHRASE_FILE=value bulla ls"),
    quiet("BULLA_IDENTITY_FILE=value bulla ls"),
    quiet("BULLA_PIN=V bulla get E F"),
    quiet("BULLA_MIN_EPOCH=V bulla get E F"),
    quiet("RUST_LOG=trace RUST_BACKTRACE=full bulla show E"),
    quiet("bulla V"),
    quiet("bulla --V"),
    quiet("bulla get --V=V"),
    quiet("bulla completions bash"),
    quiet("bulla completions V"),
    quiet("bulla man"),
    quiet("bulla get --help"),
    quiet("bulla --version"),
];

/// Where a secret is because the test or the user put it there.
const KNOWN: &[&str] = &[
    "value",
    "lines.jsonl",
    "broken.jsonl",
    "dotenv",
    "literal.cfg",
    "exported",
    "rendered.json",
    "rendered.env",
];

#[test]
fn no_command_leaks_a_secret_or_a_name() {
    for way in [Way::Identity, Way::Passphrase] {
        let [entry, field, reason, label, other] = [(); 5].map(|()| Canary::new());
        let home = Home::made(way);
        let filled = |text: &str| {
            let words = [
                ("E", &entry),
                ("F", &field),
                ("R", &reason),
                ("L", &label),
                ("N", &other),
                ("V", &*VALUE),
            ];
            fill(text, &words)
        };
        for (name, text) in [
            ("value", "V\n"),
            (
                "lines.jsonl",
                "{\"entry\":\"E\",\"fields\":{\"F\":\"V\"}}\n{\"entry\":\"i\",\"fields\":{\"F\":\"V\"}}\n",
            ),
            (
                "broken.jsonl",
                "{\"entry\":\"j\",\"fields\":{\"F\":\"V\"}}\n{\"entry\":\"V\",\"V\":V\n",
            ),
            ("dotenv", "F=V\n"),
            ("t.json", "{\"a\": \"bulla://E/F\"}"),
            ("t.env", "A=bulla://E/F\n"),
            ("missing.json", "{\"a\": \"bulla://E/F\", \"b\": \"bulla://E/N\"}"),
            ("literal.cfg", "[smtp-client]\npassword = V\n"),
        ] {
            home.write(name, filled(text));
        }
        let made = home.bulla(["identity", "new", "--for-machine", "-o", "second"]).succeeds();
        home.write("recipient", made.stdout);

        let names = Scanner::new([&entry, &field, &reason, &label, &other]);
        let templates = [
            "t.json",
            "t.env",
            "missing.json",
            "lines.jsonl",
            "broken.jsonl",
            "dotenv",
            "exported",
        ];
        for step in STEPS {
            let ended = home.sh(&filled(step.script)).run();
            let what = format!("{way:?}: {}: {ended}", step.script);
            assert_ne!(ended.code(), 101, "{what}");
            if let Some(seen) = SECRETS.find(ended.stderr.as_bytes()) {
                panic!("stderr shows {}: {what}", seen.what);
            }
            match SECRETS.find(&ended.stdout) {
                Some(seen) if !step.prints => panic!("stdout shows {}: {what}", seen.what),
                None if step.prints && ended.code() == 0 => {
                    panic!("stdout shows no secret: {what}")
                }
                _ => {}
            }
            for (path, seen) in SECRETS.find_in_files(home.path()) {
                let name = path.strip_prefix(home.path()).unwrap();
                let known = is_one_of(name, KNOWN) || home.is_key_file(name);
                assert!(known, "{} holds {}: {what}", name.display(), seen.what);
            }
            for (path, seen) in names.find_in_files(home.path()) {
                let name = path.strip_prefix(home.path()).unwrap();
                assert!(
                    is_one_of(name, &templates),
                    "{} holds {}: {what}",
                    name.display(),
                    seen.what
                );
            }
        }
        assert!(Scanner::new([&*PASSPHRASE]).find_in_files(home.path()).len() <= 1);
    }
}

fn is_one_of(name: &Path, known: &[&str]) -> bool {
    known.iter().any(|known| name == Path::new(known))
}

/// Puts a canary in the place of each letter that stands alone.
fn fill(text: &str, words: &[(&str, &Canary)]) -> String {
    let letter = |c: char| c.is_ascii_alphabetic();
    let mut out = String::new();
    for piece in text.split_inclusive(|c| !letter(c)) {
        let word = piece.trim_end_matches(|c| !letter(c));
        match words.iter().find(|(name, _)| *name == word) {
            Some((_, canary)) => {
                out.push_str(canary.as_str());
                out.push_str(&piece[word.len()..]);
            }
            None => out.push_str(piece),
        }
    }
    out
}

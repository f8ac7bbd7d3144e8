//! The examples in `examples`, run as docs/guides/deploy-tools.md tells it by the tools that they are
//! for, with a password that every one of them could misread.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::{Ended, Home, SECRETS, VALUE, Way, copy_tree, skipped};

/// Helm, Jinja, shells, URLs and Compose each have a meaning for something in it.
static PASSWORD: LazyLock<String> = LazyLock::new(|| format!("{}{{{{ x }}}} %41\"$HOME#", *VALUE));
/// As it stands in a URL.
static IN_URL: LazyLock<String> =
    LazyLock::new(|| format!("{}%7B%7B%20x%20%7D%7D%20%2541%22%24HOME%23", *VALUE));

/// A home with the example of that name in it, and what its templates ask for in the vault.
fn home(example: &str) -> Home {
    let home = Home::new(Way::Identity);
    copy_tree(&root().join("examples").join(example), home.path());
    for entry in ["db", "smtp"] {
        home.bulla(["set", entry, "-q"]).stdin(&*PASSWORD).succeeds();
    }
    home
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Whether all of these programs are there; says so if not.
fn have(home: &Home, programs: &[&str]) -> bool {
    let missing = programs
        .iter()
        .find(|program| home.sh(&format!("command -v {program} >/dev/null")).run().code() != 0);
    if let Some(program) = missing {
        skipped(&format!("an example that needs {program}"));
    }
    missing.is_none()
}

/// The documents of a YAML file, as another reader sees them.
fn documents(home: &Home, file: &str) -> Vec<Value> {
    const READER: &str =
        "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))";
    let ended = home.command("python3").args(["-c", READER]).stdin(home.read(file)).succeeds();
    serde_json::from_slice(&ended.stdout).unwrap()
}

fn has_yaml(home: &Home) -> bool {
    let has = home.command("python3").args(["-c", "import yaml"]).run().code() == 0;
    if !has {
        skipped("an example that needs PyYAML");
    }
    has
}

/// Judges files by the schemas that the JSON Schema store has for them.
fn fits_schema(home: &Home, schema: &str, files: &str) {
    if have(home, &["check-jsonschema"]) {
        home.sh(&format!("check-jsonschema --builtin-schema vendor.{schema} {files}")).succeeds();
    }
}

#[track_caller]
fn tells_nothing(ended: &Ended) {
    for stream in [&ended.stdout[..], ended.stderr.as_bytes()] {
        assert_eq!(SECRETS.find(stream), None, "{ended}");
    }
}

const HELM_3: &str = "helm3 template prod chart --post-renderer ./plugin/render";
const HELM_4: &str = "helm4 template prod chart --post-renderer bulla";

/// A chart before Helm has rendered it is no YAML, and Genesys' example is full of secrets on purpose.
#[test]
fn checks_find_nothing_in_examples() {
    let home = Home::new(Way::None);
    for example in fs::read_dir(root().join("examples")).unwrap() {
        let example = example.unwrap().path();
        if !example.ends_with("genesys") && !example.ends_with("helm") {
            home.bulla(["check".as_ref(), example.as_os_str()]).succeeds();
        }
    }
}

#[test]
fn helm() {
    for (helm, command) in [("helm3", HELM_3), ("helm4", HELM_4)] {
        let home = home("helm");
        if !have(&home, &[helm]) || !has_yaml(&home) {
            continue;
        }
        if helm == "helm4" {
            home.sh("helm4 plugin install ./plugin").succeeds();
        }
        // Without a key.
        let plain = format!("{helm} template prod chart");
        home.sh(&format!("{plain} | bulla check --format yaml -")).succeeds();
        let asked = home.sh(&format!("{plain} | bulla refs --format yaml -")).succeeds();
        assert!(asked.out().starts_with("bulla://db/password\n"), "{asked}");

        home.sh(&format!("{command} >out.yaml")).succeeds();
        let all = documents(&home, "out.yaml");
        let secret = all.iter().find(|document| document["kind"] == "Secret").unwrap();
        let url = format!("postgres://app:{}@db.internal/app", *IN_URL);
        assert_eq!(secret["stringData"], json!({"password": *PASSWORD, "url": url}), "{helm}");
        assert!(all.iter().any(|document| document["kind"] == "Job"), "{helm} loses the hook");

        // Only Helm 4 shows hooks to post-renderers, which is why the example has no reference in one.
        let hook = "{kind: ConfigMap, apiVersion: v1, metadata: {name: x, annotations: \
                    {helm.sh/hook: post-install}}, data: {a: 'bulla://db/password'}}";
        home.write("chart/templates/x.yaml", hook);
        home.sh(&format!("{command} >out.yaml")).succeeds();
        let all = documents(&home, "out.yaml");
        let map = all.iter().find(|document| document["kind"] == "ConfigMap").unwrap();
        let shown = if helm == "helm3" { "bulla://db/password" } else { &PASSWORD };
        assert_eq!(map["data"]["a"], shown, "{helm}");

        // What is wrong is said, and nothing comes out.
        home.bulla(["rm", "db", "-q"]).succeeds();
        let ended = home.sh(&format!("{{ {command} >out.yaml; echo $?; }} 2>&1 | cat")).succeeds();
        assert!(ended.out().contains("error: "), "{ended}");
        assert!(ended.out().contains("\n1\n"), "{ended}");
        assert_eq!(home.read("out.yaml"), b"", "{helm}");
        // Into a file, where two writers would write over each other, only Helm writes.
        home.sh(&format!("{command} 2>said; test $? = 1")).succeeds();
        assert!(home.read("said").starts_with(b"Error: error while running post render"), "{helm}");
    }
}

#[test]
fn kustomize() {
    let home = home("kustomize");
    if !have(&home, &["kubectl"]) || !has_yaml(&home) {
        return;
    }
    home.sh("kubectl kustomize . | bulla render --format yaml - >out.yaml").succeeds();
    let all = documents(&home, "out.yaml");
    let secret = all.iter().find(|document| document["kind"] == "Secret").unwrap();
    let decoded = |key: &str| {
        let script = "import base64, sys; sys.stdout.buffer.write(base64.b64decode(sys.argv[1]))";
        let text = secret["data"][key].as_str().unwrap();
        home.command("python3").args(["-c", script, text]).succeeds().out()
    };
    assert_eq!(decoded("password"), *PASSWORD);
    let url = "jdbc:postgresql://db.internal/app?user=app&password=";
    assert_eq!(decoded("app.properties"), format!("db.url={url}{}\n", *IN_URL));
    // The Deployment still finds the Secret by the name that kustomize has made.
    let container = &all.iter().find(|document| document["kind"] == "Deployment").unwrap()["spec"]
        ["template"]["spec"]["containers"][0];
    assert_eq!(container["envFrom"][0]["secretRef"]["name"], secret["metadata"]["name"]);
}

#[test]
fn terraform() {
    let home = home("terraform");
    if home.sh("command -v terraform").run().code() != 0 {
        skipped("the example for terraform, which is in no registry");
        return;
    }
    home.write("create-schema", "printf %s \"$PGPASSWORD\" >used\necho \"with $PGPASSWORD\"\n");
    home.sh("sed -i '1i #!/bin/sh' create-schema && chmod 700 create-schema").succeeds();
    let terraform = |command: &str| {
        let run =
            home.sh(&format!("bulla run --env terraform.env -- terraform {command} -no-color"));
        tells_nothing(&run.env("CHECKPOINT_DISABLE", "1").succeeds());
    };
    terraform("init");
    terraform("plan -out=plan");
    terraform("apply plan");
    assert_eq!(home.read("used"), PASSWORD.as_bytes());
    home.sh("python3 -m zipfile -e plan unpacked").succeeds();
    for kept in ["terraform.tfstate", "unpacked/tfplan", "unpacked/tfstate"] {
        assert_eq!(SECRETS.find(&home.read(kept)), None, "{kept}");
    }
}

#[test]
fn ansible() {
    let home = home("ansible");
    if !have(&home, &["ansible-playbook"]) {
        return;
    }
    let playbook = "ansible-playbook site.yml -vvv -i localhost, -c local -e folder=$HOME \
                    -e ansible_python_interpreter=$(command -v python3)";
    let run = home.sh(&format!("bulla run --env app.env -- {playbook}"));
    tells_nothing(&run.env("LC_ALL", "C.UTF-8").succeeds());
    let written: Value = serde_json::from_slice(&home.read("app.json")).unwrap();
    assert_eq!(written["db"]["password"], *PASSWORD);
    // Without the variable it ends, and does not write an empty password.
    home.sh("rm app.json").succeeds();
    assert_ne!(home.sh(playbook).env("LC_ALL", "C.UTF-8").run().code(), 0);
    assert!(!home.file("app.json").exists());

    home.bulla(["set", "ansible-vault", "-q"]).stdin(&*PASSWORD).succeeds();
    home.write("vars.yml", "a: 1\n");
    for verb in ["encrypt", "decrypt"] {
        let command =
            format!("ansible-vault {verb} --vault-password-file ./vault-password vars.yml");
        tells_nothing(&home.sh(&command).env("LC_ALL", "C.UTF-8").succeeds());
        let is_sealed = home.read("vars.yml").starts_with(b"$ANSIBLE_VAULT;");
        assert_eq!(is_sealed, verb == "encrypt");
    }
}

#[test]
fn compose() {
    let home = home("compose");
    fits_schema(&home, "compose-spec", "compose.yaml");
    if !have(&home, &["docker-compose"]) {
        return;
    }
    home.bulla(["render", "templates", "--into", "secrets"]).succeeds();
    let ended = home.sh("SECRETS=$HOME/secrets docker-compose -f compose.yaml config").succeeds();
    let path = home.file("secrets/app.json");
    assert!(ended.out().contains(&format!("file: {}\n", path.display())), "{ended}");
    tells_nothing(&ended);
    let rendered: Value = serde_json::from_slice(&home.read("secrets/app.json")).unwrap();
    assert_eq!(rendered["smtp-password"], *PASSWORD);
    // Without a folder it is refused, instead of taking `/app.json`.
    assert_ne!(home.sh("docker-compose -f compose.yaml config").run().code(), 0);
}

/// A workspace as the examples for pipelines expect it, with what the variables of the vault have to be.
/// The identity does not lie in its usual place.
fn workspace(example: &str) -> (Home, Value) {
    let home = home(example);
    home.bulla(["backup", "create", "vault.bulla", "-q"]).succeeds();
    let verified = home.bulla(["backup", "verify", "vault.bulla", "--json"]).succeeds();
    let epoch = serde_json::from_slice::<Value>(&verified.stdout).unwrap()["epoch"].clone();
    let identity = String::from_utf8(home.read(".config/bulla/identity")).unwrap();
    home.write("deploy/app.env", "TOKEN='bulla://db/password'\n");
    home.write(
        "deploy/push",
        "#!/bin/sh\necho \"pushing with $TOKEN\"\nprintf %s \"$TOKEN\" >pushed\n",
    );
    if !home.file("templates").exists() {
        home.write("templates/app.json", "{\"token\": \"bulla://db/password\"}\n");
    }
    home.sh("mv vault.bulla deploy; chmod 700 deploy/push; rm -r .config .local").succeeds();
    let pin = identity.lines().find_map(|line| line.strip_prefix("# bulla-pin: "));
    assert_eq!(pin, None, "the identity is to have no pin");
    (home, json!({"identity": identity, "epoch": epoch}))
}

/// The pin of the vault in a workspace, which a run without one tells.
fn pin(home: &Home, identity: &str) -> String {
    home.write("identity", identity);
    let run = home.bulla(["ls", "--vault", "deploy/vault.bulla", "--identity", "identity"]);
    let said = run.fails(3).stderr;
    home.sh("rm identity").succeeds();
    let is_pin = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    said.split_ascii_whitespace().find(is_pin).unwrap().to_owned()
}

#[test]
fn github_actions() {
    let (home, vault) = workspace("github-actions");
    fits_schema(&home, "github-workflows", "check.yml deploy.yml");
    if !has_yaml(&home) {
        return;
    }
    let pin = pin(&home, vault["identity"].as_str().unwrap());
    home.write("bin/cargo", "#!/bin/sh\ntest \"$1\" = install\n");
    home.sh("chmod 700 bin/cargo").succeeds();
    let job = |workflow: &str, job: &str, epoch: u64| {
        let contexts = json!({
            "vars": {"BULLA_PIN": pin, "BULLA_MIN_EPOCH": epoch.to_string(), "BULLA_SOURCE": "x"},
            "secrets": {"BULLA_IDENTITY": vault["identity"]},
        });
        home.write("contexts.json", contexts.to_string());
        let worker = root().join("tests/fronts/worker.py");
        let command = "PATH=$HOME/bin:$PATH exec python3";
        home.sh(&format!("{command} {} {workflow} {job} contexts.json", worker.display())).run()
    };

    let checked = job("check.yml", "check", 1);
    assert!(checked.status.success(), "{checked}");
    let report: Value = serde_json::from_slice(&home.read("bulla.sarif")).unwrap();
    assert_eq!(report["version"], "2.1.0");
    home.write("templates/app.json", "{\"token\": \"x bulla://db/password\"}\n");
    assert_eq!(job("check.yml", "check", 1).code(), 1);

    // Another step prints what the deployment left in a file.
    let workflow = String::from_utf8(home.read("deploy.yml")).unwrap();
    home.write("deploy.yml", format!("{workflow}      - name: Print\n        run: cat pushed\n"));
    let epoch = vault["epoch"].as_u64().unwrap();
    let deployed = job("deploy.yml", "deploy", epoch);
    assert!(deployed.status.success(), "{deployed}");
    tells_nothing(&deployed);
    assert!(deployed.out().contains("\npushing with ********\n"), "{deployed}");
    assert!(deployed.out().contains("\n***\n"), "{deployed}");
    assert!(deployed.out().ends_with("left in RUNNER_TEMP: []\n"), "{deployed}");
    assert_eq!(home.read("pushed"), PASSWORD.as_bytes());

    // An older copy of the vault than the pipeline knows of is refused; the identity goes all the same.
    let refused = job("deploy.yml", "deploy", epoch + 1);
    assert_eq!(refused.code(), 1, "{refused}");
    assert!(refused.out().contains("error: the vault is too old"), "{refused}");
    assert!(refused.out().ends_with("left in RUNNER_TEMP: []\n"), "{refused}");
}

#[test]
fn gitlab_ci() {
    let (home, vault) = workspace("gitlab-ci");
    fits_schema(&home, "gitlab-ci", "gitlab-ci.yml");
    if !have(&home, &["gitlab-ci-local", "git", "rsync"]) {
        return;
    }
    let identity = vault["identity"].as_str().unwrap();
    let pin = pin(&home, identity);
    let variables = json!({
        "BULLA_PIN": pin,
        "BULLA_MIN_EPOCH": vault["epoch"].to_string(),
        "BULLA_IDENTITY_FILE": {"type": "file", "values": {"*": identity}},
    });
    home.write(".gitlab-ci-local-variables.yml", variables.to_string());
    home.sh(
        "git init -q -b main . && git remote add origin git@gitlab.invalid:a/b.git && git add . &&
         git -c user.name=a -c user.email=a@b.invalid commit -qm a",
    )
    .succeeds();
    // Runners make the files of variables with this umask.
    let pipeline = || home.sh("umask 000; exec gitlab-ci-local --file gitlab-ci.yml").run();
    let ended = pipeline();
    assert!(ended.status.success(), "{ended}");
    tells_nothing(&ended);
    assert!(ended.out().contains("pushing with ********\n"), "{ended}");
    assert_eq!(home.read("pushed"), PASSWORD.as_bytes());
    assert_eq!(home.read("gl-code-quality-report.json").trim_ascii(), b"[]");

    home.write("templates/app.json", "{\"token\": \"x bulla://db/password\"}\n");
    assert_eq!(pipeline().code(), 1);
    assert!(home.read("gl-code-quality-report.json").windows(15).any(|w| w == b"stray-reference"));
}

/// What a unit of the example did in a systemd of its own, where the vault has to be at `epoch`;
/// `None` if this machine allows none.
fn started(unit: &str, epoch: u64) -> Option<Home> {
    let (home, vault) = workspace("systemd");
    let identity = vault["identity"].as_str().unwrap();
    let settings = String::from_utf8(home.read("app.conf")).unwrap();
    let pin = format!("BULLA_PIN={}\n", pin(&home, identity));
    let settings = settings.replace("BULLA_PIN=\n", &pin);
    let settings = settings.replace("EPOCH=1\n", &format!("EPOCH={epoch}\n"));
    home.write("files/etc/bulla/app.conf", settings);
    home.write("files/etc/bulla/app.identity", identity);
    home.write(
        "files/usr/local/bin/app",
        "#!/bin/sh\ncat \"$2\" && ls \"${CREDENTIALS_DIRECTORY:-/nowhere}\" && id -un\n",
    );
    home.sh(
        "mkdir -p units files/var/lib/bulla files/etc/app out
         mv *.service units
         mv deploy/vault.bulla files/var/lib/bulla
         cp -r templates files/etc/app/
         cp $(command -v bulla) files/usr/local/bin
         chmod 755 files files/etc files/usr files/usr/local files/usr/local/bin files/usr/local/bin/app files/var files/var/lib",
    )
    .succeeds();
    let script = root().join("tests/fronts/systemd.sh");
    let ended = home.sh(&format!("exec {} units files {unit} $HOME/out", script.display())).run();
    if ended.code() == 77 {
        skipped("the units of an example, as a systemd of their own needs root and namespaces");
        return None;
    }
    assert!(ended.status.success(), "{ended}");
    Some(home)
}

#[test]
fn systemd() {
    let out =
        |home: &Home, name: &str| String::from_utf8(home.read(&format!("out/{name}"))).unwrap();

    // The service has its file among its credentials, and neither the identity nor the right to more.
    let Some(home) = started("app.service", 1) else { return };
    assert_eq!(out(&home, "started"), "0\n", "{}", out(&home, "log"));
    let printed = out(&home, "app.service");
    let (config, rest) = printed.split_once("}\n").unwrap();
    let config: Value = serde_json::from_str(&format!("{config}}}")).unwrap();
    let url = format!("postgres://app:{}@db.internal/app", *IN_URL);
    assert_eq!(config, json!({"database": url, "smtp-password": *PASSWORD}));
    assert_eq!(rest, "app.json\napp\n");
    assert_eq!(out(&home, "rendered"), "app.json\n");
    assert!(out(&home, "left").contains("No such file"), "{}", out(&home, "left"));

    // An older vault than the settings demand starts nothing.
    let Some(home) = started("app.service", 1000) else { return };
    assert_ne!(out(&home, "started"), "0\n");
    assert!(!home.file("out/app.service").exists());
    assert!(out(&home, "app-secrets.service").contains("error: the vault is too old"));

    // In one unit, what the program prints is masked, and nothing leads it to the identity.
    let Some(home) = started("app-run.service", 1) else { return };
    assert_eq!(out(&home, "started"), "0\n", "{}", out(&home, "log"));
    let printed = out(&home, "app-run.service");
    assert!(printed.contains("\"smtp-password\": \"********\""), "{printed}");
    assert!(printed.contains("/nowhere"), "{printed}");
    assert_eq!(SECRETS.find(printed.as_bytes()), None);
}

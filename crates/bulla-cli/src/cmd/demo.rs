//! `bulla demo`: the whole way of a configuration into a vault and back, in a temporary folder.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use bulla_resolve::{Adoption, Template};
use bulla_vault::{Kdf, NewSlot, Secret, Vault};

use super::Done;
use super::{adopt, render};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::printer::counted;
use crate::session::with_vault;
use crate::unlock;

#[derive(clap::Args)]
pub(crate) struct DemoArgs {
    /// Show the secrets, which are made up, instead of a mask
    #[arg(long)]
    reveal: bool,
    /// Leave the folder for a look around
    #[arg(long)]
    keep: bool,
}

/// The example of examples/genesys, in its two forms.
const EXAMPLES: [(&str, &[u8]); 2] = [
    ("emailserver.cfg", include_bytes!("../../../../examples/genesys/emailserver.cfg")),
    ("emailserver.xml", include_bytes!("../../../../examples/genesys/emailserver.xml")),
];

pub(crate) fn run(context: &Context, args: &DemoArgs) -> Done {
    let folder = Folder::make(context, args.keep)?;
    // From here on short names do, and they are easier to read.
    std::env::set_current_dir(&folder.path)
        .map_err(|error| Failure::file("enter", &folder.path, &error))?;
    let passphrase = Secret::new(context.random_name()?.into_bytes());
    let vault = folder.path.join("vault.bulla");
    let inside = context.elsewhere(vault, passphrase, folder.path.join("state"));
    Demo { out: context, inside, folder: &folder, args }.run()?;
    Ok(Exit::Done)
}

struct Demo<'a> {
    /// Where it is told what happens.
    out: &'a Context,
    /// A context whose vault and memory are in the folder.
    inside: Context,
    folder: &'a Folder,
    args: &'a DemoArgs,
}

impl Demo<'_> {
    fn run(&self) -> Result<(), Failure> {
        self.say("1. A configuration with its secrets in clear, in the two forms that Genesys E-mail Server uses")?;
        self.detail(format_args!("in {}:", self.folder.path.display()))?;
        let files: Vec<_> = EXAMPLES.iter().map(|(name, _)| PathBuf::from(name)).collect();
        for (path, (_, contents)) in files.iter().zip(EXAMPLES) {
            fs::write(path, contents).map_err(|error| Failure::file("write", path, &error))?;
            self.detail(path.display())?;
        }
        let secrets = secrets()?;

        self.say("2. A new vault, with a passphrase that is random and forgotten at the end")?;
        let (vault, pin) = self.make_vault()?;
        self.detail(format_args!("vault.bulla, pin {pin}"))?;

        self.say("3. Adopt: the secrets go into the vault, and what stays is a template")?;
        let templates = PathBuf::from("templates");
        adopt::run(&self.inside, &adopt::AdoptArgs::into(&files, &templates))?;
        self.show_template(&templates.join(EXAMPLES[0].0))?;

        self.say("4. At rest: nothing readable in the vault, no secret in a template")?;
        self.look_for(&secrets, &vault, &templates)?;

        self.say("5. Render: the values come back, each proven by reading the file again")?;
        let rendered = PathBuf::from("rendered");
        self.render(&templates, &rendered)?;

        self.say("6. Compare")?;
        for (name, original) in EXAMPLES {
            let path = rendered.join(name);
            let bytes = fs::read(&path).map_err(|error| Failure::file("read", &path, &error))?;
            if bytes != original {
                let fact = format!("{name} did not come back as it was");
                return Err(Failure::new(Exit::Failed, "demo", fact));
            }
            self.detail(format_args!("{name}: {} bytes, all the same", bytes.len()))?;
        }
        if self.args.keep {
            self.out.printer.note(format_args!("left in {}", self.folder.path.display()));
        }
        Ok(())
    }

    fn make_vault(&self) -> Result<(PathBuf, bulla_vault::Pin), Failure> {
        let path = self.inside.vault_path()?;
        let passphrase = unlock::passphrase_given(&self.inside)?.expect("the context has one");
        let slot = NewSlot::Passphrase(&passphrase, Kdf::DEFAULT);
        let options = self.inside.store_options();
        let pin = bulla_sqlite::SqliteStore::create_with(&path, options, |store| {
            let stamp = self.inside.stamp(None);
            let vault = Vault::create(store, &self.inside.random, "demo", &slot, stamp)?;
            Ok::<_, Failure>(vault.pin())
        })?;
        Ok((path, pin))
    }

    fn show_template(&self, path: &Path) -> Result<(), Failure> {
        let text = fs::read_to_string(path).map_err(|e| Failure::file("read", path, &e))?;
        self.detail(format_args!(
            "the template {}, where it refers to the vault:",
            path.display()
        ))?;
        let mut section = None;
        for line in text.lines() {
            if line.starts_with('[') {
                section = Some(line);
            } else if line.contains("bulla://") {
                if let Some(section) = section.take() {
                    self.detail(format_args!("  {section}"))?;
                }
                self.detail(format_args!("  {line}"))?;
            }
        }
        Ok(())
    }

    fn look_for(&self, secrets: &[Secret], vault: &Path, templates: &Path) -> Result<(), Failure> {
        let names = EXAMPLES.iter().map(|(name, _)| templates.join(name));
        for path in names.chain([vault.to_owned()]) {
            let bytes = fs::read(&path).map_err(|error| Failure::file("read", &path, &error))?;
            let found = secrets.iter().any(|secret| {
                bytes.windows(secret.expose().len()).any(|window| window == secret.expose())
            });
            if found {
                let fact = format!("a secret lies in clear in {}", path.display());
                return Err(Failure::new(Exit::Failed, "demo", fact));
            }
        }
        let count = with_vault(&self.inside, |vault| {
            let mut count = 0;
            vault.read()?.each::<Failure>(&mut |_| {
                count += 1;
                Ok(())
            })?;
            Ok(count)
        })?;
        self.detail(format_args!(
            "looked for {} secrets in the vault of {count} entries and in the templates: none is there",
            secrets.len()
        ))
    }

    fn render(&self, templates: &Path, rendered: &Path) -> Result<(), Failure> {
        let mut parsed = Vec::new();
        for (name, _) in EXAMPLES {
            parsed.push(Template::parse(name, render::read(&templates.join(name))?, None));
        }
        let renderings = render::render(&self.inside, &parsed, &[])?;
        fs::DirBuilder::new()
            .mode(0o700)
            .create(rendered)
            .map_err(|error| Failure::file("make", rendered, &error))?;
        let paths: Vec<_> = EXAMPLES.iter().map(|(name, _)| rendered.join(name)).collect();
        let targets: Vec<_> = paths
            .iter()
            .zip(&renderings)
            .map(|(path, rendering)| bulla_resolve::Target {
                path,
                contents: &rendering.contents,
                mode: None,
                owner: None,
            })
            .collect();
        render::Waiting::prepare(&self.inside, &targets, &[])?.commit(&self.inside)?;
        for (path, rendering) in paths.iter().zip(&renderings) {
            let (path, values) = (path.display(), rendering.values.len());
            self.detail(format_args!(
                "{path}: {} placed",
                counted(values as u64, "value", "values")
            ))?;
        }
        self.detail("some of its lines:")?;
        for line in render::masked(&renderings[0], self.args.reveal).lines() {
            if line.starts_with("password=") || line.starts_with("client-id=") {
                self.detail(format_args!("  {line}"))?;
            }
        }
        if !self.args.reveal {
            self.detail("(--reveal shows the values; they are made up)")?;
        }
        Ok(())
    }

    fn say(&self, text: &str) -> Result<(), Failure> {
        self.out.printer.line(format_args!("\n{text}"))
    }

    fn detail(&self, text: impl std::fmt::Display) -> Result<(), Failure> {
        self.out.printer.line(format_args!("   {text}"))
    }
}

/// What the examples hold, as the resolver finds it.
fn secrets() -> Result<Vec<Secret>, Failure> {
    let (name, contents) = EXAMPLES[0];
    let adoption = Adoption::find(name, contents, None)?;
    let secrets = adoption.finds.iter().filter(|find| !find.public);
    Ok(secrets.map(|find| Secret::copied_from(find.value.expose())).collect())
}

/// A folder that only we can look into, gone at the end.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn make(context: &Context, keep: bool) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("bulla-demo-{}", context.random_name()?));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| Failure::file("make", &path, &error))?;
        Ok(Self { path, keep })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

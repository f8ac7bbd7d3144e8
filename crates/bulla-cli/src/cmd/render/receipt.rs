//! The receipt of a render, one more of the files that it writes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use bulla_resolve::{Rendering, Secret, Target, Template};
use bulla_vault::Snapshot;

use super::RenderArgs;
use crate::cmd::target::time;
use crate::context::Context;
use crate::failure::Failure;
use crate::receipt::{OUTPUT, Receipt, TEMPLATE, Written};
use crate::templates::Job;

/// Where a receipt goes, and what it calls the files.
pub(super) struct Paths {
    /// Where it goes: as for the targets, below the new folder if there is one.
    own: PathBuf,
    /// There is no secret in it, so one that is there stays as readable as it is; a new one tells only its
    /// owner which entries there are.
    mode: Option<u32>,
    files: Vec<String>,
}

impl Paths {
    /// Refuses a receipt that would be of nothing, or that could not be written together with the files.
    pub(super) fn of(args: &RenderArgs, jobs: &[Job]) -> Result<Option<Self>, Failure> {
        let Some(receipt) = &args.receipt else { return Ok(None) };
        let mut files = Vec::with_capacity(jobs.len());
        for job in jobs {
            let Some(target) = &job.target else {
                return Err(Failure::usage("a receipt tells of files, and none would be written")
                    .hint("--output FILE or --into DIR says where the renderings go"));
            };
            let path =
                args.switch.as_ref().map_or_else(|| target.clone(), |link| link.join(target));
            let Some(path) = path.to_str() else {
                let fact = format!("a receipt cannot name {}, which is not UTF-8", path.display());
                return Err(Failure::usage(fact));
            };
            files.push(path.to_owned());
        }
        let (own, mode) = match &args.switch {
            None => {
                let there = fs::metadata(receipt).ok();
                (receipt.clone(), there.map(|there| there.mode() & 0o666))
            }
            Some(link) => match receipt.strip_prefix(link) {
                Ok(own) if own.file_name().is_some() => (own.to_owned(), None),
                _ => {
                    let fact = "with --switch, the receipt lies in the folder that LINK leads to";
                    let example = link.join("receipt.json");
                    return Err(
                        Failure::usage(fact).hint(format_args!("--receipt {}", example.display()))
                    );
                }
            },
        };
        Ok(Some(Self { own, mode, files }))
    }

    /// The receipt of these renderings, which were made from `snapshot`.
    pub(super) fn receipt(
        &self,
        context: &Context,
        snapshot: &Snapshot<'_>,
        templates: &[Template],
        renderings: &[Rendering],
    ) -> Result<Secret, Failure> {
        let written = |(path, (template, rendering)): (&String, (&Template, &Rendering))| {
            let mut values = rendering.used.clone();
            values.sort_by_cached_key(|(reference, _)| reference.to_string());
            let nonce = context.random_bytes()?;
            let place = Written::place(&nonce, path);
            Ok(Written {
                path: path.clone(),
                template: snapshot.receipt_digest(TEMPLATE, &place, template.bytes()),
                digest: snapshot.receipt_digest(OUTPUT, &place, rendering.contents.expose()),
                nonce,
                values,
            })
        };
        let files = self.files.iter().zip(templates.iter().zip(renderings)).map(written);
        let receipt = Receipt {
            vault: snapshot.vault_id(),
            key_epoch: snapshot.key_epoch().into(),
            epoch: snapshot.epoch(),
            time: time(context.now()),
            files: files.collect::<Result<_, Failure>>()?,
        };
        Ok(Secret::new(receipt.sealed(snapshot)))
    }

    /// It as one of the files to be written.
    pub(super) fn target<'a>(&'a self, contents: &'a Secret) -> Target<'a> {
        Target { path: &self.own, contents, mode: self.mode, owner: None }
    }
}

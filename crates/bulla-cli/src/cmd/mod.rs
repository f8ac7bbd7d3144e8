//! One file a command.

pub(crate) mod adopt;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod fsck;
pub(crate) mod genesys;
pub(crate) mod get;
pub(crate) mod identity;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod ls;
pub(crate) mod mailbox;
pub(crate) mod migrate;
pub(crate) mod mv;
pub(crate) mod passwd;
pub(crate) mod receipt;
pub(crate) mod refs;
pub(crate) mod rekey;
pub(crate) mod render;
pub(crate) mod revert;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod set;
pub(crate) mod show;
pub(crate) mod slot;
/// What several commands share: names as they are typed, times as they are shown.
pub(crate) mod target;
pub(crate) mod unlock;

use crate::args::Command;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// What a command comes to.
pub(crate) type Done = Result<Exit, Failure>;

pub(crate) fn run(context: &Context, command: Command) -> Done {
    match command {
        Command::Init(args) => init::run(context, &args),
        Command::Set(args) => set::run(context, &args),
        Command::Get(args) => get::run(context, &args),
        Command::Show(args) => show::run(context, &args),
        Command::Ls(args) => ls::run(context, &args),
        Command::Rm(args) => rm::run(context, &args),
        Command::Mv(args) => mv::run(context, &args),
        Command::Log(args) => log::run(context, &args),
        Command::Revert(args) => revert::run(context, &args),
        Command::Unlock(args) => unlock::run(context, &args),
        Command::Lock => lock::run(context),
        Command::Slot(command) => slot::run(context, command),
        Command::Identity(command) => identity::run(context, command),
        Command::Passwd(args) => passwd::run(context, &args),
        Command::Rekey(args) => rekey::run(context, &args),
        Command::Fsck => fsck::run(context),
        Command::Adopt(args) => adopt::run(context, &args),
        Command::Demo(args) => demo::run(context, &args),
        Command::Migrate(args) => migrate::run(context, &args),
        Command::Render(args) => render::run(context, &args),
        Command::Receipt(args) => receipt::run(context, &args),
        Command::Run(args) => run::run(context, &args),
        Command::Check(args) => check::run(context, &args),
        Command::Diff(args) => diff::run(context, &args),
        Command::Refs(args) => refs::run(context, &args),
        Command::Mailbox(command) => mailbox::run(context, command),
        Command::Genesys(command) => genesys::run(context, command),
        Command::Import(args) => import::run(context, &args),
        Command::Export(args) => export::run(context, &args),
        Command::Backup(command) => backup::run(context, command),
        Command::Doctor(args) => doctor::run(context, &args),
        Command::Completions(args) => completions::completions(context, &args),
        Command::Man(args) => completions::man(context, &args),
    }
}

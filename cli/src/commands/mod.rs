//! One file a command.

mod apply;
mod backup;
mod config;
mod credentials;
mod destroy;
mod havoc;
mod init;
mod plan;
mod recover;
mod render;
mod restore;
mod run;
mod sandbox;
mod scale;
mod schema;
mod status;
mod ui;
mod validate;

use crate::args::Command;
use crate::context::Context;
use crate::error::{CommandError, Exit};

/// Runs a command; its exit code.
pub(crate) async fn dispatch(command: Command, context: &Context) -> Result<Exit, CommandError> {
    match command {
        Command::Init(args) => init::run(context, &args),
        Command::Validate(args) => validate::run(context, &args),
        Command::Render(args) => render::run(context, &args),
        Command::Schema => schema::run(context),
        Command::Plan(args) => plan::run(context, &args).await,
        Command::Apply(args) => apply::run(context, &args).await,
        Command::Destroy(args) => destroy::run(context, &args).await,
        Command::Recover(args) => recover::run(context, &args).await,
        Command::Scale(args) => scale::run(context, &args).await,
        Command::Config(args) => config::run(context, args).await,
        Command::Status(args) => status::run(context, &args).await,
        Command::Backup(args) => backup::run(context, &args).await,
        Command::Restore(args) => restore::run(context, &args).await,
        Command::Havoc(args) => havoc::run(context, &args).await,
        Command::Credentials(args) => credentials::run(context, &args).await,
        Command::Ui(args) => ui::run(context, &args).await,
        Command::Sandbox(args) => sandbox::run(context, args).await,
    }
}

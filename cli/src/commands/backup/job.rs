//! `zkprov backup --to fileServer`: the scheduled backup, now.

use super::single;
use crate::args::{Backup, Format};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::session::Session;
use serde_json::json;
use zkprov_engine::provider::Course;
use zkprov_plans::resource::{KubeKind, ResourceKind};
use zkprov_plans::spec::BackupPlace;

/// How `--to` calls the place that only a pod can write to.
const FILE_SERVER: &str = "fileServer";

/// Whether the arguments ask for it, and in which form the result is wanted.
pub(super) fn asked(args: &Backup) -> Result<Option<Format>, CommandError> {
    let usage = |message: &str, hint: &str| Err(CommandError::new(Exit::Usage, message).hint(hint));
    let own = args.in_cluster || args.keep.is_some();
    if args.command.is_some() && own {
        return usage("--keep and --in-cluster are for taking a backup", "");
    }
    if args.to.as_deref().is_none_or(|to| to.as_os_str() != FILE_SERVER) {
        return Ok(None);
    }
    if args.command.is_some() {
        let hint = "mount its share, and name the directory: --to MOUNT/backups/NAME";
        return usage("only pods of the cluster reach the file server", hint);
    }
    if own {
        let hint = "`zkprov backup --to fileServer`";
        return usage("the scheduled backup has its own number to keep, and runs in the cluster", hint);
    }
    Ok(Some(args.format))
}

pub(super) async fn run(context: &Context, format: Format) -> Result<Exit, CommandError> {
    let (spec, desired) = single(context, "backup")?;
    let refused = |message: String, hint: &str| Err(CommandError::new(Exit::Failed, message).hint(hint));
    match spec.exhibitor.backup.as_ref().map(|backup| &backup.to) {
        Some(BackupPlace::FileServer) => {}
        Some(BackupPlace::Bucket(bucket)) => {
            let message = format!("the scheduled backups of {} are kept in {bucket}", spec.name);
            return refused(message, &format!("`zkprov backup --to {bucket}`"));
        }
        None => {
            let message =
                format!("{} has no scheduled backups: no job could write to the file server", spec.name);
            return refused(message, "add `spec.exhibitor.backup` to the file, and `zkprov apply`");
        }
    }
    let cron_job = desired.documents.iter().map(|document| &document.id);
    let cron_job = cron_job.into_iter().find(|id| id.kind == ResourceKind::Kube(KubeKind::CronJob));
    let Some(cron_job) = cron_job else {
        return refused("the templates render no CronJob".to_owned(), "`zkprov render` shows what they make");
    };
    let session = Session::open(context).await?;
    let tell = |course: Course| context.ui.note(&course.words());
    let ended = session.cloud.run_job(&spec, cron_job, &tell).await;
    session.close().await;
    let ended = ended?;
    match format {
        Format::Text => ended.log.iter().try_for_each(|line| context.ui.result_line(line))?,
        Format::Json => context
            .ui
            .result_json(&json!({ "job": ended.name, "done": ended.failure.is_none(), "log": ended.log }))?,
    }
    match ended.failure {
        None => Ok(Exit::Done),
        Some(why) => Err(CommandError::new(Exit::Failed, format!("job {} failed: {why}", ended.name))
            .hint(format!("`kubectl describe job {} --namespace {}`", ended.name, spec.exhibitor.namespace))),
    }
}

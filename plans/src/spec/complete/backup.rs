//! Backups on a schedule.

use super::{Context, or};
use crate::backup::BucketUrl;
use crate::spec::{BackupPlace, BackupSchedule, Resources, file};

const BASE: &str = "spec.exhibitor.backup";
/// What a CronJob's jobs add to its name has eleven characters, and `NAME-backup` seven: what is left of a label's 63.
const LONGEST_NAME: usize = 45;

pub(super) fn complete(given: file::BackupSchedule, context: &mut Context<'_>) -> BackupSchedule {
    let to = match given.to {
        Some(bucket) if BucketUrl::is_meant(&bucket) => BackupPlace::Bucket(bucket),
        Some(_) | None => BackupPlace::FileServer,
    };
    if to == BackupPlace::FileServer && given.google_service_account.is_some() {
        context.warning(
            &format!("{BASE}.googleServiceAccount"),
            "unused-service-account",
            "`googleServiceAccount` is not used".to_owned(),
            "Backups on the file server need nothing of Google's APIs.",
            "remove it, or keep the backups in a bucket: `to: gs://BUCKET/PREFIX`".to_owned(),
        );
    }
    let resources = given.resources.unwrap_or_default();
    BackupSchedule {
        schedule: given.schedule.unwrap_or_default(),
        time_zone: or(given.time_zone, "Etc/UTC"),
        keep: given.keep.unwrap_or(14),
        to,
        image: given.image.unwrap_or_default(),
        google_service_account: given.google_service_account,
        resources: Resources { cpu: or(resources.cpu, "250m"), memory: or(resources.memory, "1Gi") },
    }
}

/// The CronJob's name, and those of its jobs, begin with the ensemble's.
pub(super) fn check_name(backup: Option<&BackupSchedule>, name: &str, context: &mut Context<'_>) {
    if backup.is_some() && name.len() > LONGEST_NAME {
        let place = if context.places.has("metadata.name") { "metadata.name" } else { BASE };
        context.error(
            place,
            "name-too-long",
            format!("a name of {} characters is too long for scheduled backups", name.len()),
            "Kubernetes cuts off a CronJob's name at 52 characters, and this one's is `NAME-backup`.",
            format!("shorten it to {LONGEST_NAME} characters, or remove `backup`"),
        );
    }
}

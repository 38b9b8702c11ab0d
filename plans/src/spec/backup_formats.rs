//! Where scheduled backups go, and as whom: rules of single values.

use super::formats::{Problem, refuse};
use crate::backup::{BadBucketUrl, BucketUrl};

/// `fileServer`, or a bucket with a prefix.
pub(super) fn place(text: &str) -> Result<(), Problem> {
    if text == "fileServer" {
        return Ok(());
    }
    text.parse::<BucketUrl>().map(drop).or_else(|error: BadBucketUrl| {
        refuse(
            "invalid-place",
            format!("`{text}` is not a place for backups"),
            &format!("Scheduled backups are kept on the file server or in a bucket; {error}."),
            "write `fileServer`, or `gs://BUCKET/PREFIX`".to_owned(),
        )
    })
}

/// The address of a Google service account.
pub(super) fn google_service_account(text: &str) -> Result<(), Problem> {
    let known = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
    };
    let domain = |domain: &str| domain.strip_suffix(".gserviceaccount.com").is_some_and(known);
    if text.split_once('@').is_some_and(|(name, rest)| known(name) && domain(rest)) {
        return Ok(());
    }
    refuse(
        "invalid-service-account",
        format!("`{text}` is not the address of a Google service account"),
        "The job acts as this account by Workload Identity; a person's account can't be lent.",
        "list them: `gcloud iam service-accounts list`; an address is like `backup@my-project.iam.gserviceaccount.com`"
            .to_owned(),
    )
}

/// The shape of a name in the IANA's database; whether it is there, the API server knows.
pub(super) fn time_zone(text: &str) -> Result<(), Problem> {
    let known = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
    };
    let letter = text.starts_with(|c: char| c.is_ascii_alphabetic());
    // Of the machine that the controller happens to run on: Kubernetes refuses it.
    let local = text.eq_ignore_ascii_case("local");
    if letter && !local && text.split('/').all(known) {
        return Ok(());
    }
    refuse(
        "invalid-time-zone",
        format!("`{text}` is not a time zone"),
        "A time zone is a name of the IANA's database, such as `Etc/UTC` or `Europe/Zurich`.",
        "list them: `timedatectl list-timezones`".to_owned(),
    )
}

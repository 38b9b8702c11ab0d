//! `zkprov backup`: takes a backup of an ensemble's data, and looks after those there are.

mod job;

use crate::args::{Backup, Backups, Format, PruneBackups, VerifyBackups};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::session::Session;
use crate::{input, pipeline};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zkprov_engine::backup::{Found, Place, Taken, take};
use zkprov_engine::error::ProviderErrorKind;
use zkprov_engine::provider::Course;
use zkprov_engine::providers::ensemble::Members;
use zkprov_plans::backup::{BadBucketUrl, BucketUrl, Contents, Counts, FORMAT, Manifest, Source, Unusable};
use zkprov_plans::document::Desired;
use zkprov_plans::observed::Mode;
use zkprov_plans::spec::ValidSpec;

/// The directory beside the file.
const PLACE: &str = "backups";

pub(super) async fn run(context: &Context, args: &Backup) -> Result<Exit, CommandError> {
    if let Some(asked) = job::asked(args)? {
        return job::run(context, asked).await;
    }
    let location = location(context, args.to.as_deref())?;
    let Some(command) = &args.command else { return take_one(context, args, location).await };
    // A directory takes no cloud.
    let (place, session) = match location {
        Location::Directory(path) => (Place::directory(path), None),
        bucket @ Location::Bucket(_) => {
            let session = Session::open(context).await?;
            (bucket.reach(&session)?, Some(session))
        }
    };
    let result = match command {
        Backups::List => list(context, args.format, &place).await,
        Backups::Verify(one) => verify(context, args.format, one, &place).await,
        Backups::Prune(one) => prune(context, args.format, one, &place).await,
    };
    if let Some(session) = session {
        session.close().await;
    }
    result
}

/// Where backups are, before anything is reached.
#[derive(Debug, Clone)]
pub(super) enum Location {
    Directory(PathBuf),
    Bucket(BucketUrl),
}

impl Location {
    pub(super) fn reach(self, session: &Session) -> Result<Place, CommandError> {
        Ok(match self {
            Self::Directory(path) => Place::directory(path),
            Self::Bucket(url) => Place::Bucket(session.cloud.bucket(url)?),
        })
    }
}

/// Where backups are: as asked, or beside the first file.
pub(super) fn location(context: &Context, asked: Option<&Path>) -> Result<Location, CommandError> {
    let beside = || {
        let file = input::named(context).into_iter().next().unwrap_or_default();
        let directory =
            if file.is_dir() { file } else { file.parent().map(Path::to_owned).unwrap_or_default() };
        Location::Directory(directory.join(PLACE))
    };
    asked.map_or_else(|| Ok(beside()), parse)
}

/// A directory, or a bucket where the text is meant as one.
pub(super) fn parse(asked: &Path) -> Result<Location, CommandError> {
    match asked.to_str().filter(|text| BucketUrl::is_meant(text)) {
        None => Ok(Location::Directory(asked.to_owned())),
        Some(text) => text.parse().map(Location::Bucket).map_err(|error: BadBucketUrl| {
            CommandError::new(Exit::Usage, error.to_string())
                .hint("`gcloud storage ls` names the buckets there are")
        }),
    }
}

/// The one ensemble of the files.
pub(super) fn single(context: &Context, doing: &str) -> Result<(ValidSpec, Desired), CommandError> {
    let mut specs = input::specs(context)?;
    let mut desired = pipeline::render(context, &specs)?;
    match (specs.pop(), desired.pop()) {
        (Some(spec), Some(desired)) if specs.is_empty() => Ok((spec, desired)),
        _ => Err(CommandError::new(
            Exit::Usage,
            format!("{doing} works on one ensemble, and the file has several"),
        )
        .hint("name a file with one document: -f FILE")),
    }
}

async fn take_one(context: &Context, args: &Backup, location: Location) -> Result<Exit, CommandError> {
    let (spec, desired) = single(context, "backup")?;
    let session = if args.in_cluster {
        Session::open_in_cluster(context).await?
    } else {
        Session::open(context).await?
    };
    let place = location.reach(&session)?;
    let result = async {
        let members = session.cloud.members(&spec, &desired).await?;
        let taken = fresh(context, &members, &spec.name, &place).await?;
        tell(context, args.format, &taken)?;
        let Some(keep) = args.keep else { return Ok(Exit::Done) };
        for name in surplus(context, &place, keep, Some(&spec.name)).await? {
            place.remove(&name).await?;
            context.ui.note(&format!("deleted {name}"));
        }
        Ok(Exit::Done)
    };
    let result = result.await;
    session.close().await;
    result
}

fn tell(context: &Context, format: Format, taken: &Fresh) -> Result<(), CommandError> {
    let Fresh { path, manifest, .. } = taken;
    match format {
        Format::Text => {
            let Source { pod, role, .. } = &manifest.source;
            context.ui.note(&format!("{}, read from {role} {pod}", words(manifest)));
            context.ui.result_line(path)
        }
        Format::Json => context.ui.result_json(&json!({ "path": path, "manifest": manifest })),
    }
}

/// The oldest backups of each ensemble, or of one, so that `keep` of it are left.
async fn surplus(
    context: &Context,
    place: &Place,
    keep: u32,
    only: Option<&str>,
) -> Result<Vec<String>, CommandError> {
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    let mut by_ensemble: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for found in found(context, place).await? {
        match found.manifest {
            Ok(manifest) => by_ensemble.entry(manifest.ensemble).or_default().push(found.name),
            // It is not counted: a damaged backup must not push out a whole one.
            Err(error) => context.ui.note(&format!("{} is damaged and stays: {error}", found.name)),
        }
    }
    by_ensemble.retain(|ensemble, _| only.is_none_or(|only| ensemble == only));
    let oldest = |names: Vec<String>| {
        let surplus = names.len().saturating_sub(keep);
        names.into_iter().take(surplus)
    };
    Ok(by_ensemble.into_values().flat_map(oldest).collect())
}

/// A backup that was just taken.
pub(super) struct Fresh {
    /// Where it is.
    pub(super) path: String,
    pub(super) manifest: Manifest,
    /// What the ensemble had.
    pub(super) taken: Taken,
}

/// Reads the ensemble and keeps what it has.
pub(super) async fn fresh(
    context: &Context,
    members: &Members,
    ensemble: &str,
    place: &Place,
) -> Result<Fresh, CommandError> {
    let taken = take(members, &|course: Course| context.ui.note(&course.words())).await?;
    let contents = Contents::of(&taken.loaded.tree);
    let time = (context.clock())();
    let role = match taken.role {
        Mode::Leader => "leader",
        Mode::Follower => "follower",
        Mode::Observer => "observer",
        Mode::Standalone => "standalone",
    };
    let snapshot =
        taken.loaded.snapshot.map_or_else(|| "no snapshot".to_owned(), |zxid| format!("snapshot {zxid}"));
    let manifest = Manifest {
        format: FORMAT,
        ensemble: ensemble.to_owned(),
        time: time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        source: Source {
            pod: taken.pod.clone(),
            role: role.to_owned(),
            read: format!("{snapshot} and {} transactions", taken.loaded.transactions),
        },
        epoch: taken.loaded.zxid.epoch(),
        zxid: taken.loaded.zxid,
        counts: Counts::of(&contents),
        files: BTreeMap::new(),
        zkprov: env!("CARGO_PKG_VERSION").to_owned(),
    };
    // The transaction tells two backups of one second apart; two of one transaction are one.
    let name = format!("{ensemble}-{}-{:x}", time.strftime("%Y%m%dT%H%M%SZ"), taken.loaded.zxid.0);
    let manifest = place.write(&name, manifest, &contents).await?;
    // What can't be read again is no backup.
    let path = place.of(&name);
    let (_, again) = place.read(&name).await?;
    if again != contents {
        return Err(CommandError::new(Exit::Failed, format!("{path} is not what was written")));
    }
    Ok(Fresh { path, manifest, taken })
}

/// A backup in a line.
pub(super) fn words(manifest: &Manifest) -> String {
    let Counts { znodes, ephemerals, acls, bytes } = manifest.counts;
    let ephemeral = if ephemerals == 0 { String::new() } else { format!(" ({ephemerals} ephemeral)") };
    format!(
        "{} as of {}: {znodes} znodes{ephemeral}, {acls} ACLs, {bytes} bytes",
        manifest.ensemble, manifest.zxid
    )
}

/// The backups of a place. What has no manifest where that is written last is none; it is only told of.
async fn found(context: &Context, place: &Place) -> Result<Vec<Found>, CommandError> {
    let mut found = place.list().await?;
    found.retain(|one| {
        let unfinished = one.manifest == Err(Unusable::Unfinished);
        if unfinished {
            context.ui.note(&format!(
                "{} is no backup: it has no manifest, so it is being written or deleted, or that was cut; gcloud storage rm \
                 --recursive {} deletes what is left of it",
                one.name,
                place.of(&one.name)
            ));
        }
        !unfinished
    });
    Ok(found)
}

async fn list(context: &Context, format: Format, place: &Place) -> Result<Exit, CommandError> {
    let found = found(context, place).await?;
    match format {
        Format::Text => {
            for one in &found {
                let line = match &one.manifest {
                    Ok(manifest) => format!("{}  {}  {}", one.name, manifest.time, words(manifest)),
                    Err(error) => format!("{}  damaged: {error}", one.name),
                };
                context.ui.result_line(&line)?;
            }
            if found.is_empty() {
                context.ui.note(&format!("no backups in {}", place.of("")));
            }
        }
        Format::Json => {
            let one = |found: &Found| match &found.manifest {
                Ok(manifest) => json!({ "name": found.name, "manifest": manifest }),
                Err(error) => json!({ "name": found.name, "damaged": error.to_string() }),
            };
            context.ui.result_json(&found.iter().map(one).collect::<Vec<_>>())?;
        }
    }
    Ok(Exit::Done)
}

async fn verify(
    context: &Context,
    format: Format,
    args: &VerifyBackups,
    place: &Place,
) -> Result<Exit, CommandError> {
    let names = if args.names.is_empty() {
        found(context, place).await?.into_iter().map(|found| found.name).collect()
    } else {
        args.names.clone()
    };
    let mut damaged = 0_usize;
    let mut told = Vec::new();
    for name in names {
        let read = match place.read(&name).await {
            // What could not be read is not known to be damaged.
            Err(error) if error.kind != ProviderErrorKind::Failed => return Err(error.into()),
            read => read,
        };
        damaged += usize::from(read.is_err());
        match format {
            Format::Text => context.ui.result_line(&match read {
                Ok((manifest, _)) => format!("{name}  whole: {}", words(&manifest)),
                Err(error) => format!("{name}  damaged: {}", error.message),
            })?,
            Format::Json => told.push(match read {
                Ok((manifest, _)) => json!({ "name": name, "whole": true, "manifest": manifest }),
                Err(error) => json!({ "name": name, "whole": false, "why": error.message }),
            }),
        }
    }
    if format == Format::Json {
        context.ui.result_json(&told)?;
    }
    if damaged == 0 {
        return Ok(Exit::Done);
    }
    Err(CommandError::new(Exit::Failed, format!("{damaged} of the backups can't be restored"))
        .hint("delete their folders, and take a new one: `zkprov backup`"))
}

async fn prune(
    context: &Context,
    format: Format,
    args: &PruneBackups,
    place: &Place,
) -> Result<Exit, CommandError> {
    let gone = surplus(context, place, args.keep, None).await?;
    if !args.dry_run {
        for name in &gone {
            place.remove(name).await?;
        }
    }
    let verb = if args.dry_run { "would delete" } else { "deleted" };
    match format {
        Format::Text => gone.iter().try_for_each(|name| context.ui.result_line(&format!("{verb} {name}")))?,
        Format::Json => context.ui.result_json(&json!({ "dryRun": args.dry_run, "deleted": gone }))?,
    }
    Ok(Exit::Done)
}

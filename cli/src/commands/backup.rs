//! `zkprov backup`: takes a backup of an ensemble's data, and looks after those there are.

use crate::args::{Backup, Backups, Format, PruneBackups, VerifyBackups};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::session::Session;
use crate::{input, pipeline};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zkprov_engine::backup::{Folder, Found, Taken, take};
use zkprov_engine::provider::Course;
use zkprov_engine::providers::ensemble::Members;
use zkprov_plans::backup::{Contents, Counts, FORMAT, Manifest, Source};
use zkprov_plans::document::Desired;
use zkprov_plans::observed::Mode;
use zkprov_plans::spec::ValidSpec;

/// The directory beside the file.
const PLACE: &str = "backups";

pub(super) async fn run(context: &Context, args: &Backup) -> Result<Exit, CommandError> {
    let folder = place(context, args.to.as_deref());
    match &args.command {
        None => take_one(context, args, &folder).await,
        Some(Backups::List) => list(context, args.format, &folder),
        Some(Backups::Verify(one)) => verify(context, args.format, one, &folder),
        Some(Backups::Prune(one)) => prune(context, args.format, one, &folder),
    }
}

/// Where backups are: as asked, or beside the first file.
pub(super) fn place(context: &Context, asked: Option<&Path>) -> Folder {
    let beside = || {
        let file = input::named(context).into_iter().next().unwrap_or_default();
        let directory =
            if file.is_dir() { file } else { file.parent().map(Path::to_owned).unwrap_or_default() };
        directory.join(PLACE)
    };
    Folder::new(asked.map_or_else(beside, Path::to_owned))
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

async fn take_one(context: &Context, args: &Backup, folder: &Folder) -> Result<Exit, CommandError> {
    let (spec, desired) = single(context, "backup")?;
    let session = Session::open(context).await?;
    let result = async {
        let members = session.cloud.members(&spec, &desired).await?;
        let taken = take(&members, &|course: Course| context.ui.note(&course.words())).await?;
        write(context, &spec.name, &taken, folder)
    };
    let result = result.await;
    session.close().await;
    let (path, manifest) = result?;
    match args.format {
        Format::Text => {
            context.ui.note(&format!(
                "{}, read from {} {}",
                words(&manifest),
                manifest.source.role,
                manifest.source.pod
            ));
            context.ui.result_line(&path.display().to_string())?;
        }
        Format::Json => context.ui.result_json(&json!({ "path": path, "manifest": manifest }))?,
    }
    Ok(Exit::Done)
}

/// Reads the ensemble and keeps what it has.
pub(super) async fn fresh(
    context: &Context,
    members: &Members,
    ensemble: &str,
    folder: &Folder,
) -> Result<(PathBuf, Taken), CommandError> {
    let taken = take(members, &|course: Course| context.ui.note(&course.words())).await?;
    let (path, _) = write(context, ensemble, &taken, folder)?;
    Ok((path, taken))
}

fn write(
    context: &Context,
    ensemble: &str,
    taken: &Taken,
    folder: &Folder,
) -> Result<(PathBuf, Manifest), CommandError> {
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
    let manifest = folder.write(&name, manifest, &contents)?;
    // What can't be read again is no backup.
    let path = folder.of(&name);
    let (_, again) = Folder::read(&path)?;
    if again != contents {
        return Err(CommandError::new(Exit::Failed, format!("{} is not what was written", path.display())));
    }
    Ok((path, manifest))
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

fn list(context: &Context, format: Format, folder: &Folder) -> Result<Exit, CommandError> {
    let found = folder.list()?;
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
                context.ui.note(&format!("no backups in {}", folder.of("").display()));
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

fn verify(
    context: &Context,
    format: Format,
    args: &VerifyBackups,
    folder: &Folder,
) -> Result<Exit, CommandError> {
    let names = if args.names.is_empty() {
        folder.list()?.into_iter().map(|found| found.name).collect()
    } else {
        args.names.clone()
    };
    let mut damaged = 0_usize;
    let mut told = Vec::new();
    for name in names {
        let read = Folder::read(&folder.of(&name));
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

fn prune(
    context: &Context,
    format: Format,
    args: &PruneBackups,
    folder: &Folder,
) -> Result<Exit, CommandError> {
    let keep = usize::try_from(args.keep).unwrap_or(usize::MAX);
    let mut by_ensemble: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for found in folder.list()? {
        match found.manifest {
            Ok(manifest) => by_ensemble.entry(manifest.ensemble).or_default().push(found.name),
            // It is not counted: a damaged backup must not push out a whole one.
            Err(error) => context.ui.note(&format!("{} is damaged and stays: {error}", found.name)),
        }
    }
    let mut gone = Vec::new();
    for names in by_ensemble.values() {
        let surplus = names.len().saturating_sub(keep);
        for name in names.iter().take(surplus) {
            if !args.dry_run {
                folder.remove(name)?;
            }
            gone.push(name.clone());
        }
    }
    let verb = if args.dry_run { "would delete" } else { "deleted" };
    match format {
        Format::Text => gone.iter().try_for_each(|name| context.ui.result_line(&format!("{verb} {name}")))?,
        Format::Json => context.ui.result_json(&json!({ "dryRun": args.dry_run, "deleted": gone }))?,
    }
    Ok(Exit::Done)
}

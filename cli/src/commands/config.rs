//! `zkprov config`: Exhibitor's and ZooKeeper's settings as they are, and the guarded steps to others.

use super::run::Sink;
use crate::args::{Config, ConfigGet, ConfigSet, Consent, Format};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::session::Session;
use crate::{input, pipeline, ui};
use serde_json::{Value, json};
use std::io::Write;
use zkprov_plans::diagnostic::Severity;
use zkprov_plans::document::Desired;
use zkprov_plans::exhibitor;
use zkprov_plans::observed::Reading;
use zkprov_plans::resource::ResourceKind;
use zkprov_plans::settings::{self, Effect, Setting};
use zkprov_plans::spec::{self, ValidSpec};

pub(super) async fn run(context: &Context, command: Config) -> Result<Exit, CommandError> {
    match command {
        Config::Get(args) => get(context, &args).await,
        Config::Set(args) => set(context, &args).await,
    }
}

async fn get(context: &Context, args: &ConfigGet) -> Result<Exit, CommandError> {
    for name in &args.names {
        path_of(name)?;
    }
    let specs = input::specs(context)?;
    let desired = pipeline::render(context, &specs)?;
    let ([spec], [desired]) = (specs.as_slice(), desired.as_slice()) else { return Err(several()) };
    let session = Session::open(context).await?;
    let read = session.cloud.ensemble(spec, desired).await;
    session.close().await;
    let config = match read {
        Reading::Known(state) => state.config,
        Reading::Absent => {
            return Err(CommandError::new(Exit::Failed, format!("{} does not exist", spec.name))
                .hint("`zkprov apply` creates it"));
        }
        Reading::Unavailable(gap) => {
            let message = format!("{} could not be read: {}", gap.what, gap.why);
            return Err(CommandError::new(Exit::Failed, message).hint(gap.hint));
        }
    };
    let live = config.as_ref().map(exhibitor::settings).unwrap_or_default();
    let mut all = settings::settings(&live, &declared(desired));
    all.retain(|one| args.names.is_empty() || args.names.contains(&one.name));
    let text = match args.format {
        Format::Text => ui::settings_table(&all),
        Format::Json => format!("{:#}\n", all.iter().map(json_of).collect::<Value>()),
    };
    context.ui.result(&text)?;
    Ok(Exit::Done)
}

/// The settings of the rendered ensemble.
fn declared(desired: &Desired) -> Value {
    let ensemble = desired.documents.iter().find(|document| document.id.kind == ResourceKind::Ensemble);
    ensemble.and_then(|document| document.body.get("settings").cloned()).unwrap_or_default()
}

fn json_of(setting: &Setting) -> Value {
    let effect = match setting.effect {
        Effect::Live => "live",
        Effect::Rolling => "rolling",
        Effect::AllAtOnce => "all-at-once",
    };
    json!({
        "name": setting.name, "key": setting.key, "live": setting.live, "declared": setting.declared,
        "effect": effect,
    })
}

async fn set(context: &Context, args: &ConfigSet) -> Result<Exit, CommandError> {
    let mut changes = Vec::new();
    for pair in &args.settings {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(CommandError::new(Exit::Usage, format!("`{pair}` is not KEY=VALUE"))
                .hint("e.g. `zkprov config set zooCfg.tickTime=3000`"));
        };
        changes.push((path_of(name)?, value));
    }
    let mut overrides = context.global.set.clone();
    overrides.extend(changes.iter().map(|(path, value)| format!("{path}={value}")));
    let loaded = input::load_with(context, &overrides)?;
    input::report(context, &loaded.diagnostics);
    if loaded.diagnostics.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(CommandError::silent(Exit::Failed));
    }
    let [ValidSpec { name, .. }] = loaded.specs.as_slice() else { return Err(several()) };
    let name = name.clone();
    if args.write {
        // Whether the file can follow is known before anything is changed.
        edited(context, &name, &changes)?;
    }
    let sink = Sink::new(context, args.format);
    let session = Session::open(context).await?;
    let result =
        super::apply::fresh(context, &session, loaded.specs, &Consent::default(), args.yes, &sink).await;
    session.close().await;
    let exit = result?;
    if exit != Exit::Done {
        return Ok(exit);
    }
    if args.write {
        let (path, text) = edited(context, &name, &changes)?;
        input::write_atomically(context, &path, |file| file.write_all(text.as_bytes()))?;
        context.ui.note(&format!("{} says so now", path.display()));
    } else {
        context.ui.note("the file does not say so: the next apply sets it back, unless --write or an edit brings it along");
    }
    Ok(exit)
}

/// The one file with the new values, its comments and layout kept.
fn edited(
    context: &Context,
    ensemble: &str,
    changes: &[(String, &str)],
) -> Result<(std::path::PathBuf, String), CommandError> {
    let files = input::named(context);
    let [path] = files.as_slice() else {
        return Err(CommandError::new(Exit::Failed, "--write needs exactly one file; nothing was changed"));
    };
    let doing = format!("editing {}", path.display());
    let mut text = std::fs::read_to_string(path).map_err(|error| CommandError::failed(&doing, &error))?;
    for (place, value) in changes {
        text = spec::set_scalar(&text, ensemble, place, value).map_err(|error| {
            CommandError::failed(&doing, &error)
                .hint(format!("write `{place}: {value}` into the file, and run `zkprov apply`"))
        })?;
    }
    Ok((path.clone(), text))
}

fn path_of(name: &str) -> Result<String, CommandError> {
    settings::path(name).map_err(|known| {
        CommandError::new(Exit::Usage, format!("there is no setting `{name}`"))
            .hint(format!("known are {}", known.join(", ")))
    })
}

fn several() -> CommandError {
    CommandError::new(Exit::Usage, "config is about one ensemble, and the file has several")
        .hint("name a file with one document: -f FILE")
}

//! `zkprov restore`: makes an ensemble's data equal to a backup, and reads it back.

use super::backup::{self, Fresh, Location};
use crate::args::Restore;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::input;
use crate::session::Session;
use crate::signals::Signals;
use std::path::Path;
use zkprov_engine::backup::{Folder, Place, Restored, restore, take};
use zkprov_engine::cloud::Holder;
use zkprov_engine::executor::Providers;
use zkprov_engine::provider::Course;
use zkprov_engine::providers::zookeeper::Auth;
use zkprov_plans::backup::{Contents, Difference, Manifest, difference, is_vacant};
use zkprov_plans::document::Desired;
use zkprov_plans::resource::{ResourceId, ResourceKind, Scope};
use zkprov_plans::spec::ValidSpec;
use zkprov_plans::zookeeper::Tree;

/// How many paths of each kind `--dry-run` names.
const SHOWN: usize = 10;

pub(super) async fn run(context: &Context, args: &Restore) -> Result<Exit, CommandError> {
    let kept = backup::location(context, args.to.as_deref())?;
    let given = backup::parse(&args.backup)?;
    let auth = args.auth.iter().map(|text| auth(text)).collect::<Result<Vec<_>, _>>()?;
    let (spec, desired) = backup::single(context, "restore")?;
    let session = Session::open(context).await?;
    let signals = Signals::listen()?;
    let mut stop = signals.stop.clone();
    let place = kept.reach(&session)?;
    let work = async {
        // Before the ensemble is reached: what can't be read as a whole is not restored in part.
        let (manifest, contents) = read(&session, &place, given).await?;
        context.ui.note(&format!("backup of {}", backup::words(&manifest)));
        let work = Work { context, args, place, auth, contents, spec: &spec, desired: &desired };
        work.begin(&session).await
    };
    let result = tokio::select! {
        result = work => result,
        // What is made is made; the next run finds what is left to do.
        _ = stop.wait_for(|stop| *stop) => Ok(signals.exit()),
    };
    session.close().await;
    result
}

/// Reads what was given: a URL, a path that is there, or a name among the backups.
async fn read(
    session: &Session,
    place: &Place,
    given: Location,
) -> Result<(Manifest, Contents), CommandError> {
    Ok(match given {
        Location::Bucket(url) => {
            let (above, name) = url.split_last().ok_or_else(|| {
                CommandError::new(Exit::Usage, format!("{url} is a bucket and no backup"))
                    .hint(format!("zkprov backup list --to {url}"))
            })?;
            Location::Bucket(above).reach(session)?.read(name).await?
        }
        Location::Directory(path) if path.exists() => Folder::read(&path)?,
        Location::Directory(path) => place.read(&path.to_string_lossy()).await?,
    })
}

/// `digest:FILE`.
fn auth(text: &str) -> Result<Auth, CommandError> {
    let (scheme, file) = text
        .split_once(':')
        .filter(|(scheme, file)| !scheme.is_empty() && !file.is_empty())
        .ok_or_else(|| {
            CommandError::new(Exit::Usage, format!("--auth {text} is not SCHEME:FILE"))
                .hint("--auth digest:FILE, with USER:PASSWORD in the file")
        })?;
    let secret = input::text_of(Path::new(file))?;
    Ok(Auth { scheme: scheme.to_owned(), secret: secret.trim_end_matches(['\r', '\n']).as_bytes().to_vec() })
}

struct Work<'a> {
    context: &'a Context,
    args: &'a Restore,
    place: Place,
    auth: Vec<Auth>,
    contents: Contents,
    spec: &'a ValidSpec,
    desired: &'a Desired,
}

impl Work<'_> {
    async fn begin(&self, session: &Session) -> Result<Exit, CommandError> {
        let members = session.cloud.members(self.spec, self.desired).await?;
        let note = |course: Course| self.context.ui.note(&course.words());
        let before = take(&members, &note).await?;
        let left = difference(&before.loaded.tree, &self.contents);
        self.show(&left)?;
        if self.args.dry_run {
            return Ok(Exit::Done);
        }
        if left.is_empty() && left.counters.is_empty() {
            self.context.ui.result_line("nothing to do: the ensemble's data is the backup's")?;
            return Ok(Exit::Done);
        }
        self.consent(&before.loaded.tree)?;
        let clock = self.context.clock();
        let providers = session.cloud.providers(self.spec, Holder { name: self.context.holder(), clock });
        providers.lock(&self.id()).await?;
        let restored = async {
            // What is there now is what comes back if this was a mistake.
            let before = if is_vacant(&before.loaded.tree) {
                before
            } else {
                let Fresh { path, taken, .. } =
                    backup::fresh(self.context, &members, &self.spec.name, &self.place).await?;
                self.context.ui.note(&format!("what it has now is kept in {path}"));
                taken
            };
            Ok(restore(&members, &self.contents, &before, &self.auth, &note).await?)
        };
        let restored: Result<Restored, CommandError> = restored.await;
        providers.release().await;
        self.conclude(&restored?)
    }

    fn id(&self) -> ResourceId {
        let namespace = self.spec.exhibitor.namespace.clone();
        let scope = Scope::Kube { cluster: self.spec.cluster.name().to_owned(), namespace };
        ResourceId { kind: ResourceKind::Ensemble, scope, name: self.spec.name.clone() }
    }

    fn show(&self, left: &Difference) -> Result<(), CommandError> {
        let Difference { clear, create, data, acl, delete, counters } = left;
        let deleted: Vec<String> = clear.iter().chain(delete).cloned().collect();
        let kinds = [("create", create), ("set data", data), ("set ACL", acl), ("delete", &deleted)];
        for (verb, paths) in kinds.into_iter().filter(|(_, paths)| !paths.is_empty()) {
            self.context.ui.result_line(&format!("{verb}: {} znodes", paths.len()))?;
            for path in paths.iter().take(SHOWN) {
                self.context.ui.result_line(&format!("  {path}"))?;
            }
            if paths.len() > SHOWN {
                self.context.ui.result_line(&format!("  and {} more", paths.len() - SHOWN))?;
            }
        }
        for counter in counters.iter().take(SHOWN) {
            let line = format!("bring the sequence of {} forward by {}", counter.path, counter.behind);
            self.context.ui.result_line(&line)?;
        }
        if left.is_empty() && counters.is_empty() && self.args.dry_run {
            self.context.ui.result_line("no difference")?;
        }
        Ok(())
    }

    /// Data that is there is replaced only by its owner's word: the typed name.
    fn consent(&self, now: &Tree) -> Result<(), CommandError> {
        let name = &self.spec.name;
        let wrong = |typed: &str| {
            CommandError::new(
                Exit::Refused,
                format!("`{typed}` is not the name `{name}`; nothing was changed"),
            )
            .hint(format!("--confirm {name}"))
        };
        match &self.args.confirm {
            Some(typed) if typed == name => Ok(()),
            Some(typed) => Err(wrong(typed)),
            None if is_vacant(now) => Ok(()),
            None if !self.context.interactive() => Err(CommandError::new(
                Exit::Usage,
                format!("{name} has data, which the restore replaces; --confirm was not given and there is no terminal to type the name at"),
            )
            .hint(format!("--confirm {name}"))),
            None => {
                let question = format!("{name} has data, which the restore replaces. Type the name `{name}` to go on:");
                let typed = self.context.ui.ask(&question)?;
                if typed == *name { Ok(()) } else { Err(wrong(&typed)) }
            }
        }
    }

    fn conclude(&self, restored: &Restored) -> Result<Exit, CommandError> {
        let as_of = restored.read_back.as_ref().map(|taken| taken.loaded.zxid).unwrap_or_default();
        let line = format!(
            "restored {}: {} changes; read back as of {as_of} and equal to the backup",
            self.spec.name, restored.changes
        );
        self.context.ui.result_line(&line)?;
        if restored.behind.is_empty() {
            return Ok(Exit::Done);
        }
        for counter in &restored.behind {
            self.context.ui.complain(&format!(
                "the next sequential node below {} gets a number that is {} behind: too many steps to bring it forward",
                counter.path, counter.behind
            ));
        }
        Ok(Exit::Partial)
    }
}

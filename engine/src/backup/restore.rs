//! Makes the contents of an ensemble equal to a backup.

use super::member::{Taken, take};
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Course, Progress};
use crate::providers::ensemble::{Members, Target};
use crate::providers::zookeeper::{Auth, Error, Kind, Mode, Operation, ZooKeeper};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{self, StreamExt, TryStreamExt};
use sha1::{Digest, Sha1};
use std::collections::BTreeSet;
use std::time::Duration;
use zkprov_plans::backup::{Contents, Counter, Difference, Saved, difference};
use zkprov_plans::zookeeper::Acl;
use zkprov_plans::zookeeper::tree::split;

const SESSION: Duration = Duration::from_secs(30);
/// Requests under way at once.
const AT_ONCE: usize = 32;
/// The most changes of one multi, and the most bytes: a request may have 1 MB.
const CHANGES: usize = 200;
const BYTES: usize = 512 * 1024;
/// How often what is left to do is looked for.
const ROUNDS: u32 = 5;
/// How far all counters together are brought forward; each step is a node made and deleted.
const STEPS: u32 = 100_000;
/// Permissions to create nodes below one.
const CREATE: i32 = 4;
const ALL: i32 = 31;

/// What a restore did.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// Nodes that were made, changed and deleted.
    pub changes: usize,
    /// Counters that were too far behind to be brought forward.
    pub behind: Vec<Counter>,
    /// What was read back and compared at the end.
    pub read_back: Option<Taken>,
}

/// Restores a backup and reads it back. What is left to do is found by reading the ensemble, so a restore that was interrupted
/// goes on when it is run again, and what somebody else changes meanwhile is set right.
///
/// `before` is what the ensemble had when the restore was approved.
///
/// # Errors
/// When ZooKeeper refuses a change, above all by an ACL; when the ensemble does not become equal.
pub async fn restore(
    members: &Members,
    wanted: &Contents,
    before: &Taken,
    auth: &[Auth],
    progress: Progress<'_>,
) -> Result<Restored, ProviderError> {
    let mut restored = Restored::default();
    let mut left = difference(&before.loaded.tree, wanted);
    let own = Own::of(wanted);
    let auth: Vec<Auth> = auth.iter().cloned().chain([own.auth()]).collect();
    let mut trouble = None;
    for round in 0..ROUNDS {
        let skipped = too_far(&mut left.counters);
        restored.behind = skipped;
        if round > 0 && left.is_empty() && left.counters.is_empty() {
            return Ok(restored);
        }
        progress(Course::Doing(words(&left)));
        match carry_out(members, &left, wanted, &auth, &own).await {
            Ok(changes) => restored.changes += changes,
            Err(error) => match error.kind {
                Kind::NoAuth => return Err(forbidden(&error)),
                Kind::InvalidAcl | Kind::Other => return Err(refused(&error)),
                // Others write, too, or the connection was lost: another look tells what is left.
                Kind::NoNode
                | Kind::NodeExists
                | Kind::NotEmpty
                | Kind::BadVersion
                | Kind::Lost
                | Kind::Expired => {
                    progress(Course::Doing(format!("looking again: {error}")));
                    trouble = Some(error);
                }
            },
        }
        let taken = take(members, progress).await?;
        left = difference(&taken.loaded.tree, wanted);
        restored.read_back = Some(taken);
    }
    let skipped = too_far(&mut left.counters);
    restored.behind = skipped;
    if left.is_empty() && left.counters.is_empty() {
        return Ok(restored);
    }
    let why = trouble.map_or(String::new(), |error| format!(" ({error})"));
    let message = format!("after {ROUNDS} rounds there is still to do: {}{why}", words(&left));
    Err(ProviderError::new(ProviderErrorKind::Failed, "restoring", message)
        .hint("stop the clients that write to the same nodes, and run the same command again"))
}

fn refused(error: &Error) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Failed, error.doing.clone(), error.message.clone())
}

fn forbidden(error: &Error) -> ProviderError {
    let message = "its ACL, or its parent's, forbids it";
    ProviderError::new(ProviderErrorKind::Denied, error.doing.clone(), message).hint(
        "--auth digest:FILE with USER:PASSWORD of one who may, or of ZooKeeper's super user; then run the same command again",
    )
}

/// A difference in a line.
fn words(left: &Difference) -> String {
    let Difference { clear, create, data, acl, delete, counters } = left;
    let changed = data.iter().chain(acl).collect::<BTreeSet<_>>().len();
    let counted = if counters.is_empty() { String::new() } else { format!(", {} counters", counters.len()) };
    format!(
        "{} to create, {changed} to change, {} to delete{counted}",
        create.len(),
        clear.len() + delete.len()
    )
}

/// Takes out the counters that would take too many steps.
fn too_far(counters: &mut Vec<Counter>) -> Vec<Counter> {
    let mut steps = 0_u32;
    counters.sort_by_key(|counter| counter.behind);
    let fits = counters.iter().take_while(|counter| {
        steps = steps.saturating_add(counter.behind);
        steps <= STEPS
    });
    let fits = fits.count();
    counters.split_off(fits)
}

/// Who the restore is while it works: nobody else knows this name, and a later run for the same backup has it, too. Nodes
/// whose own ACL would not let us make their children have it beside their own until the end.
struct Own {
    secret: String,
    acl: Acl,
}

impl Own {
    fn of(wanted: &Contents) -> Self {
        let secret = format!("zkprov-restore:{}", wanted.fingerprint());
        let id = format!("zkprov-restore:{}", STANDARD.encode(Sha1::digest(&secret)));
        Self { secret, acl: Acl { perms: ALL, scheme: "digest".to_owned(), id } }
    }

    fn auth(&self) -> Auth {
        Auth { scheme: "digest".to_owned(), secret: self.secret.clone().into_bytes() }
    }
}

async fn carry_out(
    members: &Members,
    left: &Difference,
    wanted: &Contents,
    auth: &[Auth],
    own: &Own,
) -> Result<usize, Error> {
    let gateway = members.gateway(Target::Ready).await.map_err(|error| Error {
        kind: Kind::Lost,
        doing: error.doing,
        message: error.message,
    })?;
    let client = ZooKeeper::connect(gateway.address(), SESSION, auth).await?;
    let saved = |path: &String| wanted.znodes.get(path);
    together(&client, &deletes(&left.clear)).await?;

    let parents: BTreeSet<&str> = left.create.iter().filter_map(|path| Some(split(path)?.0)).collect();
    let counted: BTreeSet<&str> = left.counters.iter().map(|counter| counter.path.as_str()).collect();
    let busy = |path: &str| parents.contains(path) || counted.contains(path);
    let mut borrowed = Vec::new();
    let mut acls = Vec::new();
    for (path, node) in left.create.iter().filter_map(|path| Some((path, saved(path)?))) {
        if busy(path) && !is_open(&node.acl) {
            borrowed.push(path);
            acls.push(node.acl.iter().cloned().chain([own.acl.clone()]).collect::<Vec<_>>());
        } else {
            acls.push(node.acl.clone());
        }
    }
    // One after the other on one connection, so that parents come first; a multi can't make nodes in 3.4.
    let nodes = left.create.iter().filter_map(|path| Some((path, saved(path)?))).zip(&acls);
    let create = nodes.map(|((path, node), acl)| {
        client.create(path, node.data.as_deref().unwrap_or_default(), Mode::Persistent, acl)
    });
    at_once(create).await?;
    let set = left.data.iter().filter_map(|path| Some((path, saved(path)?))).map(|(path, node)| {
        Operation::SetData { path, data: node.data.as_deref().unwrap_or_default(), version: None }
    });
    together(&client, &set.collect::<Vec<_>>()).await?;
    for counter in &left.counters {
        advance(&client, counter, own).await?;
    }
    together(&client, &deletes(&left.delete)).await?;

    // ACLs last, and those of children first: what they forbid is done.
    let finals: BTreeSet<&String> = left.acl.iter().chain(borrowed).collect();
    let finals: Vec<(&String, &Saved)> =
        finals.into_iter().rev().filter_map(|path| Some((path, saved(path)?))).collect();
    let set = finals.iter().map(|(path, node)| client.set_acl(path, &node.acl));
    at_once(set).await?;
    Ok(left.clear.len() + left.create.len() + left.data.len() + left.delete.len() + finals.len())
}

fn deletes(paths: &[String]) -> Vec<Operation<'_>> {
    paths.iter().map(|path| Operation::Delete { path, version: None }).collect()
}

/// Whether anybody may create nodes below one with this ACL.
fn is_open(acl: &[Acl]) -> bool {
    acl.iter().any(|acl| acl.scheme == "world" && acl.perms & CREATE != 0)
}

/// Makes changes in their order, as many at once as a request takes.
async fn together(client: &ZooKeeper, operations: &[Operation<'_>]) -> Result<(), Error> {
    let mut rest = operations;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(CHANGES).take_while(|operation| {
            bytes += size(operation);
            bytes <= BYTES
        });
        let (now, later) = rest.split_at(fits.count().max(1));
        match now {
            // A multi that is larger than a request may be is refused as a lost connection: alone it is no larger than when it
            // was made.
            [Operation::SetData { path, data, version }] => {
                client.set(path, data, *version).await?;
            }
            _ => client.multi(now).await?,
        }
        rest = later;
    }
    Ok(())
}

fn size(operation: &Operation<'_>) -> usize {
    let head = 64;
    match operation {
        Operation::SetData { path, data, .. } => head + path.len() + data.len(),
        Operation::Delete { path, .. } => head + path.len(),
    }
}

/// Makes and deletes nodes below a parent, so that its next sequential node gets no number that was given before.
async fn advance(client: &ZooKeeper, counter: &Counter, own: &Own) -> Result<(), Error> {
    let prefix = format!("{}/zkprov-restore-", counter.path.trim_end_matches('/'));
    let acl = std::slice::from_ref(&own.acl);
    let step = async || {
        let path = client.create(&prefix, b"", Mode::PersistentSequential, acl).await?;
        client.delete(&path, None).await
    };
    at_once((0..counter.behind).map(|_| step())).await
}

/// Sends requests in their order, many before the first is answered.
async fn at_once<T>(
    requests: impl Iterator<Item = impl Future<Output = Result<T, Error>>>,
) -> Result<(), Error> {
    stream::iter(requests).buffered(AT_ONCE).try_for_each(|_| std::future::ready(Ok(()))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_identity_is_the_backups() {
        let own = Own::of(&Contents::default());
        // echo -n zkprov-restore:SHA-256-OF-NOTHING | openssl dgst -sha1 -binary | base64
        assert_eq!(
            own.secret,
            "zkprov-restore:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert!(own.acl.id.starts_with("zkprov-restore:") && own.acl.id.len() == 15 + 28, "{}", own.acl.id);
    }

    #[test]
    fn counters_that_would_take_too_long_are_left() {
        let counter = |path: &str, behind| Counter { path: path.to_owned(), behind };
        let mut counters = vec![counter("/far", STEPS), counter("/near", 10), counter("/next", 20)];
        assert_eq!(too_far(&mut counters), [counter("/far", STEPS)]);
        assert_eq!(counters, [counter("/near", 10), counter("/next", 20)]);
    }
}

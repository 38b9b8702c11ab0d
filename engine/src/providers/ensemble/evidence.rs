//! What each pod's ZooKeeper has on its disk, whether it serves or not.

use super::reach::Members;
use crate::error::{ProviderError, ProviderErrorKind, one_line};
use futures::future::join_all;
use serde_json::Value;
use std::time::Duration;
use zkprov_plans::observed::EnsembleState;
use zkprov_plans::recovery::{self, Evidence, Stored};
use zkprov_plans::zookeeper::files::named;
use zkprov_plans::zookeeper::log::{Log, Tail};
use zkprov_plans::zookeeper::{File, Zxid, epoch, load};

/// Deadline of one command: a log is 64 MiB, most of it zeros.
const READ: Duration = Duration::from_secs(120);

impl Members {
    /// What every pod has stored, read in all at once. Never fails: what could not be read is said beside its pod.
    pub async fn evidence(&self, state: &EnsembleState) -> Vec<Evidence> {
        let directory = |key| {
            let value = state.config.as_ref().and_then(|config| config.get(key)).and_then(Value::as_str);
            value.map(|path| path.trim_end_matches('/').to_owned()).filter(|path| !path.is_empty())
        };
        let data = directory("zookeeperDataDirectory");
        let logs = directory("zookeeperLogDirectory").or_else(|| data.clone());
        let (data, logs) = (data.as_deref(), logs.as_deref());
        let running = state.pods.iter().filter(|pod| pod.phase == "Running" && pod.ip.is_some());
        let read = join_all(running.map(|pod| async move {
            let (Some(data), Some(logs)) = (data, logs) else {
                return (pod.name.clone(), Err("the configuration names no data directory".to_owned()));
            };
            let stored = self.stored(&pod.name, data, logs).await;
            (pod.name.clone(), stored.map_err(|error| one_line(&error)))
        }));
        recovery::evidence(state, &read.await)
    }

    /// What one pod has stored below these directories.
    async fn stored(&self, pod: &str, data: &str, logs: &str) -> Result<Stored, ProviderError> {
        let (data, logs) = (format!("{data}/version-2"), format!("{logs}/version-2"));
        let kept = self.names(pod, &data).await?;
        let logged = if logs == data { kept.clone() } else { self.names(pod, &logs).await? };
        let epoch_in = async |name: &str| {
            if !kept.iter().any(|known| known == name) {
                return Ok(None);
            }
            let bytes = self.file(pod, &format!("{data}/{name}")).await?;
            epoch::read(&bytes).map(Some).map_err(|error| malformed(pod, name, &error.to_string()))
        };
        let mut stored = Stored {
            current_epoch: epoch_in("currentEpoch").await?,
            accepted_epoch: epoch_in("acceptedEpoch").await?,
            snapshot: newest_first(&kept, "snapshot").first().map(|(zxid, _)| *zxid),
            ..Stored::default()
        };
        let mut files = Vec::new();
        for (_, name) in newest_first(&logged, "log") {
            let bytes = self.file(pod, &format!("{logs}/{name}")).await?;
            stored.log = last_of(&bytes).map_err(|why| malformed(pod, &name, &why))?;
            files.push((name, bytes));
            // A server that has just begun a log has written nothing to it yet.
            if stored.log.is_some() {
                break;
            }
        }
        if let Some((_, name)) = newest_first(&kept, "snapshot").first() {
            files.push((name.clone(), self.file(pod, &format!("{data}/{name}")).await?));
        }
        let files: Vec<File<'_>> = files.iter().map(|(name, bytes)| File { name, bytes }).collect();
        // Older logs may be needed to count: then it stays unknown.
        stored.znodes = load(&files).ok().map(|loaded| loaded.tree.nodes().len());
        Ok(stored)
    }

    /// Names in a directory; none when it is not there.
    async fn names(&self, pod: &str, directory: &str) -> Result<Vec<String>, ProviderError> {
        let mut out = Vec::new();
        let exit = self.exec(pod, &["ls", directory], &mut out, READ).await?;
        if exit.code != 0 && exit.stderr.contains("No such file or directory") {
            return Ok(Vec::new());
        }
        exit.success(format!("listing {directory} in pod {pod}"))?;
        Ok(String::from_utf8_lossy(&out).lines().map(str::to_owned).collect())
    }

    async fn file(&self, pod: &str, path: &str) -> Result<Vec<u8>, ProviderError> {
        let mut out = Vec::new();
        self.exec(pod, &["cat", path], &mut out, READ)
            .await?
            .success(format!("reading {path} in pod {pod}"))?;
        Ok(out)
    }
}

fn malformed(pod: &str, name: &str, why: &str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Failed, format!("reading {name} of pod {pod}"), why)
}

/// Files of a kind, by the transactions that name them.
fn newest_first(names: &[String], prefix: &str) -> Vec<(Zxid, String)> {
    let mut found: Vec<(Zxid, String)> =
        names.iter().filter_map(|name| Some((named(name, prefix)?, name.clone()))).collect();
    found.sort();
    found.reverse();
    found
}

/// The last transaction of a log; none in an empty one. A record that is cut is no transaction yet.
fn last_of(bytes: &[u8]) -> Result<Option<Zxid>, String> {
    let mut log = Log::open(bytes).map_err(|error| error.to_string())?;
    let mut last = None;
    while let Some(transaction) = log.next().map_err(|error| error.to_string())? {
        last = Some(transaction.zxid);
    }
    match log.tail() {
        Some(Tail::Damaged(offset)) => Err(format!("a damaged record at byte {offset}")),
        Some(Tail::Cut(_) | Tail::Clean) | None => Ok(last),
    }
}

//! One apply at a time for an ensemble: a Lease in its namespace with holder and heartbeat. A run that dies lets it
//! expire; nobody has to clean up.

use crate::error::{ProviderError, ProviderErrorKind};
use crate::providers::kubernetes::KubernetesProvider;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use zkprov_plans::document::KUBE_ENSEMBLE_LABEL;

/// How long a lock holds without a heartbeat.
pub const DURATION: Duration = Duration::from_secs(60);
/// Time between heartbeats: two may be missed.
pub const HEARTBEAT: Duration = Duration::from_secs(20);
/// Tries to take a lock that moves while it is looked at.
const TRIES: u32 = 3;

/// Tells the time of day.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Another run holds the lock; the source of a [`ProviderErrorKind::Locked`] error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{holder} holds the lock of ensemble {ensemble} since {since}; without a heartbeat it expires at {expires}"
)]
pub struct LockHeld {
    /// Ensemble name.
    pub ensemble: String,
    /// Who, as that run called itself.
    pub holder: String,
    /// When it took the lock.
    pub since: Timestamp,
    /// When it runs out.
    pub expires: Timestamp,
}

/// The lock of one ensemble, held. Dropping it does not release it: it then expires.
pub struct Lock {
    kubernetes: Arc<KubernetesProvider>,
    ensemble: String,
    namespace: String,
    holder: String,
    clock: Clock,
    /// The Lease as last written.
    lease: Mutex<Value>,
}

impl Lock {
    /// Takes the lock of an ensemble. `holder` names this run for others and is unique to it.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Locked`] with [`LockHeld`] as source when another run holds it;
    /// [`ProviderErrorKind::NotFound`] when the namespace does not exist yet; else when the API does not answer.
    pub async fn acquire(
        kubernetes: Arc<KubernetesProvider>,
        ensemble: &str,
        namespace: &str,
        holder: &str,
        clock: Clock,
    ) -> Result<Self, ProviderError> {
        let lock = Self {
            kubernetes,
            ensemble: ensemble.to_owned(),
            namespace: namespace.to_owned(),
            holder: holder.to_owned(),
            clock,
            lease: Mutex::new(Value::Null),
        };
        lock.take().await?;
        Ok(lock)
    }

    /// Writes the next heartbeat.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Locked`] when another run has taken the lock meanwhile; else when the API does not answer.
    pub async fn renew(&self) -> Result<(), ProviderError> {
        self.take().await
    }

    /// Heartbeats until the lock is lost, and returns how. An API that does not answer is borne until the lock expires.
    pub async fn keep(&self) -> ProviderError {
        let mut renewed = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            match self.renew().await {
                Ok(()) => renewed = tokio::time::Instant::now(),
                Err(error) if error.kind == ProviderErrorKind::Locked => return error,
                Err(error) if renewed.elapsed() >= DURATION => return error,
                Err(error) => tracing::warn!(%error, "no heartbeat"),
            }
        }
    }

    /// Gives the lock back: the Lease is deleted, if it is still ours.
    ///
    /// # Errors
    /// When the API does not answer; the lock then expires.
    pub async fn release(self) -> Result<(), ProviderError> {
        let (mut lease, name) = (self.lease.into_inner(), name(&self.ensemble));
        for _ in 0..TRIES {
            match self.kubernetes.delete_lease(&self.namespace, &name, &lease).await {
                Err(error) if error.kind == ProviderErrorKind::Stale => {}
                other => return other,
            }
            // It was written since: by a heartbeat of ours whose answer nobody waited for, or by another run.
            match self.kubernetes.lease(&self.namespace, &name).await? {
                Some(now) if held(&self.ensemble, &now).is_some_and(|held| held.holder == self.holder) => {
                    lease = now;
                }
                Some(_) | None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Takes or renews the lock; what moves meanwhile is looked at again.
    async fn take(&self) -> Result<(), ProviderError> {
        let mut lease = self.lease.lock().await;
        let name = name(&self.ensemble);
        let mut last = None;
        for _ in 0..TRIES {
            // A heartbeat rests on what was written last; after a conflict or at first, on what is there.
            let current = match (last.is_none(), &*lease) {
                (true, Value::Object(_)) => Some(lease.clone()),
                (true | false, _) => self.kubernetes.lease(&self.namespace, &name).await?,
            };
            let next = self.next(current.as_ref())?;
            match self.kubernetes.put_lease(&self.namespace, &name, &next).await {
                Ok(written) => {
                    *lease = written;
                    return Ok(());
                }
                Err(error)
                    if is_moved(error.kind)
                        || (error.kind == ProviderErrorKind::NotFound && current.is_some()) =>
                {
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        let message = "the lock keeps moving";
        Err(last.unwrap_or_else(|| ProviderError::new(ProviderErrorKind::Stale, "taking the lock", message)))
    }

    /// The Lease to write over `current`, or who holds it.
    fn next(&self, current: Option<&Value>) -> Result<Value, ProviderError> {
        let now = (self.clock)();
        let held = current.and_then(|lease| held(&self.ensemble, lease));
        let mine = held.as_ref().is_some_and(|held| held.holder == self.holder);
        if let Some(held) = held.as_ref().filter(|held| !mine && held.expires > now) {
            let hint = format!(
                "wait for that run to end; if it is dead, wait until {} or `kubectl -n {} delete lease {}`",
                held.expires,
                self.namespace,
                name(&self.ensemble)
            );
            let error =
                ProviderError::new(ProviderErrorKind::Locked, "taking the lock", "another run holds it");
            return Err(error.hint(hint).because(held.clone()));
        }
        let transitions =
            current.and_then(|lease| lease.pointer("/spec/leaseTransitions")?.as_u64()).unwrap_or(0);
        let since = held.filter(|_| mine).map_or(now, |held| held.since);
        let mut lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": name(&self.ensemble),
                "namespace": self.namespace,
                "labels": {KUBE_ENSEMBLE_LABEL: self.ensemble},
            },
            "spec": {
                "holderIdentity": self.holder,
                "leaseDurationSeconds": DURATION.as_secs(),
                "acquireTime": micro_time(since),
                "renewTime": micro_time(now),
                "leaseTransitions": if current.is_some() && !mine { transitions.saturating_add(1) } else { transitions },
            }
        });
        let version = current.and_then(|lease| lease.pointer("/metadata/resourceVersion"));
        if let (Some(version), Some(metadata)) =
            (version, lease.get_mut("metadata").and_then(Value::as_object_mut))
        {
            metadata.insert("resourceVersion".to_owned(), version.clone());
        }
        Ok(lease)
    }
}

/// The Lease of an ensemble.
fn name(ensemble: &str) -> String {
    format!("zkprov-{ensemble}")
}

/// Whether it is worth looking again: somebody else wrote, or our own answer was lost.
fn is_moved(kind: ProviderErrorKind) -> bool {
    matches!(
        kind,
        ProviderErrorKind::Stale | ProviderErrorKind::AlreadyExists | ProviderErrorKind::OutcomeUnknown
    )
}

/// Kubernetes' `MicroTime`.
fn micro_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Who holds a Lease; `None` when nobody does. A holder without a readable heartbeat has expired long ago.
fn held(ensemble: &str, lease: &Value) -> Option<LockHeld> {
    let spec = lease.get("spec")?;
    let holder = spec.get("holderIdentity")?.as_str().filter(|holder| !holder.is_empty())?;
    let time = |key: &str| spec.get(key)?.as_str()?.parse::<Timestamp>().ok();
    let renewed = time("renewTime").or_else(|| time("acquireTime")).unwrap_or(Timestamp::UNIX_EPOCH);
    let seconds = spec.get("leaseDurationSeconds").and_then(Value::as_i64).unwrap_or(0);
    let expires = renewed.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
    Some(LockHeld {
        ensemble: ensemble.to_owned(),
        holder: holder.to_owned(),
        since: time("acquireTime").unwrap_or(renewed),
        expires,
    })
}

//! The lock of an ensemble against an API server that keeps one Lease.

use crate::loopback::{Answer, Seen, Server};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zkprov_engine::connection::Pace;
use zkprov_engine::error::{ProviderError, ProviderErrorKind};
use zkprov_engine::lease::{Clock, Lock, LockHeld};
use zkprov_engine::providers::kubernetes::{KubeAccess, KubernetesProvider, static_token};

/// An API server with one Lease.
#[derive(Default)]
struct Leases {
    lease: Option<Value>,
    version: u64,
    lose_next: bool,
    no_namespace: bool,
}

fn status(code: u16, reason: &str) -> Answer {
    Answer::Json(code, json!({"kind": "Status", "code": code, "reason": reason, "message": reason}))
}

impl Leases {
    fn answer(&mut self, seen: &Seen) -> Answer {
        let current = self.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        match (seen.method.as_str(), &self.lease, current) {
            ("GET", Some(lease), _) => Answer::Json(200, lease.clone()),
            ("GET", None, _) => status(404, "NotFound"),
            ("POST", _, _) if self.no_namespace => status(404, "NotFound"),
            ("POST", Some(_), _) => status(409, "AlreadyExists"),
            ("PUT", None, _) => status(404, "NotFound"),
            ("PUT", _, Some(version)) if seen.body["metadata"]["resourceVersion"] != version => {
                status(409, "Conflict")
            }
            ("POST" | "PUT", _, _) => self.write(seen.body.clone()),
            ("DELETE", None, _) => status(404, "NotFound"),
            ("DELETE", _, version)
                if Some(&seen.body["preconditions"]["resourceVersion"]) != version.as_ref() =>
            {
                status(409, "Conflict")
            }
            ("DELETE", _, _) => {
                self.lease = None;
                Answer::Json(200, json!({}))
            }
            other => panic!("{other:?}"),
        }
    }

    fn write(&mut self, mut lease: Value) -> Answer {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        lease["metadata"]["uid"] = json!("u1");
        self.lease = Some(lease.clone());
        if std::mem::take(&mut self.lose_next) { Answer::Hangup } else { Answer::Json(200, lease) }
    }
}

struct Run {
    leases: Arc<Mutex<Leases>>,
    server: Server,
    kubernetes: Arc<KubernetesProvider>,
    seconds: Arc<AtomicI64>,
}

impl Run {
    async fn new(leases: Leases) -> Self {
        let leases = Arc::new(Mutex::new(leases));
        let shared = Arc::clone(&leases);
        let server = Server::start(move |seen| shared.lock().unwrap().answer(seen)).await;
        let access = KubeAccess::Cluster {
            endpoint: server.endpoint.clone(),
            ca_pem: String::new(),
            token: static_token("t0ken"),
        };
        let pace = Pace { retry: Duration::from_millis(1), ..Pace::default() };
        let kubernetes = Arc::new(KubernetesProvider::connect("cluster-1", &access, pace).await.unwrap());
        Self { leases, server, kubernetes, seconds: Arc::default() }
    }

    fn clock(&self) -> Clock {
        let seconds = Arc::clone(&self.seconds);
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        Arc::new(move || start + SignedDuration::from_secs(seconds.load(Ordering::SeqCst)))
    }

    async fn acquire(&self, holder: &str) -> Result<Lock, ProviderError> {
        Lock::acquire(Arc::clone(&self.kubernetes), "exhibitor", "default", holder, self.clock()).await
    }

    fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    fn spec(&self) -> Value {
        self.leases.lock().unwrap().lease.as_ref().unwrap()["spec"].clone()
    }
}

fn kind(result: Result<impl Sized, ProviderError>) -> Option<ProviderErrorKind> {
    result.err().map(|error| error.kind)
}

#[tokio::test]
async fn one_holder_at_a_time() {
    let run = Run::new(Leases::default()).await;
    let lock = run.acquire("ann@laptop").await.unwrap();
    assert_eq!(
        run.spec(),
        json!({"holderIdentity": "ann@laptop", "leaseDurationSeconds": 60, "leaseTransitions": 0,
            "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z"})
    );
    assert_eq!(run.server.seen()[1].line(), "POST /apis/coordination.k8s.io/v1/namespaces/default/leases");
    run.pass(50);
    lock.renew().await.unwrap();
    run.pass(50);
    let error = run.acquire("bob@ci").await.err().unwrap();
    assert_eq!(error.kind, ProviderErrorKind::Locked);
    let held = error.source.as_ref().unwrap().downcast_ref::<LockHeld>().unwrap();
    assert_eq!(
        (held.holder.as_str(), held.since.to_string().as_str()),
        ("ann@laptop", "2026-01-01T00:00:00Z")
    );
    assert_eq!(held.expires.to_string(), "2026-01-01T00:01:50Z");
    assert!(error.hint.contains("kubectl -n default delete lease zkprov-exhibitor"), "{}", error.hint);
    lock.release().await.unwrap();
    assert!(run.leases.lock().unwrap().lease.is_none(), "nothing is left over");
    run.acquire("bob@ci").await.unwrap();
}

#[tokio::test]
async fn a_heartbeat_whose_answer_nobody_waited_for_does_not_keep_the_lock() {
    let run = Run::new(Leases::default()).await;
    let lock = run.acquire("ann@laptop").await.unwrap();
    let beat = run.leases.lock().unwrap().lease.clone().unwrap();
    run.leases.lock().unwrap().write(beat);
    lock.release().await.unwrap();
    assert!(run.leases.lock().unwrap().lease.is_none(), "nothing is left over");
}

#[tokio::test]
async fn a_dead_run_s_lock_expires_and_is_lost_to_it() {
    let run = Run::new(Leases::default()).await;
    let dead = run.acquire("ann@laptop").await.unwrap();
    run.pass(61);
    let lock = run.acquire("bob@ci").await.unwrap();
    assert_eq!(
        (&run.spec()["holderIdentity"], &run.spec()["leaseTransitions"]),
        (&json!("bob@ci"), &json!(1))
    );
    assert_eq!(kind(dead.renew().await), Some(ProviderErrorKind::Locked), "it must stop");
    dead.release().await.unwrap();
    assert_eq!(run.spec()["holderIdentity"], "bob@ci", "another's lock is not released");
    lock.renew().await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_is_looked_up() {
    let run = Run::new(Leases { lose_next: true, ..Leases::default() }).await;
    let lock = run.acquire("ann@laptop").await.unwrap();
    run.leases.lock().unwrap().lose_next = true;
    lock.renew().await.unwrap();
    lock.renew().await.unwrap();
    assert_eq!(run.spec()["leaseTransitions"], 0);
}

#[tokio::test]
async fn a_deleted_lease_is_made_again_and_a_missing_namespace_is_told() {
    let run = Run::new(Leases::default()).await;
    let lock = run.acquire("ann@laptop").await.unwrap();
    run.leases.lock().unwrap().lease = None;
    lock.renew().await.unwrap();
    assert_eq!(run.spec()["holderIdentity"], "ann@laptop");
    let run = Run::new(Leases { no_namespace: true, ..Leases::default() }).await;
    assert_eq!(kind(run.acquire("ann@laptop").await), Some(ProviderErrorKind::NotFound));
}

#[tokio::test]
async fn an_unreadable_heartbeat_has_expired() {
    let spec = json!({"holderIdentity": "old", "renewTime": "yesterday", "leaseDurationSeconds": "x"});
    let lease = json!({"metadata": {"resourceVersion": "1"}, "spec": spec});
    let run = Run::new(Leases { lease: Some(lease), version: 1, ..Leases::default() }).await;
    run.acquire("ann@laptop").await.unwrap();
    let free = json!({"metadata": {"resourceVersion": "1"}, "spec": {"holderIdentity": ""}});
    let run = Run::new(Leases { lease: Some(free), version: 1, ..Leases::default() }).await;
    run.acquire("ann@laptop").await.unwrap();
}

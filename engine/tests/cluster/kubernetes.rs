//! The Kubernetes provider against a scripted API server.

use crate::fixtures::{change, desired, spec};
use crate::loopback::{Answer, Seen, Server};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use zkprov_engine::connection::Pace;
use zkprov_engine::error::{ProviderError, ProviderErrorKind};
use zkprov_engine::provider::{Provider, ReadRequest};
use zkprov_engine::providers::kubernetes::{KubeAccess, KubernetesProvider, static_token};
use zkprov_plans::observed::{Live, Ownership, Reading};
use zkprov_plans::plan::{Action, Call, ReadyWhen};
use zkprov_plans::readiness::Verdict;
use zkprov_plans::resource::ResourceId;

const DEPLOYMENT: &str = "deployment/cluster-1/default/exhibitor";
const DEPLOYMENT_PATH: &str = "/apis/apps/v1/namespaces/default/deployments/exhibitor";
const SERVICE: &str = "service/cluster-1/default/exhibitor";
const SERVICE_PATH: &str = "/api/v1/namespaces/default/services/exhibitor";

/// Far longer than an answer takes on the busiest machine, and still a time that a watch may be asked for.
const LONGEST: Duration = Duration::from_secs(290);

async fn provider(server: &Server) -> KubernetesProvider {
    let millis = Duration::from_millis;
    let pace = Pace { poll: millis(5), poll_max: LONGEST, retry: millis(1), ..Pace::default() };
    let access = KubeAccess::Cluster {
        endpoint: server.endpoint.clone(),
        ca_pem: String::new(),
        token: static_token("t0ken"),
    };
    KubernetesProvider::connect("cluster-1", &access, pace).await.unwrap()
}

fn status(code: u16, reason: &str, message: &str) -> Answer {
    Answer::Json(
        code,
        json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}),
    )
}

fn not_found() -> Answer {
    status(404, "NotFound", "not found")
}

fn object(kind: &str, owner: Option<&str>) -> Value {
    let labels = owner.map_or(json!({}), |owner| json!({"zkprov.dev/ensemble": owner}));
    json!({"kind": kind, "metadata": {"name": "exhibitor", "namespace": "default", "uid": "u1",
        "resourceVersion": "41", "labels": labels}})
}

fn body(kind: &str) -> Value {
    json!({"kind": kind, "metadata": {"name": "exhibitor", "labels": {"zkprov.dev/ensemble": "exhibitor"}}})
}

fn empty_list() -> Answer {
    Answer::Json(200, json!({"items": [], "metadata": {"resourceVersion": "7"}}))
}

fn is_list(seen: &Seen) -> bool {
    seen.method == "GET" && seen.target.contains("labelSelector=")
}

async fn observe(server: &Server, documents: &[(&str, Value)]) -> Vec<(String, Reading<Live>)> {
    let (spec, desired) = (spec(), desired(documents));
    let requests = [ReadRequest { spec: &spec, desired: &desired }];
    let mut observed = provider(server).await.observe(&requests).await;
    assert_eq!(observed.len(), 1);
    observed.remove(0).resources.into_iter().map(|(id, reading)| (id.to_string(), reading)).collect()
}

#[tokio::test]
async fn observes_the_object_and_what_our_body_would_make_of_it() {
    let server = Server::start(|seen| match seen.line().as_str() {
        _ if is_list(seen) => empty_list(),
        line if line == format!("GET {DEPLOYMENT_PATH}") => {
            Answer::Json(200, object("Deployment", Some("exhibitor")))
        }
        line if line == format!("PATCH {DEPLOYMENT_PATH}") => Answer::Json(200, json!({"predicted": true})),
        _ => not_found(),
    })
    .await;
    let observed = observe(&server, &[(DEPLOYMENT, body("Deployment")), (SERVICE, body("Service"))]).await;
    let [(service, Reading::Absent), (deployment, Reading::Known(live))] = observed.as_slice() else {
        panic!("{observed:?}")
    };
    assert_eq!((deployment.as_str(), service.as_str()), (DEPLOYMENT, SERVICE));
    assert_eq!(live.predicted, Some(json!({"predicted": true})));
    assert_eq!(live.ownership, Ownership::Ours);
    let dry_run =
        server.seen_by("PATCH").into_iter().find(|seen| seen.target.contains("deployments")).unwrap();
    for part in ["dryRun=All", "force=true", "fieldManager=zkprov", "fieldValidation=Strict"] {
        assert!(dry_run.target.contains(part), "{}", dry_run.target);
    }
    assert_eq!(dry_run.content_type, "application/apply-patch+yaml");
    assert_eq!(dry_run.body, body("Deployment"));
    assert!(server.seen().iter().all(|seen| seen.authorization == "Bearer t0ken"));
}

#[tokio::test]
async fn finds_marked_objects_that_nobody_declares() {
    let server = Server::start(|seen| match seen.line().as_str() {
        "GET /policy/v1/poddisruptionbudgets" => not_found(),
        "GET /apis/policy/v1/poddisruptionbudgets" => {
            let old = object("ignored", Some("exhibitor"));
            Answer::Json(200, json!({"items": [old, {"metadata": {}}, 7], "metadata": {}}))
        }
        "GET /apis/apps/v1/deployments" => status(403, "Forbidden", "deployments is forbidden"),
        "GET /apis/apps/v1/namespaces/default/deployments" => {
            Answer::Json(200, json!({"items": [object("", Some("exhibitor"))], "metadata": {}}))
        }
        "GET /api/v1/services" => status(403, "Forbidden", "services is forbidden"),
        "GET /api/v1/namespaces/default/services" => status(403, "Forbidden", "services is forbidden"),
        _ if is_list(seen) => not_found(),
        _ => panic!("{seen:?}"),
    })
    .await;
    let observed = observe(&server, &[]).await;
    let ids: Vec<&str> = observed.iter().map(|(id, _)| id.as_str()).collect();
    let budget = "poddisruptionbudget/cluster-1/default/exhibitor";
    assert_eq!(ids, ["service/cluster-1/default/*", budget, DEPLOYMENT]);
    assert!(matches!(&observed[0].1, Reading::Unavailable(gap) if gap.why == "services is forbidden"));
    let live = observed[1].1.known().unwrap();
    assert_eq!(
        (&live.document["kind"], &live.document["apiVersion"]),
        (&json!("PodDisruptionBudget"), &json!("policy/v1"))
    );
    let list = server.seen_by("GET").into_iter().find(|seen| seen.target.contains("policy/v1")).unwrap();
    assert!(list.target.contains("labelSelector=zkprov.dev/ensemble in (exhibitor)"), "{}", list.target);
}

#[tokio::test]
async fn unreadable_is_never_absent() {
    let tries = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&tries);
    let server = Server::start(move |seen| match (seen.method.as_str(), seen.line()) {
        _ if is_list(seen) => empty_list(),
        ("GET", line) if line.ends_with("deployments/exhibitor") => {
            status(500, "InternalError", "etcd is away")
        }
        ("GET", line) if line.ends_with("services/exhibitor") => {
            if counted.fetch_add(1, Ordering::SeqCst) == 0 { Answer::Hangup } else { not_found() }
        }
        ("GET", _) => Answer::Text(200, "text/html", "<html>a proxy's page</html>".to_owned()),
        _ => not_found(),
    })
    .await;
    let budget = "poddisruptionbudget/cluster-1/default/exhibitor";
    let documents = [DEPLOYMENT, SERVICE, budget].map(|id| (id, body("x")));
    let observed = observe(&server, &documents).await;
    let why = |id: &str| {
        let (_, reading) = observed.iter().find(|(found, _)| found == id).unwrap();
        match reading {
            Reading::Unavailable(gap) => gap.why.clone(),
            Reading::Absent => "absent".to_owned(),
            Reading::Known(_) => "known".to_owned(),
        }
    };
    assert_eq!(why(DEPLOYMENT), "etcd is away");
    assert_eq!(why(SERVICE), "absent");
    assert!(why(budget).starts_with("the answer is no JSON"), "{}", why(budget));
    assert_eq!(tries.load(Ordering::SeqCst), 2, "one hang-up is repeated");
}

#[tokio::test]
async fn a_refused_dry_run_keeps_its_message() {
    let denied = "deployments.apps \"exhibitor\" is forbidden: ValidatingAdmissionPolicy 'zkprov-odd' denied request: 4 is even";
    let server = Server::start(move |seen| match (seen.method.as_str(), seen.line()) {
        _ if is_list(seen) => empty_list(),
        ("GET", line) if line.ends_with("deployments/exhibitor") => {
            Answer::Json(200, object("Deployment", Some("other")))
        }
        ("GET", line) if line.ends_with("configmaps/exhibitor") => {
            Answer::Json(200, object("ConfigMap", None))
        }
        ("GET", _) => not_found(),
        ("PATCH", line) if line.ends_with("configmaps/exhibitor") => status(
            403,
            "Forbidden",
            "configmaps \"exhibitor\" is forbidden: User \"ci\" cannot patch resource \"configmaps\"",
        ),
        _ => status(422, "Invalid", denied),
    })
    .await;
    let config_map = "configmap/cluster-1/default/exhibitor";
    let documents = [DEPLOYMENT, SERVICE, config_map].map(|id| (id, body("x")));
    let observed = observe(&server, &documents).await;
    let reading = |id: &str| &observed.iter().find(|(found, _)| found == id).unwrap().1;
    let live = reading(DEPLOYMENT).known().unwrap();
    assert_eq!(live.ownership, Ownership::Other("other".to_owned()));
    assert_eq!(live.predicted.as_ref().unwrap()["message"], json!(denied));
    let live = reading(config_map).known().unwrap();
    assert_eq!((&live.predicted, &live.ownership), (&None, &Ownership::Foreign));
    assert!(matches!(reading(SERVICE), Reading::Unavailable(gap) if gap.why == denied));
}

fn known(kind: &str) -> Reading<Live> {
    Reading::Known(Live {
        document: object(kind, Some("exhibitor")),
        predicted: None,
        ownership: Ownership::Ours,
    })
}

async fn call(
    provider: &KubernetesProvider,
    id: &str,
    call: Call,
    live: &Reading<Live>,
) -> Result<(), ProviderError> {
    let change = change(id, Action::Update, body("x"), ReadyWhen::Done);
    provider.call(&change, &call, live, "request", &|_| {}).await
}

#[tokio::test]
async fn applies_on_what_was_read() {
    let server = Server::start(|_| Answer::Json(200, json!({}))).await;
    let provider = provider(&server).await;
    call(&provider, DEPLOYMENT, Call::Apply, &known("Deployment")).await.unwrap();
    call(&provider, SERVICE, Call::Apply, &Reading::Absent).await.unwrap();
    let [update, create] = &server.seen()[..] else { panic!() };
    assert!(update.target.contains("force=true") && !update.target.contains("dryRun"), "{}", update.target);
    assert_eq!(
        (&update.body["metadata"]["uid"], &update.body["metadata"]["resourceVersion"]),
        (&json!("u1"), &json!("41"))
    );
    assert!(!create.target.contains("force"), "{}", create.target);
    assert_eq!(create.body, body("x"));
    let unavailable = Reading::Unavailable(zkprov_plans::observed::Gap {
        what: "w".to_owned(),
        why: "y".to_owned(),
        hint: String::new(),
    });
    assert!(call(&provider, SERVICE, Call::Apply, &unavailable).await.is_err());
    assert_eq!(server.seen().len(), 2, "nothing is written on what could not be read");
}

#[tokio::test]
async fn failures_of_writes_are_classed_by_what_to_do() {
    type Script = fn(&Seen) -> Answer;
    let cases: [(Script, ProviderErrorKind); 9] = [
        (|_| status(409, "Conflict", "the object has been modified"), ProviderErrorKind::Stale),
        (|_| status(409, "AlreadyExists", "already exists"), ProviderErrorKind::AlreadyExists),
        (|_| status(422, "Invalid", "even"), ProviderErrorKind::Invalid),
        (|_| status(403, "Forbidden", "no"), ProviderErrorKind::Denied),
        (|_| status(429, "TooManyRequests", "slow"), ProviderErrorKind::Transient),
        (|_| status(503, "ServiceUnavailable", "starting"), ProviderErrorKind::Transient),
        (|_| status(504, "Timeout", "late"), ProviderErrorKind::OutcomeUnknown),
        (|_| Answer::Hangup, ProviderErrorKind::OutcomeUnknown),
        (
            |_| Answer::Text(200, "application/json", "{\"kind\": ".to_owned()),
            ProviderErrorKind::OutcomeUnknown,
        ),
    ];
    for (script, expected) in cases {
        let server = Server::start(script).await;
        let error =
            call(&provider(&server).await, SERVICE, Call::Apply, &known("Service")).await.unwrap_err();
        assert_eq!(error.kind, expected, "{error}");
        assert_eq!(server.seen().len(), 1, "writes are not repeated here");
    }
    let mut server = Server::start(|_| Answer::Hangup).await;
    server.endpoint = "http://127.0.0.1:1".to_owned();
    let error = call(&provider(&server).await, SERVICE, Call::Apply, &known("Service")).await.unwrap_err();
    assert_eq!(error.kind, ProviderErrorKind::Transient, "never sent: {error}");
    assert!(error.to_string().starts_with("applying Service exhibitor in namespace default: "), "{error}");
}

#[tokio::test]
async fn deletes_what_was_read_and_nothing_else() {
    let server = Server::start(|seen| match seen.target.as_str() {
        target if target.contains("services") => not_found(),
        _ => Answer::Json(200, json!({"kind": "Status", "status": "Success"})),
    })
    .await;
    let provider = provider(&server).await;
    call(&provider, DEPLOYMENT, Call::Delete, &known("Deployment")).await.unwrap();
    call(&provider, SERVICE, Call::Delete, &known("Service")).await.unwrap();
    call(&provider, SERVICE, Call::Delete, &Reading::Absent).await.unwrap();
    let [deployment, service] = &server.seen()[..] else { panic!() };
    assert_eq!(deployment.line(), format!("DELETE {DEPLOYMENT_PATH}"));
    assert_eq!(deployment.body["preconditions"], json!({"uid": "u1"}));
    assert_eq!(deployment.body["propagationPolicy"], json!("Foreground"));
    assert_eq!(service.line(), format!("DELETE {SERVICE_PATH}"));
    assert_eq!(service.body["preconditions"], json!({"uid": "u1", "resourceVersion": "41"}));
}

fn deployment(updated: u32) -> Value {
    json!({"metadata": {"name": "exhibitor", "generation": 2, "resourceVersion": "50"},
        "spec": {"selector": {"matchLabels": {"app": "exhibitor"}}, "template": {"spec": {"containers": [
            {"name": "exhibitor", "ports": [{"name": "zk", "containerPort": 2181}, {"name": "api", "containerPort": 8282}]}]}}},
        "status": {"observedGeneration": 2, "replicas": 1, "updatedReplicas": updated}})
}

fn pod(state: &Value) -> Value {
    json!({"metadata": {"name": "exhibitor-a", "uid": "p1"},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [{"state": state}]}})
}

fn pods(items: &[Value]) -> Answer {
    Answer::Json(200, json!({"items": items, "metadata": {"resourceVersion": "60"}}))
}

#[tokio::test]
async fn ready_when_exhibitor_answers_in_every_pod() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |seen| match seen.line().as_str() {
        line if line == format!("GET {DEPLOYMENT_PATH}") => Answer::Json(200, deployment(1)),
        "GET /api/v1/namespaces/default/pods" => pods(&[pod(&json!({"running": {}}))]),
        "GET /api/v1/namespaces/default/pods/exhibitor-a:8282/proxy/exhibitor/v1/cluster/state" => {
            match asked.fetch_add(1, Ordering::SeqCst) {
                0 => status(503, "ServiceUnavailable", "connection refused"),
                _ => Answer::Json(200, json!({"state": 0, "isLeader": false})),
            }
        }
        _ => panic!("{seen:?}"),
    })
    .await;
    let provider = provider(&server).await;
    let change = change(DEPLOYMENT, Action::Create, body("x"), ReadyWhen::PodsAnswer { replicas: 1 });
    let first = provider.ready(&change).await.unwrap();
    assert_eq!(first, Verdict::Progressing("Exhibitor answers in 0 of 1 pods".to_owned()));
    assert_eq!(provider.ready(&change).await.unwrap(), Verdict::Ready);
}

#[tokio::test]
async fn a_lasting_trouble_fails_with_its_reason_and_the_last_log_lines() {
    let server = Server::start(|seen| match seen.line().as_str() {
        line if line == format!("GET {DEPLOYMENT_PATH}") => Answer::Json(200, deployment(1)),
        "GET /api/v1/namespaces/default/pods" => {
            let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}});
            pods(&[pod(&waiting)])
        }
        "GET /api/v1/namespaces/default/events" => status(403, "Forbidden", "no events for you"),
        "GET /api/v1/namespaces/default/pods/exhibitor-a/log" => {
            assert!(seen.target.contains("previous=true"), "{}", seen.target);
            Answer::Text(200, "text/plain", "starting\nno such directory\n".to_owned())
        }
        _ => panic!("{seen:?}"),
    })
    .await;
    let provider = provider(&server).await;
    let change = change(DEPLOYMENT, Action::Create, body("x"), ReadyWhen::PodsAnswer { replicas: 1 });
    let first = provider.ready(&change).await.unwrap();
    assert_eq!(first, Verdict::Progressing("0 of 1 pods run; exhibitor-a has CrashLoopBackOff".to_owned()));
    tokio::time::sleep(Duration::from_millis(60)).await;
    let Verdict::Failed { reason, hint } = provider.ready(&change).await.unwrap() else { panic!() };
    assert_eq!(
        reason,
        "exhibitor-a: CrashLoopBackOff: back-off 10s; last log lines: starting | no such directory"
    );
    assert!(!hint.is_empty());
}

#[tokio::test]
async fn a_watch_ends_the_wait_early() {
    let server = Server::start(|seen| match seen.line().as_str() {
        _ if seen.target.contains("watch=true") && seen.target.contains("/pods") => {
            assert!(seen.target.contains("resourceVersion=60"), "{}", seen.target);
            let event = json!({"type": "MODIFIED", "object": pod(&json!({"running": {}}))});
            Answer::Text(200, "application/json", format!("{event}\n"))
        }
        _ if seen.target.contains("watch=true") => Answer::Silence,
        line if line == format!("GET {DEPLOYMENT_PATH}") => Answer::Json(200, deployment(0)),
        "GET /api/v1/namespaces/default/pods" => pods(&[]),
        _ => empty_list(),
    })
    .await;
    let provider = provider(&server).await;
    let change = change(DEPLOYMENT, Action::Create, body("x"), ReadyWhen::PodsAnswer { replicas: 1 });
    assert!(matches!(provider.ready(&change).await.unwrap(), Verdict::Progressing(_)));
    let start = Instant::now();
    provider.changed(&change).await;
    assert!(start.elapsed() < LONGEST, "{:?}", start.elapsed());
}

#[tokio::test]
async fn without_a_watch_the_wait_lasts() {
    let server = Server::start(|seen| match seen.line().as_str() {
        _ if seen.target.contains("watch=true") => status(410, "Expired", "too old"),
        line if line == format!("GET {DEPLOYMENT_PATH}") => Answer::Json(200, deployment(0)),
        _ => empty_list(),
    })
    .await;
    let provider = provider(&server).await;
    let change = change(DEPLOYMENT, Action::Create, body("x"), ReadyWhen::PodsAnswer { replicas: 1 });
    provider.ready(&change).await.unwrap();
    let start = Instant::now();
    provider.changed(&change).await;
    assert!(start.elapsed() >= Duration::from_millis(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn gone_is_gone_with_its_pods() {
    let looks = AtomicUsize::new(0);
    let server = Server::start(move |seen| match (seen.method.as_str(), seen.line()) {
        ("DELETE", _) => Answer::Json(200, json!({})),
        (_, line) if line.ends_with("/pods") => match looks.fetch_add(1, Ordering::SeqCst) {
            0 => pods(&[pod(&json!({"running": {}}))]),
            _ => pods(&[]),
        },
        _ => not_found(),
    })
    .await;
    let provider = provider(&server).await;
    let live = Reading::Known(Live { document: deployment(1), predicted: None, ownership: Ownership::Ours });
    let change = change(DEPLOYMENT, Action::Delete, Value::Null, ReadyWhen::Gone);
    provider.call(&change, &Call::Delete, &live, "request", &|_| {}).await.unwrap();
    assert_eq!(
        provider.ready(&change).await.unwrap(),
        Verdict::Progressing("1 pods are stopping".to_owned())
    );
    assert_eq!(provider.ready(&change).await.unwrap(), Verdict::Ready);
}

#[tokio::test]
async fn names_the_pods_that_mount_a_server() {
    let server = Server::start(|_| {
        let pod = |name: &str, server: &str, phase: &str| {
            json!({"metadata": {"name": name, "namespace": "n"}, "status": {"phase": phase},
                "spec": {"volumes": [{"emptyDir": {}}, {"nfs": {"server": server, "path": "/data"}}]}})
        };
        pods(&[
            pod("b", "fs", "Running"),
            pod("a", "fs", "Pending"),
            pod("c", "other", "Running"),
            pod("d", "fs", "Succeeded"),
        ])
    })
    .await;
    assert_eq!(provider(&server).await.pods_mounting("fs").await.unwrap(), ["n/a", "n/b"]);
}

#[tokio::test]
async fn only_tls_leaves_the_machine() {
    let access = |endpoint: &str| KubeAccess::Cluster {
        endpoint: endpoint.to_owned(),
        ca_pem: String::new(),
        token: static_token("t0ken"),
    };
    for (endpoint, works) in [
        ("http://203.0.113.9", false),
        ("http://127.0.0.1:99", true),
        ("203.0.113.9", true),
        ("203.0.113.9:6443", true),
    ] {
        let access = access(endpoint);
        assert!(!format!("{access:?}").contains("t0ken"));
        let provider = KubernetesProvider::connect("c", &access, Pace::default()).await;
        assert_eq!(provider.is_ok(), works, "{endpoint}");
    }
}

#[test]
fn serves_objects_of_its_own_cluster() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::start(|_| not_found()).await;
        let provider = provider(&server).await;
        let serves = |id: &str| provider.serves(&id.parse::<ResourceId>().unwrap());
        assert!(serves(DEPLOYMENT));
        assert!(!serves("deployment/cluster-2/default/exhibitor"));
        assert!(!serves("ensemble/cluster-1/default/exhibitor"));
        assert!(!serves("gke/p/us-east1-d/cluster-1"));
    });
}

//! The ensemble provider against scripted Exhibitors behind a scripted pod proxy.

use crate::fixtures::{change, desired, spec};
use crate::loopback::{Answer, Seen, Server};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zkprov_engine::connection::Pace;
use zkprov_engine::error::{ProviderError, ProviderErrorKind};
use zkprov_engine::provider::{Provider, ReadRequest};
use zkprov_engine::providers::ensemble::EnsembleProvider;
use zkprov_engine::providers::kubernetes::{KubeAccess, KubernetesProvider, static_token};
use zkprov_plans::observed::Reading;
use zkprov_plans::plan::{Action, Call, Change, EnsembleTarget, ReadyWhen};
use zkprov_plans::quorum;
use zkprov_plans::readiness::Verdict;

const ENSEMBLE: &str = "ensemble/cluster-1/default/exhibitor";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// What the Exhibitors of the test do with a `config/set`.
#[derive(Clone, Copy, PartialEq)]
enum Set {
    /// Take it.
    Taken,
    /// Take it, and lose the answer.
    TakenAndHangup,
    /// Refuse it.
    Busy,
    /// Say OK, and read every number as 0.
    Garbled,
}

/// One shared configuration, and pods `pod-1` ... at 10.0.0.1 ...
struct Stage {
    pods: u32,
    set: Set,
    config: Mutex<Value>,
    /// The list from before: who is in it takes part until it stops.
    formed: String,
    silent: Vec<u32>,
    marked: Vec<u32>,
    /// A pod that reads an empty list until somebody writes again.
    misread: AtomicU32,
    /// Switches stay where they are.
    stuck: bool,
    /// Pods whose switch for restarts is off.
    held: Mutex<BTreeSet<u32>>,
    /// What was asked of ZooKeeper's processes, in order.
    asked: Mutex<Vec<String>>,
}

impl Stage {
    fn new(pods: u32, servers: &str) -> Self {
        let config = json!({
            "rollInProgress": false, "rollStatus": "n/a", "hostname": "h", "serverId": 1, "controlPanel": {},
            "logIndexDirectory": "/t", "zookeeperInstallDirectory": "/opt/zookeeper",
            "zookeeperDataDirectory": "/s", "zookeeperLogDirectory": "/t", "serversSpec": servers,
            "backupExtra": {"directory": ""}, "zooCfgExtra": {"tickTime": "2000"},
            "clientPort": 2181, "connectPort": 2888, "electionPort": 3888, "checkMs": 30000,
            "autoManageInstances": 1, "autoManageInstancesSettlingPeriodMs": 0,
            "autoManageInstancesFixedEnsembleSize": 3
        });
        Self {
            pods,
            set: Set::Taken,
            config: Mutex::new(config),
            formed: servers.to_owned(),
            silent: Vec::new(),
            marked: Vec::new(),
            misread: AtomicU32::new(0),
            stuck: false,
            held: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    fn servers(&self) -> String {
        self.config.lock().unwrap()["serversSpec"].as_str().unwrap().to_owned()
    }

    fn answer(&self, seen: &Seen) -> Answer {
        let path = seen.target.split('?').next().unwrap();
        if path == "/api/v1/namespaces/default/pods" {
            assert!(seen.target.contains("labelSelector=app=exhibitor"), "{}", seen.target);
            let items: Vec<Value> = (1..=self.pods).map(|pod| self.pod(pod)).collect();
            return Answer::Json(200, json!({"items": items, "metadata": {"resourceVersion": "1"}}));
        }
        let rest = path.strip_prefix("/api/v1/namespaces/default/pods/pod-").unwrap();
        if seen.method == "PATCH" {
            return Answer::Json(200, json!({}));
        }
        let (pod, endpoint) = rest.split_once(":8282/proxy/exhibitor/v1/").unwrap();
        let pod: u32 = pod.parse().unwrap();
        if self.silent.contains(&pod) {
            return Answer::Text(503, "text/plain", "error trying to reach service".to_owned());
        }
        let address = format!("10.0.0.{pod}");
        match endpoint {
            "config/get-state" => {
                let mut config = self.config.lock().unwrap().clone();
                if self.misread.load(Ordering::Relaxed) == pod {
                    config["serversSpec"] = json!("");
                }
                Answer::Json(200, json!({"config": config}))
            }
            "cluster/status" => Answer::Json(200, Value::Array(self.statuses())),
            "cluster/state" => {
                let restarts = !self.held.lock().unwrap().contains(&pod);
                let switches = json!({"restarts": restarts, "cleanup": true, "backups": true});
                Answer::Json(200, json!({"switches": switches, "state": 3, "isLeader": true}))
            }
            "cluster/set/restarts/false" if self.stuck => self.done(|| ()),
            "cluster/set/restarts/false" => self.done(|| self.held.lock().unwrap().insert(pod)),
            "cluster/set/restarts/true" => self.done(|| self.held.lock().unwrap().remove(&pod)),
            "cluster/restart" | "cluster/stop" => {
                let verb = endpoint.rsplit('/').next().unwrap();
                self.done(|| self.asked.lock().unwrap().push(format!("{verb} {pod}")))
            }
            "cluster/log" => {
                let asked = self.asked.lock().unwrap();
                let starts = asked.iter().filter(|line| **line == format!("restart {pod}")).count();
                Answer::Json(200, json!(format!("time {starts}\tINFO\tProcess started via: zkServer.sh\n")))
            }
            "cluster/4ltr/srvr" if self.asked.lock().unwrap().contains(&format!("stop {pod}")) => {
                Answer::Json(200, json!(""))
            }
            "cluster/4ltr/srvr" => {
                let first = self.servers().split(',').next().unwrap().ends_with(&address);
                let takes_part = self.servers().contains(&address) || self.formed.contains(&address);
                let mode = match (first, takes_part) {
                    (true, _) => "leader",
                    (false, true) => "follower",
                    (false, false) => "standalone",
                };
                Answer::Json(
                    200,
                    json!(format!(
                        "Zookeeper version: 3.4.6-1, built\nZxid: 0x1\nMode: {mode}\nNode count: 4\n"
                    )),
                )
            }
            "config/set" | "config/set-rolling" => self.take(&seen.body),
            other => panic!("{other}"),
        }
    }

    fn done<T>(&self, act: impl FnOnce() -> T) -> Answer {
        act();
        Answer::Json(200, json!({"message": "OK", "succeeded": true}))
    }

    fn statuses(&self) -> Vec<Value> {
        let servers = self.servers();
        let hosts = servers.split(',').filter_map(|entry| entry.split_once(':'));
        let status = |(index, (_, host)): (usize, (&str, &str))| json!({"code": 3, "description": "serving", "hostname": host, "isLeader": index == 0});
        hosts.enumerate().map(status).collect()
    }

    fn pod(&self, pod: u32) -> Value {
        let marks = if self.marked.contains(&pod) { json!({DELETION_COST: "-100"}) } else { json!({}) };
        json!({"metadata": {"name": format!("pod-{pod}"), "uid": format!("uid-{pod}"), "annotations": marks,
                "creationTimestamp": format!("2026-01-01T00:00:0{pod}Z")},
            "spec": {"containers": [{"ports": [{"name": "api", "containerPort": 8282}]}]},
            "status": {"phase": "Running", "podIP": format!("10.0.0.{pod}")}})
    }

    fn take(&self, body: &Value) -> Answer {
        if self.set == Set::Busy {
            return Answer::Json(
                200,
                json!({"message": "Another process has updated the config.", "succeeded": false}),
            );
        }
        self.misread.store(0, Ordering::Relaxed);
        let mut config = self.config.lock().unwrap();
        for (key, value) in body.as_object().unwrap() {
            let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
            config[key] = match number {
                Some(_) if self.set == Set::Garbled => json!(0),
                Some(number) => json!(number),
                None => value.clone(),
            };
        }
        match self.set {
            Set::TakenAndHangup => Answer::Hangup,
            Set::Taken | Set::Busy | Set::Garbled => {
                Answer::Json(200, json!({"message": "OK", "succeeded": true}))
            }
        }
    }
}

struct Run {
    server: Server,
    stage: Arc<Stage>,
    provider: EnsembleProvider,
}

impl Run {
    async fn new(stage: Stage) -> Self {
        let stage = Arc::new(stage);
        let shared = Arc::clone(&stage);
        let server = Server::start(move |seen| shared.answer(seen)).await;
        let access = KubeAccess::Cluster {
            endpoint: server.endpoint.clone(),
            ca_pem: String::new(),
            token: static_token("t0ken"),
        };
        let millis = Duration::from_millis;
        let pace = Pace { poll: millis(2), poll_max: millis(5), retry: millis(1), ..Pace::default() };
        let kubernetes = KubernetesProvider::connect("cluster-1", &access, pace).await.unwrap();
        Self { server, stage, provider: EnsembleProvider::new(Arc::new(kubernetes)) }
    }

    async fn set(&self, target: EnsembleTarget, settings: Value) -> Result<(), ProviderError> {
        let body = json!({"voters": target.voters, "fixedSize": target.fixed_size, "settings": settings});
        let ready = ReadyWhen::EnsembleServes { voters: target.voters };
        let change = change(ENSEMBLE, Action::Update, body, ready);
        self.provider.call(&change, &Call::SetEnsemble(target), &Reading::Absent, "request", &|_| {}).await
    }

    /// Path of each write after the proxy, or of the pod for a patch.
    fn writes(&self) -> Vec<String> {
        let seen = self.server.seen().into_iter().filter(|seen| seen.method != "GET");
        seen.map(|seen| seen.line().replace("/api/v1/namespaces/default/pods/", "")).collect()
    }
}

fn target(voters: u32, keep: &[&str], remove: &[&str], rolling: bool) -> EnsembleTarget {
    let hosts = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
    let (keep, remove) = (hosts(keep), hosts(remove));
    EnsembleTarget {
        voters,
        fixed_size: 3,
        keep,
        join: Vec::new(),
        remove,
        rolling,
        canary: false,
        renumber: false,
    }
}

const THREE: &str = "1:10.0.0.1,2:10.0.0.2,3:10.0.0.3";

#[tokio::test]
async fn forms_an_ensemble_with_one_write() {
    let run = Run::new(Stage::new(3, "")).await;
    let (spec, desired) = (spec(), desired(&[]));
    let request = ReadRequest { spec: &spec, desired: &desired };
    assert!(
        matches!(run.provider.observe_ensemble(&request).await, Reading::Known(state) if state.servers.is_empty())
    );
    assert_eq!(
        run.provider.refresh(&ENSEMBLE.parse().unwrap(), &Value::Null).await.unwrap(),
        Reading::Absent
    );
    run.set(target(3, &[], &[], false), json!({"checkMs": "10000"})).await.unwrap();
    assert_eq!(run.stage.servers(), THREE);
    assert_eq!(run.writes(), ["POST pod-1:8282/proxy/exhibitor/v1/config/set"]);
    let body = run.server.seen_by("POST").remove(0).body;
    assert_eq!((&body["checkMs"], &body["clientPort"]), (&json!("10000"), &json!("2181")));
    let read = run.provider.refresh(&ENSEMBLE.parse().unwrap(), &Value::Null).await.unwrap();
    assert_eq!(read.known().unwrap().document["voters"], 3);
    let state = run.provider.look(&ENSEMBLE.parse().unwrap()).await.unwrap();
    assert_eq!(quorum::converged(&state, 3), Verdict::Ready);
    run.set(target(3, &[], &[], false), json!({"checkMs": "10000"})).await.unwrap();
    assert_eq!(run.writes().len(), 1, "a repetition writes nothing");
}

#[tokio::test]
async fn adds_one_voter_and_keeps_the_ids() {
    let run = Run::new(Stage::new(5, "1:10.0.0.1,4:10.0.0.2,7:10.0.0.3")).await;
    run.set(target(4, &["10.0.0.1", "10.0.0.2", "10.0.0.3"], &[], true), json!({})).await.unwrap();
    assert_eq!(run.stage.servers(), "1:10.0.0.1,4:10.0.0.2,7:10.0.0.3,8:10.0.0.4");
    assert_eq!(run.writes(), ["POST pod-1:8282/proxy/exhibitor/v1/config/set"]);
    // The newcomer does not follow in this play: only the order of the others counts.
    assert_eq!(*run.stage.asked.lock().unwrap(), ["restart 2", "restart 3", "restart 4", "restart 1"]);
    assert!(run.stage.held.lock().unwrap().is_empty(), "all are switched on again");
}

#[tokio::test]
async fn nothing_is_posted_to_members_whose_switches_cannot_be_turned() {
    let run = Run::new(Stage { stuck: true, ..Stage::new(3, THREE) }).await;
    let keep = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    let error = run.set(target(3, &keep, &[], true), json!({"clientPort": "2182"})).await.unwrap_err();
    assert_eq!(error.kind, ProviderErrorKind::Transient, "{error}");
    assert!(run.writes().is_empty());
}

#[tokio::test]
async fn a_roll_that_was_cut_off_restarts_the_rest_and_writes_nothing() {
    let run = Run::new(Stage::new(3, THREE)).await;
    run.stage.held.lock().unwrap().extend([1, 3]);
    let keep = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    run.set(target(3, &keep, &[], true), json!({})).await.unwrap();
    assert_eq!(*run.stage.asked.lock().unwrap(), ["restart 3", "restart 1"]);
    assert!(run.writes().is_empty() && run.stage.held.lock().unwrap().is_empty());
}

#[tokio::test]
async fn who_leaves_is_marked_before_and_who_stays_is_not() {
    let run = Run::new(Stage { marked: vec![2], ..Stage::new(3, THREE) }).await;
    run.set(target(2, &["10.0.0.1", "10.0.0.2"], &["10.0.0.3"], true), json!({})).await.unwrap();
    assert_eq!(run.stage.servers(), "1:10.0.0.1,2:10.0.0.2");
    let roll = "POST pod-1:8282/proxy/exhibitor/v1/config/set";
    assert_eq!(run.writes(), ["PATCH pod-2", "PATCH pod-3", roll]);
    let patches = run.server.seen_by("PATCH");
    assert_eq!(patches[0].body["metadata"], json!({"annotations": {DELETION_COST: null}, "uid": "uid-2"}));
    assert_eq!(patches[1].body["metadata"], json!({"annotations": {DELETION_COST: "-100"}, "uid": "uid-3"}));
}

#[tokio::test]
async fn settings_that_are_live_are_never_rolled() {
    let run = Run::new(Stage::new(3, THREE)).await;
    let keep = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    run.set(target(3, &keep, &[], true), json!({"checkMs": "5000"})).await.unwrap();
    run.set(target(3, &keep, &[], true), json!({"zooCfgExtra": {"tickTime": "3000"}})).await.unwrap();
    let ends: Vec<String> =
        run.writes().iter().map(|line| line.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(ends, ["set", "set"]);
    assert_eq!(*run.stage.asked.lock().unwrap(), ["restart 2", "restart 3", "restart 1"]);
}

#[tokio::test]
async fn failures_are_classed_by_what_to_do() {
    let all = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    let rolling = |stage: Stage| {
        stage.config.lock().unwrap()["rollInProgress"] = json!(true);
        stage
    };
    let cases = [
        (Stage { set: Set::Busy, ..Stage::new(3, "") }, target(3, &[], &[], false), ProviderErrorKind::Busy),
        (
            Stage { set: Set::TakenAndHangup, ..Stage::new(3, "") },
            target(3, &[], &[], false),
            ProviderErrorKind::OutcomeUnknown,
        ),
        (
            Stage { set: Set::Garbled, ..Stage::new(3, "") },
            target(3, &[], &[], false),
            ProviderErrorKind::Stale,
        ),
        (Stage::new(2, ""), target(3, &[], &[], false), ProviderErrorKind::Busy),
        (Stage { silent: vec![3], ..Stage::new(3, "") }, target(3, &[], &[], false), ProviderErrorKind::Busy),
        (
            Stage { silent: vec![1, 2, 3], ..Stage::new(3, "") },
            target(3, &[], &[], false),
            ProviderErrorKind::Transient,
        ),
        (Stage::new(3, "1:10.0.0.1,2:10.0.0.2"), target(3, &all, &[], false), ProviderErrorKind::Stale),
        (Stage::new(5, THREE), target(2, &["10.0.0.1", "10.0.0.2"], &[], false), ProviderErrorKind::Stale),
        (rolling(Stage::new(3, "")), target(3, &[], &[], false), ProviderErrorKind::Busy),
    ];
    for (index, (stage, target, expected)) in cases.into_iter().enumerate() {
        let run = Run::new(stage).await;
        let before = run.stage.servers();
        let error = run.set(target, json!({})).await.unwrap_err();
        assert_eq!(error.kind, expected, "case {index}: {error}");
        let posts = run.server.seen_by("POST").len();
        assert!(posts <= 1, "case {index}: writes are not repeated");
        if posts == 0 {
            assert_eq!(run.stage.servers(), before, "case {index}");
        }
    }
}

#[tokio::test]
async fn a_lost_answer_is_mended_by_trying_again() {
    let run = Run::new(Stage { set: Set::TakenAndHangup, ..Stage::new(3, "") }).await;
    assert!(run.set(target(3, &[], &[], false), json!({})).await.is_err());
    run.set(target(3, &[], &[], false), json!({})).await.unwrap();
    assert_eq!((run.stage.servers().as_str(), run.server.seen_by("POST").len()), (THREE, 1));
}

#[tokio::test]
async fn a_member_that_has_misread_the_configuration_is_told_again_as_it_is() {
    let run = Run::new(Stage::new(3, THREE)).await;
    let wait = Change::look(&ENSEMBLE.parse().unwrap(), ReadyWhen::EnsembleServes { voters: 3 });
    assert_eq!(run.provider.ready(&wait).await.unwrap(), Verdict::Ready);
    let before = run.stage.config.lock().unwrap().clone();
    run.stage.misread.store(2, Ordering::Relaxed);
    let looked = run.provider.look(&wait.id).await.unwrap();
    assert_eq!(looked.misread, ["pod-2"]);
    assert!(run.writes().is_empty(), "a look changes nothing");
    assert!(matches!(run.provider.ready(&wait).await.unwrap(), Verdict::Progressing(_)));
    assert_eq!(run.writes(), ["POST pod-1:8282/proxy/exhibitor/v1/config/set"]);
    assert_eq!(*run.stage.config.lock().unwrap(), before);
    assert_eq!(run.provider.ready(&wait).await.unwrap(), Verdict::Ready);
}

#[tokio::test]
async fn silence_is_not_absence() {
    let run = Run::new(Stage { silent: vec![1, 2, 3], ..Stage::new(3, THREE) }).await;
    let id = ENSEMBLE.parse().unwrap();
    assert!(matches!(run.provider.refresh(&id, &Value::Null).await.unwrap(), Reading::Unavailable(_)));
    let state = run.provider.look(&id).await.unwrap();
    assert_eq!((state.pods.len(), state.gaps.len()), (3, 3));
    let nobody = Run::new(Stage::new(0, "")).await;
    assert_eq!(nobody.provider.refresh(&id, &Value::Null).await.unwrap(), Reading::Absent);
}

#[tokio::test]
async fn all_questions_of_a_round_are_asked_at_once() {
    let run = Run::new(Stage::new(3, THREE)).await;
    run.provider.look(&ENSEMBLE.parse().unwrap()).await.unwrap();
    assert_eq!(run.server.seen().len(), 1 + 3 * 4);
}

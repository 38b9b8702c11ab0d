//! The kubelets of all nodes: from a pod bound to a node to running containers, and to their end.

use super::super::clock;
use super::super::events::Note;
use super::super::images;
use super::super::kind::Kind;
use super::super::managers::Actor;
use super::super::registry::Registry;
use super::super::store::Store;
use super::super::tree::{self, items, text};
use super::pods::{self, Medium};
use super::probes::{Outcome, Probing, Subject};
use super::program::{self, Ending, Restarts};
use super::{Outside, set_condition};
use crate::api::Time;
use crate::containers::Containers;
use crate::views::share_name;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const COMPONENT: &str = "kubelet";
/// Milliseconds to set up a pod's sandbox.
const SANDBOX: Time = 600;
/// Milliseconds to look an image up that is on the node.
const LOOK_UP: Time = 300;
/// Milliseconds before a container that failed is started again, doubled by each failure, and the most of it.
const CRASH_LOOP: Time = 10_000;
const LONGEST_CRASH_LOOP: Time = 300_000;
/// Milliseconds after which the pods of a lost node are collected.
const NODE_LOST: Time = 40_000;
/// Milliseconds from a reset of a node's machine to its kubelet at work: less than the 40 s after which the node would count as
/// lost, so its pods stay bound to it, and look ready until then.
const REBOOT: Time = 30_000;

/// How far a pod is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// Its volumes are to be mounted.
    Mounting,
    /// Its sandbox and address are to be made, and its images looked up.
    Preparing,
    /// Its images are being pulled.
    Pulling,
    /// Its containers are to be created.
    Creating,
    /// Its containers run.
    Running,
    /// Its containers have ended, and are not started again.
    Ended,
}

/// One pod on its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    namespace: String,
    name: String,
    node: String,
    address: Option<String>,
    stage: Stage,
    /// When the stage is worked on next; unused while it runs.
    due: Time,
    /// Failed attempts at the present stage.
    attempts: u32,
    since: Time,
    size: u32,
    restarts: u32,
    probing: Probing,
    /// When the containers end.
    ends: Option<Time>,
    /// When they end by themselves, and with what status.
    #[serde(default)]
    program: Option<Ending>,
    #[serde(default)]
    policy: Restarts,
}

/// What all kubelets remember.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kubelet {
    /// Pods by uid.
    runs: BTreeMap<String, Run>,
    /// Images on each node.
    images: BTreeSet<(String, String)>,
    /// Nodes that boot, and until when.
    #[serde(default)]
    booting: BTreeMap<String, Time>,
    /// Revision up to which pods were looked at.
    seen: u64,
}

/// What one pod's step works with.
struct Step<'a, 'r> {
    registry: &'a mut Registry<'r>,
    shares: &'a mut dyn Containers,
    outside: Outside<'a>,
    images: &'a mut BTreeSet<(String, String)>,
}

impl Kubelet {
    /// When something is due. Probes that would change nothing are not.
    pub(super) fn next_due(&self, store: &Store, shares: &dyn Containers) -> Option<Time> {
        self.runs.values().map(|run| run.next(store, shares)).min()
    }

    /// Times of probes, which go by while nothing happens.
    pub(super) fn clocks(&mut self) -> impl Iterator<Item = &mut Time> {
        self.runs.values_mut().map(|run| &mut run.probing.next)
    }

    /// Lets the probes before `now` pass, which changed nothing.
    pub(super) fn skip(&mut self, store: &Store, now: Time) {
        for run in self.runs.values_mut().filter(|run| run.stage == Stage::Running) {
            if let Some(pod) = store.get(Kind::Pod, &run.namespace, &run.name) {
                run.probing.skip(pod, now);
            }
        }
    }

    /// Does what is due.
    pub(super) fn run(
        &mut self,
        registry: &mut Registry<'_>,
        shares: &mut dyn Containers,
        outside: Outside<'_>,
    ) {
        if self.seen != registry.store.revision() {
            self.adopt(registry, shares);
        }
        let now = registry.now;
        self.skip(registry.store, now);
        let runs = std::mem::take(&mut self.runs);
        for (uid, mut run) in runs {
            // Only Exhibitor can end by itself; it says so without being asked.
            let exited = run.address.as_deref().is_some_and(|address| shares.exited(address));
            let due = run.earliest() <= now && run.next(registry.store, shares) <= now;
            let keep = if due || exited {
                let mut step = Step { registry, shares, outside, images: &mut self.images };
                step.pod(&mut run, exited)
            } else {
                true
            };
            if keep {
                self.runs.insert(uid, run);
            } else {
                empty(&uid, shares);
            }
        }
        self.seen = registry.store.revision();
    }

    /// Takes on pods that were bound, and notices those that are to end or are gone.
    fn adopt(&mut self, registry: &mut Registry<'_>, shares: &mut dyn Containers) {
        let pods: Vec<Value> = registry.store.list(Kind::Pod, None).cloned().collect();
        let there: BTreeSet<&str> = pods.iter().map(tree::uid).collect();
        self.runs.retain(|uid, run| {
            let stays = there.contains(uid.as_str());
            if !stays {
                if let Some(address) = &run.address {
                    shares.stop(address, registry.now);
                }
                empty(uid, shares);
            }
            stays
        });
        for pod in &pods {
            let Some(node) = text(pod, "/spec/nodeName") else { continue };
            let run = self
                .runs
                .entry(tree::uid(pod).to_owned())
                .or_insert_with(|| Run::new(pod, node, registry.now));
            if run.stage == Stage::Mounting {
                run.due = run.due.max(self.booting.get(node).copied().unwrap_or(0));
            }
            let lost = registry.store.get(Kind::Node, "", node).is_none();
            if lost && let Some(address) = &run.address {
                shares.stop(address, registry.now);
            }
            let ends = if lost {
                Some(registry.now + NODE_LOST)
            } else if tree::is_deleting(pod) {
                Some(registry.now + pods::ending(pod))
            } else {
                None
            };
            if run.ends.is_none() && ends.is_some() {
                run.ends = ends;
                if !lost {
                    for (container, _) in pods::containers(pod) {
                        let note =
                            Note::normal(COMPONENT, "Killing", format!("Stopping container {container}"));
                        registry.note(Kind::Pod, pod, &note);
                    }
                }
            }
        }
    }

    /// The machine of a node boots: its containers are gone, and what they wrote beside their volumes; its pods get a sandbox and
    /// an address anew. Their `emptyDir`s are on the node's disk, which stays.
    pub(super) fn reset(&mut self, node: &str, shares: &mut dyn Containers, now: Time) {
        for (uid, run) in self.runs.iter_mut().filter(|(_, run)| run.node == node) {
            if let Some(address) = run.address.take() {
                shares.stop(&address, now);
            }
            shares.discard(&Medium::Memory.volumes_of(uid));
            run.probing = Probing::default();
            if run.stage == Stage::Ended {
                continue;
            }
            // Containers that are not started again have failed: killed by SIGKILL, as the kubelet has to take it.
            if run.policy == Restarts::Never && run.stage == Stage::Running {
                run.probing.next = Time::MAX;
                run.program = Some(Ending { at: now + REBOOT, code: 137 });
                continue;
            }
            run.program = None;
            run.restarts += u32::from(run.stage == Stage::Running);
            run.move_on(Stage::Mounting, now + REBOOT);
        }
        self.booting.insert(node.to_owned(), now + REBOOT);
    }

    /// All containers end at once: their nodes are gone.
    pub(super) fn stop_all(&mut self, shares: &mut dyn Containers, now: Time) {
        for (uid, run) in &self.runs {
            if let Some(address) = &run.address {
                shares.stop(address, now);
            }
            empty(uid, shares);
        }
        self.runs.clear();
    }
}

/// A pod is gone from its node: its `emptyDir`s go with it.
fn empty(uid: &str, shares: &mut dyn Containers) {
    for medium in [Medium::Disk, Medium::Memory] {
        shares.discard(&medium.volumes_of(uid));
    }
}

impl Run {
    fn new(pod: &Value, node: &str, now: Time) -> Self {
        let (namespace, name) = pods::key(pod);
        Self {
            namespace,
            name,
            node: node.to_owned(),
            address: None,
            stage: Stage::Mounting,
            due: now + SANDBOX / 2,
            attempts: 0,
            since: now,
            size: 0,
            restarts: 0,
            probing: Probing::default(),
            ends: None,
            program: None,
            policy: program::restarts(pod),
        }
    }

    /// Before when nothing is due; [`Time::MAX`] when nothing ever is.
    fn earliest(&self) -> Time {
        let own = match self.stage {
            Stage::Running => self.program.map_or(self.probing.next, |end| end.at.min(self.probing.next)),
            Stage::Ended => Time::MAX,
            Stage::Mounting | Stage::Preparing | Stage::Pulling | Stage::Creating => self.due,
        };
        // A pod that ends is not probed any more.
        self.ends.unwrap_or(own)
    }

    /// When something is due; [`Time::MAX`] when nothing is.
    fn next(&self, store: &Store, shares: &dyn Containers) -> Time {
        if self.stage == Stage::Running && self.ends.is_none() && !self.is_probed(store, shares) {
            return self.program.map_or(Time::MAX, |end| end.at);
        }
        self.earliest()
    }

    /// Whether the next probe would change anything.
    fn is_probed(&self, store: &Store, shares: &dyn Containers) -> bool {
        store.get(Kind::Pod, &self.namespace, &self.name).is_none_or(|pod| {
            let address = self.address.as_deref().unwrap_or_default();
            self.probing.matters(store, shares, &Subject { pod, address, size: self.size, since: self.since })
        })
    }

    fn move_on(&mut self, stage: Stage, due: Time) {
        (self.stage, self.due, self.attempts) = (stage, due, 0);
    }

    fn try_again(&mut self, now: Time, first: Time, longest: Time) {
        self.due = now + (first << self.attempts.min(10)).min(longest);
        self.attempts += 1;
    }
}

impl Step<'_, '_> {
    /// Works on one pod; says whether it is still there.
    fn pod(&mut self, run: &mut Run, exited: bool) -> bool {
        let now = self.registry.now;
        if run.ends.is_some_and(|ends| ends <= now) {
            if let Some(address) = &run.address {
                self.shares.stop(address, now);
            }
            self.registry.store.remove(Kind::Pod, &run.namespace, &run.name, now);
            return false;
        }
        if run.ends.is_some() {
            return true;
        }
        let Some(pod) = self.registry.store.get(Kind::Pod, &run.namespace, &run.name).cloned() else {
            return false;
        };
        match run.stage {
            Stage::Running if exited => self.restart(run, &pod),
            Stage::Running if run.program.is_some_and(|end| end.at <= now) => self.end(run, &pod),
            Stage::Mounting => self.mount(run, &pod),
            Stage::Preparing => self.prepare(run, &pod),
            Stage::Pulling => self.pull(run, &pod),
            Stage::Creating => self.create(run, &pod),
            Stage::Running => self.probe(run, &pod),
            Stage::Ended => {}
        }
        true
    }

    fn mount(&mut self, run: &mut Run, pod: &Value) {
        let now = self.registry.now;
        let failure = pods::mount_failure(self.registry.store, pod, self.outside.exports);
        self.write(run, pod, Some(("ContainerCreating", "")));
        match failure {
            Some(why) => {
                run.try_again(now, 1000, 122_000);
                self.registry.note(Kind::Pod, pod, &Note::warning(COMPONENT, "FailedMount", why));
            }
            None => run.move_on(Stage::Preparing, now + SANDBOX),
        }
    }

    fn prepare(&mut self, run: &mut Run, pod: &Value) {
        let now = self.registry.now;
        if run.address.is_none() {
            let node = self.registry.store.get(Kind::Node, "", &run.node);
            let range = node.and_then(|node| text(node, "/spec/podCIDR")).unwrap_or("10.8.0.0/24").to_owned();
            run.address = Some(self.registry.addresses.pod(&range));
            self.write(run, pod, Some(("ContainerCreating", "")));
        }
        let mut wait = LOOK_UP;
        for container in items(pod, "/spec/containers") {
            let image = text(container, "/image").unwrap_or_default();
            if !self.pulls(run, container) {
                continue;
            }
            let note = Note::normal(COMPONENT, "Pulling", format!("Pulling image \"{image}\""));
            self.registry.note(Kind::Pod, pod, &note);
            if self.refusal(run, image).is_some() {
                wait += 1200;
            } else if !self.images.contains(&(run.node.clone(), image.to_owned())) {
                wait += 4000 + self.registry.ids.below(4000);
            }
        }
        run.move_on(Stage::Pulling, now + wait);
    }

    /// Whether a container's image is asked for at its registry.
    fn pulls(&self, run: &Run, container: &Value) -> bool {
        let image = text(container, "/image").unwrap_or_default();
        let here = self.images.contains(&(run.node.clone(), image.to_owned()));
        !here || text(container, "/imagePullPolicy") == Some("Always")
    }

    /// Why a node does not get an image, if so.
    fn refusal(&self, run: &Run, image: &str) -> Option<String> {
        let node = self.registry.store.get(Kind::Node, "", &run.node);
        let version = node.and_then(|node| text(node, "/status/nodeInfo/kubeletVersion"));
        self.outside.images.refusal(image, images::minor(version.unwrap_or_default()))
    }

    fn pull(&mut self, run: &mut Run, pod: &Value) {
        let now = self.registry.now;
        let refused = items(pod, "/spec/containers").iter().find_map(|container| {
            let image = text(container, "/image").filter(|_| self.pulls(run, container))?;
            Some((image, self.refusal(run, image)?))
        });
        if let Some((image, why)) = refused {
            let back_off = format!("Back-off pulling image \"{image}\"");
            // Every second look falls into the back-off.
            let (reason, message) = if run.attempts.is_multiple_of(2) {
                let text = format!("Failed to pull image \"{image}\": {why}");
                self.registry.note(Kind::Pod, pod, &Note::warning(COMPONENT, "Failed", text));
                ("ErrImagePull", why)
            } else {
                self.registry.note(Kind::Pod, pod, &Note::normal(COMPONENT, "BackOff", back_off.clone()));
                ("ImagePullBackOff", format!("{back_off}: ErrImagePull: {why}"))
            };
            let error = Note::warning(COMPONENT, "Failed", format!("Error: {reason}"));
            self.registry.note(Kind::Pod, pod, &error);
            self.write(run, pod, Some((reason, &message)));
            run.try_again(now, 5000, 300_000);
            return;
        }
        for (_, image) in pods::containers(pod) {
            if self.images.insert((run.node.clone(), image.to_owned())) {
                let took = now.saturating_sub(run.since) as f64 / 1000.0;
                let text = format!("Successfully pulled image \"{image}\" in {took}s");
                self.registry.note(Kind::Pod, pod, &Note::normal(COMPONENT, "Pulled", text));
            } else {
                let text = format!("Container image \"{image}\" already present on machine");
                self.registry.note(Kind::Pod, pod, &Note::normal(COMPONENT, "Pulled", text));
            }
        }
        run.move_on(Stage::Creating, now + LOOK_UP);
    }

    fn create(&mut self, run: &mut Run, pod: &Value) {
        let now = self.registry.now;
        for container in items(pod, "/spec/containers") {
            if let Err(why) = pods::environment(self.registry.store, pod, container) {
                self.registry.note(
                    Kind::Pod,
                    pod,
                    &Note::warning(COMPONENT, "Failed", format!("Error: {why}")),
                );
                self.write(run, pod, Some(("CreateContainerConfigError", &why)));
                run.try_again(now, 10_000, 10_000);
                return;
            }
        }
        run.move_on(Stage::Running, now);
        run.since = now;
        self.start(run, pod);
        for (container, _) in pods::containers(pod) {
            for (reason, word) in [("Created", "Created"), ("Started", "Started")] {
                let note = Note::normal(COMPONENT, reason, format!("{word} container: {container}"));
                self.registry.note(Kind::Pod, pod, &note);
            }
        }
    }

    fn start(&mut self, run: &mut Run, pod: &Value) {
        let address = run.address.clone().unwrap_or_default();
        if let Some(container) = pods::exhibitor(pod) {
            let env = pods::environment(self.registry.store, pod, container).unwrap_or_default();
            let place = pods::Place { address: &address, restarts: run.restarts };
            let mut member = pods::member(self.registry.store, pod, container, place, env);
            member.share = share_name(self.outside.network, &member.share);
            run.size = member.ensemble_size;
            self.shares.start(member, self.registry.now, self.registry.ids);
        }
        let subject = Subject { pod, address: &address, size: run.size, since: run.since };
        run.probing = Probing::new(&subject);
        run.program = program::ending(pod).map(|end| Ending { at: run.since + end.at, ..end });
        self.write(run, pod, None);
    }

    /// The containers have ended by themselves: for good, or to be started again after a failure.
    fn end(&mut self, run: &mut Run, pod: &Value) {
        let now = self.registry.now;
        let code = run.program.take().map_or(0, |end| end.code);
        if code == 0 || run.policy == Restarts::Never {
            run.stage = Stage::Ended;
            return self.write_end(run, pod, code);
        }
        let pause = (CRASH_LOOP << run.restarts.min(10)).min(LONGEST_CRASH_LOOP);
        run.restarts += 1;
        run.move_on(Stage::Creating, now + pause);
        let message = format!(
            "back-off {}s restarting failed container={} pod={}_{}({})",
            pause / 1000,
            pods::containers(pod).map(|(name, _)| name).next().unwrap_or_default(),
            run.name,
            run.namespace,
            tree::uid(pod)
        );
        self.registry.note(Kind::Pod, pod, &Note::warning(COMPONENT, "BackOff", message.clone()));
        self.write(run, pod, Some(("CrashLoopBackOff", &message)));
    }

    /// Writes the status of a pod whose containers have ended with this.
    fn write_end(&mut self, run: &Run, pod: &Value, code: u8) {
        let mut pod = self.registry.store.get(Kind::Pod, &run.namespace, &run.name).unwrap_or(pod).clone();
        let at = clock::seconds(self.registry.now);
        let (phase, word, why) = if code == 0 {
            ("Succeeded", "Completed", "PodCompleted")
        } else {
            ("Failed", "Error", "PodFailed")
        };
        tree::put(&mut pod, "/status/phase", phase);
        for ty in ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"] {
            let status = if ty == "Initialized" { "True" } else { "False" };
            let mut condition =
                json!({"type": ty, "status": status, "lastProbeTime": null, "lastTransitionTime": at});
            if ty != "PodReadyToStartContainers" {
                tree::put(&mut condition, "/reason", why);
            }
            set_condition(&mut pod, &condition);
        }
        let ended = |(name, image): (&str, &str)| {
            let container = format!("containerd://{}-{}", run.name, run.restarts);
            json!({"name": name, "lastState": {}, "ready": false, "restartCount": run.restarts, "image": image,
                "imageID": image, "started": false, "containerID": container, "state": {"terminated": {
                    "exitCode": code, "reason": word, "startedAt": clock::seconds(run.since), "finishedAt": at,
                    "containerID": container}}})
        };
        let statuses: Vec<Value> = pods::containers(&pod).map(ended).collect();
        tree::put(&mut pod, "/status/containerStatuses", statuses);
        self.registry.commit(Kind::Pod, pod, &Actor::through(COMPONENT, "status"));
    }

    /// The container ended by itself: it starts again.
    fn restart(&mut self, run: &mut Run, pod: &Value) {
        if let Some(address) = &run.address {
            self.shares.stop(address, self.registry.now);
        }
        run.restarts += 1;
        run.move_on(Stage::Creating, self.registry.now + 1000);
        self.write(run, pod, Some(("ContainerCreating", "")));
    }

    fn probe(&mut self, run: &mut Run, pod: &Value) {
        let address = run.address.clone().unwrap_or_default();
        let subject = Subject { pod, address: &address, size: run.size, since: run.since };
        let started = run.probing.started;
        let outcome = run.probing.probe(self.registry.store, self.shares, &subject, self.registry.now);
        if outcome == Outcome::Failing {
            let note = Note::warning(COMPONENT, "Unhealthy", "Readiness probe failed: ");
            self.registry.note(Kind::Pod, pod, &note);
        }
        if outcome == Outcome::Changed || started != run.probing.started {
            self.write(run, pod, None);
        }
    }

    /// Writes the pod's status; `waiting` is why its containers don't run.
    fn write(&mut self, run: &Run, pod: &Value, waiting: Option<(&str, &str)>) {
        let mut pod = self.registry.store.get(Kind::Pod, &run.namespace, &run.name).unwrap_or(pod).clone();
        let at = clock::seconds(self.registry.now);
        let running = waiting.is_none();
        let ready = running && run.probing.ready;
        tree::put(&mut pod, "/status/phase", if running || run.restarts > 0 { "Running" } else { "Pending" });
        tree::default(&mut pod, "/status/startTime", at.as_str());
        let host = self.registry.store.get(Kind::Node, "", &run.node);
        if let Some(host) = host.and_then(|node| text(node, "/status/addresses/0/address")) {
            tree::put(&mut pod, "/status/hostIP", host);
            tree::put(&mut pod, "/status/hostIPs", json!([{"ip": host}]));
        }
        if let Some(address) = &run.address {
            tree::put(&mut pod, "/status/podIP", address.as_str());
            tree::put(&mut pod, "/status/podIPs", json!([{"ip": address}]));
        }
        let names: Vec<&str> = pods::containers(&pod).map(|(name, _)| name).collect();
        let unready = format!("containers with unready status: [{}]", names.join(" "));
        for (ty, holds) in [
            ("PodReadyToStartContainers", run.address.is_some()),
            ("Initialized", true),
            ("Ready", ready),
            ("ContainersReady", ready),
        ] {
            let status = if holds { "True" } else { "False" };
            let mut condition =
                json!({"type": ty, "status": status, "lastProbeTime": null, "lastTransitionTime": at});
            if !holds && ty != "PodReadyToStartContainers" {
                tree::put(&mut condition, "/reason", "ContainersNotReady");
                tree::put(&mut condition, "/message", unready.as_str());
            }
            set_condition(&mut pod, &condition);
        }
        let statuses: Vec<Value> =
            pods::containers(&pod).map(|(name, image)| container_status(run, name, image, waiting)).collect();
        tree::put(&mut pod, "/status/containerStatuses", statuses);
        self.registry.commit(Kind::Pod, pod, &Actor::through(COMPONENT, "status"));
    }
}

fn container_status(run: &Run, name: &str, image: &str, waiting: Option<(&str, &str)>) -> Value {
    let state = match waiting {
        Some((reason, "")) => json!({"waiting": {"reason": reason}}),
        Some((reason, message)) => json!({"waiting": {"reason": reason, "message": message}}),
        None => json!({"running": {"startedAt": clock::seconds(run.since)}}),
    };
    let running = waiting.is_none();
    let mut status = json!({
        "name": name, "state": state, "lastState": {}, "ready": running && run.probing.ready,
        "restartCount": run.restarts, "image": image, "imageID": "", "started": running && run.probing.started,
    });
    if running {
        tree::put(&mut status, "/containerID", format!("containerd://{}-{}", run.name, run.restarts));
        tree::put(&mut status, "/imageID", image);
    }
    status
}

//! Rolls of pods: each goes when all others serve, the leader's last. A StatefulSet's are deleted here. A Deployment's controller
//! deletes them by itself: it is paused until the ensemble is at rest again, and told by a deletion cost who leads.

use super::read::Sight;
use super::{EnsembleProvider, namespace, seen};
use crate::error::{ProviderError, ProviderErrorKind as Kind};
use crate::provider::{Course, Progress};
use crate::providers::kubernetes::api::WRITE;
use crate::providers::kubernetes::{Place, not_ours, text};
use crate::wait::Deadline;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::sleep;
use zkprov_plans::document::FIELD_MANAGER;
use zkprov_plans::members;
use zkprov_plans::observed::{EnsembleState, Pod, Reading};
use zkprov_plans::plan::{Change, EnsembleTarget, ReadyWhen};
use zkprov_plans::readiness::Verdict;
use zkprov_plans::resource::{KubeKind, ResourceId};
use zkprov_plans::roll::{self, Next, Restarted};
use zkprov_plans::{pods, quorum};

/// Looks for which a leader may go on leading after it was told to restart.
const HANDS_OVER: u32 = 45;

/// What a roll of a StatefulSet's pods waits for.
enum UnderWay {
    /// The leader's ZooKeeper restarts, so that another one leads by the time its pod goes: an election takes its time while the
    /// address of a voter cannot be reached.
    HandsOver { host: String, looks: u32 },
    /// A pod was deleted.
    Replaces {
        restarted: Restarted,
        /// Its `metadata.uid`.
        uid: Option<String>,
    },
}

impl EnsembleProvider {
    /// Replaces the pods of an earlier template, or lets a Deployment replace them one by one.
    pub(super) async fn replace_pods(
        &self,
        change: &Change,
        ensemble: &ResourceId,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let ReadyWhen::PodsAnswer { replicas } = change.ready_when else { return Ok(()) };
        let workload = &change.id;
        let Some(place) = Place::of(workload) else { return Err(not_ours(workload)) };
        let mut under_way = None;
        let pace = &self.kubernetes.pace;
        let (mut said, mut until) = (String::new(), Deadline::after(pace.formation, pace));
        loop {
            let Some(document) = self.kubernetes.get(&place).await? else {
                return Err(failed(workload, Kind::Stale, "it is not there any more".to_owned()));
            };
            let waits = if !pods::is_seen(&document) {
                Some("its controller to see the change".to_owned())
            } else if place.kind == KubeKind::StatefulSet {
                self.next_pod(&document, ensemble, &mut under_way).await?
            } else {
                self.next_of_deployment(&place, &document, ensemble, progress).await?
            };
            let Some(why) = waits else { return Ok(()) };
            // What is wrong with pods that a Deployment has not come to ends with them.
            let counts =
                place.kind == KubeKind::StatefulSet || self.seen(ensemble, |seen| seen.has_gone_on());
            if counts
                && let Verdict::Failed { reason, hint } =
                    self.kubernetes.pods_answer(workload, replicas).await?
            {
                return Err(failed(workload, Kind::Failed, reason).hint(hint));
            }
            if why != said {
                progress(Course::Doing(format!("waiting for {why}")));
                said = why;
                until = Deadline::after(pace.formation, pace);
            }
            if until.has_passed() {
                let message = format!("waited {} s for {said}", until.seconds());
                let hint = "the other pods run as before; look at `zkprov status`, then apply again, or apply another \
                            file to roll back";
                return Err(failed(workload, Kind::Deadline, message).hint(hint));
            }
            sleep(self.kubernetes.pace.poll).await;
        }
    }

    /// Makes ready for a Deployment's controller, which begins as soon as its template changes.
    pub(super) async fn spare_leader(&self, ensemble: &ResourceId) -> Result<(), ProviderError> {
        let sight = self.sight(ensemble).await?;
        self.seen(ensemble, seen::Seen::let_go_on);
        self.mark_leader(ensemble, &sight).await
    }

    /// Lets the controller of a Deployment replace one more pod when all members serve, and pauses it as soon as that one has a
    /// successor: it would go on while Exhibitor still restarts the others for the newcomer, and what Exhibitor waits for then
    /// would be gone. Returns what is waited for; `None` when all pods have the latest template.
    async fn next_of_deployment(
        &self,
        place: &Place,
        document: &Value,
        ensemble: &ResourceId,
        progress: Progress<'_>,
    ) -> Result<Option<String>, ProviderError> {
        let count = |pointer: &str| document.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let (updated, wanted) = (count("/status/updatedReplicas"), count("/spec/replicas"));
        let paused = document.pointer("/spec/paused") == Some(&Value::Bool(true));
        let sight = self.sight(ensemble).await?;
        self.heal(ensemble, &sight).await?;
        let rest = match members::reading(sight.state.clone()) {
            Reading::Known(state) if state.servers.is_empty() => Verdict::Ready,
            Reading::Known(state) => quorum::converged(&state, quorum::voters(&state)),
            // No container has started: nobody serves whom it could cost.
            Reading::Absent => Verdict::Ready,
            Reading::Unavailable(gap) => Verdict::Progressing(gap.why),
        };
        let why = match rest {
            Verdict::Ready => None,
            Verdict::Progressing(why) | Verdict::Failed { reason: why, .. } => Some(why),
        };
        match &why {
            None => {
                self.mark_leader(ensemble, &sight).await?;
                if paused {
                    self.seen(ensemble, seen::Seen::let_go_on);
                    self.pause(place, false).await?;
                } else if updated >= wanted && count("/status/replicas") == wanted {
                    return Ok(None);
                }
            }
            // Before the successor is there the controller would take the old ones for too few, and add to them.
            Some(_) => {
                let newcomer = self.seen(ensemble, |seen| seen.has_newcomer())
                    || !quorum::candidates(&sight.state).is_empty();
                if newcomer && !paused && updated < wanted {
                    self.pause(place, true).await?;
                }
                self.give_places(ensemble, &sight.state, progress).await?;
            }
        }
        let pods = format!("pods of the latest template: {updated} of {wanted}");
        Ok(Some(why.map_or_else(|| pods.clone(), |why| format!("{pods}; {why}"))))
    }

    /// Gives the places of members without a pod to newcomers that answer, and ends a roll that was cut off. Exhibitor's automatic
    /// management would give the places, too, a settling period and up to two minutes later, and restart the members in an order of
    /// its own.
    async fn give_places(
        &self,
        ensemble: &ResourceId,
        state: &EnsembleState,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let lost = quorum::lost(state);
        // What a run before this one began is left in the members' switches, or in a roll of Exhibitor's.
        let begun = !roll::held(state).is_empty() || state.stuck.is_some();
        let due = begun || !lost.is_empty();
        if !due || state.rolling || quorum::candidates(state).len() < lost.len() {
            return Ok(());
        }
        let hosts = state.servers.iter().map(|server| server.hostname.clone());
        let voters = quorum::voters(state);
        let target = EnsembleTarget {
            voters,
            fixed_size: if voters.is_multiple_of(2) { voters.saturating_sub(1) } else { voters },
            keep: hosts.filter(|host| !lost.contains(host)).collect(),
            join: Vec::new(),
            remove: lost,
            rolling: true,
            canary: false,
            renumber: false,
        };
        match self.set(&Change::look(ensemble, ReadyWhen::Done), &target, progress).await {
            // Exhibitor was first, or somebody did not answer: the next look tells.
            Err(error) if matches!(error.kind, Kind::Transient | Kind::Busy | Kind::Stale) => Ok(()),
            result => result,
        }
    }

    async fn pause(&self, place: &Place, paused: bool) -> Result<(), ProviderError> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let body = json!({"spec": {"paused": paused}});
        let request = place.request().patch(&place.name, &params, &Patch::Merge(body));
        let answer = self.kubernetes.api.json(request, WRITE).await;
        answer.map(drop).map_err(|failure| failure.of_write(format!("setting `paused` of {}", place.text())))
    }

    /// Deletes the pod whose turn it is, if one's is. Returns what is waited for; `None` when all have the latest template.
    async fn next_pod(
        &self,
        set: &Value,
        ensemble: &ResourceId,
        under_way: &mut Option<UnderWay>,
    ) -> Result<Option<String>, ProviderError> {
        let sight = self.sight(ensemble).await?;
        self.heal(ensemble, &sight).await?;
        let state = match members::reading(sight.state.clone()) {
            Reading::Known(state) => state,
            // No container has started: nobody serves whom it could cost.
            Reading::Absent => sight.state.clone(),
            Reading::Unavailable(gap) => return Ok(Some(gap.why)),
        };
        let outdated = pods::outdated(set, &sight.state.pods);
        let (mut restarted, mut handed_over) = (None, false);
        match under_way.as_mut() {
            None => {}
            Some(UnderWay::HandsOver { host, looks }) => {
                let settled = quorum::converged(&state, quorum::voters(&state)) == Verdict::Ready;
                if (roll::last(&state) == Some(host) || !settled) && *looks < HANDS_OVER {
                    *looks += 1;
                    return Ok(Some(format!("another leader than {host}, whose pod is the last to go")));
                }
                (handed_over, *under_way) = (true, None);
            }
            Some(UnderWay::Replaces { restarted: last, uid }) => {
                let another = |pod: &&Value| text(pod, "/metadata/uid") != uid.as_deref();
                if sight.pod_at(&last.host).filter(another).is_none() {
                    return Ok(Some(format!("the pod of {} to be replaced", last.host)));
                }
                restarted = Some(last.clone());
            }
        }
        if state.servers.is_empty() {
            // Without a list nobody has a vote, or nobody has told yet who has.
            if let Some(gap) = state.gaps.first() {
                return Ok(Some(format!("an answer: {}: {}", gap.what, gap.why)));
            }
            if !quorum::holders(&state).is_empty() {
                let lost = "the shared configuration is lost, and its members hold data".to_owned();
                return Err(failed(ensemble, Kind::Failed, lost).hint("plan again to see what is left"));
            }
        }
        let is_voter =
            |pod: &&&Pod| state.servers.iter().any(|server| Some(server.hostname.as_str()) == pod.address());
        let voteless: Vec<&str> =
            outdated.iter().filter(|pod| !is_voter(pod)).map(|pod| pod.name.as_str()).collect();
        if !voteless.is_empty() {
            for name in &voteless {
                self.delete(ensemble, &sight, name).await?;
            }
            return Ok(Some(format!("{}, without a vote, to be replaced", voteless.join(", "))));
        }
        let held = outdated.iter().filter_map(|pod| pod.address().map(str::to_owned)).collect();
        let state = EnsembleState { held, ..state };
        Ok(match roll::next(&state, restarted.as_ref()) {
            Next::Done => None,
            Next::Wait(why) => Some(why),
            Next::Stop(host) => Some(format!("{host}, which takes part and is in no list, to leave")),
            Next::Release(host) => {
                *under_way = None;
                Some(format!("the next after {host}, which is back and in sync"))
            }
            Next::Restart(host) => {
                let leads = roll::last(&state) == Some(&host) && quorum::voters(&state) > 1;
                let pod = sight.pod_at(&host);
                let pod =
                    pod.ok_or_else(|| failed(ensemble, Kind::Transient, format!("no pod is at {host}")))?;
                if leads && !handed_over {
                    let asked = self.ask_to(ensemble, pod, "cluster/restart").await?;
                    asked.map_err(|why| failed(ensemble, Kind::Failed, why))?;
                    let why = format!("{host} to hand over before its pod goes");
                    *under_way = Some(UnderWay::HandsOver { host, looks: 0 });
                    return Ok(Some(why));
                }
                let ready = pods::pod(pod).is_some_and(|pod| pod.ready);
                if ready && !quorum::serves(&state, &host) {
                    // It was not heard at this look alone.
                    return Ok(Some(format!("{host} to answer")));
                }
                let name = text(pod, "/metadata/name").unwrap_or_default();
                let uid = self.delete(ensemble, &sight, name).await?;
                let why = format!("{name} to be replaced");
                let restarted = Restarted { host, floor: roll::floor(&state) };
                *under_way = Some(UnderWay::Replaces { restarted, uid });
                Some(why)
            }
        })
    }

    /// Deletes this very pod, with its grace; whoever is by its name later is another one. Returns its uid.
    async fn delete(
        &self,
        ensemble: &ResourceId,
        sight: &Sight,
        name: &str,
    ) -> Result<Option<String>, ProviderError> {
        let named = |pod: &&Value| text(pod, "/metadata/name") == Some(name);
        let uid =
            sight.documents.iter().find(named).and_then(|pod| text(pod, "/metadata/uid")).map(str::to_owned);
        match self.kubernetes.delete_pod(namespace(ensemble)?, name, uid.as_deref(), None).await {
            Err(error) if error.kind != Kind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(uid),
        }
    }
}

fn failed(workload: &ResourceId, kind: Kind, message: String) -> ProviderError {
    ProviderError::new(kind, format!("replacing the pods of {workload}"), message)
}

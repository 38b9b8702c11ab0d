//! Rolls: members are told not to restart by themselves, and are then restarted one by one, the leader last.

use super::EnsembleProvider;
use super::read::{OWN, Sight};
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Course, Progress};
use crate::wait::Deadline;
use serde_json::Value;
use tokio::time::sleep;
use zkprov_plans::exhibitor;
use zkprov_plans::observed::{Server, StuckRoll};
use zkprov_plans::resource::ResourceId;
use zkprov_plans::roll::{self, Next, Restarted};

/// Period of Exhibitor's look at its ZooKeeper that one look of ours stands for, ms: the provider's pace is one a second.
const LOOK_MS: u64 = 1_000;
/// Looks after which a member that does not come back is restarted once more: Exhibitor, whose switch is off, does not.
const ONCE_MORE: u32 = 45;

/// One roll.
pub(super) struct Roll<'a> {
    pub(super) id: &'a ResourceId,
    /// The configuration that every member is to run with.
    pub(super) body: &'a Value,
    /// The members that stay and those that join.
    pub(super) servers: &'a [Server],
    pub(super) progress: Progress<'a>,
}

/// A restart under way.
struct UnderWay {
    restarted: Restarted,
    /// The last start of its ZooKeeper before, as Exhibitor's log has it.
    started: Option<String>,
    looks: u32,
}

impl Roll<'_> {
    fn say(&self, message: String) {
        (self.progress)(Course::Doing(message));
    }

    fn fail(&self, kind: ProviderErrorKind, message: String) -> ProviderError {
        ProviderError::new(kind, format!("restarting the members of {} one by one", self.id), message)
    }

    /// Whether the member at this address stays or joins.
    fn concerns(&self, host: &str) -> bool {
        self.servers.iter().any(|server| server.hostname == host)
    }
}

impl EnsembleProvider {
    /// Switches restarts off at every member that a new configuration would make restart by itself, and sees that they are.
    pub(super) async fn hold(&self, roll: &Roll<'_>, sight: &Sight) -> Result<(), ProviderError> {
        let now = sight.state.servers.iter().map(|server| &server.hostname);
        let joining = roll.servers.iter().map(|server| &server.hostname);
        let mut hosts: Vec<&String> = now.chain(joining).collect();
        hosts.sort();
        hosts.dedup();
        for host in &hosts {
            if let Some(pod) = sight.pod_at(host) {
                self.control(roll, pod, "cluster/set/restarts/false").await?;
            }
        }
        let state = self.look(roll.id).await?;
        let free = |host: &&&String| sight.pod_at(host).is_some() && !state.held.contains(**host);
        match hosts.iter().find(free) {
            Some(host) => {
                let message = format!("{host} does not keep its switch for restarts off");
                Err(roll.fail(ProviderErrorKind::Transient, message))
            }
            None => Ok(()),
        }
    }

    /// Ends a roll of Exhibitor's that waits for ever, with the configuration that was looked at: who has read the other one would
    /// restart for it, all at once, unless it is held.
    pub(super) async fn end(
        &self,
        roll: &Roll<'_>,
        pod: &Value,
        stuck: &StuckRoll,
    ) -> Result<(), ProviderError> {
        roll.say(format!("ending a roll of Exhibitor's that waits for {}", stuck.waits_for));
        let path = if stuck.before { "config/rollback-rolling" } else { "config/force-commit-rolling" };
        self.control(roll, pod, path).await
    }

    /// Restarts every member whose switch is off, in the order of [`roll::next`], and switches each on again.
    pub(super) async fn roll(&self, roll: &Roll<'_>) -> Result<(), ProviderError> {
        self.until_read(roll).await?;
        let sight = self.sight(roll.id).await?;
        let ids = self.ids(roll, &sight).await?;
        if ids.iter().any(|(server, id)| id.is_some_and(|id| id != server.id)) {
            return self.restart_together(roll, &sight).await;
        }
        let pace = &self.kubernetes.pace;
        let mut under_way: Option<UnderWay> = None;
        let (mut said, mut until) = (String::new(), Deadline::after(pace.restart, pace));
        loop {
            let sight = self.sight(roll.id).await?;
            self.heal(roll.id, &sight).await?;
            let why = match self.next(roll, &sight, under_way.as_mut()).await? {
                Next::Done => return Ok(()),
                Next::Wait(why) => why,
                Next::Restart(host) => {
                    let pod = self.pod_of(roll, &sight, &host)?;
                    let started = self.last_start(roll, pod).await?;
                    let floor = roll::floor(&sight.state);
                    roll.say(format!("restarting {host}"));
                    self.control(roll, pod, "cluster/restart").await?;
                    let restarted = Restarted { host: host.clone(), floor };
                    under_way = Some(UnderWay { restarted, started, looks: 0 });
                    until = Deadline::after(pace.restart, pace);
                    format!("{host} to come back")
                }
                Next::Stop(host) => {
                    let pod = self.pod_of(roll, &sight, &host)?;
                    roll.say(format!("stopping {host}, which leaves"));
                    self.control(roll, pod, "cluster/stop").await?;
                    format!("{host} to stop")
                }
                Next::Release(host) => {
                    let pod = self.pod_of(roll, &sight, &host)?;
                    self.control(roll, pod, "cluster/set/restarts/true").await?;
                    roll.say(format!("{host} is back and in sync"));
                    under_way = None;
                    until = Deadline::after(pace.restart, pace);
                    continue;
                }
            };
            if until.has_passed() {
                let waited = format!("{} s for {why}", until.seconds());
                return Err(roll.fail(ProviderErrorKind::Deadline, format!("waited {waited}")).hint(
                    "the others run as before and do not restart; look at `zkprov status`, then apply again, or \
                     apply another file to roll back",
                ));
            }
            if why != said {
                roll.say(format!("waiting for {why}"));
                said = why;
            }
            sleep(pace.poll).await;
        }
    }

    /// What comes next. A restart that Exhibitor has not carried out yet is waited for: its ZooKeeper still serves.
    async fn next(
        &self,
        roll: &Roll<'_>,
        sight: &Sight,
        under_way: Option<&mut UnderWay>,
    ) -> Result<Next, ProviderError> {
        let Some(under_way) = under_way else { return Ok(roll::next(&sight.state, None)) };
        let host = &under_way.restarted.host;
        let next = roll::next(&sight.state, Some(&under_way.restarted));
        let Some(pod) = sight.pod_at(host) else {
            return Err(roll.fail(ProviderErrorKind::Transient, format!("the pod at {host} is gone")));
        };
        match next {
            Next::Release(_) if self.last_start(roll, pod).await? == under_way.started => {
                Ok(Next::Wait(format!("{host} to restart")))
            }
            Next::Wait(why) => {
                under_way.looks += 1;
                if under_way.looks.is_multiple_of(ONCE_MORE) {
                    self.control(roll, pod, "cluster/restart").await?;
                }
                Ok(Next::Wait(why))
            }
            other @ (Next::Release(_) | Next::Restart(_) | Next::Stop(_) | Next::Done) => Ok(other),
        }
    }

    /// Waits until all whom it concerns have read the configuration, and Exhibitor has looked at it twice: what it finds
    /// new it would restart for, once it is switched on again.
    async fn until_read(&self, roll: &Roll<'_>) -> Result<(), ProviderError> {
        let check = roll.body.get("checkMs").and_then(|check| check.as_str()?.parse::<u64>().ok());
        let looks = 1 + 2 * check.unwrap_or(LOOK_MS).div_ceil(LOOK_MS);
        let until = Deadline::after(self.kubernetes.pace.restart, &self.kubernetes.pace);
        let mut left = looks;
        while left > 0 {
            let state = self.mend(roll.id).await?;
            let late = state.pods.iter().find(|pod| {
                let here = pod.address().is_some_and(|address| roll.concerns(address));
                here && (state.behind.contains(&pod.name) || state.misread.contains(&pod.name))
            });
            let read = |config: &Value| exhibitor::differing_keys(config, roll.body).is_empty();
            let all = late.is_none() && state.config.as_ref().is_some_and(read);
            left = if all { left - 1 } else { looks };
            // Once all have read it the looks that are left are bounded, however slow each of them is.
            if !all && until.has_passed() {
                let who = late.map_or("somebody", |pod| pod.name.as_str());
                let message = format!("{who} does not read the configuration that was set");
                return Err(roll.fail(ProviderErrorKind::Deadline, message).hint("look at `zkprov status`"));
            }
            sleep(self.kubernetes.pace.poll).await;
        }
        Ok(())
    }

    /// Restarts all whose switch is off at once. The list gives members other ids than they run with: Exhibitor's automatic
    /// management wrote it over the ensemble's. One that has a new id could not take part among old ones, and a roll would wait for
    /// it for ever.
    async fn restart_together(&self, roll: &Roll<'_>, sight: &Sight) -> Result<(), ProviderError> {
        let held = roll::held(&sight.state);
        roll.say(format!("restarting {} together: their ids have changed", held.join(", ")));
        for host in &held {
            self.control(roll, self.pod_of(roll, sight, host)?, "cluster/restart").await?;
        }
        self.until_renumbered(roll).await?;
        for host in &held {
            self.control(roll, self.pod_of(roll, sight, host)?, "cluster/set/restarts/true").await?;
        }
        Ok(())
    }

    /// Waits until every ZooKeeper runs with its new id: while some still serve by the old ones, all looks well.
    pub(super) async fn until_renumbered(&self, roll: &Roll<'_>) -> Result<(), ProviderError> {
        let until = Deadline::after(self.kubernetes.pace.restart, &self.kubernetes.pace);
        loop {
            let ids = self.ids(roll, &self.sight(roll.id).await?).await?;
            let Some((late, _)) = ids.iter().find(|(server, id)| *id != Some(server.id)) else {
                return Ok(());
            };
            if until.has_passed() {
                let message = format!("{} does not take its id {}", late.hostname, late.id);
                return Err(roll.fail(ProviderErrorKind::Deadline, message).hint("look at `zkprov status`"));
            }
            sleep(self.kubernetes.pace.poll).await;
        }
    }

    /// The id that each member's ZooKeeper runs with, if it serves.
    async fn ids<'r>(
        &self,
        roll: &Roll<'r>,
        sight: &Sight,
    ) -> Result<Vec<(&'r Server, Option<u32>)>, ProviderError> {
        let mut ids = Vec::new();
        for server in roll.servers {
            let pod = self.pod_of(roll, sight, &server.hostname)?;
            let conf = self.exhibitor(roll.id, pod, "cluster/4ltr/conf", OWN).await;
            ids.push((server, conf.ok().as_ref().and_then(Value::as_str).and_then(exhibitor::server_id)));
        }
        Ok(ids)
    }

    fn pod_of<'a>(&self, roll: &Roll<'_>, sight: &'a Sight, host: &str) -> Result<&'a Value, ProviderError> {
        let gone = || roll.fail(ProviderErrorKind::Transient, format!("no pod is at {host} any more"));
        sight.pod_at(host).ok_or_else(gone)
    }

    async fn control(&self, roll: &Roll<'_>, pod: &Value, path: &str) -> Result<(), ProviderError> {
        let taken = self.ask_to(roll.id, pod, path).await?;
        taken.map_err(|message| roll.fail(ProviderErrorKind::Failed, format!("{path}: {message}")))
    }

    async fn last_start(&self, roll: &Roll<'_>, pod: &Value) -> Result<Option<String>, ProviderError> {
        let log = self.exhibitor(roll.id, pod, "cluster/log", OWN).await;
        let log = log.map_err(|why| roll.fail(ProviderErrorKind::Transient, why))?;
        Ok(log.as_str().and_then(exhibitor::last_start).map(str::to_owned))
    }
}

//! Setting the shared configuration: always the whole document, read back and compared.

use super::EnsembleProvider;
use super::read::{OWN, Sight, proxied};
use super::roll::Roll;
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Course, Progress};
use crate::providers::kubernetes::api::plain;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use serde_json::Value;
use std::time::Duration;
use zkprov_plans::exhibitor::{self, ExhibitorError};
use zkprov_plans::observed::{EnsembleState, Server};
use zkprov_plans::plan::{Change, EnsembleTarget, Reason};
use zkprov_plans::resource::ResourceId;
use zkprov_plans::{quorum, roll};

/// Deadline of a write: Exhibitor holds its lock for 5 s at least, and tries for it for 10 s.
const SET: Duration = Duration::from_secs(20);
/// Looks at the configuration before it counts as not taken.
const READ_BACKS: u32 = 5;

impl EnsembleProvider {
    /// Brings the shared configuration to `target` with the settings of the change's body. Nothing is written when it says
    /// that already: a repetition is harmless.
    pub(super) async fn set(
        &self,
        change: &Change,
        target: &EnsembleTarget,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let id = &change.id;
        let doing = || format!("setting {id} to {} voters", target.voters);
        let fail = |kind, message: String| ProviderError::new(kind, doing(), message);
        let sight = self.sight(id).await?;
        let state = &sight.state;
        let Some(live) = state.config.as_ref() else {
            let why = state.gaps.iter().map(|gap| gap.why.as_str()).collect::<Vec<_>>().join("; ");
            return Err(fail(ProviderErrorKind::Transient, format!("no pod answers: {why}")));
        };
        if state.rolling {
            return Err(fail(ProviderErrorKind::Busy, "Exhibitor is rolling another change".to_owned()));
        }
        let mut servers = members(state, target).map_err(|refusal| refusal.into_error(doing()))?;
        if target.renumber {
            servers = exhibitor::renumbered(&servers);
        }
        let settings = change.body.get("settings").unwrap_or(&Value::Null);
        let body = exhibitor::compose(live, settings, &servers, target.fixed_size)
            .map_err(|error| fail(ProviderErrorKind::Invalid, error.to_string()))?;
        self.mark_leaving(id, &sight, &servers, target).await?;
        let keys = exhibitor::differing_keys(live, &body);
        let ends_roll = state.stuck.is_some();
        // Told again, it is written as it is.
        let posts = !keys.is_empty() || ends_roll || matches!(change.reason, Reason::Misread(_));
        let restarts =
            keys.iter().any(|key| exhibitor::restarts(key)) || ends_roll || !roll::held(state).is_empty();
        let rolls = target.rolling && restarts;
        let roll = Roll { id, body: &body, servers: &servers, progress };
        if posts {
            if rolls {
                self.hold(&roll, &sight).await?;
            }
            let pod = spokesman(&sight)
                .ok_or_else(|| fail(ProviderErrorKind::Stale, "the pod that answered is gone".to_owned()))?;
            if let Some(stuck) = &state.stuck {
                self.end(&roll, pod, stuck).await?;
            }
            progress(Course::Doing(format!("config/set: {}", exhibitor::format_servers(&servers))));
            let taken = self.post(id, pod, "config/set", &body).await?;
            self.read_back(id, pod, &body, taken, doing()).await?;
        }
        match (rolls, target.renumber) {
            (true, _) => self.roll(&roll).await,
            (false, true) => self.until_renumbered(&roll).await,
            (false, false) => Ok(()),
        }
    }

    /// Posts the document; `Err` inside is Exhibitor's own refusal.
    pub(super) async fn post(
        &self,
        id: &ResourceId,
        pod: &Value,
        path: &str,
        body: &Value,
    ) -> Result<Result<(), String>, ProviderError> {
        let url = proxied(id, pod, path)?;
        let request = Request::post(url)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string().into_bytes())
            .map_err(kube::core::request::Error::BuildRequest);
        let answer = self.kubernetes.api.json(request, SET).await;
        let answer = answer.map_err(|failure| failure.of_write(format!("posting {path} of {id}")))?;
        Ok(exhibitor::parse_result(&answer))
    }

    /// Asks for something that takes no document; `Err` inside is Exhibitor's own refusal.
    pub(super) async fn ask_to(
        &self,
        id: &ResourceId,
        pod: &Value,
        path: &str,
    ) -> Result<Result<(), String>, ProviderError> {
        let request = plain(Method::GET, &proxied(id, pod, path)?);
        let answer = self.kubernetes.api.json(request, SET).await;
        let answer = answer.map_err(|failure| failure.of_write(format!("asking for {path} of {id}")))?;
        Ok(exhibitor::parse_result(&answer))
    }

    /// Exhibitor answers OK to a document it has read wrongly, and refuses one when another change is under way: what counts
    /// is what the one that wrote it reads afterwards. The others read it at their next look at the file.
    async fn read_back(
        &self,
        id: &ResourceId,
        pod: &Value,
        body: &Value,
        taken: Result<(), String>,
        doing: String,
    ) -> Result<(), ProviderError> {
        let mut differing = Vec::new();
        for look in 0..READ_BACKS {
            if look > 0 {
                tokio::time::sleep(self.kubernetes.pace.poll).await;
            }
            let answer = self.exhibitor(id, pod, "config/get-state", OWN).await;
            let read = answer.ok().and_then(|answer| exhibitor::parse_config_state(&answer).ok());
            let Some(state) = read else { continue };
            differing = exhibitor::differing_keys(&state.config, body);
            if differing.is_empty() {
                return Ok(());
            }
            if taken.is_err() {
                break;
            }
        }
        Err(match taken {
            Err(message) => ProviderError::new(ProviderErrorKind::Busy, doing, message).hint(
                "another change of the configuration is under way, or a lock of a killed member is left: \
                 Exhibitor ignores it after 15 minutes",
            ),
            Ok(()) => {
                let message = format!("Exhibitor took it and reads back another {}", differing.join(", "));
                ProviderError::new(ProviderErrorKind::Stale, doing, message)
            }
        })
    }
}

/// The pod to post to: one in the quorum, else any that told the configuration.
pub(super) fn spokesman(sight: &Sight) -> Option<&Value> {
    let members = &sight.state.members;
    let serving = members
        .iter()
        .find(|member| member.id.is_some() && member.zookeeper.is_some() && member.pod.is_some());
    let answering = || members.iter().find(|member| member.exhibitor.is_some() && member.pod.is_some());
    sight.pod_at(&serving.or_else(answering)?.hostname)
}

/// Why a target can't be reached from what is live.
#[derive(Debug)]
enum Refusal {
    /// What the target rests on moved.
    Moved(String),
    /// Too few pods answer; more may.
    TooFew(String),
    /// No ids are left.
    Ids(ExhibitorError),
}

impl Refusal {
    fn into_error(self, doing: String) -> ProviderError {
        match self {
            Self::Moved(message) => ProviderError::new(ProviderErrorKind::Stale, doing, message),
            Self::TooFew(message) => ProviderError::new(ProviderErrorKind::Busy, doing, message),
            Self::Ids(error) => ProviderError::new(ProviderErrorKind::Failed, doing, error.to_string())
                .hint("back the data up and build the ensemble anew: ids start at 1 again"),
        }
    }
}

/// The members after the step: all present ones but those that leave, and answering pods until there are enough. Present
/// ones beyond `keep` joined since the plan was made, by an earlier try of this step or by Exhibitor itself.
fn members(state: &EnsembleState, target: &EnsembleTarget) -> Result<Vec<Server>, Refusal> {
    let hosts = state.servers.iter().map(|server| server.hostname.clone());
    // A formation keeps nobody: what the shared directory remembers of members without pods is of an ensemble before it.
    let forgotten = if target.keep.is_empty() { quorum::lost(state) } else { Vec::new() };
    let leaves = |host: &String| target.remove.contains(host) || forgotten.contains(host);
    let staying: Vec<String> = hosts.filter(|host| !leaves(host)).collect();
    if let Some(missing) = target.keep.iter().find(|host| !staying.contains(host)) {
        return Err(Refusal::Moved(format!("{missing} was to stay and is no member any more")));
    }
    let wanted = target.voters as usize;
    if staying.len() > wanted {
        let members = exhibitor::format_servers(&state.servers);
        return Err(Refusal::Moved(format!("more members than the plan knew: {members}")));
    }
    let mut joining = quorum::candidates(state);
    if let Some(away) = target.join.iter().find(|host| !joining.contains(host)) {
        return Err(Refusal::TooFew(format!("{away} is to join and does not answer")));
    }
    joining.sort_by_key(|host| !target.join.contains(host));
    joining.retain(|host| !target.remove.contains(host));
    joining.truncate(wanted - staying.len());
    if staying.len() + joining.len() < wanted {
        let found = staying.len() + joining.len();
        return Err(Refusal::TooFew(format!("{found} of {wanted} pods answer")));
    }
    exhibitor::assign_ids(&state.servers, &staying, &joining).map_err(Refusal::Ids)
}

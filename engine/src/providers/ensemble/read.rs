//! One round of questions to every pod.

use super::{EnsembleProvider, namespace};
use crate::error::ProviderError;
use crate::providers::kubernetes::api::{Failure, plain};
use crate::providers::kubernetes::{api_port, pods_path, text};
use futures::future::{join_all, join4};
use http::Method;
use kube::api::ListParams;
use serde_json::Value;
use std::time::Duration;
use zkprov_plans::exhibitor::{self, ExhibitorError};
use zkprov_plans::members::{PodAnswers, assemble};
use zkprov_plans::observed::{EnsembleState, Pod};
use zkprov_plans::pods;
use zkprov_plans::resource::ResourceId;

/// Deadline of `cluster/status`: Exhibitor itself waits up to 13 s for members that are gone.
const STATUS: Duration = Duration::from_secs(20);
/// Deadline of the questions that a pod answers by itself.
pub(super) const OWN: Duration = Duration::from_secs(10);

/// Deadline of the explorer, whose connection to a ZooKeeper that has restarted takes a while.
pub(super) const EXPLORER: Duration = Duration::from_secs(30);

/// One look at an ensemble.
pub(super) struct Sight {
    pub(super) state: EnsembleState,
    /// The pods' documents, in the order of the state's pods.
    pub(super) documents: Vec<Value>,
}

impl Sight {
    /// The document of the pod that the ensemble knows by this address or name.
    pub(super) fn pod_at(&self, host: &str) -> Option<&Value> {
        let is_there = |pod: Pod| pod.address() == Some(host);
        self.documents.iter().find(|document| pods::pod(document).is_some_and(is_there))
    }
}

impl EnsembleProvider {
    /// Lists the pods and asks all that run, at once.
    pub(super) async fn sight(&self, id: &ResourceId) -> Result<Sight, ProviderError> {
        let params = ListParams::default().labels(&self.selector(id));
        let (documents, _) = self.kubernetes.list(pods_path(namespace(id)?), &params).await?;
        let pods = pods::pods(&documents);
        let by_name =
            |name: &str| documents.iter().find(|document| text(document, "/metadata/name") == Some(name));
        let documents: Vec<Value> = pods.iter().filter_map(|pod| by_name(&pod.name).cloned()).collect();
        let asked = pods
            .iter()
            .zip(&documents)
            .filter(|(pod, _)| pod.ip.is_some() && !pod.deleting && pod.phase == "Running");
        let answers = join_all(asked.map(|(pod, document)| self.ask(id, &pod.name, document))).await;
        let state = assemble(pods, &answers);
        self.seen(id, |seen| seen.note(&state));
        Ok(Sight { state, documents })
    }

    /// The pods alone, without a question to any.
    ///
    /// # Errors
    /// When they can't be listed.
    pub(crate) async fn pods(&self, id: &ResourceId) -> Result<Vec<Pod>, ProviderError> {
        let params = ListParams::default().labels(&self.selector(id));
        let (documents, _) = self.kubernetes.list(pods_path(namespace(id)?), &params).await?;
        Ok(pods::pods(&documents))
    }

    async fn ask(&self, id: &ResourceId, pod: &str, document: &Value) -> PodAnswers {
        let get = |path: &'static str, deadline| self.exhibitor(id, document, path, deadline);
        let (config, status, state, srvr) = join4(
            get("config/get-state", OWN),
            get("cluster/status", STATUS),
            get("cluster/state", OWN),
            get("cluster/4ltr/srvr", OWN),
        )
        .await;
        PodAnswers {
            pod: pod.to_owned(),
            config: parsed(config, exhibitor::parse_config_state),
            status: parsed(status, exhibitor::parse_status),
            state: parsed(state, exhibitor::parse_state),
            srvr: srvr.map(|answer| answer.as_str().and_then(exhibitor::parse_srvr)),
        }
    }

    /// Asks one pod's Exhibitor; an error is a line for people.
    pub(super) async fn exhibitor(
        &self,
        id: &ResourceId,
        pod: &Value,
        path: &str,
        deadline: Duration,
    ) -> Result<Value, String> {
        let url = proxied(id, pod, path).map_err(|error| error.message)?;
        let answer = self.kubernetes.api.json(plain(Method::GET, &url), deadline).await;
        answer.map_err(|failure: Failure| failure.of_read(path).to_string())
    }
}

fn parsed<T>(
    answer: Result<Value, String>,
    parse: impl Fn(&Value) -> Result<T, ExhibitorError>,
) -> Result<T, String> {
    parse(&answer?).map_err(|error| error.to_string())
}

/// The path of a pod's Exhibitor below the API server.
pub(super) fn proxied(id: &ResourceId, pod: &Value, path: &str) -> Result<String, ProviderError> {
    let name = text(pod, "/metadata/name").unwrap_or_default();
    let port = api_port(pod, "/spec/containers");
    Ok(format!("{}/{name}:{port}/proxy/exhibitor/v1/{path}", pods_path(namespace(id)?)))
}

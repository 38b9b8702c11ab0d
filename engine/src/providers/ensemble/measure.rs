//! Measuring an ensemble before and after a step: its counts, and a znode that is written before and read on every member after.

use super::EnsembleProvider;
use super::read::{EXPLORER, proxied};
use super::write::spokesman;
use crate::error::{ProviderError, ProviderErrorKind};
use futures::future::join_all;
use http::Request;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use zkprov_plans::exhibitor;
use zkprov_plans::measure::{CANARY, Measure};
use zkprov_plans::plan::{Call, Change, Disruption};
use zkprov_plans::resource::ResourceId;

/// Looks at what members read: one may be a moment behind the leader.
const LOOKS: u32 = 10;

impl EnsembleProvider {
    /// Counts, and writes the mark where the step asks for it. Steps that restart nobody are not measured.
    pub(super) async fn measured(
        &self,
        change: &Change,
        mark: &str,
    ) -> Result<Option<Measure>, ProviderError> {
        let writes = change
            .calls
            .iter()
            .find_map(|call| if let Call::SetEnsemble(target) = call { Some(target.canary) } else { None });
        let Some(writes) = writes.filter(|_| change.disruption != Disruption::None) else { return Ok(None) };
        let sight = self.sight(&change.id).await?;
        let mut canary = Vec::new();
        if writes && let Some(pod) = spokesman(&sight) {
            self.write_mark(&change.id, pod, mark).await?;
            canary.push((String::new(), mark.to_owned()));
        }
        Ok(Some(Measure::of(&sight.state, canary)))
    }

    /// Counts again, and reads the mark on each member.
    pub(super) async fn measured_again(
        &self,
        change: &Change,
        before: &Measure,
    ) -> Result<Measure, ProviderError> {
        let mut looks = 1;
        loop {
            let sight = self.sight(&change.id).await?;
            let mut canary = Vec::new();
            if !before.canary.is_empty() {
                let voters = sight.state.servers.iter().map(|server| server.hostname.clone());
                let pods = voters.filter_map(|host| Some((sight.pod_at(&host)?, host)));
                let reads = pods.map(|(pod, host)| async move {
                    let read = self.read_mark(&change.id, pod).await?;
                    Ok::<_, ProviderError>((host, read))
                });
                canary = join_all(reads).await.into_iter().collect::<Result<_, _>>()?;
            }
            let after = Measure::of(&sight.state, canary);
            if before.lost(&after).is_none() || looks == LOOKS {
                return Ok(after);
            }
            looks += 1;
            tokio::time::sleep(self.kubernetes.pace.poll).await;
        }
    }

    async fn write_mark(&self, id: &ResourceId, pod: &Value, mark: &str) -> Result<(), ProviderError> {
        let doing = || format!("writing {CANARY} of {id} before the step");
        let hint = "`spec.exhibitor.canary: false` does without it; nothing was changed";
        let url = proxied(id, pod, &format!("explorer/znode{CANARY}"))?;
        let request = Request::put(url)
            .header(CONTENT_TYPE, "application/json")
            .body(hex::encode(mark).into_bytes())
            .map_err(kube::core::request::Error::BuildRequest);
        let answer = self.kubernetes.api.json(request, EXPLORER).await;
        let answer = answer.map_err(|failure| failure.of_write(doing()).hint(hint))?;
        exhibitor::parse_result(&answer)
            .map_err(|message| ProviderError::new(ProviderErrorKind::Transient, doing(), message).hint(hint))
    }

    /// What this member reads by itself; empty when it has no such znode.
    async fn read_mark(&self, id: &ResourceId, pod: &Value) -> Result<String, ProviderError> {
        let fail = |why: String| {
            ProviderError::new(ProviderErrorKind::Transient, format!("reading {CANARY} of {id}"), why)
        };
        let path = format!("explorer/node-data?key={CANARY}");
        let answer = self.exhibitor(id, pod, &path, EXPLORER).await.map_err(fail)?;
        exhibitor::parse_node(&answer).map_err(fail)
    }
}

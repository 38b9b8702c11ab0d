//! What havoc does to an ensemble, and how it looks at it.

use super::{Cloud, EnsembleProviders, Holder, no_cluster};
use crate::error::ProviderError;
use crate::executor::Providers;
use crate::havoc::Field;
use crate::provider::{Course, ReadRequest};
use crate::providers::compute::ComputeProvider;
use crate::providers::ensemble::{EnsembleProvider, Members};
use crate::providers::kubernetes::KubernetesProvider;
use futures::future::{BoxFuture, try_join_all};
use std::sync::{Arc, Mutex, PoisonError};
use zkprov_plans::document::Desired;
use zkprov_plans::havoc::{Kill, Machine, Means, Placement};
use zkprov_plans::observed::{EnsembleState, Pod};
use zkprov_plans::resource::ResourceId;
use zkprov_plans::spec::{FileServer, ValidSpec};

/// One ensemble, its pods, the machines below them and its file server's.
pub struct Ground<'a> {
    spec: &'a ValidSpec,
    id: ResourceId,
    compute: Arc<ComputeProvider>,
    kubernetes: Arc<KubernetesProvider>,
    ensemble: Arc<EnsembleProvider>,
    members: Members,
    lock: EnsembleProviders<'a>,
    /// What the file server's script had reported before its machine was reset.
    before: Mutex<Option<Option<String>>>,
}

impl Cloud {
    /// The way to havoc on an ensemble.
    ///
    /// # Errors
    /// When the cluster does not exist or can't be reached.
    pub async fn ground<'a>(
        &'a self,
        spec: &'a ValidSpec,
        desired: &'a Desired,
        holder: Holder,
    ) -> Result<Ground<'a>, ProviderError> {
        let members = self.members(spec, desired).await?;
        let inside = self.enter(spec).await?.ok_or_else(|| no_cluster(spec))?;
        Ok(Ground {
            spec,
            id: inside.ensemble.id(&ReadRequest { spec, desired }),
            members,
            compute: Arc::clone(&self.compute),
            kubernetes: Arc::clone(&inside.kubernetes),
            ensemble: Arc::clone(&inside.ensemble),
            lock: self.providers(spec, holder),
            before: Mutex::default(),
        })
    }
}

impl Ground<'_> {
    /// The way to the members, for whoever writes meanwhile.
    #[must_use]
    pub fn members(&self) -> Members {
        self.members.clone()
    }

    /// Gives the ensemble's lock back.
    pub async fn release(&self) {
        self.lock.release().await;
    }

    fn before(&self) -> std::sync::MutexGuard<'_, Option<Option<String>>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file_server(&self) -> Option<Machine> {
        match &self.spec.file_server {
            FileServer::SingleNode(vm) => Some(Machine {
                project: self.spec.project.clone(),
                zone: vm.zone.clone(),
                name: vm.name.clone(),
            }),
            FileServer::Filestore(_) | FileServer::External(_) => None,
        }
    }

    async fn reset(&self, machine: &Machine, request_id: &str) -> Result<(), ProviderError> {
        if self.file_server().as_ref() == Some(machine) {
            let report = self.compute.script_report(machine).await?;
            *self.before() = Some(report);
        }
        let silent = |_: Course| ();
        self.compute.reset(machine, request_id, &silent).await
    }
}

impl Field for Ground<'_> {
    fn look(&self) -> BoxFuture<'_, Result<EnsembleState, ProviderError>> {
        Box::pin(self.ensemble.look(&self.id))
    }

    fn pods(&self) -> BoxFuture<'_, Result<Vec<Pod>, ProviderError>> {
        Box::pin(self.ensemble.pods(&self.id))
    }

    fn place<'a>(
        &'a self,
        state: &'a EnsembleState,
    ) -> BoxFuture<'a, Result<Result<Placement, String>, ProviderError>> {
        Box::pin(async {
            let placement = match Placement::of(state) {
                Ok(placement) => placement,
                Err(why) => return Ok(Err(why)),
            };
            let machines = self.kubernetes.machines().await?;
            Ok(Ok(Placement { machines, file_server: self.file_server(), ..placement }))
        })
    }

    fn hold(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.lock.lock(&self.id)
    }

    fn kill<'a>(&'a self, kill: &'a Kill, request_id: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            match &kill.means {
                Means::Reset(machine) => self.reset(machine, request_id).await,
                Means::DeletePods(_) => {
                    let namespace = &self.spec.exhibitor.namespace;
                    let each = kill.takes.iter();
                    let each = each.map(|voter| self.kubernetes.kill_pod(namespace, &voter.pod, &voter.host));
                    try_join_all(each).await.map(|_| ())
                }
            }
        })
    }

    fn file_server_is_back(&self) -> BoxFuture<'_, Result<bool, ProviderError>> {
        Box::pin(async {
            let Some((machine, before)) = self.file_server().zip(self.before().clone()) else {
                return Ok(true);
            };
            // Where nothing can be read, as with guest attributes forbidden, the members alone tell.
            let report = self.compute.script_report(&machine).await?;
            let back = report.as_ref().is_none_or(|now| now.starts_with("ready") && report != before);
            if back {
                *self.before() = None;
            }
            Ok(back)
        })
    }
}

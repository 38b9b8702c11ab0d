//! Compute Engine: the file server's VM, its data disk, address, firewall rules and snapshot schedule.
//!
//! Bodies and documents are the REST JSON of each resource. Labels, tags and metadata are written with the fingerprint
//! of the live document; firewall rules and snapshot schedules have none, so they are read again right before.

mod addresses;
mod disks;
mod filter;
mod firewalls;
mod instances;
mod job;
mod observe;
mod operations;
mod policies;
mod reset;

use super::caller::{Caller, not_connected, tuned};
use super::classify::Api;
use super::scan::{self, List};
use crate::connection::{Connection, install_crypto};
use crate::credentials::Credentials;
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Observations, Progress, Provider, ReadRequest};
use futures::FutureExt;
use futures::future::BoxFuture;
use google_cloud_compute_v1::client::{
    Addresses, Disks, Firewalls, GlobalOperations, Instances, RegionOperations, ResourcePolicies,
    ZoneOperations,
};
use job::{Job, Kind, Place};
use serde_json::Value;
use zkprov_plans::observed::{Live, Reading};
use zkprov_plans::plan::{Call, Change, ReadyWhen};
use zkprov_plans::readiness::{self, Verdict};
use zkprov_plans::resource::ResourceId;

/// Compute Engine.
#[derive(Clone)]
pub struct ComputeProvider {
    caller: Caller,
    instances: Instances,
    disks: Disks,
    addresses: Addresses,
    firewalls: Firewalls,
    policies: ResourcePolicies,
    zone_operations: ZoneOperations,
    region_operations: RegionOperations,
    global_operations: GlobalOperations,
}

impl ComputeProvider {
    /// Makes the clients; sends nothing.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Invalid`] when the endpoint is not a URL.
    pub async fn connect(connection: &Connection, credentials: &Credentials) -> Result<Self, ProviderError> {
        install_crypto();
        let endpoint = connection.endpoints.compute.as_ref();
        macro_rules! client {
            ($service:ident) => {{
                let built = tuned($service::builder(), endpoint, credentials).build().await;
                built.map_err(|error| not_connected(Api::Compute, &error))?
            }};
        }
        Ok(Self {
            caller: Caller::new(Api::Compute, connection),
            instances: client!(Instances),
            disks: client!(Disks),
            addresses: client!(Addresses),
            firewalls: client!(Firewalls),
            policies: client!(ResourcePolicies),
            zone_operations: client!(ZoneOperations),
            region_operations: client!(RegionOperations),
            global_operations: client!(GlobalOperations),
        })
    }

    async fn get(&self, place: &Place<'_>) -> Result<Value, ProviderError> {
        match place.kind {
            Kind::Instance => self.get_instance(place).await,
            Kind::Disk => self.get_disk(place).await,
            Kind::Address => self.get_address(place).await,
            Kind::Firewall => self.get_firewall(place).await,
            Kind::SnapshotSchedule => self.get_policy(place).await,
        }
    }

    async fn refreshed(&self, id: &ResourceId, body: &Value) -> Result<Reading<Live>, ProviderError> {
        let place = Place::of(id)?;
        match self.get(&place).await {
            Ok(document) => {
                let ensemble =
                    scan::owner(body).or_else(|| scan::owner(&document)).unwrap_or_default().to_owned();
                Ok(Reading::Known(scan::live(document, &ensemble)))
            }
            Err(error) if error.kind == ProviderErrorKind::NotFound => Ok(absent(&place, &error, id)),
            Err(error) => Err(error),
        }
    }

    async fn carry_out(&self, job: &Job<'_>, call: &Call) -> Result<(), ProviderError> {
        match call {
            Call::Insert => match job.place.kind {
                Kind::Instance => self.insert_instance(job).await,
                Kind::Disk => self.insert_disk(job).await,
                Kind::Address => self.insert_address(job).await,
                Kind::Firewall => self.insert_firewall(job).await,
                Kind::SnapshotSchedule => self.insert_policy(job).await,
            },
            Call::Delete => self.delete(job).await,
            Call::SetLabels => match job.place.kind {
                Kind::Instance => self.label_instance(job).await,
                Kind::Disk => self.label_disk(job).await,
                Kind::Address => self.label_address(job).await,
                Kind::Firewall | Kind::SnapshotSchedule => Err(job.misplaced(call)),
            },
            Call::SetTags => self.set_tags(job).await,
            Call::SetMetadata => self.set_metadata(job).await,
            Call::SetMachineType => self.set_machine_type(job).await,
            Call::StartInstance => self.start(job, 0).await,
            Call::SetDeletionProtection { on } => self.set_deletion_protection(job, *on).await,
            Call::SetAccessConfig { external } => self.set_access_config(job, *external).await,
            Call::ResizeDisk => self.resize_disk(job).await,
            Call::SetDiskPolicies { add, remove } => self.set_disk_policies(job, add, remove).await,
            Call::PatchFirewall => self.patch_firewall(job).await,
            Call::PatchSnapshotSchedule => self.patch_policy(job).await,
            Call::UpdateCluster { .. }
            | Call::SetNodePoolSize { .. }
            | Call::UpdateNodePool { .. }
            | Call::PatchFilestore { .. }
            | Call::Apply
            | Call::SpareLeader { .. }
            | Call::ReplacePods { .. }
            | Call::SetEnsemble(_) => Err(job.misplaced(call)),
        }
    }

    /// Deletes, and is content when it is gone already.
    async fn delete(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let deleted = match job.place.kind {
            Kind::Instance => self.delete_instance(job).await,
            Kind::Disk => self.delete_disk(job).await,
            Kind::Address => self.delete_address(job).await,
            Kind::Firewall => self.delete_firewall(job).await,
            Kind::SnapshotSchedule => self.delete_policy(job).await,
        };
        match deleted {
            Err(error) if error.kind == ProviderErrorKind::NotFound => Ok(()),
            Ok(()) | Err(_) => deleted,
        }
    }

    async fn readiness(&self, change: &Change) -> Result<Verdict, ProviderError> {
        match &change.ready_when {
            ReadyWhen::Done => Ok(Verdict::Ready),
            ReadyWhen::FileServerReady { generation } => {
                self.file_server_ready(&Place::of(&change.id)?, generation).await
            }
            ReadyWhen::Gone => match self.get(&Place::of(&change.id)?).await {
                Ok(document) => {
                    let status = document.get("status").and_then(Value::as_str).unwrap_or("there");
                    Ok(Verdict::Progressing(format!("still {status}")))
                }
                Err(error) if error.kind == ProviderErrorKind::NotFound => Ok(Verdict::Ready),
                Err(error) => Err(error),
            },
            ReadyWhen::ClusterRunning
            | ReadyWhen::NodePoolRunning
            | ReadyWhen::FilestoreReady
            | ReadyWhen::PodsAnswer { .. }
            | ReadyWhen::EnsembleServes { .. }
            | ReadyWhen::QuorumHolds { .. } => Err(job::not_ours(&change.id, "a readiness of another API")),
        }
    }

    async fn file_server_ready(&self, place: &Place<'_>, generation: &str) -> Result<Verdict, ProviderError> {
        let document = self.get_instance(place).await?;
        let running = readiness::instance(&document);
        if running != Verdict::Ready {
            return Ok(running);
        }
        let attribute = self.file_server_status(place).await?;
        let verdict = readiness::file_server(attribute.as_deref(), None, generation);
        let needs_serial = match &verdict {
            Verdict::Ready => false,
            // The attribute may be forbidden, and a failure should quote the script.
            Verdict::Progressing(_) => attribute.is_none(),
            Verdict::Failed { .. } => true,
        };
        if !needs_serial {
            return Ok(verdict);
        }
        let serial = self.serial_tail(place).await;
        Ok(readiness::file_server(attribute.as_deref(), serial.as_deref(), generation))
    }
}

/// A 404 for a resource means that it is absent, unless it is the project that was not found.
fn absent(place: &Place<'_>, error: &ProviderError, id: &ResourceId) -> Reading<Live> {
    let project = format!("'projects/{}' was not found", place.project);
    if error.message.contains(&project) {
        return Reading::Unavailable(error.gap(format!("{}, {id}", Api::Compute.title())));
    }
    Reading::Absent
}

impl Provider for ComputeProvider {
    fn serves(&self, id: &ResourceId) -> bool {
        Kind::of(id.kind).is_some()
    }

    fn observe<'a>(&'a self, requests: &'a [ReadRequest<'a>]) -> BoxFuture<'a, Observations> {
        self.observe_all(requests).boxed()
    }

    fn refresh<'a>(
        &'a self,
        id: &'a ResourceId,
        body: &'a Value,
    ) -> BoxFuture<'a, Result<Reading<Live>, ProviderError>> {
        self.refreshed(id, body).boxed()
    }

    fn call<'a>(
        &'a self,
        change: &'a Change,
        call: &'a Call,
        live: &'a Reading<Live>,
        request_id: &'a str,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        async move {
            let job = Job::new(change, call, live, request_id, progress)?;
            self.carry_out(&job, call).await
        }
        .boxed()
    }

    fn ready<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Verdict, ProviderError>> {
        self.readiness(change).boxed()
    }

    fn settle<'a>(
        &'a self,
        id: &'a ResourceId,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        async move {
            let place = Place::of(id)?;
            let list = List::new(id.kind, place.project, place.location);
            self.settle_operations(&place, &list, progress).await
        }
        .boxed()
    }
}

//! The file server's VM.

use super::super::scan::{List, Listed};
use super::super::strict::json;
use super::ComputeProvider;
use super::job::{Job, Place};
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::Course;
use google_cloud_compute_v1::model::{
    AccessConfig, Instance, InstancesSetLabelsRequest, InstancesSetMachineTypeRequest, Metadata, Tags,
};
use serde_json::{Value, json as object};
use std::collections::BTreeSet;

/// Bytes of the serial console that are looked at: the end of it.
const SERIAL_TAIL: usize = 16 * 1024;
/// Where the start-up script reports.
const STATUS_NAMESPACE: &str = "fileserver";

/// A write on a job's VM, with what every such write has; `$nth` is the write's place in the job.
macro_rules! on_vm {
    ($self:ident, $method:ident, $job:ident, $nth:expr) => {
        $self
            .instances
            .$method()
            .set_project($job.place.project)
            .set_zone($job.place.location)
            .set_instance($job.place.name)
            .set_request_id($job.request_id($nth))
    };
}

impl ComputeProvider {
    pub(super) async fn list_instances(&self, list: &List, filter: Option<String>) -> Listed {
        let call = self
            .instances
            .list()
            .set_project(&list.project)
            .set_zone(&list.location)
            .set_or_clear_filter(filter);
        let page = |token| {
            let call = call.clone().set_or_clear_page_token(token);
            async move { call.send().await.map(|page| (page.items, page.next_page_token)) }
        };
        Ok(self.caller.pages(&list.what(), page).await?.iter().map(json).collect())
    }

    pub(super) async fn get_instance(&self, place: &Place<'_>) -> Result<Value, ProviderError> {
        let get =
            self.instances.get().set_project(place.project).set_zone(place.location).set_instance(place.name);
        self.caller.read(&place.what(), || get.clone().send()).await.map(|found| json(&found))
    }

    pub(super) async fn insert_instance(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let (place, body) = (&job.place, job.typed::<Instance>(&job.change.body)?);
        let insert = self.instances.insert().set_project(place.project).set_zone(place.location);
        self.sent(job, insert.set_request_id(job.request_id(0)).set_body(body).send()).await
    }

    pub(super) async fn delete_instance(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        self.sent(job, on_vm!(self, delete, job, 0).send()).await
    }

    pub(super) async fn label_instance(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let body = object!({"labels": job.labels()?, "labelFingerprint": job.handle("/labelFingerprint")?});
        let body: InstancesSetLabelsRequest = job.typed(&body)?;
        self.sent(job, on_vm!(self, set_labels, job, 0).set_body(body).send()).await
    }

    pub(super) async fn set_tags(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let items = job.change.body.pointer("/tags/items");
        let body = object!({"items": items, "fingerprint": job.handle("/tags/fingerprint")?});
        let body: Tags = job.typed(&body)?;
        self.sent(job, on_vm!(self, set_tags, job, 0).set_body(body).send()).await
    }

    pub(super) async fn set_metadata(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let items = merged_items(job.live()?, &job.change.body);
        let body = object!({"items": items, "fingerprint": job.handle("/metadata/fingerprint")?});
        let body: Metadata = job.typed(&body)?;
        self.sent(job, on_vm!(self, set_metadata, job, 0).set_body(body).send()).await
    }

    /// Stops, sets the type, starts. A VM that is stopped already, e.g. by a run that was cut short here, is not
    /// stopped again.
    pub(super) async fn set_machine_type(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let live = self.get_instance(&job.place).await?;
        if live.get("status").and_then(Value::as_str) != Some("TERMINATED") {
            (job.progress)(Course::Doing("stopping the VM".to_owned()));
            self.sent(job, on_vm!(self, stop, job, 0).send()).await?;
        }
        let body: InstancesSetMachineTypeRequest =
            job.typed(&object!({"machineType": job.body("machineType")}))?;
        self.sent(job, on_vm!(self, set_machine_type, job, 1).set_body(body).send()).await?;
        (job.progress)(Course::Doing("starting the VM".to_owned()));
        self.start(job, 2).await
    }

    pub(super) async fn start(&self, job: &Job<'_>, nth: u8) -> Result<(), ProviderError> {
        self.sent(job, on_vm!(self, start, job, nth).send()).await
    }

    pub(super) async fn set_deletion_protection(&self, job: &Job<'_>, on: bool) -> Result<(), ProviderError> {
        let place = &job.place;
        let set =
            self.instances.set_deletion_protection().set_project(place.project).set_zone(place.location);
        let set = set.set_resource(place.name).set_deletion_protection(on);
        self.sent(job, set.set_request_id(job.request_id(0)).send()).await
    }

    pub(super) async fn set_access_config(&self, job: &Job<'_>, external: bool) -> Result<(), ProviderError> {
        let interface = job.handle("/networkInterfaces/0/name")?.as_str().unwrap_or_default();
        let live = job.live()?.pointer("/networkInterfaces/0/accessConfigs/0/name").and_then(Value::as_str);
        match (external, live) {
            (true, Some(_)) | (false, None) => Ok(()),
            (true, None) => {
                let wanted = job.change.body.pointer("/networkInterfaces/0/accessConfigs/0").cloned();
                let config =
                    wanted.unwrap_or_else(|| object!({"type": "ONE_TO_ONE_NAT", "name": "external-nat"}));
                let body: AccessConfig = job.typed(&config)?;
                let add = on_vm!(self, add_access_config, job, 0).set_network_interface(interface);
                self.sent(job, add.set_body(body).send()).await
            }
            (false, Some(name)) => {
                let delete = on_vm!(self, delete_access_config, job, 0).set_network_interface(interface);
                self.sent(job, delete.set_access_config(name).send()).await
            }
        }
    }

    /// The start-up script's guest attribute; `None` when it has written nothing yet.
    pub(super) async fn file_server_status(
        &self,
        place: &Place<'_>,
    ) -> Result<Option<String>, ProviderError> {
        let get = self.instances.get_guest_attributes().set_project(place.project).set_zone(place.location);
        let get = get.set_instance(place.name).set_query_path(format!("{STATUS_NAMESPACE}/"));
        let what = format!("guest attributes of {}", place.what());
        let attributes = match self.caller.read(&what, || get.clone().send()).await {
            Ok(attributes) => attributes,
            Err(error) if error.kind == ProviderErrorKind::NotFound => return Ok(None),
            // A policy of the organisation may forbid them: then the serial console, if it can be read, has the report.
            Err(error) if error.kind == ProviderErrorKind::Denied => {
                return self.serial_tail(place).await.map(|_| None).ok_or(error);
            }
            Err(error) => return Err(error),
        };
        let items = attributes.query_value.into_iter().flat_map(|value| value.items);
        let mut ours = items.filter(|item| {
            item.namespace.as_deref() == Some(STATUS_NAMESPACE) && item.key.as_deref() == Some("status")
        });
        Ok(ours.next().and_then(|item| item.value))
    }

    /// The end of the serial console; `None` when it can't be read: it only explains.
    pub(super) async fn serial_tail(&self, place: &Place<'_>) -> Option<String> {
        let get = self.instances.get_serial_port_output().set_project(place.project).set_zone(place.location);
        let get = get.set_instance(place.name);
        let what = format!("serial console of {}", place.what());
        let output = self.caller.read(&what, || get.clone().send()).await;
        let contents =
            output.inspect_err(|error| tracing::debug!(%error, "no serial console")).ok()?.contents?;
        let start = contents.len().saturating_sub(SERIAL_TAIL);
        let start = (start..=contents.len()).find(|at| contents.is_char_boundary(*at))?;
        contents.get(start..).map(str::to_owned)
    }
}

/// Our metadata items over the live ones: items of others (`ssh-keys`, `gke-..`) stay.
fn merged_items(live: &Value, body: &Value) -> Vec<Value> {
    let items = |document: &Value| {
        document.pointer("/metadata/items").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let key = |item: &Value| item.get("key").and_then(Value::as_str).map(str::to_owned);
    let ours = items(body);
    let our_keys: BTreeSet<Option<String>> = ours.iter().map(key).collect();
    let foreign = items(live).into_iter().filter(|item| !our_keys.contains(&key(item)));
    foreign.chain(ours.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_metadata_stays() {
        let live = object!({"metadata": {"fingerprint": "f", "items": [
            {"key": "ssh-keys", "value": "theirs"}, {"key": "startup-script", "value": "old"}]}});
        let body = object!({"metadata": {"items": [
            {"key": "startup-script", "value": "new"}, {"key": "enable-guest-attributes", "value": "TRUE"}]}});
        assert_eq!(
            merged_items(&live, &body),
            [
                object!({"key": "ssh-keys", "value": "theirs"}),
                object!({"key": "startup-script", "value": "new"}),
                object!({"key": "enable-guest-attributes", "value": "TRUE"}),
            ]
        );
        assert_eq!(merged_items(&object!({"metadata": {"items": 7}}), &object!(null)), Vec::<Value>::new());
    }
}

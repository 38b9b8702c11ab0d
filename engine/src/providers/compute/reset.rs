//! Machines that are reset: as by their power switch, nothing is stopped in order.

use super::ComputeProvider;
use super::job::{Kind, Place};
use crate::error::ProviderError;
use crate::provider::Progress;
use zkprov_plans::havoc::Machine;

fn place(machine: &Machine) -> Place<'_> {
    Place { kind: Kind::Instance, project: &machine.project, location: &machine.zone, name: &machine.name }
}

impl ComputeProvider {
    /// Resets a machine, and waits until that is done; it boots after that. `request_id`, a UUID, makes a repetition harmless.
    ///
    /// # Errors
    /// When the API does not answer or refuses.
    pub(crate) async fn reset(
        &self,
        machine: &Machine,
        request_id: &str,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let place = place(machine);
        let doing = format!("resetting {}", place.what());
        let reset = self.instances.reset().set_project(place.project).set_zone(place.location);
        let reset = reset.set_instance(place.name).set_request_id(request_id);
        let operation = self.caller.write(&doing, reset.send()).await?;
        self.wait(&doing, &place, operation, progress).await
    }

    /// What a file server's start-up script reported last; `None` when it reported nothing that can be read.
    ///
    /// # Errors
    /// When the API does not answer.
    pub(crate) async fn script_report(&self, machine: &Machine) -> Result<Option<String>, ProviderError> {
        self.file_server_status(&place(machine)).await
    }
}

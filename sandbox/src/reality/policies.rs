//! Policies of the organisation.
//!
//! Compute Engine refuses a machine at once, 412 with the reason `conditionNotMet` (gardener/gardener-extension-provider-
//! gcp#415, fortinet/fortigate-terraform-deploy#34 for several at once, terraform-google-modules/terraform-google-project-
//! factory#827 for OS Login). GKE takes a cluster and fails when its machines are refused: `CONDITION_NOT_MET`
//! (2i2c-org/infrastructure#489, hashicorp-education/learn-terraform-provision-gke-cluster#8).
//!
//! What the constraints ask: Google's "Organization policy constraints" page. `requireOsLogin` refuses metadata that switch OS
//! Login off, `disableSerialPortAccess` concerns the interactive console alone: a serial port's output is read as ever.

use super::Reality;
use super::key::{Constraint, Key};
use super::words::{compute_error, project_of};
use crate::api::{Request, Response, Service};
use crate::google::container::refusal::Fresh;
use crate::google::rest::project_number;
use crate::world::World;
use serde_json::Value;

const SEE: &str = "See https://cloud.google.com/resource-manager/docs/organization-policy/org-policy-constraints for more information.";

/// Refuses a machine, or a change of one, that a constraint forbids.
pub(super) fn refuse(reality: &Reality, request: &Request) -> Option<Response> {
    if request.service != Service::Compute
        || !Constraint::ALL.iter().any(|own| reality.is_on(Key::Policy(*own)))
    {
        return None;
    }
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let ["compute", _, "projects", project, "zones", zone, "instances", rest @ ..] = parts.as_slice() else {
        return None;
    };
    let body = request.json().ok()?;
    let on = |constraint| reality.is_on(Key::Policy(constraint));
    let path = |name: &str| format!("projects/{project}/zones/{zone}/instances/{name}");
    let mut violations = Vec::new();
    match (request.method.as_str(), rest) {
        ("POST", []) => {
            let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
            if on(Constraint::RequireShieldedVm) {
                violations.extend(unshielded(project, body.get("shieldedInstanceConfig")));
            }
            if on(Constraint::VmExternalIpAccess) && has_external_address(&body) {
                violations.push(external(project, &path(name)));
            }
            violations.extend(in_metadata(reality, project, body.get("metadata")));
        }
        ("POST", [name, "addAccessConfig"]) if on(Constraint::VmExternalIpAccess) => {
            violations.push(external(project, &path(name)));
        }
        ("POST", [_, "setMetadata"]) => violations.extend(in_metadata(reality, project, Some(&body))),
        ("PATCH", [_, "updateShieldedInstanceConfig"]) if on(Constraint::RequireShieldedVm) => {
            violations.extend(unshielded(project, Some(&body)));
        }
        _ => {}
    }
    (!violations.is_empty()).then(|| compute_error(412, "conditionNotMet", &violations))
}

/// Lets the creation of a cluster or node pool that has just begun fail, if its machines are forbidden.
pub(super) fn spoil_nodes(world: &mut World, request: &Request, response: &Response) {
    let on = |constraint| world.reality.is_on(Key::Policy(constraint));
    let (external_denied, shielded) = (on(Constraint::VmExternalIpAccess), on(Constraint::RequireShieldedVm));
    if request.service != Service::Container || request.method != "POST" || !(external_denied || shielded) {
        return;
    }
    let answer: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let Some(operation) = answer.get("name").and_then(Value::as_str) else { return };
    let project = project_of(request);
    let refusals: Vec<(String, String)> = world
        .google
        .container
        .about_to_make(operation)
        .iter()
        .filter_map(|fresh| {
            let forbidden = if shielded { node_unshielded(fresh) } else { None };
            let forbidden = forbidden.or_else(|| {
                let path = format!("projects/{project}/zones/{}/instances/{}", fresh.zone, fresh.name);
                (external_denied && fresh.external).then(|| external(&project, &path))
            })?;
            let (name, number) = (&fresh.name, fresh.number);
            let cause = format!("Instance '{name}' creation failed: {forbidden}");
            // How long GKE waits before it says so: 2i2c-org/infrastructure#489.
            let summary = format!(
                "Not all instances running in IGM after 40.240072593s. Expected {number}, running 0, transitioning \
                 {number}. Current errors: [CONDITION_NOT_MET]: {cause}"
            );
            Some((cause, summary))
        })
        .collect();
    match refusals.as_slice() {
        [] => {}
        [(cause, summary)] => world.google.container.spoil(operation, cause.clone(), summary.clone()),
        [(cause, _), ..] => {
            let listed =
                refusals.iter().enumerate().map(|(at, (_, text))| format!("\n\t({}) {text}", at + 1));
            world.google.container.spoil(operation, cause.clone(), listed.collect());
        }
    }
}

fn node_unshielded(fresh: &Fresh) -> Option<String> {
    let missing = [("Secure Boot", fresh.secure_boot), ("Integrity Monitoring", fresh.integrity_monitoring)];
    missing.into_iter().find(|(_, there)| !there).map(|(what, _)| not_enabled(&fresh.project, what))
}

fn external(project: &str, instance: &str) -> String {
    format!(
        "Constraint constraints/compute.vmExternalIpAccess violated for project {}. Add instance {instance} to the \
         constraint to use external IP with it.",
        project_number(project)
    )
}

/// What a machine lacks. A virtual TPM and integrity monitoring are there unless they are switched off.
fn unshielded(project: &str, config: Option<&Value>) -> Option<String> {
    let set = |field: &str| config.and_then(|config| config.get(field)).and_then(Value::as_bool);
    let missing = [
        ("Secure Boot", set("enableSecureBoot").unwrap_or(false)),
        ("vTPM", set("enableVtpm").unwrap_or(true)),
        ("Integrity Monitoring", set("enableIntegrityMonitoring").unwrap_or(true)),
    ];
    missing.into_iter().find(|(_, there)| !there).map(|(what, _)| not_enabled(project, what))
}

fn not_enabled(project: &str, what: &str) -> String {
    format!(
        "Constraint constraints/compute.requireShieldedVm violated for project projects/{project}. {what} is not enabled \
         in the 'shielded_instance_config' field. {SEE}"
    )
}

/// What metadata switch that is not to be switched.
fn in_metadata(reality: &Reality, project: &str, metadata: Option<&Value>) -> Vec<String> {
    let items = metadata.and_then(|metadata| metadata.get("items")).and_then(Value::as_array);
    let says = |key: &str, values: [&str; 2]| {
        items.into_iter().flatten().any(|item| {
            let text = |field| item.get(field).and_then(Value::as_str).unwrap_or_default();
            text("key") == key && values.iter().any(|value| text("value").eq_ignore_ascii_case(value))
        })
    };
    let forbidden = [
        (Constraint::RequireOsLogin, says("enable-oslogin", ["false", "0"])),
        (Constraint::DisableSerialPortAccess, says("serial-port-enable", ["true", "1"])),
    ];
    let violated =
        forbidden.into_iter().filter(|(own, switched)| *switched && reality.is_on(Key::Policy(*own)));
    violated
        .map(|(own, _)| {
            format!("Constraint constraints/{} violated for project {}.", own.name(), project_number(project))
        })
        .collect()
}

fn has_external_address(instance: &Value) -> bool {
    let nics = instance.get("networkInterfaces").and_then(Value::as_array).into_iter().flatten();
    let configs = nics.filter_map(|nic| nic.get("accessConfigs")?.as_array());
    configs.into_iter().any(|configs| !configs.is_empty())
}

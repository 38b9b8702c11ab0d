//! Eviction: a deletion that asks the disruption budgets first.

use super::decode;
use super::deletion::{self, DeleteOptions};
use super::failure::Failure;
use super::kind::Kind;
use super::managers::Actor;
use super::registry::Registry;
use super::verbs::Call;
use super::{selectors, tree};
use crate::api::Response;
use serde_json::{Value, json};

/// `POST` of an `Eviction`.
///
/// # Errors
/// 404 without the pod, 429 when a budget forbids it, 500 when two budgets claim the pod.
pub(super) fn evict(registry: &mut Registry<'_>, call: &Call<'_>) -> Result<Response, Failure> {
    let body = decode::body(call.request)?;
    let namespace = call.target.namespace.as_deref().unwrap_or_default();
    let name = call.target.name.as_deref().unwrap_or_default();
    let pod = registry.read(Kind::Pod, namespace, name)?;
    let options = DeleteOptions::read(body.get("deleteOptions").unwrap_or(&Value::Null), call.request)?;
    // Asked for by the parameter or, as kubectl does, in the body.
    let dry_run = call.dry_run()? || options.dry_run();
    if needs_budget(&pod) {
        spend_budget(registry, namespace, &pod, dry_run)?;
    }
    deletion::delete(registry, Kind::Pod, namespace, name, &options)?;
    Ok(Response::json(
        201,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    ))
}

/// Whether a pod's disruption counts: not that of one that is ending, has ended, or has not started (`canIgnorePDB` in
/// `pkg/registry/core/pod/storage/eviction.go` of Kubernetes).
pub(super) fn needs_budget(pod: &Value) -> bool {
    !tree::is_deleting(pod) && tree::text(pod, "/status/phase") == Some("Running")
}

/// Takes a pod's disruption from the budget that selects it.
///
/// # Errors
/// 429 when the budget forbids it, 500 when two budgets claim the pod.
pub(super) fn spend_budget(
    registry: &mut Registry<'_>,
    namespace: &str,
    pod: &Value,
    dry_run: bool,
) -> Result<(), Failure> {
    let budgets: Vec<Value> = registry
        .store
        .list(Kind::PodDisruptionBudget, Some(namespace))
        .filter(|budget| {
            budget.pointer("/spec/selector").is_some_and(|selector| selectors::selects(selector, pod))
        })
        .cloned()
        .collect();
    let [budget] = budgets.as_slice() else {
        return if budgets.is_empty() {
            Ok(())
        } else {
            let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            Err(Failure::untyped(why))
        };
    };
    // A pod that is not healthy anyway costs nothing while the budget holds without it.
    let ready = tree::items(pod, "/status/conditions").iter().any(|condition| {
        tree::text(condition, "/type") == Some("Ready") && tree::text(condition, "/status") == Some("True")
    });
    let count = |key: &str| tree::int(budget, &format!("/status/{key}")).unwrap_or(0);
    if !ready && count("currentHealthy") >= count("desiredHealthy") && count("desiredHealthy") > 0 {
        return Ok(());
    }
    if count("disruptionsAllowed") < 1 {
        return Err(Failure::disruption_budget(
            tree::name(budget),
            count("desiredHealthy"),
            count("currentHealthy"),
        ));
    }
    if !dry_run {
        let mut spent = budget.clone();
        tree::put(&mut spent, "/status/disruptionsAllowed", count("disruptionsAllowed") - 1);
        let key = format!("/status/disruptedPods/{}", tree::escape(tree::name(pod)));
        tree::put(&mut spent, &key, super::clock::seconds(registry.now));
        registry.commit(Kind::PodDisruptionBudget, spent, &Actor::through("kube-apiserver", "status"));
    }
    Ok(())
}

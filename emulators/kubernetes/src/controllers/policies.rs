//! The status of admission policies: that their expressions were looked at.

use super::super::apply::Apply;
use super::super::fields::FieldSet;
use super::super::kind::Kind;
use super::super::managers::Actor;
use super::super::registry::{Registry, type_of};
use super::super::tree;
use serde_json::{Value, json};

const MANAGER: &str = "validatingadmissionpolicy-status";

/// Tells of each policy that its present expressions were checked; the API refuses wrong ones anyway.
pub(super) fn run(registry: &mut Registry<'_>) {
    let kind = Kind::ValidatingAdmissionPolicy;
    let policies: Vec<Value> = registry.store.list(kind, None).cloned().collect();
    for policy in policies {
        let generation = tree::int(&policy, "/metadata/generation").unwrap_or(0);
        if tree::is_deleting(&policy) || tree::int(&policy, "/status/observedGeneration") == Some(generation)
        {
            continue;
        }
        let config = json!({
            "metadata": {"name": tree::name(&policy)},
            "status": {"observedGeneration": generation, "typeChecking": {}},
        });
        let (ty, actor) = (type_of(kind), Actor::through(MANAGER, "status"));
        let apply = Apply {
            claimed: FieldSet::of(&config, &ty),
            ty: &ty,
            actor: &actor,
            api_version: &kind.api_version(),
            force: true,
            now: registry.now,
        };
        // Nobody else writes the status of an object that was just there.
        drop(registry.apply(kind, &config, &apply, false));
    }
}

//! Labels that others put on what is ours: every API replaces the whole map, and a plan names our own keys alone.

use serde_json::{Map, Value};
use zkprov_plans::labels::dropped;

/// GKE puts these on itself, and takes them from nobody.
const SYSTEM: &str = "goog-gke-";

/// The map to write: what is wanted, beside what others put there. What is no map stays as it is wanted.
pub(super) fn beside(live: Option<&Value>, wanted: &Value) -> Value {
    let Some(wanted_keys) = wanted.as_object() else { return wanted.clone() };
    let live = live.and_then(Value::as_object);
    let dropped: Vec<&str> =
        live.into_iter().flat_map(|live| dropped(live, wanted_keys)).map(|(key, _)| key).collect();
    let stays = |key: &str| !key.starts_with(SYSTEM) && !dropped.contains(&key);
    let others = live.into_iter().flatten().filter(|(key, _)| stays(key));
    let all: Map<String, Value> =
        others.chain(wanted_keys).map(|(key, value)| (key.clone(), value.clone())).collect();
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::beside;
    use serde_json::{Value, json};

    #[test]
    fn others_labels_stay() {
        let live = json!({ "team": "x", "ours": "old", "goog-gke-node-pool-provisioning-model": "spot" });
        let wanted = json!({ "ours": "new" });
        assert_eq!(beside(Some(&live), &wanted), json!({ "team": "x", "ours": "new" }));
        assert_eq!(beside(None, &wanted), wanted);
        let live =
            json!({ "team": "x", "env": "y", "zkprov-labels-1": zkprov_plans::labels::record(["env"])[0].1 });
        assert_eq!(beside(Some(&live), &wanted), json!({ "team": "x", "ours": "new" }));
        assert_eq!(beside(Some(&live), &Value::Null), Value::Null);
    }
}

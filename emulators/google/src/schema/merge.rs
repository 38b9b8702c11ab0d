//! Updates that name a part of a message.

use super::Api;
use super::table::{Field, Kind, Shape, Table};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

impl Api {
    /// What a field of a message is after an update of it, whose body may name a part of the field's own message.
    ///
    /// In proto3, a field without presence that is not in the body cannot be told from one that is set to its default.
    /// So only a message whose flags, numbers and enums all have presence can be updated in part: what the body does
    /// not name stays. Any other message is replaced.
    #[must_use]
    pub fn merge(self, message: &str, field: &str, present: &Value, given: Value) -> Value {
        let table = self.table();
        match table.messages.get(message).and_then(|fields| fields.get(field)) {
            Some(field) => merge_field(table, field, present, given),
            None => given,
        }
    }
}

fn merge_field(table: &Table, field: &Field, present: &Value, given: Value) -> Value {
    let inner = match (&field.kind, field.shape) {
        (Kind::Message(inner), Shape::One) => table.messages.get(inner).filter(|fields| is_partial(fields)),
        _ => None,
    };
    match (inner, present, given) {
        (Some(fields), Value::Object(present), Value::Object(given)) => {
            let mut merged: Map<String, Value> = present.clone();
            for (name, value) in given {
                let value = match (fields.get(&name), present.get(&name)) {
                    (Some(field), Some(present)) => merge_field(table, field, present, value),
                    _ => value,
                };
                merged.insert(name, value);
            }
            Value::Object(merged)
        }
        (_, _, given) => given,
    }
}

/// Whether a body of this message may name a part of it. One of texts alone may not: it is taken away by an empty one.
fn is_partial(fields: &BTreeMap<String, Field>) -> bool {
    let has_presence = |field: &Field| {
        field.shape == Shape::One
            && match field.kind {
                Kind::Message(_) => true,
                Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Enum(_) => field.presence,
                Kind::Text | Kind::Any => false,
            }
    };
    let is_text = |field: &Field| field.shape == Shape::One && field.kind == Kind::Text;
    fields.values().any(has_presence) && fields.values().all(|field| has_presence(field) || is_text(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_part_of_a_message_leaves_the_rest_of_it() {
        let present = json!({
            "dnsEndpointConfig": {"allowExternalTraffic": false, "enableK8sTokensViaDns": false},
            "ipEndpointsConfig": {"enabled": true, "enablePublicEndpoint": true, "privateEndpointSubnetwork": "s",
                "authorizedNetworksConfig": {"enabled": true, "cidrBlocks": [{"cidrBlock": "10.0.0.0/8"}]}},
        });
        let given = json!({"dnsEndpointConfig": {"allowExternalTraffic": true},
            "ipEndpointsConfig": {"authorizedNetworksConfig": {"enabled": true}}});
        assert_eq!(
            Api::Container.merge("ClusterUpdate", "desiredControlPlaneEndpointsConfig", &present, given),
            json!({
                "dnsEndpointConfig": {"allowExternalTraffic": true, "enableK8sTokensViaDns": false},
                "ipEndpointsConfig": {"enabled": true, "enablePublicEndpoint": true, "privateEndpointSubnetwork": "s",
                    "authorizedNetworksConfig": {"enabled": true}},
            })
        );
        let mode = json!({"mode": "BASIC", "vulnerabilityMode": "VULNERABILITY_BASIC"});
        let off = json!({"mode": "DISABLED"});
        assert_eq!(
            Api::Container.merge("ClusterUpdate", "desiredSecurityPostureConfig", &mode, off),
            json!({"mode": "DISABLED", "vulnerabilityMode": "VULNERABILITY_BASIC"})
        );
    }

    #[test]
    fn where_absent_means_off_a_message_is_replaced() {
        for (field, present) in [
            ("desiredWorkloadIdentityConfig", json!({"workloadPool": "p.svc.id.goog"})),
            ("desiredVerticalPodAutoscaling", json!({"enabled": true})),
            ("desiredDnsConfig", json!({"clusterDns": "CLOUD_DNS", "clusterDnsScope": "VPC_SCOPE"})),
        ] {
            assert_eq!(
                Api::Container.merge("ClusterUpdate", field, &present, json!({})),
                json!({}),
                "{field}"
            );
        }
    }
}

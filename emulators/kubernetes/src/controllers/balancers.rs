//! Load balancers of services: an address, some time after the service is made.

use super::super::kind::Kind;
use super::super::managers::Actor;
use super::super::registry::Registry;
use super::super::tree::{items, put, remove, text};
use super::super::{bootstrap, clock, tree};
use super::Alarm;
use serde_json::{Value, json};

/// Milliseconds that a forwarding rule takes.
const TAKES: u64 = 38_000;

/// Gives load balancers their addresses, and takes them from services that no longer are one.
pub(super) fn run(registry: &mut Registry<'_>, alarm: &mut Alarm) {
    let services: Vec<Value> = registry.store.list(Kind::Service, None).cloned().collect();
    for mut service in services {
        // A class is somebody else's to serve.
        let balanced = text(&service, "/spec/type") == Some("LoadBalancer")
            && service.pointer("/spec/loadBalancerClass").is_none();
        let served = !items(&service, "/status/loadBalancer/ingress").is_empty();
        if balanced == served {
            continue;
        }
        if balanced {
            let since = text(&service, "/metadata/creationTimestamp").and_then(clock::parse).unwrap_or(0);
            if since + TAKES > registry.now {
                alarm.at(since + TAKES);
                continue;
            }
            let address = address(&service);
            put(&mut service, "/status/loadBalancer/ingress", json!([{"ip": address, "ipMode": "VIP"}]));
        } else {
            remove(&mut service, "/status/loadBalancer/ingress");
        }
        registry.commit(Kind::Service, service, &Actor::through(super::MANAGER, "status"));
    }
}

fn address(service: &Value) -> String {
    let number = bootstrap::seed(tree::uid(service));
    let kinds = ["networking.gke.io~1load-balancer-type", "cloud.google.com~1load-balancer-type"];
    let internal =
        kinds.iter().any(|key| text(service, &format!("/metadata/annotations/{key}")) == Some("Internal"));
    if internal {
        format!("10.142.{}.{}", 200 + number % 16, 2 + (number / 16) % 250)
    } else {
        format!("34.75.{}.{}", number % 256, 2 + (number / 256) % 250)
    }
}

//! Addresses of pods and services: given out in order, not given out again soon.

use serde::{Deserialize, Serialize};

/// The next free numbers of each range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Addresses {
    services: u32,
    node_ports: u32,
    pods: u32,
    /// First address of the cluster's pod range.
    first_pod: [u32; 2],
}

impl Addresses {
    /// Nothing given out yet; the pods' range is `10.8.0.0/14`.
    pub(super) fn new(pod_range: &str) -> Self {
        let mut parts = pod_range.split(['.', '/']).map_while(|part| part.parse::<u32>().ok());
        let first_pod = [parts.next().unwrap_or(10), parts.next().unwrap_or(8)];
        // The first service address is that of `kubernetes`.
        Self { services: 1, node_ports: 0, pods: 0, first_pod }
    }

    /// An address of GKE's service range, 34.118.224.0/20.
    pub(super) fn service(&mut self) -> String {
        self.services += 1;
        // A step of 37 spreads them as a real allocator does; 4093 is prime, so all come round once.
        let number = (self.services * 37) % 4093 + 2;
        format!("34.118.{}.{}", 224 + number / 256, number % 256)
    }

    /// The address of the `kubernetes` service.
    pub(super) fn api_server() -> &'static str {
        "34.118.224.1"
    }

    /// A port of 30000-32767.
    pub(super) fn node_port(&mut self) -> u32 {
        self.node_ports += 1;
        30_000 + (self.node_ports * 397) % 2768
    }

    /// A pod address in this range of a node's pods.
    pub(super) fn pod(&mut self, node_range: &str) -> String {
        self.pods += 1;
        let subnet = node_range.rsplit_once('.').map_or("10.8.0", |(subnet, _)| subnet);
        format!("{subnet}.{}", 4 + self.pods % 250)
    }

    /// The range of a node's pods: the /24 of its number.
    pub(super) fn pod_range(&self, node: u32) -> String {
        let [first, second] = self.first_pod;
        format!("{first}.{}.{}.0/24", second + (node / 256) % 4, node % 256)
    }
}

//! Compute Engine: two instances with their disks and addresses, and a snapshot schedule.

use super::capture::Exchange;
use super::script::{Script, replay};

fn compute(exchange: &Exchange) -> bool {
    exchange.host == "compute.googleapis.com"
}

#[test]
fn a_minimal_instance() {
    let findings = replay(&Script {
        log: include_str!("../fixtures/google-cloud/instance_c8c7.log"),
        includes: compute,
        names: &[
            ("${projectId}", "replayed-project"),
            ("${networkID}", "default"),
            ("${instanceID}", "replayed-vm"),
            ("computeinstance-minimal-${uniqueId}", "replayed-vm"),
        ],
        exceptions: &[],
        accepted: &[
            ("compute#instance:cpuPlatform", "depends on the machine that the zone had free"),
            ("compute#*:satisfiesPzi", "a property of the project's physical placement"),
            (
                "compute#operation:warnings.*",
                "the recording project used global DNS; the sandbox's projects use zonal DNS",
            ),
            (
                "compute#instance:resourceStatus.effectiveInstanceMetadata.*",
                "newer than this recording; the other one has it",
            ),
            ("compute#disk:sourceImage", "the family's newest image has moved on since"),
            ("compute#network:mtu", "newer than this recording; the other one has it"),
            ("compute#image:selfLink", "the family's newest image has moved on since"),
            ("compute#image:name", "the family's newest image has moved on since"),
            ("compute#image:description", "names the image's build"),
            ("compute#image:archiveSizeBytes", "the family's newest image has moved on since"),
            (
                "compute#image:rolloutOverride*",
                "Google's internal rollout plan of an image; no client reads it",
            ),
        ],
        at_least: 15,
    });
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn an_instance_with_disks_and_addresses_through_its_life() {
    let findings = replay(&Script {
        log: include_str!("../fixtures/google-cloud/instance_1e63.log"),
        includes: compute,
        names: &[
            ("${projectId}", "replayed-project"),
            ("${networkID}", "default"),
            ("${instanceID}", "replayed-vm"),
            ("${diskID}", "replayed-boot"),
            ("${addressID}", "replayed-internal"),
            // Addresses that the recording could not mask in a body: what ours are.
            ("34.169.196.191", "203.0.113.2"),
            ("10.138.0.27", "10.138.0.2"),
        ],
        exceptions: &[
            (6, "${diskID}", &["replayed-data"]),
            (7, "${diskID}", &["replayed-data"]),
            (9, "${diskID}", &["replayed-data"]),
            (24, "${addressID}", &["replayed-external"]),
            (25, "${addressID}", &["replayed-external"]),
            (27, "${addressID}", &["replayed-external"]),
            (28, "${addressID}", &["replayed-external"]),
            (29, "${addressID}", &["replayed-external"]),
            (32, "${diskID}", &["replayed-boot", "replayed-data"]),
            (58, "${addressID}", &["replayed-external"]),
            (59, "${addressID}", &["replayed-external"]),
            (66, "${diskID}", &["replayed-data"]),
            (67, "${diskID}", &["replayed-data"]),
        ],
        accepted: &[
            ("compute#image:archiveSizeBytes", "differs from image to image"),
            (
                "compute#image:rolloutOverride*",
                "Google's internal rollout plan of an image; no client reads it",
            ),
            ("compute#network:description", "the recording project's network was made by somebody"),
            ("compute#zone:availableCpuPlatforms*", "the list of one zone stands for all"),
            ("compute#network:subnetworks*", "the recording project's network was made in fewer regions"),
        ],
        at_least: 60,
    });
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn a_snapshot_schedule() {
    let findings = replay(&Script {
        log: include_str!("../fixtures/google-cloud/respol.log"),
        includes: compute,
        names: &[("${projectId}", "replayed-project"), ("${resourcePolicyID}", "replayed-policy")],
        exceptions: &[],
        accepted: &[],
        at_least: 6,
    });
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

//! Every switch makes some call fail that goes through without it.

use super::{CLUSTERS, Cloud, FILES, GLOBAL, REGION, ZONE, cluster, disk, vm};
use crate::api::Service;
use crate::google::compute::usage::Metric;
use crate::reality::{Api, Constraint, Key, Role, Switch};
use crate::world::World;
use serde_json::{Value, json};

/// Something done with a cloud; the text of the refusal.
type Call = fn(&mut Cloud) -> Result<Value, String>;

/// A call that a switch makes fail.
struct Case {
    /// What the switch is set to.
    value: &'static str,
    call: Call,
    /// What the refusal says.
    says: &'static str,
}

fn make_disk(cloud: &mut Cloud) -> Result<Value, String> {
    cloud.change("POST", &format!("{ZONE}/disks"), &disk("d", 200, "pd-balanced"))
}

fn make_vm(cloud: &mut Cloud) -> Result<Value, String> {
    cloud.change("POST", &format!("{ZONE}/instances"), &vm("v"))
}

fn make_cluster(cloud: &mut Cloud) -> Result<Value, String> {
    cloud.change_gke("POST", CLUSTERS, &cluster("c", 1))
}

/// A VM that says this in its metadata.
fn vm_that_says(cloud: &mut Cloud, key: &str, value: &str) -> Result<Value, String> {
    let mut body = vm("v");
    body["metadata"] = json!({ "items": [{ "key": key, "value": value }] });
    cloud.change("POST", &format!("{ZONE}/instances"), &body)
}

fn filestore(cloud: &mut Cloud, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    Cloud::outcome(cloud.ask(Service::Filestore, method, path, body))
}

/// A list, which fails when it says in one of these fields that it is not whole.
fn whole(list: Result<Value, String>, fields: &[&str]) -> Result<Value, String> {
    let list = list?;
    match fields.iter().find(|field| list.get(**field).is_some()) {
        None => Ok(list),
        Some(field) => Err(format!("{field} {}", list[*field])),
    }
}

fn quota(metric: Metric) -> Case {
    match metric {
        Metric::SsdTotalGb => Case {
            value: "199",
            call: make_disk,
            says: "QUOTA_EXCEEDED Quota 'SSD_TOTAL_GB' exceeded.  Limit: 199.0 in region us-east1.",
        },
        Metric::DisksTotalGb => Case {
            value: "199",
            call: |cloud| cloud.change("POST", &format!("{ZONE}/disks"), &disk("d", 200, "pd-standard")),
            says: "QUOTA_EXCEEDED Quota 'DISKS_TOTAL_GB' exceeded.  Limit: 199.0 in region us-east1.",
        },
        Metric::Cpus => Case {
            value: "1",
            call: make_vm,
            says: "QUOTA_EXCEEDED Quota 'CPUS' exceeded.  Limit: 1.0 in region us-east1.",
        },
        Metric::InUseAddresses => Case {
            value: "0",
            call: make_cluster,
            says: "403 Insufficient regional quota to satisfy request: resource \"IN_USE_ADDRESSES\": request requires '1.0' \
                   and is short '1.0'. project has a quota of '0.0' with '0.0' available. View and manage quotas at \
                   https://console.cloud.google.com/iam-admin/quotas?usage=USED&project=p.",
        },
    }
}

fn policy(constraint: Constraint) -> Case {
    match constraint {
        Constraint::VmExternalIpAccess => Case {
            value: "deny",
            call: make_vm,
            says: "Add instance projects/p/zones/us-east1-d/instances/v to the constraint to use external IP with it.",
        },
        Constraint::RequireOsLogin => Case {
            value: "enforced",
            call: |cloud| vm_that_says(cloud, "enable-oslogin", "FALSE"),
            says: "412 Constraint constraints/compute.requireOsLogin violated for project ",
        },
        Constraint::RequireShieldedVm => Case {
            value: "enforced",
            call: make_vm,
            says: "Secure Boot is not enabled in the 'shielded_instance_config' field.",
        },
        Constraint::DisableSerialPortAccess => Case {
            value: "enforced",
            call: |cloud| vm_that_says(cloud, "serial-port-enable", "TRUE"),
            says: "412 Constraint constraints/compute.disableSerialPortAccess violated for project ",
        },
    }
}

fn role(role: Role) -> Case {
    let (call, says): (Call, _) = match role {
        Role::ComputeAdmin => (
            make_disk,
            "403 Required 'compute.disks.create' permission for 'projects/p/zones/us-east1-d/disks/d'",
        ),
        Role::ComputeViewer => (
            |cloud| Cloud::outcome(cloud.compute("GET", &format!("{ZONE}/instances"), &Value::Null)),
            "403 Required 'compute.instances.list' permission for 'projects/p'",
        ),
        Role::ContainerAdmin => {
            (make_cluster, "403 Required \"container.clusters.create\" permission(s) for \"projects/p\".")
        }
        Role::ContainerClusterViewer => (
            |cloud| {
                make_cluster(cloud)?;
                Cloud::outcome(cloud.gke("GET", &format!("{CLUSTERS}/c"), &Value::Null))
            },
            "403 Required \"container.clusters.get\" permission(s) for \"projects/p/zones/us-east1-d/clusters/c\".",
        ),
        Role::ContainerDeveloper => (
            |cloud| {
                make_cluster(cloud)?;
                let service = Service::Kubernetes("p/us-east1-d/c".to_owned());
                let body = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "m" } });
                Cloud::outcome(cloud.ask(service, "POST", "/api/v1/namespaces/default/configmaps", &body))
            },
            "403 configmaps is forbidden: User \"sandbox@example.com\" cannot create resource \"configmaps\" in API group \
             \"\" in the namespace \"default\": requires one of [\"container.configmaps.create\"] permission(s).",
        ),
        Role::FileEditor => (
            |cloud| {
                let body = json!({ "tier": "BASIC_HDD", "fileShares": [{ "name": "vol", "capacityGb": "1024" }],
                    "networks": [{ "network": "default" }] });
                filestore(cloud, "POST", &format!("{FILES}?instanceId=f"), &body)
            },
            "403 Permission 'file.instances.create' denied on resource \
             '//file.googleapis.com/projects/p/locations/us-east1-d' (or it may not exist).",
        ),
        Role::FileViewer => (
            |cloud| filestore(cloud, "GET", FILES, &Value::Null),
            "403 Permission 'file.instances.list' denied on resource \
             '//file.googleapis.com/projects/p/locations/us-east1-d' (or it may not exist).",
        ),
        Role::ServiceAccountUser => {
            (make_cluster, "400 The user does not have access to service account \"default\".")
        }
        Role::StorageObjectAdmin => (
            |cloud| {
                bucket(cloud);
                let path = "/upload/storage/v1/b/bucket-1/o?uploadType=media&name=o";
                Cloud::outcome(cloud.ask(Service::Storage, "POST", path, &json!("text")))
            },
            "403 sandbox@example.com does not have storage.objects.create access to the Google Cloud Storage object. \
             Permission 'storage.objects.create' denied on resource (or it may not exist).",
        ),
        Role::StorageObjectViewer => (
            |cloud| {
                bucket(cloud);
                Cloud::outcome(cloud.ask(Service::Storage, "GET", "/storage/v1/b/bucket-1/o", &Value::Null))
            },
            "403 sandbox@example.com does not have storage.objects.list access to the Google Cloud Storage bucket. \
             Permission 'storage.objects.list' denied on resource (or it may not exist).",
        ),
    };
    Case { value: "absent", call, says }
}

fn bucket(cloud: &mut Cloud) {
    let made = cloud.ask(Service::Storage, "POST", "/storage/v1/b?project=p", &json!({ "name": "bucket-1" }));
    assert_eq!(made.0, 200, "{}", made.1);
}

fn rate(api: Api) -> Case {
    let (call, says): (Call, _) = match api {
        Api::Compute => (
            |cloud| {
                let get = |cloud: &mut Cloud| cloud.compute("GET", &format!("{ZONE}/disks"), &Value::Null);
                Cloud::outcome(get(cloud))?;
                Cloud::outcome(get(cloud))
            },
            "403 Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of service \
             'compute.googleapis.com' for consumer 'project_number:",
        ),
        Api::Container => (
            |cloud| {
                let get = |cloud: &mut Cloud| cloud.gke("GET", CLUSTERS, &Value::Null);
                Cloud::outcome(get(cloud))?;
                Cloud::outcome(get(cloud))
            },
            "429 Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of service \
             'container.googleapis.com' for consumer 'project_number:",
        ),
        Api::Filestore => (
            |cloud| {
                filestore(cloud, "GET", FILES, &Value::Null)?;
                filestore(cloud, "GET", FILES, &Value::Null)
            },
            "429 Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of service \
             'file.googleapis.com' for consumer 'project_number:",
        ),
    };
    Case { value: "1", call, says }
}

fn partial(api: Api) -> Case {
    let (call, says): (Call, _) = match api {
        Api::Compute => (
            |cloud| {
                let path = "/compute/v1/projects/p/aggregated/instances";
                whole(Cloud::outcome(cloud.compute("GET", path, &Value::Null)), &["unreachables", "warning"])
            },
            "unreachables [\"zones/us-east1-d\"]",
        ),
        Api::Container => (
            |cloud| {
                let path = "/v1/projects/p/locations/-/clusters";
                whole(Cloud::outcome(cloud.gke("GET", path, &Value::Null)), &["missingZones"])
            },
            "missingZones [\"us-east1-d\"]",
        ),
        Api::Filestore => (
            |cloud| {
                let path = "/v1/projects/p/locations/-/instances";
                whole(filestore(cloud, "GET", path, &Value::Null), &["unreachable"])
            },
            "unreachable [\"projects/p/locations/us-east1-d\"]",
        ),
    };
    Case { value: "us-east1-d", call, says }
}

fn case(key: Key) -> Case {
    match key {
        Key::Quota(metric) => quota(metric),
        Key::ZonalClusters => Case {
            value: "1",
            call: |cloud| {
                make_cluster(cloud)?;
                cloud.change_gke("POST", CLUSTERS, &cluster("c-2", 1))
            },
            says: "403 Your project already has the maximum number of clusters: (1) in location us-east1-d.",
        },
        Key::Policy(constraint) => policy(constraint),
        Key::DefaultNetwork => Case {
            value: "absent",
            call: |cloud| {
                Cloud::outcome(cloud.compute("GET", &format!("{GLOBAL}/networks/default"), &Value::Null))
            },
            says: "404 The resource 'projects/p/global/networks/default' was not found",
        },
        Key::Role(own) => role(own),
        Key::DefaultServiceAccount => Case {
            value: "roleless",
            call: |cloud| {
                make_cluster(cloud)?;
                let cluster = Cloud::outcome(cloud.gke("GET", &format!("{CLUSTERS}/c"), &Value::Null))?;
                whole(Ok(cluster), &["conditions"])
            },
            says: "NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS",
        },
        Key::Rate(api) => rate(api),
        Key::Partial(api) => partial(api),
    }
}

#[test]
fn each_switch_makes_a_call_fail_that_goes_through_without_it() {
    for key in Key::all() {
        let Case { value, call, says } = case(key);
        let off = call(&mut Cloud::new());
        assert!(off.is_ok(), "{key} is off: {off:?}");

        let mut cloud = Cloud::new();
        cloud.world.reality.set(Switch::read(&key.to_string(), value).unwrap());
        // As whoever serves the directory next finds it.
        let stored = serde_json::to_vec(&cloud.world).unwrap();
        let mut again = Cloud { world: serde_json::from_slice::<World>(&stored).unwrap() };
        for cloud in [&mut cloud, &mut again] {
            let refused = call(cloud).unwrap_err();
            assert!(refused.contains(says), "{key}={value}\n  says   {refused}\n  not    {says}");
        }

        let mut cloud = Cloud::new();
        cloud.world.reality.set(Switch::read(&key.to_string(), value).unwrap());
        cloud.world.reality.set(Switch::read(&key.to_string(), key.words().1).unwrap());
        let off = call(&mut cloud);
        assert!(off.is_ok(), "{key} was switched off: {off:?}");
    }
}

#[test]
fn where_the_default_network_is_absent_nothing_can_be_in_it() {
    let mut cloud = Cloud::with(&["network.default=absent"]);
    let absent = "404 The resource 'projects/p/global/networks/default' was not found";
    assert_eq!(make_vm(&mut cloud).unwrap_err(), absent);
    let rule =
        json!({ "name": "r", "allowed": [{ "IPProtocol": "tcp" }], "network": "global/networks/default" });
    assert_eq!(cloud.change("POST", &format!("{GLOBAL}/firewalls"), &rule).unwrap_err(), absent);
    let address = json!({ "name": "a", "addressType": "INTERNAL" });
    let refused = cloud.change("POST", &format!("{REGION}/addresses"), &address).unwrap_err();
    assert!(refused.contains("'projects/p/regions/us-east1/subnetworks/default' was not found"), "{refused}");
    assert_eq!(make_cluster(&mut cloud).unwrap_err(), "400 Project \"p\" has no network named \"default\".");
    for path in [format!("{GLOBAL}/networks"), format!("{REGION}/subnetworks")] {
        let (status, list) = cloud.compute("GET", &path, &Value::Null);
        assert_eq!((status, list.get("items")), (200, None), "{path}");
    }
    let (status, list) = cloud.compute("GET", "/compute/v1/projects/p/aggregated/subnetworks", &Value::Null);
    assert_eq!((status, &list["items"]), (200, &json!({})));
    // What is in no network is there as ever.
    cloud.change("POST", &format!("{ZONE}/disks"), &disk("d", 10, "pd-ssd")).unwrap();
}

//! What gcloud made by the file's own names before zkprov came: refused, and with `--adopt` taken over as it stands.

use super::{Planned, fields_of, gcloud, gcloud_of, one};
use crate::Cloud;
use serde_json::json;

const BOOT_DISK: &str =
    "--metadata=zkprov-boot-disk=projects/debian-cloud/global/images/family/debian-13 10GB";

#[test]
fn gcloud_made_resources_are_taken_over() {
    let cloud = Cloud::empty("tutorial", &[]);
    let disk =
        one(&cloud, "compute disks create singlefs-1-vm-data --size=100 --type=pd-standard --labels=team=x");
    let disk_id = disk["id"].clone();
    assert_eq!((&disk["sizeGb"], &disk["status"]), (&json!("100"), &json!("READY")));
    let rule = one(
        &cloud,
        "compute firewall-rules create singlefs-1-vm-allow --allow=tcp:2049 --source-tags=cluster-1-nodes \
         --target-tags=singlefs-1-vm",
    );
    assert_eq!((&rule["direction"], &rule["priority"]), (&json!("INGRESS"), &json!(1000)));
    let vm = one(
        &cloud,
        "compute instances create singlefs-1-vm --machine-type=n1-standard-1 --image-family=debian-13 \
         --image-project=debian-cloud --disk=name=singlefs-1-vm-data,device-name=data --tags=singlefs-1-vm \
         --labels=team=x --shielded-secure-boot",
    );
    let vm_id = vm["id"].clone();
    assert_eq!((&vm["status"], &vm["disks"][1]["deviceName"]), (&json!("RUNNING"), &json!("data")));
    let cluster = one(&cloud, "container clusters create cluster-1 --num-nodes=3 --labels=team=x");
    assert_eq!((&cluster["status"], &cluster["currentNodeCount"]), (&json!("RUNNING"), &json!(3)));

    // While no member is in the way of it.
    let update = "container node-pools update default-pool --cluster=cluster-1 --machine-type=e2-standard-2";
    assert_eq!(one(&cloud, update)["config"]["machineType"], "e2-standard-2");

    let plan = |options: &str, status: i32| {
        Planned(cloud.zkprov(&format!("plan --format json {options}")).run().exits(status).json())
    };
    assert_eq!(plan("", 3).findings(), ["not-ours"; 5]);
    // Nobody can tell from a VM which image its boot disk is made of: whoever knows says so.
    let refused = plan("--adopt", 3);
    assert_eq!(refused.findings(), ["cannot-adopt"]);
    let message = refused.0["ensembles"][0]["findings"][0]["message"].as_str().unwrap();
    assert!(message.contains("metadata.items[zkprov-boot-disk]"), "{message}");
    gcloud_of(&cloud, &["compute", "instances", "add-metadata", "singlefs-1-vm", BOOT_DISK]);

    let adopted = plan("--adopt", 0);
    let fields = |kind: &str, name: &str| fields_of(adopted.does(kind, name, &["update"], "unmarked"));
    assert_eq!(fields("disk", "singlefs-1-vm-data"), ["labels[zkprov-ensemble]: null -> exhibitor"]);
    assert_eq!(fields("gke", "cluster-1"), ["resourceLabels[zkprov-ensemble]: null -> exhibitor"]);
    let pool = [
        "config.machineType: e2-standard-2 -> e2-medium",
        "config.tags: null -> [\"cluster-1-nodes\"]",
        "config.labels[zkprov.dev/ensemble]: null -> exhibitor",
    ];
    assert_eq!(fields("node-pool", "default-pool"), pool);
    let rule = fields("firewall", "singlefs-1-vm-allow");
    assert!(rule[0].starts_with("description: null -> NFS and SMB of singlefs-1-vm"), "{rule:?}");
    assert!(rule[1].starts_with(r#"allowed: [{"IPProtocol":"tcp","ports":["2049"]}] -> "#), "{rule:?}");
    let vm = fields("instance", "singlefs-1-vm");
    assert_eq!(vm[0], "labels[zkprov-ensemble]: null -> exhibitor");
    assert!(vm.iter().any(|field| field.starts_with("metadata.items[startup-script]: null -> ")), "{vm:?}");
    adopted.does("firewall", "singlefs-1-vm-deny", &["create"], "not-found");

    // They become an ensemble's, and stay what they are.
    cloud.zkprov("apply --adopt --yes").run().exits(0);
    let settled = plan("", 0);
    assert_eq!(settled.0["ensembles"][0]["steps"], json!([]), "{:#}", settled.0);
    let vm = one(&cloud, "compute instances describe singlefs-1-vm");
    assert_eq!(vm["id"], vm_id);
    assert_eq!(vm["labels"], json!({ "team": "x", "zkprov-ensemble": "exhibitor" }));
    let cluster = one(&cloud, "container clusters describe cluster-1");
    assert_eq!(cluster["resourceLabels"], json!({ "team": "x", "zkprov-ensemble": "exhibitor" }));
    assert_eq!(one(&cloud, "compute disks describe singlefs-1-vm-data")["id"], disk_id);
    let pools = gcloud(&cloud, "container node-pools list --cluster=cluster-1 --format json").json();
    assert_eq!(pools[0]["config"]["tags"], json!(["cluster-1-nodes"]));
}

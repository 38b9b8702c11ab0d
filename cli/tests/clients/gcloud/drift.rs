//! What gcloud changes in an ensemble, zkprov sees: field by field, with both values.

use super::{Planned, fields_of, gcloud, one};
use crate::Cloud;
use serde_json::json;

impl Cloud {
    /// `zkprov plan` with these options, which ends with this status.
    fn planned(&self, options: &str, status: i32) -> Planned {
        Planned(self.zkprov(&format!("plan --format json {options}")).run().exits(status).json())
    }

    /// The resources that the plan would make since they are gone, by type and name.
    fn recreated(&self) -> Vec<String> {
        let plan = self.planned("", 0);
        let changes = plan.0["resource_changes"].as_array().unwrap().iter();
        changes
            .filter(|change| change["action_reason"] == "not-found")
            .map(|change| {
                format!("{} {}", change["type"].as_str().unwrap(), change["name"].as_str().unwrap())
            })
            .collect()
    }
}

#[test]
fn gcloud_changes_to_vm_disk_and_rules_are_drift() {
    let cloud = Cloud::applied("tutorial", &["metadata.labels.team=core"]);
    let vm = one(&cloud, "compute instances update singlefs-1-vm --update-labels=team=web");
    assert_eq!(
        vm["labels"],
        json!({ "team": "web", "zkprov-ensemble": "exhibitor", "zkprov-labels-1": "ca8b" })
    );
    let vm = one(&cloud, "compute instances add-tags singlefs-1-vm --tags=extra");
    assert_eq!(vm["tags"]["items"], json!(["extra", "singlefs-1-vm"]));

    gcloud(&cloud, "compute instances stop singlefs-1-vm");
    let vm = one(&cloud, "compute instances set-machine-type singlefs-1-vm --machine-type=n1-standard-2");
    assert_eq!(vm["status"], "TERMINATED");
    let here = "my-project/zones/us-east1-d";
    let stopped = [
        "machineType: n1-standard-2 -> n1-standard-1",
        "labels[team]: web -> core",
        "tags.items: [\"extra\",\"singlefs-1-vm\"] -> [\"singlefs-1-vm\"]",
        "status: TERMINATED -> RUNNING",
    ];
    let full = |text: &str| text.replace("n1-", &format!("{here}/machineTypes/n1-"));
    let stopped = stopped.map(full);
    let stopped: Vec<&str> = stopped.iter().map(String::as_str).collect();
    cloud.planned("--refresh-only", 0).differs("instance", "singlefs-1-vm", &stopped);
    let vm = one(&cloud, "compute instances start singlefs-1-vm");
    assert_eq!(vm["status"], "RUNNING");
    let vm = one(&cloud, "compute instances describe singlefs-1-vm");
    assert!(vm["machineType"].as_str().unwrap().ends_with("/n1-standard-2"), "{vm:#}");

    let disk = one(&cloud, "compute disks add-labels singlefs-1-vm-data --labels=team=web");
    assert_eq!(disk["labels"]["team"], "web");
    let rule = one(&cloud, "compute firewall-rules update singlefs-1-vm-allow --priority=900");
    assert_eq!(rule["priority"], 900);
    gcloud(&cloud, "compute firewall-rules update singlefs-1-vm-deny --rules=tcp:2049 --disabled");
    let rule = one(&cloud, "compute firewall-rules describe singlefs-1-vm-deny");
    assert_eq!(rule["denied"], json!([{ "IPProtocol": "tcp", "ports": ["2049"] }]));

    let drift = cloud.planned("--refresh-only", 0);
    drift.differs("instance", "singlefs-1-vm", &stopped[..3]);
    drift.differs("disk", "singlefs-1-vm-data", &["labels[team]: web -> core"]);
    drift.differs("firewall", "singlefs-1-vm-allow", &["priority: 900 -> 1000"]);
    let change = drift.does("firewall", "singlefs-1-vm-deny", &["update"], "fields-differ");
    let [denied] = &fields_of(change)[..] else { panic!("{change:#}") };
    assert!(denied.starts_with(r#"denied: [{"IPProtocol":"tcp","ports":["2049"]}] -> ["#), "{denied}");

    let disk = one(&cloud, "compute disks resize singlefs-1-vm-data --size=150");
    assert_eq!(disk["sizeGb"], "150");
    let drift = cloud.planned("--refresh-only", 3);
    assert_eq!(drift.findings(), ["replacement-not-allowed"]);
    let change = drift.does("disk", "singlefs-1-vm-data", &["delete", "create"], "immutable-fields");
    assert_eq!(fields_of(change), ["sizeGb: 150 -> 100", "labels[team]: web -> core"]);

    gcloud(&cloud, "compute firewall-rules delete singlefs-1-vm-allow");
    gcloud(&cloud, "compute instances delete singlefs-1-vm");
    gcloud(&cloud, "compute disks delete singlefs-1-vm-data");
    let gone = ["firewall singlefs-1-vm-allow", "disk singlefs-1-vm-data", "instance singlefs-1-vm"];
    assert_eq!(cloud.recreated(), gone);
    assert_eq!(cloud.planned("--refresh-only", 0).findings(), ["missing"; 3]);
    // The plan is as good as it looks.
    cloud.zkprov("apply --yes").run().exits(0);
    let vm = one(&cloud, "compute instances describe singlefs-1-vm");
    assert_eq!((&vm["labels"]["team"], &vm["status"]), (&json!("core"), &json!("RUNNING")));
}

#[test]
fn gcloud_changes_to_the_cluster_are_drift() {
    let cloud = Cloud::applied("tutorial", &["spec.cluster.labels.team=core", "spec.cluster.nodeCount=3"]);
    // gcloud replaces all labels of a cluster, whatever the option is called.
    let labels = "zkprov-ensemble=exhibitor,team=web";
    gcloud(&cloud, &format!("container clusters update cluster-1 --update-labels={labels}"));
    gcloud(&cloud, "container clusters resize cluster-1 --node-pool=default-pool --num-nodes=4");
    let update = "container node-pools update default-pool --cluster=cluster-1";
    let pool = one(&cloud, &format!("{update} --tags=cluster-1-nodes,extra"));
    assert_eq!(pool["config"]["tags"], json!(["cluster-1-nodes", "extra"]));

    let cluster = one(&cloud, "container clusters describe cluster-1");
    assert_eq!(cluster["resourceLabels"], json!({ "team": "web", "zkprov-ensemble": "exhibitor" }));
    assert_eq!((&cluster["status"], &cluster["currentNodeCount"]), (&json!("RUNNING"), &json!(4)));
    let pool = one(&cloud, "container node-pools describe default-pool --cluster=cluster-1");
    // As it was made, whatever became of it.
    assert_eq!((&pool["status"], &pool["initialNodeCount"]), (&json!("RUNNING"), &json!(3)));

    let drift = cloud.planned("--refresh-only", 0);
    let labels = ["resourceLabels[team]: web -> core", "resourceLabels[zkprov-labels-1]: null -> ca8b"];
    drift.differs("gke", "cluster-1", &labels);
    let fields =
        ["initialNodeCount: 4 -> 3", "config.tags: [\"cluster-1-nodes\",\"extra\"] -> [\"cluster-1-nodes\"]"];
    drift.differs("node-pool", "default-pool", &fields);

    gcloud(&cloud, "container clusters delete cluster-1");
    // What was in it goes and comes with it.
    assert_eq!(cloud.recreated(), ["gke cluster-1", "ensemble exhibitor"]);
}

#[test]
fn gcloud_changes_to_filestore_are_drift() {
    let cloud = Cloud::applied("filestore", &["metadata.labels.team=core"]);
    let files = "filestore instances";
    let share = one(&cloud, &format!("{files} update exhibitor-files --update-labels=team=web"));
    assert_eq!(
        share["labels"],
        json!({ "team": "web", "zkprov-ensemble": "exhibitor", "zkprov-labels-1": "ca8b" })
    );
    gcloud(&cloud, &format!("{files} update exhibitor-files --file-share=name=zookeeper,capacity=2TB"));
    let share = one(&cloud, &format!("{files} describe exhibitor-files"));
    assert_eq!((&share["fileShares"][0]["capacityGb"], &share["state"]), (&json!("2048"), &json!("READY")));
    let drift = cloud.planned("--refresh-only", 0);
    let fields = ["labels[team]: web -> core", "fileShares[].capacityGb: 2048 -> 1024"];
    drift.differs("filestore", "exhibitor-files", &fields);

    gcloud(&cloud, &format!("{files} delete exhibitor-files"));
    assert_eq!(cloud.recreated(), ["filestore exhibitor-files"]);
    // One of that name again, made by hand this time.
    let created = one(
        &cloud,
        &format!(
            "{files} create exhibitor-files --tier=BASIC_HDD --file-share=name=zookeeper,capacity=1TB \
             --network=name=default,reserved-ip-range=10.90.0.0/29"
        ),
    );
    assert_eq!(created["networks"][0]["reservedIpRange"], "10.90.0.0/29");
    let foreign = cloud.planned("", 3);
    assert_eq!(foreign.findings(), ["not-ours"]);
    let adopted = cloud.planned("--adopt", 0);
    let change = adopted.does("filestore", "exhibitor-files", &["update"], "unmarked");
    let fields = [
        "description: null -> managed by zkprov for ensemble exhibitor",
        "labels[team]: null -> core",
        "labels[zkprov-ensemble]: null -> exhibitor",
        "labels[zkprov-labels-1]: null -> ca8b",
    ];
    assert_eq!(fields_of(change), fields);
}

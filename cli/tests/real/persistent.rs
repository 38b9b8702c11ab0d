//! Members with volumes on real things: names that CoreDNS tells, volumes that outlive their pods. The rig has nobody who makes
//! volumes, so directories of its node stand for them.

use super::node::{apply_with_a_writer, lost_nothing, name, pods, told_members};
use super::rig::Real;
use super::rolls::{replaces_pods_leader_last, replaces_pods_of_a_deployment};
use std::time::Instant;
use zkprov_tests::{Background, Program, example, wait_for};

/// A class that nobody serves: claims are bound to what is there.
const CLASS: &str = "by-hand";
/// As many as the largest size of the test.
const VOLUMES: usize = 5;

#[test]
fn members_with_volumes_on_a_real_node_all_go_at_once_and_come_back() {
    let real = Real::up();
    put_volumes(&real);
    let (applied, mut writer) =
        apply_with_a_writer(&real, &|real, line| another_template(zkprov(real, line)));
    applied.says(&["3 of 3 voters serve"]);
    are_known_by_name(&real, 3);

    replaces_pods_leader_last(&real, &zkprov, &mut writer);
    all_pods_go_at_once(&real);
    for size in [5, 3] {
        resizes(&real, &mut writer, size);
    }
    zkprov(&real, "plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
    lost_nothing(&real, writer);

    let words =
        ["persistentvolumeclaim/cluster-1/default/data-exhibitor-2", "gke/my-project/us-east1-d/cluster-1"];
    zkprov(&real, "destroy --confirm exhibitor").run().exits(0).says(&words);
    assert_eq!(real.told("get pods -l app=exhibitor -o name"), "");
    assert_eq!(real.told("get persistentvolumeclaims -o name").lines().count(), VOLUMES);
}

#[test]
fn members_without_volumes_on_a_real_node_are_followed_while_a_client_writes() {
    let real = Real::up();
    put_volumes(&real);
    let (applied, mut writer) =
        apply_with_a_writer(&real, &|real, line| another_template(before_volumes(real, line)));
    applied.says(&["3 of 3 voters serve"]);
    replaces_pods_of_a_deployment(&real, &before_volumes, &mut writer);
    let moved = zkprov(&real, "apply --yes").run().exits(0);
    moved.says(&["voters 3 -> 4 -> 3 -> 4 -> 3 -> 4 -> 3", "3 of 3 voters serve"]);
    writer.signal("USR1");
    println!("on the way to volumes: {}", writer.until("longest gap").trim());
    are_known_by_name(&real, 3);
    assert_eq!(real.told("get deployments -o name"), "");
    zkprov(&real, "plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
    lost_nothing(&real, writer);
}

/// A file of which the next one differs in the pods' template.
fn another_template(program: Program) -> Program {
    program.args(["--set", "spec.exhibitor.terminationGrace=31s"])
}

/// The same file without its volumes.
fn before_volumes(real: &Real, line: &str) -> Program {
    let text = std::fs::read_to_string(example("persistent/zkprov.yaml")).unwrap();
    let file = real.bench.path("before.yaml");
    std::fs::write(&file, text.split("    storage:").next().unwrap()).unwrap();
    real.zkprov_on(&file, line)
}

fn zkprov(real: &Real, line: &str) -> Program {
    let class = format!("spec.exhibitor.storage.persistent.class={CLASS}");
    real.zkprov_on(&example("persistent/zkprov.yaml"), line).args(["--set", &class])
}

fn put_volumes(real: &Real) {
    let volume = |number: usize| {
        let path = real.bench.path(&format!("volume-{number}"));
        format!(
            "apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: volume-{number}}}\nspec:\n  \
             storageClassName: {CLASS}\n  capacity: {{storage: 10Gi}}\n  accessModes: [ReadWriteOnce]\n  \
             persistentVolumeReclaimPolicy: Retain\n  hostPath: {{path: {}, type: DirectoryOrCreate}}\n",
            path.display()
        )
    };
    let volumes: Vec<String> = (0..VOLUMES).map(volume).collect();
    std::fs::write(real.bench.path("volumes.yaml"), volumes.join("---\n")).unwrap();
    real.told("apply -f volumes.yaml");
}

fn are_known_by_name(real: &Real, count: usize) {
    let known: Vec<String> = told_members(zkprov(real, "status --format json")).into_keys().collect();
    let named: Vec<String> =
        (0..count).map(|number| format!("exhibitor-{number}.exhibitor-members.default.svc")).collect();
    assert_eq!(known, named);
}

/// Nobody repairs anything: the StatefulSet makes the pods again, and they are the members that they were.
fn all_pods_go_at_once(real: &Real) {
    let ids = |real: &Real| {
        let members = told_members(zkprov(real, "status --format json"));
        members.into_iter().map(|(host, (id, _))| (host, id)).collect::<Vec<_>>()
    };
    let before = ids(real);
    let addresses = |real: &Real| {
        let pods = pods(real);
        pods.iter().map(|pod| (name(pod).to_owned(), pod["metadata"]["uid"].clone())).collect::<Vec<_>>()
    };
    let pods_before = addresses(real);
    let start = Instant::now();
    real.told("delete pods -l app=exhibitor --grace-period=1 --wait=false");
    wait_for("all members", || {
        let now = addresses(real);
        if now.len() != 3 || now.iter().any(|pod| pods_before.contains(pod)) {
            return Err(format!("{now:?}"));
        }
        let status = zkprov(real, "status --check").run();
        if status.status == Some(0) { Ok(()) } else { Err(status.out) }
    });
    println!("all pods gone: all members back after {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(ids(real), before);
}

fn resizes(real: &Real, writer: &mut Background, to: usize) {
    let line = format!("scale {to} --yes");
    zkprov(real, &line).run().exits(0).says(&[&format!("{to} of {to} voters serve")]);
    are_known_by_name(real, to);
    writer.signal("USR1");
    println!("on the way to {to}: {}", writer.until("longest gap").trim());
}

//! Two rigs with a node each, side by side: when parts of one die, all the rest of it can be cleared away, and the other one
//! goes on.

use super::rig::Rig;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use zkprov_tests::{Bench, root};

#[test]
fn a_node_that_died_in_parts_is_cleared_away_beside_another() {
    let bench = Bench::new(env!("CARGO_BIN_EXE_zkprov"));
    let (stays, dies) = (Rig::node('s'), Rig::node('d'));
    start_pod(&stays, &bench);
    start_pod(&dies, &bench);
    let before = container(&stays, &bench);

    kill(&dies, &["kubelet", "containerd"]);
    dies.told(&["up"], &[]);
    start_pod(&dies, &bench);
    let members = processes(&dies);
    assert!(members.len() > 9, "{members:?}");
    kill(&dies, &["kubelet", "containerd", "kube-apiserver", "etcd"]);
    dies.told(&["down"], &[]);
    let left = left(&dies, &members);
    assert!(left.is_empty(), "left of {}:\n{}", dies.name(), left.join("\n"));

    assert_eq!(container(&stays, &bench), before);
    kubectl(&stays, &bench, "delete pod idle --timeout=20m");
    start_pod(&stays, &bench);
}

fn kubectl(rig: &Rig, bench: &Bench, line: &str) -> String {
    rig.program(bench, "kubectl").args(line.split_whitespace()).run().exits(0).out
}

fn start_pod(rig: &Rig, bench: &Bench) {
    let versions = fs::read_to_string(root().join("tests/real/versions.env")).unwrap();
    let image = versions.lines().find_map(|line| line.strip_prefix("PAUSE_IMAGE=")).unwrap();
    let pod = fs::read_to_string(root().join("tests/real/manifests/idle.yaml")).unwrap();
    fs::write(bench.path("idle.yaml"), pod.replace("PAUSE_IMAGE", image)).unwrap();
    kubectl(rig, bench, "apply -f idle.yaml");
    kubectl(rig, bench, "wait --for=condition=Ready pod/idle --timeout=20m");
}

/// The pod's container, and how often it was restarted.
fn container(rig: &Rig, bench: &Bench) -> String {
    let path = "{.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}";
    let get = ["get", "pod", "idle", "-o", &format!("jsonpath={path}")].map(str::to_owned);
    rig.program(bench, "kubectl").args(get).run().exits(0).out
}

/// Kills components as a crash does.
fn kill(rig: &Rig, components: &[&str]) {
    for component in components {
        let file = Path::new(rig.of("ZKPROV_RIG_STATE")).join("pid").join(component);
        let pid = fs::read_to_string(file).unwrap();
        let pid = pid.split_whitespace().next().unwrap();
        assert!(Command::new("kill").args(["-KILL", pid]).status().unwrap().success(), "{component}");
    }
}

/// The directories of the rig's cgroups, one in each hierarchy.
fn cgroups(rig: &Rig) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let hierarchies = fields.filter(|fields| fields[2] == "cgroup" || fields[2] == "cgroup2");
    hierarchies.map(|fields| Path::new(fields[1]).join(format!("zkprov-{}", rig.name()))).collect()
}

/// A process: its id, and when it started in clock ticks. Together they name it for good.
fn process(pid: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    (fields[0] != "Z").then(|| format!("{pid} {}", fields[19]))
}

/// Everything that runs in a cgroup of the rig, pods too.
fn processes(rig: &Rig) -> Vec<String> {
    fn collect(group: &Path, found: &mut Vec<String>) {
        let pids = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        found.extend(pids.lines().filter_map(process));
        let below = fs::read_dir(group).into_iter().flatten().flatten();
        for entry in below.filter(|entry| entry.path().is_dir()) {
            collect(&entry.path(), found);
        }
    }
    let mut found = Vec::new();
    for group in cgroups(rig) {
        collect(&group, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

/// What there still is of a rig that was taken down.
fn left(rig: &Rig, members: &[String]) -> Vec<String> {
    let state = rig.of("ZKPROV_RIG_STATE");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut left: Vec<String> =
        mounts.lines().filter(|line| line.contains(state)).map(|line| format!("mount {line}")).collect();
    let namespace = PathBuf::from(format!("/run/netns/zkprov-{}", rig.name()));
    let paths = cgroups(rig).into_iter().chain([namespace, PathBuf::from(state)]);
    left.extend(paths.filter(|path| path.exists()).map(|path| path.display().to_string()));
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let Some(process) = process(&pid) else { continue };
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if members.contains(&process) || command.contains(&format!("{state}/")) {
            left.push(format!("process {pid} {command}"));
        }
    }
    left
}

//! What outlasts a container, a boot of its node, and its pod.

use super::workloads::{PODS, exhibitor};
use super::*;

/// A lone member whose data lies on this volume; in the container's own layer without one. It has a znode `/kept`.
fn member(volume: Option<Value>) -> Bench {
    let mut bench = Bench::new(1);
    let mut deployment = exhibitor(1);
    let pod = &mut deployment["spec"]["template"]["spec"];
    if let Some(mut volume) = volume {
        volume["name"] = json!("data");
        pod["volumes"].as_array_mut().unwrap().push(volume);
        let mounts = pod["containers"][0]["volumeMounts"].as_array_mut().unwrap();
        for directory in ["snapshots", "transactions"] {
            mounts.push(json!({"name": "data", "mountPath": format!("/opt/zookeeper/{directory}"), "subPath": directory}));
        }
    }
    bench.make(DEPLOYMENTS, &deployment);
    let written = (0..300).any(|_| {
        bench.pass(1_000);
        let address = bench.address();
        bench.shares.write(&address, "/kept", b"data").is_ok()
    });
    assert!(written, "the member serves");
    bench
}

impl Bench {
    fn pod(&mut self) -> Value {
        self.pods().into_iter().find(|pod| pod["metadata"]["deletionTimestamp"].is_null()).unwrap()
    }

    fn address(&mut self) -> String {
        self.pod()["status"]["podIP"].as_str().unwrap_or_default().to_owned()
    }

    fn restarts(&mut self) -> i64 {
        self.pod()["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap()
    }

    /// What the member has of `/kept` once it serves again.
    fn kept(&mut self) -> bool {
        for _ in 0..600 {
            self.pass(1_000);
            let address = self.address();
            if self.shares.read(&address, "/").is_some() {
                return self.shares.read(&address, "/kept").is_some_and(|node| node.data == b"data");
            }
        }
        panic!("the member does not serve again");
    }

    /// The node's machine boots.
    fn boot(&mut self) {
        let now = self.now;
        self.cluster.reset_node("node-0", &mut self.shares, now);
        // Its kubelet has to start the containers first.
        self.pass(45_000);
    }

    /// The container ends by itself, and is started again.
    fn end_container(&mut self) {
        let name = self.pod()["metadata"]["name"].as_str().unwrap().to_owned();
        let shutdown = format!("{PODS}/{name}:8181/proxy/exhibitor/v1/ui/shutdown");
        assert_eq!(self.raw("GET", &shutdown, &[], &Value::Null).status, 200);
        self.pass(5_000);
    }
}

fn on_disk() -> Value {
    json!({"emptyDir": {}})
}

fn in_memory() -> Value {
    json!({"emptyDir": {"medium": "Memory"}})
}

#[test]
fn a_boot_of_the_node_keeps_what_is_on_its_disk() {
    for (volume, kept) in [(None, false), (Some(on_disk()), true), (Some(in_memory()), false)] {
        let mut bench = member(volume.clone());
        let before = (bench.pod()["metadata"]["uid"].clone(), bench.address());
        bench.boot();
        assert_eq!(bench.pod()["metadata"]["uid"], before.0);
        assert_ne!(bench.address(), before.1, "the sandbox is a new one");
        assert_eq!((bench.restarts(), bench.kept()), (1, kept), "{volume:?}");
    }
}

#[test]
fn another_container_in_the_pod_has_the_volumes_of_the_one_before() {
    for (volume, kept) in [(None, false), (Some(on_disk()), true), (Some(in_memory()), true)] {
        let mut bench = member(volume.clone());
        let before = bench.address();
        bench.end_container();
        assert_eq!(bench.address(), before, "the sandbox stays");
        assert_eq!((bench.restarts(), bench.kept()), (1, kept), "{volume:?}");
    }
}

#[test]
fn an_empty_dir_goes_with_its_pod() {
    for grace in [0, 5] {
        let mut bench = member(Some(on_disk()));
        let (name, uid) = (bench.pod()["metadata"]["name"].clone(), bench.pod()["metadata"]["uid"].clone());
        let url = format!("{PODS}/{}", name.as_str().unwrap());
        assert_eq!(bench.call("DELETE", &url, &json!({"gracePeriodSeconds": grace})).0, 200);
        bench.pass(10_000);
        assert!(!bench.kept());
        let stored = serde_json::to_string(&bench.shares).unwrap();
        assert!(!stored.contains(uid.as_str().unwrap()), "nothing is left of the pod");
    }
}

#[test]
fn a_configuration_in_the_containers_own_layer_ends_with_it() {
    let list = |bench: &mut Bench| {
        let address = bench.address();
        let share = bench.pod()["metadata"]["uid"].as_str().unwrap().to_owned();
        let names = [format!("pod:{share}"), format!("container:{share}/{}", bench.restarts())];
        assert!(bench.shares.answers(&address, bench.now));
        names.iter().any(|name| bench.shares.properties(&share_name(NETWORK, name)).is_some())
    };
    for (volume, kept) in [(None, false), (Some(json!({"name": "nfs", "emptyDir": {}})), true)] {
        let mut bench = Bench::new(1);
        let mut deployment = exhibitor(1);
        let pod = &mut deployment["spec"]["template"]["spec"];
        match volume {
            Some(volume) => pod["volumes"] = json!([volume]),
            None => {
                pod["volumes"] = json!([]);
                pod["containers"][0]["volumeMounts"] = json!([]);
            }
        }
        bench.make(DEPLOYMENTS, &deployment);
        bench.pass(300_000);
        assert!(list(&mut bench), "automatic management has written the list");
        bench.end_container();
        bench.pass(10_000);
        assert_eq!(list(&mut bench), kept);
    }
}

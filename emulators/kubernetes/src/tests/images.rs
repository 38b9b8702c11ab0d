//! Pods whose images cannot be had.

use super::workloads::{PODS, waiting};
use super::*;
use crate::ImageFaults;

const IMAGE: &str = "eu-docker.pkg.dev/p/r/exhibitor:1";

fn pod(image: &str, policy: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": image, "imagePullPolicy": policy}]}})
}

fn refusing(faults: &Value) -> Bench {
    let mut bench = Bench::new(1);
    bench.cluster.refuse_images(&serde_json::from_value::<ImageFaults>(faults.clone()).unwrap());
    bench
}

impl Bench {
    /// The reasons and messages that the pod waits by within two minutes.
    fn troubles(&mut self) -> Vec<(String, String)> {
        let mut seen = Vec::new();
        for _ in 0..1_200 {
            self.pass(100);
            let pod = self.get(&format!("{PODS}/p"));
            let message = &pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"];
            let trouble = (waiting(&pod).to_owned(), message.as_str().unwrap_or_default().to_owned());
            if !seen.contains(&trouble) {
                seen.push(trouble);
            }
        }
        seen.retain(|(reason, _)| reason.contains("Image"));
        seen
    }

    fn messages(&mut self) -> Vec<String> {
        let events = self.get("/api/v1/namespaces/default/events");
        let events = events["items"].as_array().unwrap().iter();
        events.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn what_containerd_says_is_in_the_pod_and_its_events() {
    let forbidden = format!(
        "failed to pull and unpack image \"{IMAGE}\": failed to resolve reference \"{IMAGE}\": unexpected status from HEAD \
         request to https://eu-docker.pkg.dev/v2/p/r/exhibitor/manifests/1: 403 Forbidden"
    );
    let absent = format!(
        "rpc error: code = NotFound desc = failed to pull and unpack image \"{IMAGE}\": failed to resolve reference \
         \"{IMAGE}\": {IMAGE}: not found"
    );
    for (faults, why) in [
        (json!({"denied": ["eu-docker.pkg.dev/p"]}), forbidden),
        (json!({"missing": ["eu-docker.pkg.dev/p/r/exhibitor"]}), absent),
    ] {
        let mut bench = refusing(&faults);
        bench.make(PODS, &pod(IMAGE, "IfNotPresent"));
        let back_off = format!("Back-off pulling image \"{IMAGE}\": ErrImagePull: {why}");
        let expected = [("ErrImagePull".to_owned(), why.clone()), ("ImagePullBackOff".to_owned(), back_off)];
        assert_eq!(bench.troubles(), expected);
        let messages = bench.messages();
        let failed = format!("Failed to pull image \"{IMAGE}\": {why}");
        for wanted in [failed.as_str(), "Error: ErrImagePull", "Error: ImagePullBackOff"] {
            assert!(messages.iter().any(|message| message == wanted), "{wanted}: {messages:?}");
        }
        // The role is granted, or the image pushed.
        bench.cluster.refuse_images(&ImageFaults::default());
        bench.pass(301_000);
        assert_eq!(bench.get(&format!("{PODS}/p"))["status"]["phase"], "Running");
    }
}

#[test]
fn the_old_format_fails_on_nodes_with_containerd_2() {
    const OLD: &str = "mbabineau/zookeeper-exhibitor";
    for (refused, reasons) in [(true, vec!["ErrImagePull", "ImagePullBackOff"]), (false, vec![])] {
        let mut bench = refusing(&json!({"schema1Refused": refused}));
        bench.make(PODS, &pod(OLD, "Always"));
        let troubles = bench.troubles();
        assert_eq!(troubles.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), reasons);
        assert!(troubles.iter().all(|(_, why)| why.contains("Pulling Schema 1 images have been deprecated")));
    }
}

#[test]
fn an_image_that_is_on_the_node_is_not_pulled_again() {
    for (policy, runs) in [("IfNotPresent", true), ("Always", false)] {
        let mut bench = Bench::new(1);
        bench.make(PODS, &pod(IMAGE, policy));
        bench.pass(30_000);
        bench.cluster.refuse_images(&ImageFaults {
            denied: vec!["eu-docker.pkg.dev".to_owned()],
            ..ImageFaults::default()
        });
        assert_eq!(bench.call("DELETE", &format!("{PODS}/p"), &json!({"gracePeriodSeconds": 0})).0, 200);
        bench.make(PODS, &pod(IMAGE, policy));
        bench.pass(30_000);
        assert_eq!(bench.get(&format!("{PODS}/p"))["status"]["phase"] == "Running", runs, "{policy}");
    }
}

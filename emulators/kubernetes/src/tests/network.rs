//! What a network policy is worth, with and without something that enforces it.

use super::workloads::{PODS, exhibitor};
use super::*;
use crate::answer::PodStream;

const POLICIES: &str = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
const ENGINES: [PolicyEngine; 2] = [PolicyEngine::Calico, PolicyEngine::Cilium];

/// The members' policy as `templates/files/network-policy.yaml.j2` renders it, for clients with a label.
fn policy() -> Value {
    let own = json!({"podSelector": {"matchLabels": {"run": "exhibitor"}}});
    let agent = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "konnectivity-agent"}}});
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "exhibitor"},
        "spec": {"podSelector": {"matchLabels": {"run": "exhibitor"}}, "policyTypes": ["Ingress"], "ingress": [
            {"ports": [{"protocol": "TCP", "port": 2181}],
                "from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"zookeeper": "client"}}}]},
            {"ports": [{"protocol": "TCP", "port": 2888}, {"protocol": "TCP", "port": 3888},
                {"protocol": "TCP", "port": "api"}], "from": [own]},
            {"ports": [{"protocol": "TCP", "port": 8181}], "from": [agent]}]}})
}

fn client(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "c", "image": "busybox:1"}]}})
}

impl Bench {
    /// Three members that serve, their Service, a client and a stranger.
    fn with_members(policies: PolicyEngine, policy: Option<&Value>) -> Self {
        let mut bench = Self::enforcing(policies, 3);
        if let Some(policy) = policy {
            bench.make(POLICIES, policy);
        }
        bench.make(DEPLOYMENTS, &exhibitor(3));
        bench.make("/api/v1/namespaces/default/services", &json!({"metadata": {"name": "exhibitor"}, "spec": {
            "selector": {"run": "exhibitor"}, "ports": [{"name": "zk", "port": 2181}, {"name": "api", "port": 8181}]}}));
        bench.make(PODS, &client("client", &json!({"zookeeper": "client"})));
        bench.make(PODS, &client("stranger", &json!({})));
        // Automatic management adds a member every minute or two.
        for _ in 0..60 {
            bench.pass(10_000);
            if bench.joined() == 3 {
                break;
            }
        }
        bench
    }

    fn members(&mut self) -> Vec<(String, String)> {
        let members = self.pods().into_iter().filter(|pod| pod["metadata"]["labels"]["run"] == "exhibitor");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        members.map(|pod| (text(&pod["metadata"]["name"]), text(&pod["status"]["podIP"]))).collect()
    }

    /// How many members are in a quorum, with others.
    fn joined(&mut self) -> usize {
        let members = self.members();
        let mode = |(_, address): &(String, String)| self.shares.mode(address);
        members.iter().filter(|member| matches!(mode(member), Some("leader" | "follower"))).count()
    }

    /// Runs a program in a pod: its output, its errors, and whether it succeeded.
    fn exec(&mut self, pod: &str, command: &[&str]) -> (String, String, bool) {
        let words: String = command.iter().map(|word| format!("&command={word}")).collect();
        match self.send(
            "GET",
            &format!("{PODS}/{pod}/exec?stdout=true&stderr=true{words}"),
            &[],
            &Value::Null,
        ) {
            Answer::Stream(PodStream::Exec { stdout, stderr, status }) => {
                let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
                (text(stdout), text(stderr), status["status"] == "Success")
            }
            other @ (Answer::Done(_) | Answer::Later | Answer::Watch(_) | Answer::Stream(_)) => {
                panic!("{other:?}")
            }
        }
    }

    /// Whether a pod's connection to a host and port comes about.
    fn connects(&mut self, pod: &str, host: &str, port: u16) -> bool {
        let (_, why, connected) = self.exec(pod, &["nc", "-z", "-w", "2", host, &port.to_string()]);
        assert!(connected || why.ends_with("Connection timed out\n"), "{why}");
        connected
    }
}

#[test]
fn a_policy_is_worth_nothing_where_nothing_enforces_it() {
    let mut bench = Bench::with_members(PolicyEngine::None, Some(&policy()));
    assert_eq!(bench.joined(), 3);
    for (_, address) in bench.members() {
        for (pod, port) in [("client", 2181), ("stranger", 2181), ("stranger", 8181)] {
            assert!(bench.connects(pod, &address, port), "{pod} {port}");
        }
    }
}

#[test]
fn where_it_is_enforced_only_those_it_names_come_in() {
    for engine in ENGINES {
        let mut bench = Bench::with_members(engine, Some(&policy()));
        assert_eq!(bench.joined(), 3, "the members reach each other");
        for (name, address) in bench.members() {
            assert!(bench.connects("client", &address, 2181));
            assert!(!bench.connects("client", &address, 8181));
            assert!(!bench.connects("stranger", &address, 2181));
            assert!(!bench.connects("stranger", &address, 8181));
            // Pods reach themselves, the API server comes as the pod that the policy names, and probes from the node.
            assert!(bench.connects(&name, &address, 8181));
            let url = format!("{PODS}/{name}:8181/proxy/exhibitor/v1/cluster/list");
            assert_eq!(bench.get(&url)["port"], 2181);
        }
        let ready = bench.get(&format!("{DEPLOYMENTS}/exhibitor"))["status"]["readyReplicas"].clone();
        assert_eq!(ready, 3);
        for host in ["exhibitor", "exhibitor.default", "exhibitor.default.svc.cluster.local"] {
            assert!(
                bench.connects("client", host, 2181) && !bench.connects("stranger", host, 2181),
                "{host}"
            );
        }
        let (answer, _, _) = bench.exec("client", &["sh", "-c", "echo srvr | nc -w 2 exhibitor 2181"]);
        assert!(answer.contains("Mode: leader") || answer.contains("Mode: follower"), "{answer}");
        let (answer, _, _) = bench.exec("stranger", &["sh", "-c", "echo srvr | nc -w 2 exhibitor 2181"]);
        assert_eq!(answer, "");
        // What is forwarded comes out of the kubelet, in the pod's own network.
        let (name, _) = bench.members().remove(0);
        let forward = bench.send("GET", &format!("{PODS}/{name}/portforward?ports=2181"), &[], &Value::Null);
        assert!(matches!(forward, Answer::Stream(PodStream::Forward { .. })));
        // Without the policy everything is open again.
        assert_eq!(bench.call("DELETE", &format!("{POLICIES}/exhibitor"), &Value::Null).0, 200);
        bench.pass(1_000);
        assert!(bench.connects("stranger", "exhibitor", 2181));
    }
}

#[test]
fn members_that_a_policy_keeps_apart_form_no_ensemble() {
    let mut apart = policy();
    apart["spec"]["ingress"].as_array_mut().unwrap().remove(1);
    for (engine, together) in [(PolicyEngine::None, true), (PolicyEngine::Cilium, false)] {
        let mut bench = Bench::with_members(engine, Some(&apart));
        assert_eq!(bench.joined() == 3, together);
        let members = bench.members();
        let (one, other) = (&members[0], &members[1].1);
        let status = format!("{PODS}/{}:8181/proxy/exhibitor/v1/cluster/state/{other}", one.0);
        let mut answer = bench.send("GET", &status, &[], &Value::Null);
        let asked = bench.now;
        while answer == Answer::Later {
            bench.now += 1_000;
            answer = bench.again(&status, asked);
        }
        let Answer::Done(response) = answer else { panic!("{answer:?}") };
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body["success"], together, "{body}");
        let why = if together { "" } else { "java.net.SocketTimeoutException: Connect timed out" };
        assert_eq!(body["errorMessage"], why);
    }
}

#[test]
fn a_policy_that_comes_later_keeps_newcomers_out() {
    let mut apart = policy();
    // Exhibitor still reaches Exhibitor: automatic management would remove those that it does not hear of.
    apart["spec"]["ingress"][1]["ports"] = json!([{"protocol": "TCP", "port": "api"}]);
    let mut bench = Bench::with_members(PolicyEngine::Calico, None);
    // The roll that brought the last one in restarts the others.
    bench.pass(300_000);
    assert_eq!(bench.joined(), 3);
    bench.make(POLICIES, &apart);
    bench.pass(60_000);
    assert_eq!(bench.joined(), 3, "connections that are open stay so");
    let (_, address) =
        bench.members().into_iter().find(|(_, ip)| bench.shares.mode(ip) == Some("follower")).unwrap();
    bench.shares.kill_zookeeper(&address);
    // Soon automatic management takes it from the list, and restarts the others for that.
    for _ in 0..5 {
        bench.pass(3_000);
        assert_eq!(bench.joined(), 2);
    }
    // The add-on is turned off.
    bench.cluster.enforce(PolicyEngine::None);
    bench.pass(900_000);
    assert_eq!(bench.joined(), 3);
}

#[test]
fn the_api_server_is_kept_out_by_a_policy_that_does_not_name_its_agent() {
    let mut closed = policy();
    closed["spec"]["ingress"].as_array_mut().unwrap().remove(2);
    let mut bench = Bench::with_members(PolicyEngine::Cilium, Some(&closed));
    let (name, address) = bench.members().remove(0);
    let url = format!("{PODS}/{name}:8181/proxy/exhibitor/v1/cluster/list");
    let asked = bench.now;
    assert_eq!(bench.send("GET", &url, &[], &Value::Null), Answer::Later);
    bench.now += 30_000;
    let Answer::Done(response) = bench.again(&url, asked) else { panic!("the dialer has given up") };
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    let why = format!("error trying to reach service: dial tcp {address}:8181: i/o timeout");
    assert_eq!((response.status, body["message"].as_str()), (503, Some(why.as_str())));
}

#[test]
fn rules_mean_what_the_documentation_says() {
    let from = |peers: Value| json!([{"from": peers, "ports": [{"port": 2000, "endPort": 2500}, {"port": "zk", "protocol": "UDP"}]}]);
    let everywhere = json!([{"ipBlock": {"cidr": "10.8.0.0/14"}}]);
    let nowhere = json!([{"ipBlock": {"cidr": "10.8.0.0/14", "except": ["10.8.0.0/15"]}}]);
    let elsewhere = json!([{"podSelector": {}, "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]);
    let here =
        json!([{"podSelector": {"matchExpressions": [{"key": "zookeeper", "operator": "DoesNotExist"}]}}]);
    let cases = [
        ("nothing selects the pod", json!([]), "other", [true, true, true]),
        ("no rule", json!([]), "exhibitor", [false, false, false]),
        ("an empty rule", json!([{}]), "exhibitor", [true, true, true]),
        ("ports for everyone", json!([{"ports": [{"port": "zk"}]}]), "exhibitor", [true, true, false]),
        ("a range for strangers", from(here), "exhibitor", [false, true, false]),
        ("another namespace", from(elsewhere), "exhibitor", [false, false, false]),
        ("all but all addresses", from(nowhere), "exhibitor", [false, false, false]),
    ];
    let mut bench = Bench::with_members(PolicyEngine::Calico, None);
    let (_, address) = bench.members().remove(0);
    let seen = |bench: &mut Bench, engine: PolicyEngine, rules: &Value, selected: &str| {
        bench.cluster.enforce(engine);
        let mut body = policy();
        body["spec"]["ingress"] = rules.clone();
        body["spec"]["podSelector"]["matchLabels"]["run"] = json!(selected);
        bench.call("DELETE", &format!("{POLICIES}/exhibitor"), &Value::Null);
        bench.make(POLICIES, &body);
        let tries = [("client", 2181), ("stranger", 2181), ("stranger", 8181)];
        tries.map(|(pod, port)| bench.connects(pod, &address, port))
    };
    for (what, rules, selected, expected) in cases {
        for engine in ENGINES {
            assert_eq!(seen(&mut bench, engine, &rules, selected), expected, "{what} {engine:?}");
        }
    }
    // For Cilium a pod is never an address.
    let rules = from(everywhere);
    assert_eq!(seen(&mut bench, PolicyEngine::Calico, &rules, "exhibitor"), [true, true, false]);
    assert_eq!(seen(&mut bench, PolicyEngine::Cilium, &rules, "exhibitor"), [false, false, false]);
    // What a pod may not send does not arrive.
    let mut egress = policy();
    egress["metadata"]["name"] = json!("egress");
    egress["spec"] = json!({"podSelector": {"matchLabels": {"zookeeper": "client"}}, "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {"matchLabels": {"run": "exhibitor"}}}], "ports": [{"port": 8181}]}]});
    bench.make(POLICIES, &egress);
    assert_eq!(seen(&mut bench, PolicyEngine::Cilium, &json!([{}]), "exhibitor"), [false, true, true]);
    assert!(bench.connects("client", &address, 8181));
}

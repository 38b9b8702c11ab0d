//! The tutorial's life on real members: it forms, serves, refuses four, grows, shrinks, loses members, and goes.

use super::external::lives_on_an_external_server_in_a_cluster_of_the_kubeconfig;
use super::rig::Real;
use super::rolls::{rolls_options_leader_last, watched};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use zkprov_tests::{Background, Output, Program, Strain, root, wait_for};

/// Longest time from all pods running to the last member serving.
const FORMATION: Duration = Duration::from_secs(40);

#[test]
fn the_tutorial_forms_serves_resizes_survives_and_goes_on_real_members() {
    let real = Real::up();
    put_client(&real);
    let routed = watch_routes(&real);
    let strain = Strain::begin();
    let (applied, mut writer) = apply_with_a_writer(&real, &Real::zkprov);
    let allowed = strain.allows(FORMATION);
    applied.says(&["3 of 3 voters serve", "exhibitor.default.svc.cluster.local:2181"]);
    forms_in_time(&real, allowed);
    has_nothing_left_to_do(&real);
    agrees_with_zookeeper(&real, 3);
    is_reached_by_name_and_by_variables(&real);
    tells_its_status_through_kubectl_proxy(&real);
    shows_exhibitors_page_in_a_browser(&real);
    refuses_four(&real);

    changes_a_live_setting_without_a_restart(&real);
    rolls_options_leader_last(&real, &mut writer);
    for size in [5, 3, 1, 3] {
        resizes(&real, &mut writer, size);
    }
    numbers_members_anew(&real, &mut writer);
    has_nothing_left_to_do(&real);

    survives_the_loss_of(&real, "follower");
    survives_the_loss_of(&real, "leader");
    is_drained_no_further_than_its_budget(&real);
    resizes(&real, &mut writer, 7);

    lost_nothing(&real, writer);
    routes_nobody_to_a_stranger(&real, routed);
    goes(&real);
    lives_on_an_external_server_in_a_cluster_of_the_kubeconfig(&real);
}

/// A pod beside the members, there before them.
fn put_client(real: &Real) {
    let manifest = std::fs::read_to_string(root().join("tests/real/manifests/client.yaml")).unwrap();
    let path = real.bench.path("client.yaml");
    std::fs::write(&path, manifest.replace("IMAGE", real.image())).unwrap();
    real.told("apply -f client.yaml");
    real.told("wait --for=condition=Ready pod/client --timeout=20m");
}

/// Asks whoever the Service leads to for its mode, four times a second, from the other pod and by the Service's name. Ends
/// when the file is made that it looks for.
fn watch_routes(real: &Real) -> Background {
    let script = "cd /tmp; until [ -e enough ]; do \
        (exec 3<>/dev/tcp/exhibitor.default.svc.cluster.local/2181 && printf srvr >&3 && \
         timeout 5 sed -n 's/^Mode: //p; s/^This ZooKeeper.*/no quorum/p' <&3) 2>/dev/null; sleep 0.25; done";
    real.kubectl("exec client --").args(["bash", "-c", script]).start()
}

/// Applies, with a client that writes as soon as the Service has an address.
pub(super) fn apply_with_a_writer(
    real: &Real,
    zkprov: &dyn Fn(&Real, &str) -> Program,
) -> (Output, Background) {
    let mut apply = zkprov(real, "apply --yes").start();
    let address = wait_for("the Service", || {
        let service = real.kubectl("get service exhibitor -o jsonpath={.spec.clusterIP}").run();
        assert!(!apply.has_ended(), "the run is over without one\n{service}");
        if service.status == Some(0) && !service.out.is_empty() {
            Ok(service.out)
        } else {
            Err(apply.signs())
        }
    });
    let writer = client(real, &["write", &format!("{address}:2181"), "acknowledged"]).start();
    (apply.wait().exits(0), writer)
}

fn client(real: &Real, args: &[&str]) -> zkprov_tests::Program {
    kazoo(real, "client.py", args)
}

/// A script beside the rig with the library kazoo.
pub(crate) fn kazoo(real: &Real, script: &str, args: &[&str]) -> zkprov_tests::Program {
    let install = Command::new(root().join("tests/install/kazoo.sh")).output().unwrap();
    let complaint = String::from_utf8_lossy(&install.stderr);
    assert!(install.status.success(), "no kazoo: {complaint}");
    let python = PathBuf::from(String::from_utf8(install.stdout).unwrap().trim());
    real.program(python).args([root().join("tests/real").join(script)]).args(args)
}

/// The members' pods; one that ends no longer counts.
pub(crate) fn pods(real: &Real) -> Vec<Value> {
    let list = real.kubectl("get pods -l app=exhibitor -o json").run().exits(0).json();
    let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
    list["items"].as_array().unwrap().iter().filter(stays).cloned().collect()
}

pub(crate) fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap()
}

fn forms_in_time(real: &Real, allowed: Duration) {
    let seconds = |time: &Value| time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    let pods = pods(real);
    let started =
        pods.iter().map(|pod| &pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]);
    let ready = pods.iter().map(|pod| {
        let conditions = pod["status"]["conditions"].as_array().unwrap();
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready").unwrap();
        &ready["lastTransitionTime"]
    });
    let formation = ready.map(seconds).max().unwrap() - started.map(seconds).max().unwrap();
    let formation = Duration::from_secs(u64::try_from(formation).unwrap());
    println!("formation: {formation:?} from all pods running to the last member ready");
    assert!(formation <= allowed, "{formation:?}, and {allowed:?} are allowed");
}

fn has_nothing_left_to_do(real: &Real) {
    real.zkprov("plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
    real.zkprov("plan --refresh-only --detailed-exitcode").run().exits(0);
}

/// The tutorial's members.
fn members(real: &Real) -> BTreeMap<String, (u64, String)> {
    told_members(real.zkprov("status --format json"))
}

/// Members by address or name as `status --format json` tells them: id and role.
pub(super) fn told_members(status: Program) -> BTreeMap<String, (u64, String)> {
    let status = status.run().exits(0).json();
    let members = status["members"].as_array().unwrap().iter();
    let told = members.filter_map(|member| {
        let host = member["host"].as_str()?.to_owned();
        Some((host, (member["id"].as_u64()?, member["role"].as_str()?.to_owned())))
    });
    told.collect()
}

/// Each member's ZooKeeper is asked in its own container, without Exhibitor and without zkprov.
fn agrees_with_zookeeper(real: &Real, count: usize) {
    let told = members(real);
    let asked: BTreeMap<String, (u64, String)> = pods(real)
        .iter()
        .map(|pod| {
            let script = "cat /opt/zookeeper/snapshots/myid; echo; \
                exec 3<>/dev/tcp/127.0.0.1/2181; printf srvr >&3; sed -n 's/^Mode: //p' <&3";
            let answer = real.in_pod(name(pod), script).exits(0);
            let mut words = answer.out.split_whitespace();
            let id = words.next().unwrap().parse().unwrap();
            let ip = pod["status"]["podIP"].as_str().unwrap().to_owned();
            (ip, (id, words.next().unwrap().to_owned()))
        })
        .collect();
    assert_eq!(told, asked);
    assert_eq!(asked.len(), count);
    let leads = if count == 1 { "standalone" } else { "leader" };
    assert_eq!(asked.values().filter(|(_, role)| role == leads).count(), 1, "{asked:?}");
}

/// ZooKeeper's own client in another pod: by the Service's DNS name, and by the variables of a pod that came later. The
/// client is the one that Exhibitor brings: that of ZooKeeper 3.4.14 resolves no names on a Java of today.
fn is_reached_by_name_and_by_variables(real: &Real) {
    let cli = |server: &str, command: &str| {
        let main = "org.apache.zookeeper.ZooKeeperMain";
        format!("echo {command} | java -cp '/opt/exhibitor/lib/*' {main} -server {server} 2>&1")
    };
    let by_name = "exhibitor.default.svc.cluster.local:2181";
    real.in_pod("client", &cli(by_name, "create /greeting hello")).exits(0).says(&["Created /greeting"]);
    real.told("delete pod client-later --ignore-not-found");
    let later = std::fs::read_to_string(real.bench.path("client.yaml")).unwrap();
    std::fs::write(real.bench.path("later.yaml"), later.replace("name: client,", "name: client-later,"))
        .unwrap();
    real.told("apply -f later.yaml");
    real.told("wait --for=condition=Ready pod/client-later --timeout=20m");
    let by_variables = "$EXHIBITOR_SERVICE_HOST:$EXHIBITOR_SERVICE_PORT_ZK";
    real.in_pod("client-later", &cli(by_variables, "get /greeting")).exits(0).says(&["hello"]);
}

/// The tutorial's `kubectl proxy`, `curl` and `jq`.
fn tells_its_status_through_kubectl_proxy(real: &Real) {
    let mut proxy = real.kubectl("proxy --port=0").start();
    let address = proxy.until("Starting to serve on").trim().rsplit_once(' ').unwrap().1.to_owned();
    let service = "api/v1/namespaces/default/services/exhibitor:api/proxy/exhibitor/v1/cluster/status";
    let status = real.program("curl").args(["-fsS", &format!("http://{address}/{service}")]).run().exits(0);
    std::fs::write(real.bench.path("status.json"), status.out).unwrap();
    let jq = |filter: &str| real.program("jq").args(["-r", filter, "status.json"]).run().exits(0).out;
    assert_eq!(jq("length").trim(), "3");
    assert_eq!(jq(r#"map(select(.description == "serving")) | length"#).trim(), "3");
    assert_eq!(jq("map(select(.isLeader)) | length").trim(), "1");
}

/// `zkprov ui` and Exhibitor's own page in a real browser: the page has asked for the members and lists them.
fn shows_exhibitors_page_in_a_browser(real: &Real) {
    let install = Command::new(root().join("tests/install/chromium.sh")).output().unwrap();
    let complaint = String::from_utf8_lossy(&install.stderr);
    assert!(install.status.success(), "no Chromium: {complaint}");
    let browser = PathBuf::from(String::from_utf8(install.stdout).unwrap().trim());
    let mut ui = real.zkprov("ui --no-open --port 0").start();
    let url = ui.until("http://127.0.0.1:").trim().to_owned();
    let picture = real.bench.path("page.png");
    let options =
        ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1200,900"];
    let browse = |what: &str| {
        let page =
            real.program(&browser).args(options).args(["--virtual-time-budget=20000", what, url.as_str()]);
        page.run().exits(0).out
    };
    let page = browse("--dump-dom");
    for address in members(real).keys() {
        assert!(page.contains(address.as_str()), "the page does not list {address}:\n{page}");
    }
    browse(&format!("--screenshot={}", picture.display()));
    assert!(std::fs::metadata(&picture).unwrap().len() > 5_000, "an empty picture");
    if let Some(kept) = std::env::var_os("ZKPROV_KEEP_PICTURES") {
        std::fs::copy(&picture, PathBuf::from(kept).join("exhibitor.png")).unwrap();
    }
    ui.signal("INT");
    let _ = ui.wait().exits(0);
}

/// By the file, by the command, and by the cluster whoever asks.
fn refuses_four(real: &Real) {
    let by_file = real.zkprov("validate --set spec.exhibitor.replicas=4").run().exits(1);
    by_file.complains(&["error[even-replicas]"]);
    real.zkprov("scale 4 --yes").run().exits(3).complains(&["an ensemble of 4 is refused"]);
    for line in [
        "scale deployment exhibitor --replicas=4",
        r#"patch deployment exhibitor --type=merge -p {"spec":{"replicas":4}}"#,
    ] {
        let refused = real.kubectl(line).run().exits(1);
        refused.complains(&["odd-replicas", "replicas must be odd, not 4", "use 3 or 5"]);
    }
    assert_eq!(pods(real).len(), 3);
}

fn changes_a_live_setting_without_a_restart(real: &Real) {
    let processes = || -> Vec<String> {
        let pods = pods(real);
        pods.iter().map(|pod| real.in_pod(name(pod), "jps").exits(0).out).collect()
    };
    let before = processes();
    let live = "apply --yes --set spec.exhibitor.settings.check=20s";
    real.zkprov(live).run().exits(0).says(&["settings.checkMs: 30000 -> 20000"]);
    real.zkprov("apply --yes").run().exits(0);
    assert_eq!(processes(), before);
}

/// Scales while the client writes, and tells for how long it had to wait at most for each voter.
fn resizes(real: &Real, writer: &mut Background, to: usize) {
    let steps = members(real).len().abs_diff(to);
    let line = format!("scale {to} --yes --set spec.exhibitor.allowSingle=true");
    watched(real, &line, steps, writer);
    agrees_with_zookeeper(real, to);
}

/// Newcomers have higher ids by now. All restart together and get low ones, and know the same as before.
fn numbers_members_anew(real: &Real, writer: &mut Background) {
    let ids = || -> Vec<u64> {
        let mut ids: Vec<u64> = members(real).values().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    };
    assert_ne!(ids(), [1, 2, 3]);
    watched(real, "apply --yes --compact-ids", 1, writer);
    assert_eq!(ids(), [1, 2, 3]);
    agrees_with_zookeeper(real, 3);
}

/// Deletes the pod of a member in a role, and lets `apply` bring its successor in.
fn survives_the_loss_of(real: &Real, role: &str) {
    let before = members(real);
    let address =
        before.iter().find(|(_, (_, its))| its == role).map(|(address, _)| address.clone()).unwrap();
    let pods = pods(real);
    let pod = pods.iter().find(|pod| pod["status"]["podIP"] == address.as_str()).unwrap();
    let start = Instant::now();
    real.told(&format!("delete pod {}", name(pod)));
    wait_for("a leader", || {
        let members = members(real);
        let leads = members.values().filter(|(_, role)| role == "leader").count() == 1;
        if leads { Ok(()) } else { Err(members) }
    });
    println!("a quorum {:.1} s after the loss of the {role}", start.elapsed().as_secs_f64());
    // Exhibitor may be quicker and take the new pod in by itself.
    wait_for("an apply that finds nothing in its way", || {
        let applied = real.zkprov("apply --yes").run();
        if applied.status == Some(0) { Ok(()) } else { Err(applied.err) }
    });
    println!("three members {:.1} s after the loss of the {role}", start.elapsed().as_secs_f64());
    agrees_with_zookeeper(real, 3);
    assert!(!members(real).contains_key(&address), "{address} is still a member");
}

/// There is one node: the pods of a drain have nowhere to go, and the budget lets one of them be gone.
fn is_drained_no_further_than_its_budget(real: &Real) {
    let drain =
        "drain node-1 --ignore-daemonsets --delete-emptydir-data --pod-selector=app=exhibitor --timeout=40s";
    let drained = real.kubectl(drain).run().exits(1);
    drained.complains(&["would violate the pod's disruption budget"]);
    let serving = members(real).values().filter(|(_, role)| role == "leader" || role == "follower").count();
    assert!(serving >= 2, "{serving} members serve");
    real.told("uncordon node-1");
    real.told("wait --for=condition=Available deployment/exhibitor --timeout=20m");
    real.zkprov("apply --yes").run().exits(0).says(&["3 of 3 voters serve"]);
}

/// What the writer was told is written is on every member.
pub(super) fn lost_nothing(real: &Real, writer: Background) {
    writer.signal("TERM");
    let written = writer.wait().exits(0);
    println!("writer: {}", written.out.trim());
    let pods = pods(real);
    let addresses = pods.iter().map(|pod| format!("{}:2181", pod["status"]["podIP"].as_str().unwrap()));
    let args: Vec<String> =
        ["verify", "acknowledged"].map(str::to_owned).into_iter().chain(addresses).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    client(real, &args).run().exits(0).says(&[&format!("on each of {} members", pods.len())]);
}

/// A server that stands alone takes writes that the ensemble never sees: nobody may be led to one.
fn routes_nobody_to_a_stranger(real: &Real, routed: Background) {
    real.in_pod("client", "touch /tmp/enough").exits(0);
    let modes = routed.wait().exits(0).out;
    let count = |mode: &str| modes.lines().filter(|line| *line == mode).count();
    println!(
        "routed to: {} leader, {} follower, {} without a quorum",
        count("leader"),
        count("follower"),
        count("no quorum")
    );
    assert!(count("leader") > 10 && count("follower") > 10, "{modes}");
    // Only while there is but one member: then in one piece, with nobody else in between.
    let modes: Vec<&str> = modes.lines().filter(|line| *line != "no quorum").collect();
    let pieces = modes.chunk_by(|one, next| one == next).filter(|piece| piece[0] == "standalone").count();
    assert_eq!(pieces, 1, "{modes:?}");
}

fn goes(real: &Real) {
    real.zkprov("destroy --confirm exhibitor").run().exits(0).says(&["destroyed exhibitor; no orphans"]);
    let left = real.told(
        "get deployments,services,configmaps,poddisruptionbudgets,networkpolicies -l app=exhibitor -o name",
    );
    assert_eq!(left, "");
}

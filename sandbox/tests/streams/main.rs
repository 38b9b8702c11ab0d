//! Streams into pods over real sockets: programs that are run there, and ZooKeeper's protocol through forwarded ports.

#![expect(clippy::disallowed_methods, reason = "a test reads files, starts programs and keeps time")]
#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod kubectl;
mod support;

use std::io::Read as _;
use std::time::Duration;
use support::Bench;
use zookeeper_client as zk;

const OPEN: &zk::CreateOptions<'static> = &zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());

async fn client(ports: &[u16]) -> zk::Client {
    let cluster: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let connector = zk::Client::connector().with_server_version(3, 4, 14);
    connector.with_session_timeout(Duration::from_secs(30)).connect(&cluster.join(",")).await.unwrap()
}

#[tokio::test]
async fn programs_run_in_containers_and_read_the_members_files() {
    let bench = Bench::serving(3).await;
    let (pod, _) = bench.pods().await.remove(0);
    let client = client(&[bench.forward(&pod).await]).await;
    client.create("/a", b"first", OPEN).await.unwrap();

    let epoch = bench.exec(&pod, &["cat", "/opt/zookeeper/snapshots/version-2/currentEpoch"]).await;
    assert!(String::from_utf8(epoch.stdout).unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(epoch.status["status"], "Success");
    let id = bench.exec(&pod, &["cat", "/opt/zookeeper/snapshots/myid"]).await;
    assert!(id.stdout.ends_with(b"\n"));

    for (directory, starts) in [("snapshots", "version-2/snapshot."), ("transactions", "version-2/log.")] {
        let directory = format!("/opt/zookeeper/{directory}");
        let ended = bench.exec(&pod, &["tar", "-C", &directory, "-cf", "-", "version-2"]).await;
        assert_eq!((ended.status["status"].as_str(), ended.stderr.as_str()), (Some("Success"), ""));
        let mut archive = tar::Archive::new(ended.stdout.as_slice());
        let names = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().display().to_string(), bytes)
        });
        let files: Vec<(String, Vec<u8>)> = names.collect();
        assert_eq!(files[0].0, "version-2/");
        assert!(
            files.iter().any(|(name, bytes)| name.starts_with(starts) && bytes.starts_with(b"ZK")),
            "{directory}"
        );
    }

    let none = bench.exec(&pod, &["cat", "/nowhere"]).await;
    assert_eq!(none.stderr, "cat: /nowhere: No such file or directory\n");
    assert_eq!(none.status["details"]["causes"][0]["message"], "1");
    let unknown = bench.exec(&pod, &["vi"]).await;
    assert_eq!(unknown.status["details"]["causes"][0]["message"], "127");
    assert!(unknown.stderr.contains("executable file not found in $PATH"), "{}", unknown.stderr);
}

#[tokio::test]
async fn streams_that_cannot_be_are_refused() {
    let bench = Bench::serving(1).await;
    let (pod, _) = bench.pods().await.remove(0);
    let refused = async |target: &str, protocols: &str| bench.stream(target, protocols).await.err().unwrap();
    let v4 = "v4.channel.k8s.io";
    assert_eq!(refused("nobody/exec?command=ls&stdout=true", v4).await.0, 404);
    assert_eq!(refused("nobody/portforward?ports=2181", v4).await.0, 404);
    let (code, why) = refused(&format!("{pod}/portforward?ports=2181"), "portforward.k8s.io").await;
    assert!(code == 400 && why.contains("none of the protocols"), "{code} {why}");
    assert_eq!(refused(&format!("{pod}/portforward"), v4).await.0, 400);
    assert_eq!(refused(&format!("{pod}/exec?stdout=true"), v4).await.0, 400);
    assert_eq!(refused(&format!("{pod}/exec?command=ls"), v4).await.0, 400);

    let scale = serde_json::json!({"spec": {"replicas": 2}});
    let path = "/apis/apps/v1/namespaces/default/deployments/exhibitor";
    let mut deployment = bench.call("GET", path, &scale).await;
    deployment["spec"]["replicas"] = 2.into();
    deployment["spec"]["template"]["spec"]["nodeSelector"] = serde_json::json!({"no": "where"});
    bench.call("PUT", path, &deployment).await;
    bench.until(|bench| bench.sandbox.request_count() > 0).await;
    let pods = bench.pods().await;
    let (unplaced, _) = pods.iter().find(|(name, address)| *name != pod && address.is_empty()).unwrap();
    let (code, why) = refused(&format!("{unplaced}/exec?command=ls&stdout=true"), v4).await;
    assert!(code == 400 && why.contains("does not have a host assigned"), "{code} {why}");
}

#[tokio::test]
async fn a_real_client_does_everything_that_zookeeper_does() {
    let bench = Bench::serving(3).await;
    let pods = bench.pods().await;
    let mut ports = Vec::new();
    for (pod, _) in &pods {
        ports.push(bench.forward(pod).await);
    }
    let (one, other) = (client(&ports[..1]).await, client(&ports[1..2]).await);

    one.create("/a", b"1", OPEN).await.unwrap();
    let stat = one.check_stat("/a").await.unwrap().unwrap();
    assert_eq!((stat.version, stat.czxid, stat.data_length), (0, stat.mzxid, 1));
    assert_eq!(one.create("/a", b"1", OPEN).await.unwrap_err(), zk::Error::NodeExists);
    assert_eq!(one.create("/none/a", b"1", OPEN).await.unwrap_err(), zk::Error::NoNode);
    other.sync("/a").await.unwrap();

    let (data, seen, watcher) = other.get_and_watch_data("/a").await.unwrap();
    assert_eq!((data.as_slice(), seen), (&b"1"[..], stat));
    assert_eq!(one.set_data("/a", b"2", Some(7)).await.unwrap_err(), zk::Error::BadVersion);
    assert_eq!(one.set_data("/a", b"22", Some(0)).await.unwrap().version, 1);
    assert_eq!(watcher.changed().await.event_type, zk::EventType::NodeDataChanged);

    let (none, created) = other.check_and_watch_stat("/a/b").await.unwrap();
    assert_eq!(none, None);
    let (_, _, children) = other.get_and_watch_children("/a").await.unwrap();
    let sequential = &zk::CreateMode::EphemeralSequential.with_acls(zk::Acls::anyone_all());
    let (_, number) = one.create("/a/n-", b"", sequential).await.unwrap();
    let stat = one.check_stat("/a/n-0000000000").await.unwrap().unwrap();
    assert_eq!((number.into_i64(), stat.ephemeral_owner), (0, one.session_id().0));
    assert_eq!(children.changed().await.event_type, zk::EventType::NodeChildrenChanged);
    one.create("/a/b", b"", OPEN).await.unwrap();
    assert_eq!(created.changed().await.event_type, zk::EventType::NodeCreated);
    let under = one.create("/a/n-0000000000/x", b"", OPEN).await.unwrap_err();
    assert_eq!(under, zk::Error::NoChildrenForEphemerals);
    assert_eq!(one.delete("/a", None).await.unwrap_err(), zk::Error::NotEmpty);
    let (_, number) = one.create("/a/n-", b"", sequential).await.unwrap();
    assert_eq!(number.into_i64(), 2);

    // This client makes znodes in a transaction as servers since 3.5 do; 3.4 can't read that, nor can ours.
    let mut multi = one.new_multi_writer();
    multi.add_create("/a/b/c", b"", OPEN).unwrap();
    let refused = multi.commit().await.unwrap_err();
    assert!(format!("{refused:?}").contains("MarshallingError"), "{refused:?}");
    let mut multi = one.new_multi_writer();
    multi.add_check_version("/a", 1).unwrap();
    multi.add_set_data("/a", b"333", Some(1)).unwrap();
    multi.add_delete("/a/b", None).unwrap();
    assert_eq!(multi.commit().await.unwrap().len(), 3);
    let mut multi = one.new_multi_writer();
    multi.add_set_data("/a", b"4", None).unwrap();
    multi.add_check_version("/a", 1).unwrap();
    assert!(multi.commit().await.is_err());
    assert_eq!(one.get_data("/a").await.unwrap().0, b"333");

    one.auth("digest", b"me:secret").await.unwrap();
    let mine = &zk::CreateMode::Persistent.with_acls(zk::Acls::creator_all());
    one.create("/mine", b"!", mine).await.unwrap();
    other.sync("/mine").await.unwrap();
    assert_eq!(other.get_data("/mine").await.unwrap_err(), zk::Error::NoAuth);
    assert_eq!(one.get_data("/mine").await.unwrap().0, b"!");
    other.auth("digest", b"me:secret").await.unwrap();
    let acl = other.get_acl("/mine").await.unwrap().0;
    assert_eq!(acl[0].scheme(), "digest");
    other.set_acl("/mine", &zk::Acls::anyone_read(), Some(0)).await.unwrap();
    assert_eq!(one.set_data("/mine", b"?", None).await.unwrap_err(), zk::Error::NoAuth);

    // What clients wrote is what Exhibitor's explorer shows.
    let world = bench.sandbox.world().unwrap();
    for (_, address) in &pods {
        let node = world.exhibitor.read(address, "/a").unwrap();
        assert_eq!((node.data.as_slice(), node.version), (&b"333"[..], 2));
    }

    // The end of a session takes its ephemeral znodes along.
    let (_, gone) = other.check_and_watch_stat("/a/n-0000000000").await.unwrap();
    drop(one);
    assert_eq!(gone.changed().await.event_type, zk::EventType::NodeDeleted);
    assert!(other.list_children("/a").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_moves_when_its_member_dies() {
    let bench = Bench::serving(3).await;
    let pods = bench.pods().await;
    let first = bench.forward(&pods[0].0).await;
    let client = client(&[first, bench.forward(&pods[1].0).await, bench.forward(&pods[2].0).await]).await;
    let ephemeral = &zk::CreateMode::Ephemeral.with_acls(zk::Acls::anyone_all());
    client.create("/alive", b"", ephemeral).await.unwrap();
    let session = client.session_id();
    let served = |bench: &Bench| {
        let world = bench.sandbox.world().unwrap();
        pods.iter().position(|(_, address)| world.exhibitor.connections(address) > 0)
    };
    let before = served(&bench).unwrap();
    bench
        .call(
            "DELETE",
            &format!("/api/v1/namespaces/default/pods/{}", pods[before].0),
            &serde_json::json!({"gracePeriodSeconds": 0}),
        )
        .await;
    bench.until(|bench| served(bench).is_some_and(|now| now != before)).await;
    let owner = loop {
        match client.check_stat("/alive").await {
            Ok(stat) => break stat.unwrap().ephemeral_owner,
            Err(zk::Error::ConnectionLoss) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((owner, client.session_id()), (session.0, session));
}

#[tokio::test]
async fn four_letter_words_are_answered_on_the_port() {
    let bench = Bench::serving(3).await;
    for (pod, _) in bench.pods().await {
        assert_eq!(bench.say(&pod, b"ruok").await, b"imok");
        let text = String::from_utf8(bench.say(&pod, b"srvr").await).unwrap();
        assert!(text.contains("Mode: leader") || text.contains("Mode: follower"), "{text}");
        assert!(String::from_utf8(bench.say(&pod, b"mntr").await).unwrap().contains("zk_znode_count\t4"));
        // No length of a frame that ZooKeeper reads: it drops the connection.
        assert_eq!(bench.say(&pod, b"\xff\xff\xff\xff").await, b"");
    }
}

#[tokio::test]
async fn images_are_refused_where_the_sandbox_is_told_so() {
    const OLD: &str = "mbabineau/zookeeper-exhibitor";
    let bench = Bench::serving(1).await;
    let none = serde_json::json!({"schema1Refused": false, "denied": [], "missing": []});
    let get = serde_json::json!({});
    assert_eq!(bench.admin("GET", "images", &get).await, (200, none));
    let faults = serde_json::json!({"schema1Refused": true, "denied": ["eu-docker.pkg.dev/p"], "missing": ["nginx:9"]});
    assert_eq!(bench.admin("PUT", "images", &faults).await, (200, faults.clone()));
    assert_eq!(bench.admin("GET", "images", &get).await, (200, faults));
    let (code, why) = bench.admin("PUT", "images", &serde_json::json!({"schema2Refused": true})).await;
    assert!(code == 400 && why["message"].as_str().unwrap().contains("schema2Refused"), "{code} {why}");

    let pods = "/api/v1/namespaces/default/pods";
    let images =
        [("old", OLD), ("denied", "eu-docker.pkg.dev/p/r/i:1"), ("missing", "nginx:9"), ("good", "nginx:8")];
    for (name, image) in images {
        let pod = serde_json::json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": image}]}});
        bench.call("POST", pods, &pod).await;
    }
    bench.sandbox.advance(Duration::from_secs(30)).unwrap();
    for (name, image) in images {
        let status = bench.call("GET", &format!("{pods}/{name}"), &get).await["status"].clone();
        let waiting = &status["containerStatuses"][0]["state"]["waiting"];
        let pulls = waiting["reason"].as_str().is_some_and(|reason| reason.contains("ImagePull"));
        assert_eq!(pulls, name != "good", "{image}: {status}");
    }
    // What runs already goes on.
    assert_eq!(bench.modes(), [Some("standalone")]);
}

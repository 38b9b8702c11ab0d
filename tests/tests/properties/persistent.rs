//! Members with volumes: whatever goes, their data stays; and they take over from members without, vote by vote.

use crate::harness::{Lab, block_on, example, keys, share, specs};
use std::time::Duration;
use zkprov_plans::spec::ValidSpec;
use zkprov_sandbox::api::{Request, Service};
use zkprov_sandbox::server::{Cut, Side};
use zkprov_sandbox::world::World;

/// Of so many changing calls one is cut: the move is a long way, and the calls of one vote are like those of another.
const EVERY: usize = 8;
const PRECIOUS: &str = "/precious";

/// Members with volumes.
pub(crate) fn persistent(set: &[&str]) -> ValidSpec {
    specs(&example("persistent"), &[&["spec.exhibitor.settings.check=1s"], set].concat()).remove(0)
}

/// The same file from before there were volumes.
fn ephemeral() -> ValidSpec {
    let text = example("persistent");
    let before = text.split("    storage:").next().unwrap();
    specs(before, &["spec.exhibitor.settings.check=1s"]).remove(0)
}

/// What the members of the only share are known by.
fn members(world: &World) -> Vec<String> {
    keys(world, &format!("/exhibitor/shares/{}/members", share(world).replace('/', "~1")))
}

/// Objects of a kind in the only cluster, as the API tells them.
pub(crate) fn objects(lab: &Lab, kind: &str) -> Vec<serde_json::Value> {
    let stored = serde_json::to_value(lab.running.world().unwrap()).unwrap();
    let clusters = stored["kubernetes"].as_object().unwrap();
    let objects = clusters.values().next().and_then(|one| one["store"]["objects"][kind].as_object());
    objects.into_iter().flat_map(|objects| objects.values().cloned()).collect()
}

pub(crate) fn name(object: &serde_json::Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

fn names(lab: &Lab, kind: &str) -> Vec<String> {
    let mut names: Vec<String> =
        objects(lab, kind).iter().map(name).filter(|name| name.contains("exhibitor")).collect();
    names.sort();
    names
}

/// Writes as a client of whoever serves.
pub(crate) fn write(lab: &Lab, data: &str) {
    let mut world = lab.running.world().unwrap();
    let hosts = members(&world);
    let written = hosts.iter().any(|host| {
        world.exhibitor.mode(host).is_some_and(|mode| mode != "standalone")
            && world.exhibitor.write(host, PRECIOUS, data.as_bytes()).is_ok()
    });
    assert!(written, "nobody serves of {hosts:?}");
    lab.running.restore(world).unwrap();
}

/// Every one of so many voters serves and has what was written.
pub(crate) fn all_have(lab: &Lab, count: usize, data: &str) {
    let world = lab.running.world().unwrap();
    let health = world.exhibitor.health(&share(&world)).unwrap();
    assert_eq!((health.declared, health.healthy), (count, count));
    let hosts = members(&world);
    assert_eq!(hosts.len(), count, "{hosts:?}");
    for host in hosts {
        let read = world.exhibitor.read(&host, PRECIOUS).map(|znode| znode.data.clone());
        assert_eq!(read.as_deref(), Some(data.as_bytes()), "{host}");
    }
}

/// Deletes pods of the ensemble, all at once.
fn kill(lab: &Lab, which: impl Fn(&str) -> bool) {
    let doomed: Vec<String> = names(lab, "Pod").into_iter().filter(|name| which(name)).collect();
    let mut world = lab.running.world().unwrap();
    let cluster = keys(&world, "/kubernetes").remove(0);
    for name in doomed {
        let request = Request {
            service: Service::Kubernetes(cluster.clone()),
            method: "DELETE".to_owned(),
            path: format!("/api/v1/namespaces/default/pods/{name}"),
            query: vec![("gracePeriodSeconds".to_owned(), "0".to_owned())],
            headers: Vec::new(),
            body: Vec::new(),
        };
        let now = world.now;
        world.handle(&request, now, &lab.running.endpoints());
    }
    lab.running.restore(world).unwrap();
}

async fn is_settled(lab: &Lab, spec: &ValidSpec) {
    let plan = lab.plan(spec).await;
    assert!(plan.is_empty(), "{}", plan.words());
}

#[test]
fn all_pods_go_at_once_and_every_znode_is_there_when_they_are_back() {
    block_on(async {
        let lab = Lab::start().await;
        let spec = persistent(&[]);
        lab.apply(&spec).await.unwrap();
        write(&lab, "1");
        kill(&lab, |_| true);
        lab.running.advance(Duration::from_secs(300)).unwrap();
        all_have(&lab, 3, "1");
        is_settled(&lab, &spec).await;
    });
}

#[test]
fn the_highest_numbers_leave_and_their_volumes_follow_the_file() {
    block_on(async {
        let lab = Lab::start().await;
        let five = persistent(&["spec.exhibitor.replicas=5"]);
        lab.apply(&five).await.unwrap();
        write(&lab, "1");
        let three = persistent(&[]);
        lab.apply(&three).await.unwrap();
        lab.running.advance(Duration::from_secs(60)).unwrap();
        all_have(&lab, 3, "1");
        assert_eq!(names(&lab, "Pod"), ["exhibitor-0", "exhibitor-1", "exhibitor-2"]);
        assert_eq!(names(&lab, "PersistentVolumeClaim").len(), 5);
        is_settled(&lab, &three).await;
        let forgetful = persistent(&["spec.exhibitor.storage.persistent.retention=delete"]);
        lab.apply(&forgetful).await.unwrap();
        assert_eq!(names(&lab, "PersistentVolumeClaim").len(), 3);
        lab.apply(&five).await.unwrap();
        all_have(&lab, 5, "1");
        is_settled(&lab, &five).await;
    });
}

#[test]
fn volumes_grow_under_running_members_and_never_shrink() {
    block_on(async {
        let lab = Lab::start().await;
        lab.apply(&persistent(&[])).await.unwrap();
        write(&lab, "1");
        let uids = |lab: &Lab| {
            let pods = objects(lab, "Pod");
            pods.iter().map(|pod| pod["metadata"]["uid"].to_string()).collect::<Vec<_>>()
        };
        let before = uids(&lab);
        let larger = persistent(&["spec.exhibitor.storage.persistent.size=20GB"]);
        lab.apply(&larger).await.unwrap();
        assert_eq!(uids(&lab), before, "no pod is replaced");
        for claim in objects(&lab, "PersistentVolumeClaim") {
            assert_eq!(claim["status"]["capacity"]["storage"], "20Gi", "{claim:#}");
        }
        is_settled(&lab, &larger).await;
        all_have(&lab, 3, "1");
        let smaller = lab.plan(&persistent(&[])).await;
        assert!(smaller.words().contains("fatal: volume-would-shrink"), "{}", smaller.words());
        let other = lab.plan(&persistent(&["spec.exhibitor.storage.persistent.class=standard-rwo"])).await;
        assert!(other.refused(), "{}", other.words());
    });
}

#[test]
fn a_destroy_keeps_the_volumes_and_the_next_apply_finds_them() {
    block_on(async {
        let lab = Lab::start().await;
        let spec = persistent(&[]);
        lab.apply(&spec).await.unwrap();
        write(&lab, "1");
        lab.destroy(&spec, false).await.unwrap();
        assert_eq!((names(&lab, "Pod").len(), names(&lab, "PersistentVolumeClaim").len()), (0, 3));
        lab.apply(&spec).await.unwrap();
        all_have(&lab, 3, "1");
        is_settled(&lab, &spec).await;
        lab.destroy(&spec, true).await.unwrap();
        // What the directory remembers has no disk any more.
        let left = lab.inventory().into_iter().filter(|line| !line.contains(":/data "));
        assert_eq!(left.collect::<Vec<_>>(), Vec::<String>::new());
    });
}

/// Longest time without a quorum, virtual ms. Exhibitor may roll the leader before others: the two that lead on by the old list
/// and the two with the new one then wait for each other, until it restarts those that are left together.
const OUTAGE: u64 = 30_000;

#[test]
fn members_without_volumes_are_followed_vote_by_vote_and_nothing_is_lost() {
    block_on(async {
        let lab = Lab::start().await;
        lab.apply(&ephemeral()).await.unwrap();
        write(&lab, "1");
        let mut world = lab.running.world().unwrap();
        let share = share(&world);
        world.exhibitor.forget_worst(&share);
        lab.running.restore(world).unwrap();
        lab.apply(&persistent(&[])).await.unwrap();
        let world = lab.running.world().unwrap();
        let worst = world.exhibitor.worst(&share);
        assert!(worst.outage <= OUTAGE, "{worst:?}");
        let sizes: Vec<usize> =
            world.exhibitor.declared_history(&share).iter().map(|(_, size)| *size).collect();
        assert_eq!(sizes.last(), Some(&3));
        assert!(sizes.iter().skip_while(|size| **size < 3).all(|size| (3..=4).contains(size)), "{sizes:?}");
        all_have(&lab, 3, "1");
        assert_eq!(names(&lab, "Deployment"), Vec::<String>::new());
        is_settled(&lab, &persistent(&[])).await;
    });
}

/// Cuts the move at some of its changing calls, and runs it again.
async fn cut() {
    let lab = Lab::start().await;
    lab.apply(&ephemeral()).await.unwrap();
    write(&lab, "1");
    let before = lab.running.world().unwrap();
    let spec = persistent(&[]);
    lab.running.set_cut(None);
    lab.apply(&spec).await.unwrap();
    let calls = lab.running.mutation_count();
    let expected = lab.inventory();
    for (turn, at) in (EVERY / 2..=calls).step_by(EVERY).enumerate() {
        let side = if turn.is_multiple_of(2) { Side::Before } else { Side::After };
        lab.running.restore(before.clone()).unwrap();
        lab.running.set_cut(Some(Cut { at, side }));
        let died = lab.until_cut(lab.apply(&spec)).await;
        lab.running.set_cut(None);
        let context = format!("cut {at} of {calls}, {side:?} {died:?}");
        if let Err(error) = lab.apply(&spec).await {
            panic!("{context}: the second run: {error}");
        }
        let plan = lab.plan(&spec).await;
        assert!(plan.is_empty(), "{context}: {}", plan.words());
        all_have(&lab, 3, "1");
        assert_eq!(lab.inventory(), expected, "{context}");
    }
}

#[test]
fn a_move_that_is_cut_ends_the_same() {
    block_on(cut());
}

#[test]
fn a_move_to_volumes_changes_nothing_else() {
    block_on(async {
        let lab = Lab::start().await;
        lab.apply(&ephemeral()).await.unwrap();
        let refused = |set: &'static [&'static str], code: &'static str| {
            let lab = &lab;
            async move {
                let plan = lab.plan(&persistent(set)).await;
                assert!(plan.words().contains(&format!("fatal: {code}")), "{}", plan.words());
            }
        };
        refused(&["spec.exhibitor.replicas=5"], "moves-and-resizes").await;
        refused(&["spec.fileServer.singleNode.path=/other"], "share-would-move").await;
        // And back again: the members would not take their data along.
        lab.apply(&persistent(&[])).await.unwrap();
        let back = lab.plan(&ephemeral()).await;
        assert!(back.words().contains("fatal: ensemble-would-move"), "{}", back.words());
    });
}
